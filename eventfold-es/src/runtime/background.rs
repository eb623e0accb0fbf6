//! The runtime for tasks without a caller's runtime: aggregates whose callers have none, and the
//! followers of the journal in a live store.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::Instrument as _;

use crate::runtime::inside;
use crate::sync::lock;

/// The runtime, and the process that it belongs to. A forked child has none of its threads.
static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// The runtime of this process. It lasts as long as the process.
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
        // Followers of the host's may need sockets.
        .enable_all()
        .build()?;
    let new: &'static Runtime = Box::leak(Box::new(new));
    *runtime = Some((this, new));
    Ok(new)
}

/// Runs `run` on a thread that may block; a panic in it becomes an error. Without a runtime it runs
/// on this thread. Within the user's code it also runs on this thread, since another thread would
/// not know of that code.
pub(crate) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if tokio::runtime::Handle::try_current().is_err() || inside::is_inside() {
        return run();
    }
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(run))
        .await
        .map_err(io::Error::other)
        .flatten()
}

/// Waits for `work` at most this long, on any runtime or none. `None` if it takes longer.
pub(crate) async fn within<T>(
    time: Duration,
    work: impl Future<Output = T>,
) -> io::Result<Option<T>> {
    let sleep = {
        let _timers = runtime()?.enter();
        tokio::time::sleep(time)
    };
    let (mut work, mut sleep) = (pin!(work), pin!(sleep));
    let first = poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
    });
    Ok(first.await)
}

/// Runs `work` to its end, even if the caller drops the future.
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
