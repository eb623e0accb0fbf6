//! A bank on a port of this machine, and its clients.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use eventfold_es::AggregateStore;
use eventfold_es::http::serve;
use eventfold_es_tests_http::{Total, service};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take before a test calls it hung.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work)
        .await
        .expect("it hangs")
}

/// A bank that is served.
pub(crate) struct Bank {
    pub(crate) store: AggregateStore,
    pub(crate) address: SocketAddr,
    client: Client<HttpConnector, Full<axum::body::Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
    dir: TempDir,
}

pub(crate) async fn open(dir: &Path) -> AggregateStore {
    let store = AggregateStore::builder(dir).projection::<Total>();
    store.open().await.unwrap()
}

impl Bank {
    pub(crate) async fn serve() -> Self {
        Self::serve_with(|bank| bank, Duration::from_secs(30)).await
    }

    /// `change` gets the router.
    pub(crate) async fn serve_with(change: impl FnOnce(Router) -> Router, grace: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = serve(listener, change(service(store.clone())), &store, async {
            let _ = stopped.await;
        });
        let served = tokio::spawn(async move { served.grace(grace).await });
        Self {
            store,
            address,
            client: Client::builder(TokioExecutor::new()).build_http(),
            stop: Some(stop),
            served,
            dir,
        }
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the server has ended, and returns the directory of the store.
    pub(crate) async fn ended(self) -> TempDir {
        in_time(self.served).await.unwrap().unwrap();
        self.dir
    }

    /// A request by `ann`.
    pub(crate) fn ask(&self, method: Method, path: &str) -> Asked {
        Asked {
            client: self.client.clone(),
            builder: Request::builder()
                .method(method)
                .uri(format!("http://{}{path}", self.address)),
            caller: "ann".to_owned(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Asked {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Asked {
        self.ask(Method::POST, path).json(body)
    }

    /// Opens an account with this balance, in two events.
    pub(crate) async fn account(&self, id: &str, balance: u32) {
        let owner = json!({ "owner": "ann" });
        let opened = self.post(&format!("/accounts/{id}"), &owner).send().await;
        assert_eq!(opened.status, 201);
        let amount = json!({ "amount": balance });
        let path = format!("/accounts/{id}/deposits");
        assert_eq!(self.post(&path, &amount).send().await.status, 200);
    }

    /// The version and the balance of an account.
    pub(crate) async fn stands(&self, id: &str) -> (u64, u64) {
        let account = self.store.get::<eventfold_es_tests_http::Account>(id);
        let loaded = account.await.unwrap().load().await.unwrap();
        (loaded.version.into(), loaded.state.balance)
    }
}

/// A request that is being made.
pub(crate) struct Asked {
    client: Client<HttpConnector, Full<axum::body::Bytes>>,
    builder: axum::http::request::Builder,
    caller: String,
    body: Vec<u8>,
}

impl Asked {
    pub(crate) fn by(mut self, caller: &str) -> Self {
        caller.clone_into(&mut self.caller);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        let asked = self.header("content-type", "application/json");
        asked.body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.expect("it is answered")
    }

    /// `None` if there was no whole answer.
    pub(crate) async fn try_send(mut self) -> Option<Answer> {
        if !self.caller.is_empty() {
            let name = format!("Bearer {}", self.caller);
            self.builder = self.builder.header("authorization", name);
        }
        let request = self.builder.body(Full::from(self.body)).unwrap();
        let response = in_time(self.client.request(request)).await.ok()?;
        let (parts, body) = response.into_parts();
        let body = in_time(body.collect()).await.ok()?.to_bytes();
        Some(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body of a problem with this status, whose `type` ends with `problem`.
    pub(crate) fn problem(&self, status: u16, problem: &str) -> Value {
        let json = self.json();
        assert_eq!(self.status, status, "{json}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(json["status"], status);
        let of = json["type"].as_str().unwrap();
        assert!(
            of.ends_with(&format!("#{problem}")),
            "{of} is not {problem}"
        );
        assert!(json["title"].is_string());
        json
    }
}
