//! A copy of a command, if it can be cloned.

use std::marker::PhantomData;

/// Copies a command of type `C`.
#[derive(Debug)]
pub struct Repeat<C>(PhantomData<C>);

impl<C: Clone> Repeat<C> {
    #[inline]
    pub fn __of(command: &C) -> Option<C> {
        Some(command.clone())
    }
}

/// For commands that are not `Clone`. An inherent function goes before a trait's.
pub trait NotCloned<C>: Sized {
    fn __of(_: &C) -> Option<C> {
        None
    }
}

impl<C> NotCloned<C> for Repeat<C> {}
