//! What the store needs of a command under an idempotency key or in a conflict, if the command type
//! has it.

use std::marker::PhantomData;

use serde::Serialize;

use crate::domain::command::fingerprint_of;

/// A command of type `C`.
#[derive(Debug)]
pub struct OfCommand<C>(PhantomData<C>);

impl<C: Clone> OfCommand<C> {
    #[inline]
    pub fn __copy(command: &C) -> Option<C> {
        Some(command.clone())
    }
}

impl<C: Serialize> OfCommand<C> {
    #[inline]
    pub fn __fingerprint(command: &C) -> Option<u64> {
        fingerprint_of(command)
    }
}

/// For commands that are not `Clone` or not `Serialize`. An inherent function goes before a
/// trait's.
pub trait OfAnyCommand<C>: Sized {
    fn __copy(_: &C) -> Option<C> {
        None
    }

    fn __fingerprint(_: &C) -> Option<u64> {
        None
    }
}

impl<C> OfAnyCommand<C> for OfCommand<C> {}
