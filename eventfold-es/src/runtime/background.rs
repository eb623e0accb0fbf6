//! Where tasks run that no caller's runtime is there for: aggregates of callers without one, and what
//! follows the journal in a store that is live.

use std::io;
use std::sync::Mutex;

use tokio::runtime::Runtime;
use tracing::Instrument as _;

use crate::runtime::inside;
use crate::sync::lock;

/// The runtime, and the process that it belongs to: a forked child has none of its threads.
static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// The runtime of this process, which lives as long as that does.
pub(crate) fn runtime() -> io::Result<&'static Runtime> {
    let this = std::process::id();
    let mut runtime = lock(&RUNTIME);
    if let Some((process, runtime)) = *runtime
        && process == this
    {
        return Ok(runtime);
    }
    let new = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("eventfold-actors")
        .enable_time()
        .build()?;
    let new: &'static Runtime = Box::leak(Box::new(new));
    *runtime = Some((this, new));
    Ok(new)
}

/// Runs what blocks on the disk where that disturbs nobody: a panic in it is an error then. Without
/// a runtime around it runs right here; so it does within code of the user's that the store runs, of
/// which another thread would know nothing.
pub(crate) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if tokio::runtime::Handle::try_current().is_err() || inside::is_inside() {
        return run();
    }
    tokio::task::spawn_blocking(run)
        .await
        .map_err(io::Error::other)
        .flatten()
}

/// Does `work` to its end, also if the caller goes away meanwhile.
pub(crate) async fn to_its_end<T: Send + 'static, E: From<io::Error> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    let work = work.in_current_span();
    let task = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn(work),
        Err(_) => runtime()?.spawn(work),
    };
    match task.await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(io::Error::other(error).into()),
    }
}
