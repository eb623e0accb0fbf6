//! The header `Idempotency-Key`: [`IdempotencyKey`].

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use crate::http::problem::{ProblemDetails, ProblemType};

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// How long a key is at most.
const LONGEST: usize = 255;

/// The header `Idempotency-Key` of a request, which names its command: sent again, it takes effect once.
///
/// The key in the header is the caller's. Two callers may choose the same one, by accident or to see what
/// another one was answered. So it cannot be read out of this type, only [with the caller](Self::of), whose name
/// becomes part of it: no caller is ever answered with what belongs to another one.
///
/// As an extractor it requires the header; [`Option<IdempotencyKey>`](Option) does not. The header has one value:
/// text in quotes, as the IETF draft *The Idempotency-Key HTTP Header Field* says, or the same text without the
/// quotes, as most clients send it. It has 1 to 255 visible characters of ASCII; within quotes also spaces, and
/// `\"` and `\\` for `"` and `\`. Anything else is answered 400.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// use axum::extract::{Path, State};
/// use eventfold_es::http::{CommandAnswer, IdempotencyKey, JsonBody, ProblemDetails};
///
/// # struct User { id: String }
/// # impl<S: Sync> axum::extract::FromRequestParts<S> for User {
/// #     type Rejection = ProblemDetails;
/// #     async fn from_request_parts(_: &mut axum::http::request::Parts, _: &S) -> Result<Self, ProblemDetails> {
/// #         Ok(Self { id: "ann".to_owned() })
/// #     }
/// # }
/// async fn add(
///     State(store): State<AggregateStore>,
///     Path(id): Path<String>,
///     user: User, // an extractor of the service, which checks who sends the request
///     key: Option<IdempotencyKey>,
///     JsonBody(add): JsonBody<Add>,
/// ) -> Result<CommandAnswer, ProblemDetails> {
///     let counter = store.get::<Counter>(&id).await?;
///     let mut context = CommandContext::default().with_actor(&user.id);
///     context.idempotency_key = key.map(|key| key.of(&user.id));
///     let done = counter.send_with(add, context).await?;
///     Ok(CommandAnswer::from(&done))
/// }
/// ```
#[doc(alias("idempotent", "retry", "exactly once", "deduplication"))]
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a key that no command gets protects nothing"]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of a command by this caller, for
    /// [`CommandContext::with_idempotency_key`](crate::CommandContext::with_idempotency_key).
    ///
    /// `caller` is the name of whoever was authenticated. All callers of one name share their keys: where
    /// several people use the service without a name, each of them needs one, of a session for example. The
    /// name is stored with the events of the command, so it should be an id, not an e-mail address.
    ///
    /// ```
    /// use axum::http::HeaderMap;
    /// use eventfold_es::http::IdempotencyKey;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("idempotency-key", "order-17".parse()?);
    /// let key = IdempotencyKey::read(&headers)?.expect("the header is there");
    /// assert_ne!(key.of("ann"), key.of("bob"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(&self, caller: &str) -> String {
        // The length makes it unique: no name and key look like another name and another key.
        format!("http:{}:{caller}:{}", caller.len(), self.0)
    }

    /// The key in these headers, `None` if there is none.
    ///
    /// # Errors
    ///
    /// 400: the header cannot be read, or is there twice. The detail says why.
    ///
    /// See the example of [`of`](Self::of).
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, ProblemDetails> {
        let mut values = headers.get_all(NAME).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let malformed = |why: &str| {
            let detail = format!("`Idempotency-Key`: {why}");
            ProblemDetails::of(ProblemType::Malformed).with_detail(detail)
        };
        if values.next().is_some() {
            return Err(malformed("the header is there more than once"));
        }
        let text = value.as_bytes().trim_ascii();
        let key = match text {
            [b'"', text @ ..] => quoted(text),
            text => bare(text),
        };
        let key = key.ok_or_else(|| {
            malformed("a key is text in quotes, or visible ASCII without `\"`, `\\`, `,` and `;`")
        })?;
        match key.len() {
            1..=LONGEST => Ok(Some(Self(key))),
            0 => Err(malformed("the key is empty")),
            _ => Err(malformed("a key has at most 255 characters")),
        }
    }
}

/// A string as of RFC 8941, section 3.3.3, after its first quote.
fn quoted(text: &[u8]) -> Option<String> {
    let mut key = String::new();
    let mut bytes = text.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => match bytes.next()? {
                byte @ (b'"' | b'\\') => key.push(char::from(*byte)),
                _ => return None,
            },
            byte @ 0x20..=0x7e => key.push(char::from(*byte)),
            _ => return None,
        }
    }
    bytes.next().is_none().then_some(key)
}

fn bare(text: &[u8]) -> Option<String> {
    let is_valid =
        |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';');
    text.iter()
        .all(is_valid)
        .then(|| text.iter().copied().map(char::from).collect())
}

/// Without the key: it would go into logs, where others may read it.
impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdempotencyKey").finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemDetails> {
        Self::read(&parts.headers)?.ok_or_else(|| {
            ProblemDetails::of(ProblemType::KeyRequired).with_detail(
                "Send a new `Idempotency-Key` with each command, and the same one if you send it again.",
            )
        })
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ProblemDetails> {
        Self::read(&parts.headers)
    }
}
