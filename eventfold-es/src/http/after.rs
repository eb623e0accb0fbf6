//! Reading one's own writes: [`After`].

use std::io;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::domain::projection::Projection;
use crate::http::head::check_stored;
use crate::http::problem::{ProblemDetails, ProblemType};
use crate::ids::Position;
use crate::runtime::background::within;
use crate::store::AggregateStore;

/// How long a read waits unless the host says otherwise.
const AT_MOST: Duration = Duration::from_secs(3);

/// The parameter `?after=` of a read: a position that the answer must include. A client takes it from the header
/// [`Eventfold-Position`](crate::http::POSITION) of an earlier answer, and so reads what it has written, also
/// from a read model that follows the events in the background or in another process.
///
/// A read without the parameter does not wait. Something that is not a position, or two of them, is answered 400.
/// So is a position ahead of all events: it comes from another store, or this one was restored from a backup.
///
/// A read waits at most 3 seconds, or [as long as the host says](Self::at_most), and is then answered 503 with
/// `Retry-After`. It is not 504, which speaks of another server behind a gateway.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// use axum::extract::State;
/// use eventfold_es::http::{After, JsonBody, ProblemDetails};
///
/// async fn total(
///     State(store): State<AggregateStore>,
///     after: After,
/// ) -> Result<JsonBody<u64>, ProblemDetails> {
///     after.wait_for::<Total>(&store).await?;
///     Ok(JsonBody(store.read(|total: &Total| total.value).await?))
/// }
/// ```
#[doc(alias("read your writes", "eventual consistency", "consistency token"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "without `wait_for` or `wait` the read does not wait"]
pub struct After {
    position: Option<Position>,
    at_most: Duration,
}

impl After {
    /// The position, `None` if the request has no such parameter.
    ///
    /// ```
    /// # use eventfold_es::{*, http::After};
    /// fn begins(after: After) -> Position {
    ///     after.position().unwrap_or_default()
    /// }
    /// ```
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Waits at most this long.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, http::{After, ProblemDetails}};
    /// # use std::time::Duration;
    /// # async fn example(store: AggregateStore, after: After) -> Result<(), ProblemDetails> {
    /// after.at_most(Duration::from_millis(500)).wait_for::<Total>(&store).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn at_most(mut self, time: Duration) -> Self {
        self.at_most = time;
        self
    }

    /// Waits until the projection `P` includes the position.
    ///
    /// # Errors
    ///
    /// 400 if no event has the position yet, 503 if the projection does not include it in time; otherwise that of
    /// [`AggregateStore::wait_for`].
    ///
    /// See the example of [`After`].
    pub async fn wait_for<P: Projection>(
        self,
        store: &AggregateStore,
    ) -> Result<(), ProblemDetails> {
        self.wait(store, |position| store.wait_for::<P>(position))
            .await
    }

    /// Waits until `reached` returns: for a read model in SQL or a follower, for example.
    ///
    /// # Errors
    ///
    /// 400 if no event has the position yet, 503 if `reached` does not return in time; otherwise its own error.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, http::{After, ProblemDetails}};
    /// # async fn example<F: Follower>(store: AggregateStore, after: After) -> Result<(), ProblemDetails> {
    /// after.wait(&store, |position| store.wait_for_follower::<F>(position)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait<W>(
        self,
        store: &AggregateStore,
        reached: impl FnOnce(Position) -> W,
    ) -> Result<(), ProblemDetails>
    where
        W: Future<Output = io::Result<()>>,
    {
        let Some(position) = self.position else {
            return Ok(());
        };
        check_stored(store, position, "`after`").await?;
        if let Some(reached) = within(self.at_most, reached(position)).await? {
            return Ok(reached?);
        }
        Err(ProblemDetails::of(ProblemType::NotReached)
            .with_detail(format!(
                "What is asked for does not include position {position} yet. Send the request again."
            ))
            .with_member("position", position.get())
            .with_member("head", store.head().get())
            .retry_after(Duration::from_secs(1)))
    }
}

impl<S: Sync> FromRequestParts<S> for After {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemDetails> {
        let query = parts.uri.query().unwrap_or_default();
        let malformed = |why: String| {
            ProblemDetails::of(ProblemType::Malformed).with_detail(format!("`after`: {why}"))
        };
        let mut position = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name != "after" {
                continue;
            }
            if position.is_some() {
                return Err(malformed("it is there more than once".to_owned()));
            }
            let parsed = value.parse::<Position>();
            position = Some(parsed.map_err(|error| malformed(format!("{error}.")))?);
        }
        Ok(Self {
            position,
            at_most: AT_MOST,
        })
    }
}
