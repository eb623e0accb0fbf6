//! What the help desk answers over HTTP, in the process of the test and with a clock that it drives.

mod conditions;
mod deadline;
mod live;
mod pages;
mod queues;

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use eventfold_es::{AggregateStore, ManualClock};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// How long anything may take before a test calls it hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A help desk with the customer `ann`.
struct Desk {
    store: AggregateStore,
    app: Router,
    clock: ManualClock,
    _dir: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// It is a problem with this in its detail.
    #[track_caller]
    fn says(&self, detail: &str) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let said = self.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains(detail), "{said}");
    }
}

impl Desk {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(SystemTime::now());
        let place = AggregateStore::builder(dir.path()).clock(clock.clone());
        let store = helpdesk::open(place).await.unwrap();
        let app = helpdesk::app(&store, Vec::new()).unwrap();
        let desk = Self {
            store,
            app,
            clock,
            _dir: dir,
        };
        let ann = json!({ "name": "Ann", "email": "ann@example.com" });
        desk.put("/api/customers/ann", ann).await.is(201);
        desk
    }

    /// The answer as it begins. Its body may have no end.
    async fn respond(&self, request: Request<Body>) -> Response {
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.respond(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path, &[], Body::empty()))
            .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let mut request = request(method, path, headers, Body::from(body.to_string()));
        let json = "application/json".parse().unwrap();
        request.headers_mut().insert("content-type", json);
        self.ask(request).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &[], body).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    async fn open_ticket(&self, id: &str, queue: &str) -> Answer {
        let ticket = json!({
            "customer": "ann", "subject": "The printer", "text": "It is on fire.", "queue": queue,
            "answer_within_minutes": 30,
        });
        self.put(&format!("/api/tickets/{id}"), ticket).await
    }

    async fn move_ticket(&self, id: &str, from: &str, to: &str) -> Answer {
        let body = json!({ "from": from, "to": to });
        self.post(&format!("/api/tickets/{id}/move"), body).await
    }

    async fn state(&self, id: &str) -> Value {
        self.get(&format!("/api/tickets/{id}")).await.is(200).json()
    }

    /// The ids of the tickets on the list.
    async fn listed(&self, query: &str) -> Vec<String> {
        let tickets = self.get(&format!("/api/tickets?{query}")).await.is(200);
        let tickets = tickets.json().as_array().unwrap().clone();
        let ids = tickets.iter().map(|ticket| ticket["id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    }

    /// Waits for all that process managers do about what happened so far.
    async fn settle(&self) {
        let head = self.store.head();
        self.store.wait_until_settled(head, PATIENCE).await.unwrap();
    }

    async fn pass(&self, minutes: u64) {
        self.settle().await;
        self.clock.advance(Duration::from_secs(60 * minutes));
        self.settle().await;
    }
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("host", "localhost:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}
