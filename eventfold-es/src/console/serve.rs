//! From a request to an answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};

use crate::console::asked::{Asked, Link};
use crate::console::failure::{Failure, Result};
use crate::console::guard::{add_headers, check_host, check_origin, check_token};
use crate::console::layout::{answer, failure_page, with_type};
use crate::console::live;
use crate::console::pages::letters::{self, Action};
use crate::console::pages::{aggregate, aggregates, event, log, model, overview, read_side};
use crate::console::shared::Shared;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// How large a form is at most.
const LARGEST_FORM: usize = 16 * 1024;

/// Answers every request below the console's prefix.
pub(crate) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts);
    let result = match check_host(&shared, &parts) {
        Ok(()) => respond(&shared, &asked, &parts, body).await,
        Err(failure) => Err(failure),
    };
    let mut response = match result {
        Ok(response) => response,
        Err(failure) => refuse(&shared, &asked, &failure),
    };
    if parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    add_headers(&mut response);
    response
}

async fn respond(
    shared: &Arc<Shared>,
    asked: &Asked,
    parts: &Parts,
    body: Body,
) -> Result<Response<Body>> {
    let page = asked.page.as_str();
    match (parts.method.as_str(), page) {
        ("POST", "replay") => change(shared, asked, parts, body, Action::Replay).await,
        ("POST", "discard") => change(shared, asked, parts, body, Action::Discard).await,
        ("GET" | "HEAD", "replay" | "discard") => Err(Failure::Method),
        ("GET" | "HEAD", _) => read(shared, asked, parts).await,
        _ => Err(Failure::Method),
    }
}

async fn read(shared: &Arc<Shared>, asked: &Asked, parts: &Parts) -> Result<Response<Body>> {
    let page = match asked.page.as_str() {
        // A link to it leads to a name of its own: a path that ends with `/` is not the prefix for all.
        "" | "overview" => overview::page(shared, asked).await?,
        "aggregates" => aggregates::page(shared, asked).await?,
        "aggregate" => aggregate::page(shared, asked).await?,
        "log" => log::page(shared, asked).await?,
        "event" => event::page(shared, asked).await?,
        "read-side" => read_side::page(shared, asked).await?,
        "follower" => read_side::one(shared, asked).await?,
        "dead-letters" => letters::page(shared, asked).await?,
        "model" => model::page(shared, asked).await?,
        "state" => {
            let part = aggregate::state(shared, asked).await?;
            return Ok(answer(StatusCode::OK, part));
        }
        "raw" => return event::raw(shared, asked).await,
        "live" if parts.method == Method::GET => {
            let last = parts.headers.get("last-event-id");
            let last = last.and_then(|last| last.to_str().ok()?.parse().ok());
            return live::follow(shared, asked, log::wanted(shared, asked)?, last);
        }
        "console.css" => return Ok(with_type(StatusCode::OK, "text/css; charset=utf-8", STYLE)),
        "console.js" => {
            let script = "text/javascript; charset=utf-8";
            return Ok(with_type(StatusCode::OK, script, SCRIPT));
        }
        "icon.svg" => return Ok(with_type(StatusCode::OK, "image/svg+xml", ICON)),
        _ => {
            return Err(Failure::NotThere(
                "The console has no such page.".to_owned(),
            ));
        }
    };
    let document = page.document(shared, &asked.base);
    Ok(answer(StatusCode::OK, document))
}

/// Carries a form out, and sends the browser back to the page of the dead letters.
async fn change(
    shared: &Arc<Shared>,
    asked: &Asked,
    parts: &Parts,
    body: Body,
    action: Action,
) -> Result<Response<Body>> {
    check_origin(shared, parts)?;
    let form = axum::body::to_bytes(body, LARGEST_FORM)
        .await
        .map_err(|_| {
            Failure::Invalid("The form is too large, or did not arrive whole.".to_owned())
        })?;
    let form: Vec<(String, String)> = form_urlencoded::parse(&form)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let value = |name: &str| {
        let mut values = form.iter().filter(|(of, _)| of == name);
        values.next().map(|(_, value)| value.as_str())
    };
    check_token(shared, value("token"))?;
    let of = value("of").ok_or_else(|| {
        Failure::Invalid("The form does not say which process manager it is about.".to_owned())
    })?;
    let done = letters::change(shared, action, of, value("letter")).await?;
    let to = Link::to("dead-letters").with("done", done);
    let to = HeaderValue::from_str(&asked.base.to(&to))
        .map_err(|error| Failure::Invalid(error.to_string()))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

fn refuse(shared: &Shared, asked: &Asked, failure: &Failure) -> Response<Body> {
    if let Failure::Store(error) = failure {
        tracing::warn!(%error, page = asked.page, "the console cannot read the store");
    }
    // Whoever asks under a foreign name learns nothing of the store.
    if let Failure::Host(text) = failure {
        return with_type(failure.status(), "text/plain; charset=utf-8", text.clone());
    }
    let mut response = answer(
        failure.status(),
        failure_page(failure).document(shared, &asked.base),
    );
    if matches!(failure, Failure::Method) {
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}
