//! The addresses of the bank.

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use eventfold_es::http::{
    After, CommandAnswer, EventStream, IdempotencyKey, JsonBody, LastEventId, Precondition,
    ProblemDetails, ProblemType, as_problem,
};
use eventfold_es::{AggregateHandle, AggregateStore, CommandContext};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bank::{Account, Change, Deposit, Open, Total, Withdraw, whole};

/// How large a body is at most, in bytes.
pub const LARGEST_BODY: usize = 4096;

/// The description of the service, written by hand.
const DESCRIPTION: &str = include_str!("openapi.json");

type Answer<T> = Result<T, ProblemDetails>;

pub fn service(store: AggregateStore) -> Router {
    let account = get(show).post(open);
    Router::new()
        .route("/accounts/{id}", account)
        .route("/accounts/{id}/owner", put(change))
        .route("/accounts/{id}/deposits", post(deposit))
        .route("/accounts/{id}/withdrawals", post(withdraw))
        .route("/accounts/{id}/end", post(end))
        .route("/accounts/{id}/archive", post(archive))
        .route("/transfers", post(transfer))
        .route("/total", get(total))
        .route("/events", get(events))
        .route("/openapi.json", get(describe))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(map_response(as_problem))
        .with_state(store)
}

/// Who sends a request. Everybody may say so: it is a test.
struct Caller(String);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let name = header.and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
        match name {
            Some(name) if ["ann", "bob"].contains(&name) || name.starts_with("client-") => {
                Ok(Self(name.to_owned()))
            }
            _ => Err(ProblemDetails::new(StatusCode::UNAUTHORIZED)
                .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        }
    }
}

/// The id of an account.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = id.map_err(IntoResponse::into_response)?;
        if id.chars().count() > 60 {
            return Err(ProblemDetails::of(ProblemType::InvalidId)
                .with_detail("An id has at most 60 characters.")
                .into_response());
        }
        Ok(Self(id))
    }
}

fn context(caller: &Caller, key: Option<&IdempotencyKey>) -> CommandContext {
    let mut context = CommandContext::default().with_actor(&caller.0);
    context.idempotency_key = key.map(|key| key.of(&caller.0));
    context
}

async fn existing(store: &AggregateStore, id: &str) -> Answer<AggregateHandle<Account>> {
    let account = store.find::<Account>(id).await?;
    account.ok_or_else(|| {
        ProblemDetails::not_found().with_detail(format!("There is no account `{id}`."))
    })
}

#[derive(Serialize)]
struct Shown {
    owner: Option<String>,
    balance: u64,
}

async fn show(
    State(store): State<AggregateStore>,
    Id(id): Id,
    _: Caller,
    condition: Precondition,
) -> Answer<Response> {
    let loaded = existing(&store, &id).await?.load().await?;
    let Account { owner, balance } = loaded.state;
    let shown = JsonBody(Shown { owner, balance });
    Ok(condition.respond(
        loaded.version,
        ([(header::CACHE_CONTROL, "no-cache")], shown),
    ))
}

async fn open(
    State(store): State<AggregateStore>,
    Id(id): Id,
    caller: Caller,
    condition: Precondition,
    key: Option<IdempotencyKey>,
    JsonBody(command): JsonBody<Open>,
) -> Answer<CommandAnswer> {
    let account = store.get::<Account>(&id).await?;
    let context = context(&caller, key.as_ref());
    let done = condition.send(&account, command, context).await?;
    Ok(CommandAnswer::from(&done).created(&format!("/accounts/{id}")))
}

async fn change(
    State(store): State<AggregateStore>,
    Id(id): Id,
    caller: Caller,
    condition: Precondition,
    key: Option<IdempotencyKey>,
    JsonBody(command): JsonBody<Change>,
) -> Answer<CommandAnswer> {
    let account = existing(&store, &id).await?;
    let context = context(&caller, key.as_ref());
    let done = condition
        .required()?
        .send(&account, command, context)
        .await?;
    Ok(CommandAnswer::from(&done).no_content().without_etag())
}

async fn deposit(
    State(store): State<AggregateStore>,
    Id(id): Id,
    caller: Caller,
    condition: Precondition,
    key: Option<IdempotencyKey>,
    JsonBody(command): JsonBody<Deposit>,
) -> Answer<CommandAnswer> {
    let account = existing(&store, &id).await?;
    let context = context(&caller, key.as_ref());
    let done = condition.send(&account, command, context).await?;
    Ok(CommandAnswer::from(&done))
}

async fn withdraw(
    State(store): State<AggregateStore>,
    Id(id): Id,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(command): JsonBody<Withdraw>,
) -> Answer<CommandAnswer> {
    let account = existing(&store, &id).await?;
    let done = account.send_with(command, context(&caller, Some(&key)));
    Ok(CommandAnswer::from(&done.await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    from: String,
    to: String,
    #[serde(deserialize_with = "whole")]
    amount: u32,
}

async fn transfer(
    State(store): State<AggregateStore>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    JsonBody(transfer): JsonBody<Transfer>,
) -> Answer<CommandAnswer> {
    let Transfer { from, to, amount } = transfer;
    let (from, to) = (existing(&store, &from).await?, existing(&store, &to).await?);
    let together = store
        .together()
        .send(&from, Withdraw { amount })
        .send(&to, Deposit { amount });
    let done = together.commit_with(context(&caller, key.as_ref())).await?;
    Ok(CommandAnswer::from(&done))
}

async fn end(State(store): State<AggregateStore>, Id(id): Id, _: Caller) -> Answer<StatusCode> {
    let _ = existing(&store, &id).await?;
    store.end::<Account>(&id, "its owner left").await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn archive(State(store): State<AggregateStore>, Id(id): Id, _: Caller) -> Answer<StatusCode> {
    let _ = existing(&store, &id).await?;
    store.archive::<Account>(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn total(
    State(store): State<AggregateStore>,
    _: Caller,
    after: After,
) -> Answer<JsonBody<Total>> {
    let after = after.at_most(std::time::Duration::from_millis(200));
    after.wait_for::<Total>(&store).await?;
    Ok(JsonBody(store.read(Total::clone).await?))
}

async fn events(
    State(store): State<AggregateStore>,
    _: Caller,
    after: After,
    last: LastEventId,
) -> Answer<EventStream> {
    let from = after.position().unwrap_or_default();
    let events = last.subscribe(&store, from).await?.aggregate::<Account>();
    let events = EventStream::new(events, |event| {
        Some(json!({ "account": event.id(), "event": event.name(), "version": event.version() }))
    });
    Ok(events.keep_alive(std::time::Duration::from_secs(1)))
}

async fn describe() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION)
}
