//! The programs, on this crate.

pub(crate) use ::eventfold_es as es;

/// Calls once: no lock may be in the way.
pub(crate) async fn unlocked<T>(mut call: impl AsyncFnMut() -> std::io::Result<T>) -> T {
    call().await.unwrap()
}

#[path = "programs/bus.rs"]
mod bus;
#[path = "programs/handles.rs"]
mod handles;
#[path = "programs/inject.rs"]
mod inject;
#[path = "programs/layout.rs"]
mod layout;
#[path = "programs/read_side.rs"]
mod read_side;
#[path = "programs/surface.rs"]
mod surface;
#[path = "programs/tools.rs"]
pub(crate) mod tools;
