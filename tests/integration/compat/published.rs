//! The programs, on the published 0.2.0.

pub(crate) use ::old as es;

/// Calls until no lock is in the way. 0.2.0 locks a stream's file anew with many a call, and a
/// process that another test starts holds all locks until it executes its program.
pub(crate) async fn unlocked<T>(mut call: impl AsyncFnMut() -> std::io::Result<T>) -> T {
    loop {
        match call().await {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                tokio::task::yield_now().await;
            }
            called => return called.unwrap(),
        }
    }
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
