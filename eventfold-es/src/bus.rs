//! placeholder
use std::marker::PhantomData;

/// The command types of an aggregate that lead to it besides its command enum.
#[derive(Debug)]
pub struct CommandRoutes<A> {
    aggregate: PhantomData<A>,
}

impl<A: crate::Aggregate> CommandRoutes<A> {
    /// Routes commands of type `C`.
    pub fn add<C>(&mut self)
    where
        C: Into<A::Command> + Send + 'static,
    {
    }
}
