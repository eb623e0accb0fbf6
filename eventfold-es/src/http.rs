//! HTTP for services on [`axum`]: what every service would write by hand between a request and a store.
//!
//! * [`Precondition`]: `If-Match` and `If-None-Match` are the version that a command expects, and [`etag`] is a
//!   version as `ETag` (RFC 9110);
//! * [`IdempotencyKey`]: the header `Idempotency-Key`, which counts for its caller only;
//! * [`ProblemDetails`]: all errors of the store, and those of the domain, as `application/problem+json` (RFC 9457);
//! * [`JsonBody`] and [`CommandAnswer`]: a command as it comes, and its answer with version and position;
//! * [`After`]: `?after=` lets a read wait for what the client has written;
//! * [`EventStream`] and [`LastEventId`]: server-sent events that go on where they were interrupted;
//! * [`serve()`]: serves until a signal, and ends without losing an answer.
//!
//! These are extractors and responses for the handlers of an [`axum::Router`]; nothing here decides on addresses, on
//! who may do what, or on what a resource looks like. The [guide page](crate::guide::http) has a service from top to
//! bottom.
//!
//! ```
//! # use eventfold_es::{*, __private::example::*};
//! use axum::extract::{Path, State};
//! use eventfold_es::http::{CommandAnswer, JsonBody, Precondition, ProblemDetails};
//!
//! async fn add(
//!     State(store): State<AggregateStore>,
//!     Path(id): Path<String>,
//!     condition: Precondition,
//!     JsonBody(add): JsonBody<Add>,
//! ) -> Result<CommandAnswer, ProblemDetails> {
//!     let counter = store.get::<Counter>(&id).await?;
//!     let done = condition.send(&counter, add, CommandContext::default()).await?;
//!     Ok(CommandAnswer::from(&done))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = AggregateStore::in_memory().open().await?;
//! let app: axum::Router = axum::Router::new()
//!     .route("/counters/{id}/add", axum::routing::post(add))
//!     .with_state(store);
//! # Ok(())
//! # }
//! ```
//!
//! # Problems
//!
//! Each type of problem has an address in this table, which is the member `type` of its JSON ([`ProblemType`]).
//!
//! | status | `type` ends with | when | stored |
//! |---|---|---|---|
//! | <span id="malformed">400</span> | `malformed` | a header, the query or the body cannot be read | nothing |
//! | <span id="invalid-id">400</span> | `invalid-id` | no aggregate can have the id | nothing |
//! | <span id="key-required">400</span> | `key-required` | there is no `Idempotency-Key`, and the route requires one | nothing |
//! | <span id="forbidden">403</span> | `forbidden` | a [layer](crate::Layer) refused the command | nothing |
//! | <span id="not-found">404</span> | `not-found` | the handler says so: [`ProblemDetails::not_found`] | nothing |
//! | <span id="conflict">409</span> | `conflict` | other writers were first, again and again: send again | nothing |
//! | <span id="archived">409</span> | `archived` | the aggregate is archived, which can be undone | nothing |
//! | <span id="ended">410</span> | `ended` | the aggregate has ended, for good | nothing |
//! | <span id="dropped">410</span> | `dropped` | the events were dropped from the journal; `begins_after` tells up to which position | nothing |
//! | <span id="version-not-met">412</span> | `version-not-met` | the condition does not hold; `version` and `ETag` tell the version | nothing |
//! | <span id="too-large">413</span> | `too-large` | the body or the group of commands is too large | nothing |
//! | <span id="wrong-type">415</span> | `wrong-type` | the body is not JSON | nothing |
//! | <span id="refused">422</span> | `refused` | the domain refused the command, unless its [`Refusal`] says otherwise | nothing |
//! | <span id="key-reused">422</span> | `key-reused` | the idempotency key belongs to another command | nothing |
//! | <span id="condition-required">428</span> | `condition-required` | there is no condition, and the route requires one | nothing |
//! | <span id="internal">500</span> | `internal` | damaged data, a panic, a fault of the program | nothing |
//! | <span id="outcome-unknown">503</span> | `outcome-unknown` | the disk failed or the server of the database was lost; send again under the same key | **perhaps** |
//! | <span id="unavailable">503</span> | `unavailable` | the store is shut down, busy or not reached, or a layer refuses for now; send again | nothing |
//! | <span id="not-reached">503</span> | `not-reached` | a read did not reach the position of `?after=` in time | nothing |
//! | <span id="disk-full">507</span> | `disk-full` | the disk is full | nothing |
//!
//! Those with 503 say by `Retry-After` when to send again. Those from 500 on tell the client nothing about files and
//! causes. These go to the log through `tracing`, together with the `instance` that the client has, a UUID: 500 as
//! `error`, the others as `warn`.
//!
//! # When the client goes away
//!
//! axum drops the handler of a request whose client has closed the connection. A command that the handler has sent is
//! executed all the same; one that it has not sent yet is not. No command is half done. A client that did not get an
//! answer sends the request again under the same idempotency key. What a handler does after a command may be left
//! out, so whatever must follow from an event belongs to a [process manager](derive@crate::ProcessManager).

mod after;
mod answer;
mod body;
mod cut;
mod errors;
mod etag;
mod events;
mod head;
mod idempotency;
mod plain;
mod precondition;
mod problem;
mod serve;

pub use after::After;
pub use answer::{CommandAnswer, POSITION};
pub use body::JsonBody;
pub use errors::Refusal;
pub use etag::etag;
pub use events::{EventStream, LastEventId};
pub use idempotency::IdempotencyKey;
pub use plain::as_problem;
pub use precondition::Precondition;
pub use problem::{ProblemDetails, ProblemType};
pub use serve::{Serve, serve};
