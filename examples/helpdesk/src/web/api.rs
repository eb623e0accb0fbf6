//! The API: commands, two reads, and what happens as it happens.

use std::io;

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
use crate::web::sender::Sender;

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
    State(store): State<AggregateStore>,
    Path(id): Path<String>,
    condition: Precondition,
    Sender(context): Sender,
    JsonBody(command): JsonBody<C>,
) -> Answered
where
    A: Aggregate<Error: Refusal>,
    C: Into<A::Command> + DeserializeOwned,
{
    let aggregate = store.get::<A>(&id).await?;
    let done = condition.send(&aggregate, command, context).await?;
    Ok(CommandAnswer::from(&done).without_etag())
}

pub(crate) async fn open(
    State(store): State<AggregateStore>,
    Path(id): Path<String>,
    condition: Precondition,
    Sender(context): Sender,
    JsonBody(command): JsonBody<Open>,
) -> Answered {
    let customer = command.customer.clone();
    let board = store.sql::<Board>().await?;
    let known = board.query(move |db| is_customer(db, &customer)).await;
    if !known.map_err(io::Error::other)? {
        return Err(ProblemDetails::refused("there is no such customer"));
    }
    let ticket = store.get::<Ticket>(&id).await?;
    let opening = desk::open(&store, &ticket, command).await?;
    let done = commit(opening, &ticket, &condition, context).await?;
    Ok(done.created(&path("/tickets/", &id, "")))
}

pub(crate) async fn move_to(
    State(store): State<AggregateStore>,
    Path(id): Path<String>,
    condition: Precondition,
    Sender(context): Sender,
    JsonBody(command): JsonBody<MoveTo>,
) -> Answered {
    let ticket = store.get::<Ticket>(&id).await?;
    let moving = desk::move_to(&store, &ticket, command).await?;
    commit(moving, &ticket, &condition, context).await
}

pub(crate) async fn close(
    State(store): State<AggregateStore>,
    Path(id): Path<String>,
    condition: Precondition,
    Sender(context): Sender,
    JsonBody(Close {}): JsonBody<Close>,
) -> Answered {
    let ticket = store.find::<Ticket>(&id).await?;
    let ticket = ticket.ok_or_else(ProblemDetails::not_found)?;
    let queue = ticket.state().await?.queue;
    let closing = desk::close(&store, &ticket, &queue).await?;
    commit(closing, &ticket, &condition, context).await
}

async fn commit(
    mut commands: Together,
    ticket: &AggregateHandle<Ticket>,
    condition: &Precondition,
    context: CommandContext,
) -> Answered {
    if let Some(version) = condition.expected_version(ticket).await? {
        commands = commands.expecting(ticket, version);
    }
    let done = commands.commit_with(context).await?;
    Ok(CommandAnswer::from(&done))
}

#[derive(Deserialize)]
pub(crate) struct Contact {
    name: String,
    email: String,
}

pub(crate) async fn register(
    State(store): State<AggregateStore>,
    Path(id): Path<String>,
    Sender(context): Sender,
    JsonBody(Contact { name, email }): JsonBody<Contact>,
) -> Answered {
    let command = Register::new(id, name, &email);
    let done = store.decide_with::<Registering>(command, context).await?;
    Ok(CommandAnswer::from(&done).created("/customers"))
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
    let tickets = board.query(move |db| listed(db, &filter)).await;
    Ok(JsonBody(tickets.map_err(io::Error::other)?))
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
