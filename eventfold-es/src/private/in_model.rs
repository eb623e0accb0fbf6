//! What the macro `model!` calls for each of its types: the compiler selects the functions whose bounds
//! the type meets.

use std::marker::PhantomData;

use crate::domain::about;
use crate::domain::aggregate::Aggregate;
use crate::domain::decider::Decider;
use crate::domain::process_manager::ProcessManager;
use crate::domain::projection::Projection;
use crate::model::Model;

/// A type that is listed in `model!`.
#[derive(Debug)]
pub struct InModel<T>(PhantomData<T>);

impl<A: Aggregate> InModel<A> {
    pub const __IS_AGGREGATE: bool = true;

    pub fn __aggregate(model: &mut Model) {
        about::aggregate::<A>(model);
    }
}

impl<D: Decider> InModel<D> {
    pub const __IS_DECISION: bool = true;

    pub fn __decision(model: &mut Model) {
        about::decision::<D>(model);
    }
}

impl<P: Projection> InModel<P> {
    pub const __IS_PROJECTION: bool = true;

    pub fn __projection(model: &mut Model) {
        about::projection::<P>(model);
    }
}

impl<M: ProcessManager> InModel<M> {
    pub const __IS_PROCESS_MANAGER: bool = true;

    pub fn __process_manager(model: &mut Model) {
        about::process_manager::<M>(model);
    }
}

/// For what a type is not.
pub trait NotInModel: Sized {
    const __IS_AGGREGATE: bool = false;
    const __IS_DECISION: bool = false;
    const __IS_PROJECTION: bool = false;
    const __IS_PROCESS_MANAGER: bool = false;

    fn __aggregate(_: &mut Model) {}
    fn __decision(_: &mut Model) {}
    fn __projection(_: &mut Model) {}
    fn __process_manager(_: &mut Model) {}
}

impl<T> NotInModel for InModel<T> {}
