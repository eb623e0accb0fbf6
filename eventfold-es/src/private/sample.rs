//! Samples of events, made by `Default` if a type has that. For the testing kit only.

use std::marker::PhantomData;

/// Passes its content on to the compiler if the testing kit is enabled, otherwise drops it.
#[cfg(feature = "testing")]
#[doc(hidden)]
#[macro_export]
macro_rules! __testing {
    ($($items:tt)*) => { $($items)* };
}

/// Passes its content on to the compiler if the testing kit is enabled, otherwise drops it.
#[cfg(not(feature = "testing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __testing {
    ($($items:tt)*) => {};
}

/// Makes a `T` if it is [`Default`]: the compiler prefers the method with that bound.
#[derive(Debug)]
pub struct MadeOfDefault<T>(PhantomData<T>);

impl<T> MadeOfDefault<T> {
    #[expect(clippy::new_without_default, reason = "generated code calls it")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Default> MadeOfDefault<T> {
    pub fn __sample(self) -> Option<T> {
        Some(T::default())
    }
}

/// The method for types without [`Default`].
pub trait NotMade: Sized {
    type Made;

    fn __sample(self) -> Option<Self::Made> {
        None
    }
}

impl<T> NotMade for MadeOfDefault<T> {
    type Made = T;
}

/// The samples that could be made.
pub fn samples<E, const N: usize>(samples: [Option<E>; N]) -> Vec<E> {
    samples.into_iter().flatten().collect()
}

/// Adds the samples of one type of a set.
pub fn add_samples<E, Set>(samples: &mut Vec<Set>, of: Vec<E>, into: fn(E) -> Set) {
    samples.extend(of.into_iter().map(into));
}
