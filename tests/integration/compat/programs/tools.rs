//! What the programs need besides the crate.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Waits until nobody holds a stream below `base` any more: a store that was dropped lets go of its
/// streams on threads of its own.
pub(crate) fn wait_until_released(base: &Path) {
    for log in logs(base) {
        let log = File::open(log).unwrap();
        log.lock().unwrap();
        // Closing is not enough: a process that another test starts at this moment shares the lock.
        log.unlock().unwrap();
    }
}

/// All `app.jsonl` below `dir`.
fn logs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(logs(&path));
        } else if path.ends_with("app.jsonl") {
            found.push(path);
        }
    }
    found
}

/// Waits until `condition` holds; the caller knows that it will.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.expect("what was waited for did not happen");
}

/// Polls `future` once and drops it, as a caller does who goes away.
pub(crate) fn start_and_leave<F: Future>(future: F) -> bool {
    let mut future = std::pin::pin!(future);
    let polled = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(_))
}
