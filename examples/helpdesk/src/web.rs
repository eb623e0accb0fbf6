//! The help desk over HTTP: pages for people, and an API in JSON that the pages use too.

mod api;
mod layout;
mod pages;
mod sender;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post, put};
use eventfold_es::http::as_problem;
use eventfold_es::{AggregateStore, console, model};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

use crate::domain::customer::Registering;
use crate::domain::queue::{PutOnCall, Queue, SetUp};
use crate::domain::ticket::{Answer, Ask, Assign, Escalate, Ticket};

const HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Everything that the help desk answers. `hosts` are the names, besides those of this machine, under which
/// browsers reach the console.
///
/// # Errors
///
/// If the metrics cannot be set up.
pub fn app(store: &AggregateStore, hosts: Vec<String>) -> Result<Router, BuildError> {
    let console = console::router(store)
        .aggregate::<Ticket>()
        .aggregate::<Queue>()
        .model(model![Registering])
        .hosts(hosts)
        .allow_writing();
    let api = Router::new()
        .route("/tickets", get(api::tickets))
        .route("/tickets/{id}", get(api::ticket).put(api::open))
        .route("/tickets/{id}/questions", post(api::send::<Ticket, Ask>))
        .route("/tickets/{id}/answers", post(api::send::<Ticket, Answer>))
        .route("/tickets/{id}/agent", post(api::send::<Ticket, Assign>))
        .route(
            "/tickets/{id}/escalation",
            post(api::send::<Ticket, Escalate>),
        )
        .route("/tickets/{id}/move", post(api::move_to))
        .route("/tickets/{id}/close", post(api::close))
        .route("/queues/{id}", put(api::send::<Queue, SetUp>))
        .route("/queues/{id}/on-call", put(api::send::<Queue, PutOnCall>))
        .route("/customers/{id}", put(api::register))
        .route("/live", get(api::live))
        .layer(DefaultBodyLimit::max(64 * 1024));
    let app = Router::new()
        .route("/", get(views::list))
        .route("/new", get(views::new_ticket))
        .route("/tickets/{id}", get(views::ticket))
        .route("/queues", get(views::queues))
        .route("/customers", get(views::customers))
        .route(
            "/helpdesk.css",
            asset("text/css", include_str!("web/assets/helpdesk.css")),
        )
        .route(
            "/helpdesk.js",
            asset("text/javascript", include_str!("web/assets/helpdesk.js")),
        )
        .nest("/api", api)
        .route("/health", get(api::health))
        .route("/metrics", metrics(store)?)
        .with_state(store.clone())
        .layer(map_response(as_problem))
        .layer(map_response(with_headers))
        .nest("/admin", console.build());
    Ok(app.layer(from_fn(sender::traced)))
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn asset(media_type: &'static str, text: &'static str) -> MethodRouter<AggregateStore> {
    get(move || async move { ([(header::CONTENT_TYPE, media_type)], text) })
}

/// What the store counts, for Prometheus.
fn metrics(store: &AggregateStore) -> Result<MethodRouter<AggregateStore>, BuildError> {
    const SECONDS: [f64; 8] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
    let times = Matcher::Suffix("_seconds".to_owned());
    let recorder = PrometheusBuilder::new().set_buckets_for_metric(times, &SECONDS)?;
    let (store, recorder) = (store.clone(), Arc::new(recorder.build_recorder()));
    Ok(get(move || async move {
        metrics::with_local_recorder(&*recorder, || store.publish_metrics());
        let prometheus = recorder.handle();
        prometheus.run_upkeep();
        prometheus.render()
    }))
}
