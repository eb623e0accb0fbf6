//! The API: commands, two reads, and what happens as it happens. All commands are JSON, which a page of another origin
//! cannot send.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use eventfold_es::http::{
    After, CommandAnswer, EventStream, JsonBody, LastEventId, Precondition, ProblemDetails, Refusal,
};
use eventfold_es::prelude::*;
use eventfold_es::{StoreHealth, Together};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::board::{Board, Filter, TicketRow, is_customer, tickets as listed};
use crate::desk;
use crate::domain::customer::{CustomerError, Register, Registering};
use crate::domain::queue::QueueError;
use crate::domain::ticket::{Close, MoveTo, Open, Ticket, TicketError};
use crate::web::layout::path;
use crate::web::sender::Sent;

type Answered = Result<CommandAnswer, ProblemDetails>;

impl Refusal for TicketError {
    fn problem(&self) -> ProblemDetails {
        match self {
            Self::NotOpened => ProblemDetails::not_found(),
            refused => ProblemDetails::refused(refused),
        }
    }
}

impl Refusal for QueueError {}

impl Refusal for CustomerError {}

/// A command of one aggregate.
pub(crate) async fn send<A, C>(
    Path(id): Path<String>,
    sent: Sent,
    JsonBody(command): JsonBody<C>,
) -> Answered
where
    A: Aggregate<Error: Refusal>,
    C: Into<A::Command> + DeserializeOwned,
{
    let aggregate = sent.store.get::<A>(&id).await?;
    let done = sent.condition.send(&aggregate, command, sent.context);
    Ok(CommandAnswer::from(&done.await?).without_etag())
}

pub(crate) async fn open(
    Path(id): Path<String>,
    sent: Sent,
    JsonBody(command): JsonBody<Open>,
) -> Answered {
    let customer = command.customer.clone();
    let board = sent.store.sql::<Board>().await?;
    let known = board.query(move |db| is_customer(db, &customer));
    if !known.await? {
        return Err(ProblemDetails::refused("there is no such customer"));
    }
    let ticket = sent.store.get::<Ticket>(&id).await?;
    let opening = desk::open(&sent.store, &ticket, command).await?;
    let done = commit(opening, &ticket, sent).await?;
    Ok(done.created(&path("/tickets/", &id, "")))
}

pub(crate) async fn move_to(
    Path(id): Path<String>,
    sent: Sent,
    JsonBody(command): JsonBody<MoveTo>,
) -> Answered {
    let ticket = sent.store.get::<Ticket>(&id).await?;
    let moving = desk::move_to(&sent.store, &ticket, command).await?;
    commit(moving, &ticket, sent).await
}

pub(crate) async fn close(
    Path(id): Path<String>,
    sent: Sent,
    JsonBody(command): JsonBody<Close>,
) -> Answered {
    let ticket = sent.store.find::<Ticket>(&id).await?;
    let ticket = ticket.ok_or_else(ProblemDetails::not_found)?;
    let closing = desk::close(&sent.store, &ticket, command).await?;
    commit(closing, &ticket, sent).await
}

async fn commit(commands: Together, ticket: &AggregateHandle<Ticket>, sent: Sent) -> Answered {
    let commands = match sent.condition.expected_version(ticket).await? {
        Some(version) => commands.expecting(ticket, version),
        None => commands,
    };
    let done = commands.commit_with(sent.context).await?;
    Ok(CommandAnswer::from(&done))
}

#[derive(Deserialize)]
pub(crate) struct Contact {
    name: String,
    email: String,
}

pub(crate) async fn register(
    Path(id): Path<String>,
    sent: Sent,
    JsonBody(Contact { name, email }): JsonBody<Contact>,
) -> Answered {
    let command = Register::new(id, name, &email);
    let done = sent.store.decide_with::<Registering>(command, sent.context);
    Ok(CommandAnswer::from(&done.await?).created("/customers"))
}

/// The list. A client that has just sent a command waits for its effect by `?after=`.
pub(crate) async fn tickets(
    State(store): State<AggregateStore>,
    after: After,
    Query(filter): Query<Filter>,
) -> Result<JsonBody<Vec<TicketRow>>, ProblemDetails> {
    let board = store.sql::<Board>().await?;
    let reached = after.wait(&store, |position| board.wait_for(position));
    reached.await?;
    let tickets = board.query(move |db| listed(db, &filter));
    Ok(JsonBody(tickets.await?))
}

/// A ticket with its version as `ETag`, which a command then has as `If-Match`.
pub(crate) async fn ticket(
    State(store): State<AggregateStore>,
    Path(id): Path<String>,
    condition: Precondition,
) -> Result<Response, ProblemDetails> {
    let ticket = store.find::<Ticket>(&id).await?;
    let ticket = ticket.ok_or_else(ProblemDetails::not_found)?;
    let loaded = ticket.load().await?;
    Ok(condition.respond(loaded.version, JsonBody(loaded.state)))
}

/// The names of events as they are stored, from `?after=` on: a page begins with what it has not shown.
pub(crate) async fn live(
    State(store): State<AggregateStore>,
    after: After,
    last: LastEventId,
) -> Result<EventStream, ProblemDetails> {
    let from = after.position().unwrap_or_else(|| store.head());
    let events = last.subscribe(&store, from).await?;
    Ok(EventStream::new(events, |event| {
        Some(event.name().to_owned())
    }))
}

/// For a readiness probe.
pub(crate) async fn health(
    State(store): State<AggregateStore>,
) -> (StatusCode, JsonBody<StoreHealth>) {
    let health = store.health();
    let status = if health.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, JsonBody(health))
}
