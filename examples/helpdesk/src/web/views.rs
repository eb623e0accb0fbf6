//! What the pages read, each from one moment.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use eventfold_es::http::ProblemDetails;
use eventfold_es::rusqlite;
use eventfold_es::{AggregateStore, SqlTables};
use maud::{Markup, html};

use crate::board::{self, Board, Filter};
use crate::domain::ticket::Ticket;
use crate::web::{layout, pages};

/// Why a page cannot be shown.
pub(crate) struct Failed(ProblemDetails);

impl<E: Into<ProblemDetails>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let problem = self.0.to_json();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let content = html! { h1 { (text("title")) } p { (text("detail")) } };
        (self.0.status(), layout::page("Sorry", &content)).into_response()
    }
}

type Page = Result<Markup, Failed>;

/// Reads from the board, with everything that was answered before.
async fn read<R: Send + 'static>(
    store: &AggregateStore,
    read: impl FnOnce(&SqlTables<'_>) -> rusqlite::Result<R> + Send + 'static,
) -> Result<R, ProblemDetails> {
    Ok(store.sql::<Board>().await?.query(read).await?)
}

pub(crate) async fn list(
    State(store): State<AggregateStore>,
    Query(filter): Query<Filter>,
) -> Page {
    let (head, asked) = (store.head(), filter.clone());
    let shown = read(&store, move |db| {
        Ok((board::queues(db)?, board::tickets(db, &asked)?))
    });
    let (queues, tickets) = shown.await?;
    Ok(pages::list(head, &filter, &queues, &tickets))
}

pub(crate) async fn new_ticket(State(store): State<AggregateStore>) -> Page {
    let shown = read(&store, |db| Ok((board::queues(db)?, board::customers(db)?)));
    let (queues, customers) = shown.await?;
    Ok(pages::new_ticket(&queues, &customers))
}

pub(crate) async fn ticket(State(store): State<AggregateStore>, Path(id): Path<String>) -> Page {
    let ticket = store.find::<Ticket>(&id).await?;
    let ticket = ticket.ok_or_else(ProblemDetails::not_found)?;
    // Before the page is read: what comes in between is shown, but not agreed to.
    let (head, version) = (store.head(), ticket.version().await?);
    let shown = read(&store, move |db| {
        let (row, messages) = (board::ticket(db, &id)?.pop(), board::messages(db, &id)?);
        Ok((row, messages, board::queues(db)?))
    });
    let (row, messages, queues) = shown.await?;
    let row = row.ok_or_else(ProblemDetails::not_found)?;
    Ok(pages::ticket(head, version, &row, &messages, &queues))
}

pub(crate) async fn queues(State(store): State<AggregateStore>) -> Page {
    let head = store.head();
    let queues = read(&store, |db| board::queues(db)).await?;
    Ok(pages::queues(head, &queues))
}

pub(crate) async fn customers(State(store): State<AggregateStore>) -> Page {
    let head = store.head();
    let customers = read(&store, |db| board::customers(db)).await?;
    Ok(pages::customers(head, &customers))
}
