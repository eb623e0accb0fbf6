//! New events as they come.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use eventfold_es::console;
use eventfold_es_tests_console::{deposits, get, in_memory, open};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

struct Listening {
    body: Body,
    text: String,
}

async fn listen(app: &Router, path: &str) -> Listening {
    let request = Request::get(path).header("host", "localhost");
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Listening {
        body: response.into_body(),
        text: String::new(),
    }
}

impl Listening {
    /// Reads until `text` was told. False if that is the end.
    async fn until(&mut self, text: &str) -> bool {
        let read = async {
            while !self.text.contains(text) {
                match self.body.frame().await {
                    None => return false,
                    Some(frame) => {
                        let data = frame.unwrap().into_data().unwrap();
                        self.text += std::str::from_utf8(&data).unwrap();
                    }
                }
            }
            true
        };
        let read = tokio::time::timeout(Duration::from_secs(60), read).await;
        read.unwrap_or_else(|_| panic!("`{text}` was not told, but {}", self.text))
    }
}

#[tokio::test]
async fn new_events_are_told_in_order_each_once() {
    let store = in_memory().await;
    deposits(&store, "a", &[111]).await;
    let app = console::router(&store).build();
    let mut listening = listen(&app, "/live?after=0").await;
    assert!(listening.until(":111}").await);
    deposits(&store, "b", &[222, 333]).await;
    assert!(listening.until(":333}").await);
    let positions: Vec<u64> = listening
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .map(|id| id.parse().unwrap())
        .collect();
    assert_eq!(positions.len(), 5);
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    assert!(listening.text.lines().all(|line| {
        line.is_empty()
            || line.starts_with("id: ")
            || line.starts_with("data: ")
            || line.starts_with(": ")
    }));
}

#[tokio::test]
async fn only_events_that_the_filter_takes_are_told() {
    let store = in_memory().await;
    let app = console::router(&store).build();
    let mut listening = listen(&app, "/live?after=0&id=b&event=Deposited").await;
    deposits(&store, "a", &[111]).await;
    deposits(&store, "b", &[222]).await;
    assert!(listening.until(":222}").await);
    assert!(!listening.text.contains(":111}") && !listening.text.contains("Opened"));
}

#[tokio::test]
async fn a_browser_that_lost_its_connection_goes_on_where_it_was() {
    let store = in_memory().await;
    deposits(&store, "a", &[111, 222]).await;
    let last = store.recent(2).await.unwrap()[1].position();
    let app = console::router(&store).build();
    let request = Request::get("/live?after=0")
        .header("host", "localhost")
        .header("last-event-id", last.to_string());
    let response = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let mut listening = Listening {
        body: response.into_body(),
        text: String::new(),
    };
    assert!(listening.until(":222}").await);
    assert!(!listening.text.contains(":111}"));
}

#[tokio::test]
async fn a_shutdown_ends_the_log_with_its_reason() {
    let store = in_memory().await;
    let app = console::router(&store).build();
    let mut listening = listen(&app, "/live?after=0").await;
    assert!(listening.until(": listening").await);
    store.shutdown().await.unwrap();
    assert!(listening.until("event: end\ndata: ").await);
    assert!(!listening.until("nothing more").await);
}

#[tokio::test]
async fn the_log_of_a_directory_is_followed_while_a_program_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let app = console::router_of(dir.path()).unwrap().build();
    let mut listening = listen(&app, "/live?after=0").await;
    deposits(&store, "a", &[111]).await;
    assert!(listening.until(":111}").await);
}

#[tokio::test]
async fn so_many_browsers_may_follow_and_one_more_when_one_has_gone() {
    let store = in_memory().await;
    let app = console::router(&store).build();
    let mut all = Vec::new();
    for _ in 0..32 {
        all.push(listen(&app, "/live?after=0").await);
    }
    let busy = get(&app, "/live?after=0").await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(all.pop());
    let again = async {
        loop {
            let request = Request::get("/live?after=0").header("host", "localhost");
            let response = app
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            if response.status() == StatusCode::OK {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_browser_that_reads_nothing_holds_no_events() {
    let store = in_memory().await;
    let app = console::router(&store).build();
    let listening = listen(&app, "/live?after=0").await;
    deposits(&store, "a", &[1; 2_000]).await;
    // What was not read yet comes later, in portions: the first has at most a hundred events.
    let mut body: BodyDataStream = listening.body.into_data_stream();
    let mut largest = 0;
    let mut seen = 0;
    while seen < 2_001 {
        let next = std::future::poll_fn(|context| {
            use axum::body::HttpBody as _;
            std::pin::Pin::new(&mut body).poll_frame(context)
        });
        let text = next.await.unwrap().unwrap().into_data().unwrap();
        let events = std::str::from_utf8(&text).unwrap().matches("id: ").count();
        largest = largest.max(events);
        seen += events;
    }
    assert!(largest <= 100, "{largest}");
}
