//! Serving until a signal, and ending in order: [`serve`].

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header;
use axum::middleware::map_response;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use futures_core::Stream;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::cut::{CutListener, told};
use crate::runtime::background::within;
use crate::store::AggregateStore;

/// How long requests may take that are under way at the signal.
const GRACE: Duration = Duration::from_secs(10);

/// How long answers may take on their way when the store is shut down, and connections to end.
const LAST: Duration = Duration::from_secs(1);

/// Serves `router` on `listener` until `signal` ends, and then ends in this order:
///
/// 1. It takes no more connections and requests. Streams of server-sent events end.
/// 2. Requests that are under way are answered, for at most [10 seconds](Serve::grace).
/// 3. The store is [shut down](AggregateStore::shutdown): commands that it has accepted take effect and are
///    answered, later ones are answered 503.
/// 4. Connections that are still open have a second for these answers, and are closed.
///
/// So what was answered is durable, and what was not answered gets an answer or a closed connection.
///
/// Handlers get the address of the client as [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo).
///
/// # Errors
///
/// Those of [`AggregateStore::shutdown`].
///
/// ```no_run
/// # use eventfold_es::AggregateStore;
/// use axum::Router;
/// use eventfold_es::http;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = AggregateStore::open("./data").await?;
/// let app = Router::new();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// # async fn terminated() {}
/// http::serve(listener, app, &store, terminated()).await?; // `tokio::signal` has SIGTERM
/// # Ok(())
/// # }
/// ```
#[doc(alias("graceful shutdown", "sigterm", "drain"))]
pub fn serve<F>(
    listener: TcpListener,
    router: Router,
    store: &AggregateStore,
    signal: F,
) -> Serve<F>
where
    F: Future<Output = ()> + Send + 'static,
{
    Serve {
        listener,
        router,
        store: store.clone(),
        signal,
        grace: GRACE,
    }
}

/// A server that is to be awaited, from [`serve`].
#[must_use = "it serves when it is awaited"]
pub struct Serve<F> {
    listener: TcpListener,
    router: Router,
    store: AggregateStore,
    signal: F,
    grace: Duration,
}

impl<F> Serve<F> {
    /// How long requests may take that are under way at the signal. Whatever ends the process waits longer than
    /// this and a few seconds.
    ///
    /// ```no_run
    /// # use eventfold_es::{AggregateStore, http};
    /// # use std::time::Duration;
    /// # async fn example(
    /// #     listener: tokio::net::TcpListener, app: axum::Router, store: AggregateStore,
    /// # ) -> std::io::Result<()> {
    /// # let signal = async {};
    /// http::serve(listener, app, &store, signal).grace(Duration::from_secs(25)).await
    /// # }
    /// ```
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }
}

impl<F: Future<Output = ()> + Send + 'static> Serve<F> {
    async fn run(self) -> io::Result<()> {
        let (stop, stopping) = watch::channel(false);
        let (cut, is_cut) = watch::channel(false);
        let until = stopping.clone();
        let router = self.router.layer(map_response(move |response| {
            std::future::ready(ending(response, &until))
        }));
        // With `tap_io`, axum tells the address of a client of any listener.
        let listener = CutListener::new(self.listener, is_cut).tap_io(|_| ());
        let app = router.into_make_service_with_connect_info::<SocketAddr>();
        let signal = self.signal;
        let served = axum::serve(listener, app).with_graceful_shutdown(async move {
            signal.await;
            stop.send_replace(true);
        });
        let mut served = pin!(served.into_future());
        let mut stopped = pin!(told(stopping));
        let has_ended = poll_fn(|context| match served.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => stopped.as_mut().poll(context).map(|()| false),
        });
        let has_ended = has_ended.await;
        tracing::info!("the server takes no more requests");
        let all_answered = has_ended || within(self.grace, served.as_mut()).await?.is_some();
        let shut_down = self.store.shutdown().await;
        if !all_answered && within(LAST, served.as_mut()).await?.is_none() {
            tracing::warn!("connections with requests that are not answered are closed");
            drop(cut);
            within(LAST, served).await?;
        }
        shut_down
    }
}

impl<F: Future<Output = ()> + Send + 'static> IntoFuture for Serve<F> {
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<F> fmt::Debug for Serve<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("store", &self.store)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// A stream of events ends at the signal: without that, none would, and the server would wait for all of them.
fn ending(response: Response, stopping: &watch::Receiver<bool>) -> Response {
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_stream = media_type.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
    if !is_stream {
        return response;
    }
    let stopping: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(told(stopping.clone()));
    response.map(|body| {
        Body::from_stream(UntilStopped {
            body: body.into_data_stream(),
            stopping: Some(stopping),
        })
    })
}

struct UntilStopped {
    body: BodyDataStream,
    /// `None` after the end.
    stopping: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream for UntilStopped {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(stopping) = &mut self.stopping else {
            return Poll::Ready(None);
        };
        if stopping.as_mut().poll(context).is_ready() {
            self.stopping = None;
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_next(context)
    }
}
