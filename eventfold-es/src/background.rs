//! Where tasks run that no caller's runtime is there for: aggregates of callers without one, and what
//! follows the journal in a store that is live.

use std::io;
use std::sync::LazyLock;

use tokio::runtime::Runtime;

static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("eventfold-actors")
        .enable_time()
        .build()
});

/// The runtime of this process, which lives as long as that does.
pub(crate) fn runtime() -> io::Result<&'static Runtime> {
    RUNTIME
        .as_ref()
        .map_err(|error| io::Error::new(error.kind(), error.to_string()))
}
