//! Each row of the table of problems.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use eventfold_es::http::{ProblemDetails, ProblemType};
use eventfold_es::{
    AggregateStore, AppendError, Call, DispatchError, ExecuteError, Layer, Refused, StateError,
    StreamId, TogetherError, WaitError,
};
use eventfold_es_tests_http::{Account, AccountError, Deposit, Open};
use serde_json::{Value, json};

use crate::client::Bank;

/// A text that is nobody's business.
const SECRET: &str = "/var/lib/bank/journal/0001.jsonl, byte 17";

fn failed(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, SECRET)
}

/// The JSON of the response, and its `Retry-After`.
async fn answer(problem: ProblemDetails) -> (Value, Option<String>) {
    let status = problem.status();
    let response = problem.into_response();
    assert_eq!(response.status(), status);
    let again = response.headers().get("retry-after");
    let again = again.map(|again| again.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (serde_json::from_slice(&body).unwrap(), again)
}

/// Whether `problem` is of this status and type, says to send again, and keeps what is secret.
async fn check(
    problem: impl Into<ProblemDetails>,
    status: u16,
    of_type: &str,
    again: bool,
) -> Value {
    let (json, retry_after) = answer(problem.into()).await;
    assert_eq!(json["status"], status, "{json}");
    let uri = json["type"].as_str().unwrap();
    assert!(
        uri.ends_with(&format!("/http/index.html#{of_type}")),
        "{uri} is not {of_type}"
    );
    assert_eq!(retry_after.is_some(), again, "{json}");
    assert!(!json.to_string().contains("/var/lib"), "{json}");
    json
}

type Failed = ExecuteError<AccountError>;

#[tokio::test]
async fn each_error_of_a_command_has_its_status_and_type() {
    check(Failed::Domain(AccountError::NotOpen), 422, "refused", false).await;
    check(
        Failed::Refused(Refused::new("not on Sundays")),
        403,
        "forbidden",
        false,
    )
    .await;
    check(
        Failed::Refused(Refused::new("too many").for_now()),
        503,
        "unavailable",
        true,
    )
    .await;
    let expected = Failed::ExpectedVersion {
        expected: 3.into(),
        actual: 5.into(),
    };
    let json = check(expected, 412, "version-not-met", false).await;
    assert_eq!(json["version"], 5);
    let when = SystemTime::UNIX_EPOCH;
    let ended = Failed::Ended {
        reason: "left".to_owned(),
        when,
    };
    let json = check(ended, 410, "ended", false).await;
    assert_eq!(
        json["detail"],
        "It has ended, at 1970-01-01T00:00:00Z: left"
    );
    check(Failed::Archived { when }, 409, "archived", false).await;
    check(Failed::Conflict, 409, "conflict", false).await;
    let key = "http:3:ann:k".to_owned();
    let json = check(Failed::KeyReused { key }, 422, "key-reused", false).await;
    assert!(!json.to_string().contains("http:3"), "{json}");
    check(Failed::ActorGone, 503, "unavailable", true).await;
    check(Failed::Closed, 503, "unavailable", true).await;
    let unknown = Failed::OutcomeUnknown(failed(io::ErrorKind::Other));
    let json = check(unknown, 503, "outcome-unknown", true).await;
    assert!(
        json["detail"]
            .as_str()
            .unwrap()
            .contains("under the same key")
    );
}

#[tokio::test]
async fn each_kind_of_an_io_error_has_its_status_and_type() {
    use io::ErrorKind as Kind;
    for (kind, status, of_type) in [
        (Kind::StorageFull, 507, "disk-full"),
        (Kind::QuotaExceeded, 507, "disk-full"),
        (Kind::NotConnected, 503, "unavailable"),
        (Kind::ResourceBusy, 503, "unavailable"),
        (Kind::TimedOut, 503, "unavailable"),
        (Kind::ConnectionRefused, 503, "unavailable"),
        (Kind::ConnectionReset, 503, "unavailable"),
        (Kind::InvalidData, 500, "internal"),
        (Kind::InvalidInput, 500, "internal"),
        (Kind::Deadlock, 500, "internal"),
        (Kind::PermissionDenied, 500, "internal"),
        (Kind::Other, 500, "internal"),
    ] {
        let again = status == 503;
        check(failed(kind), status, of_type, again).await;
        check(Failed::Io(failed(kind)), status, of_type, again).await;
        check(StateError::Io(failed(kind)), status, of_type, again).await;
        check(AppendError::Io(failed(kind)), status, of_type, again).await;
        check(TogetherError::Io(failed(kind)), status, of_type, again).await;
        check(WaitError::Io(failed(kind)), status, of_type, again).await;
    }
    let id = StreamId::new("account", "").unwrap_err();
    let json = check(id.clone(), 400, "invalid-id", false).await;
    assert_eq!(json["detail"], "The aggregate id \"\" is empty.");
    check(io::Error::from(id), 400, "invalid-id", false).await;
}

#[tokio::test]
async fn each_error_of_other_operations_has_its_status_and_type() {
    let stream = || StreamId::new("account", "a").unwrap();
    let (index, when) = (0, SystemTime::UNIX_EPOCH);
    let error = AccountError::NotEnough { balance: 1 }.into();
    let refused = TogetherError::Domain {
        index,
        stream: stream(),
        error,
    };
    let json = check(refused, 422, "refused", false).await;
    assert_eq!(json["detail"], "there are only 1");
    let expected = TogetherError::ExpectedVersion {
        stream: stream(),
        expected: 1.into(),
        actual: 2.into(),
    };
    assert_eq!(
        check(expected, 412, "version-not-met", false).await["version"],
        2
    );
    let ended = TogetherError::Ended {
        index,
        stream: stream(),
        reason: "left".to_owned(),
        when,
    };
    check(ended, 410, "ended", false).await;
    check(
        TogetherError::Archived {
            index,
            stream: stream(),
            when,
        },
        409,
        "archived",
        false,
    )
    .await;
    let of_another = TogetherError::KeyReused {
        key: "k".to_owned(),
        stream: stream(),
    };
    check(of_another, 422, "key-reused", false).await;
    let large = TogetherError::TooLarge {
        what: "events",
        actual: 9,
        most: 3,
    };
    check(large, 413, "too-large", false).await;
    let layer = TogetherError::Refused {
        index,
        stream: stream(),
        refused: Refused::new("no"),
    };
    check(layer, 403, "forbidden", false).await;
    check(TogetherError::Conflict, 409, "conflict", false).await;
    check(TogetherError::ActorGone, 503, "unavailable", true).await;
    check(TogetherError::Closed, 503, "unavailable", true).await;
    let unknown = TogetherError::OutcomeUnknown(failed(io::ErrorKind::Other));
    check(unknown, 503, "outcome-unknown", true).await;

    check(StateError::ActorGone, 503, "unavailable", true).await;
    check(StateError::Closed, 503, "unavailable", true).await;
    check(AppendError::ConditionFailed, 409, "conflict", false).await;
    check(AppendError::Closed, 503, "unavailable", true).await;
    let unknown = AppendError::OutcomeUnknown(failed(io::ErrorKind::Other));
    check(unknown, 503, "outcome-unknown", true).await;
    let waited = WaitError::TimedOut {
        stream: stream(),
        version: 1.into(),
        waited: Duration::ZERO,
    };
    check(waited, 503, "not-reached", true).await;
}

#[tokio::test]
async fn each_error_of_a_dispatch_has_its_status_and_type() {
    let dispatched =
        |error| ProblemDetails::of_dispatch(error, |inner| ProblemDetails::internal(&inner));
    let unknown = DispatchError::UnknownAggregateType("x".to_owned());
    let json = check(dispatched(unknown), 400, "malformed", false).await;
    assert_eq!(json["detail"], "There are no aggregates of type `x`.");
    let unknown = DispatchError::UnknownDecision("x".to_owned());
    check(dispatched(unknown), 400, "malformed", false).await;
    let broken = serde_json::from_str::<Deposit>("{}").unwrap_err();
    check(
        dispatched(DispatchError::Deserialization(broken)),
        400,
        "malformed",
        false,
    )
    .await;
    check(
        dispatched(DispatchError::UnknownCommand),
        500,
        "internal",
        false,
    )
    .await;
    check(
        dispatched(DispatchError::Refused(Refused::new("no"))),
        403,
        "forbidden",
        false,
    )
    .await;
    let full = DispatchError::Io(failed(io::ErrorKind::StorageFull));
    check(dispatched(full), 507, "disk-full", false).await;
    let inner = DispatchError::Execution(Box::new(failed(io::ErrorKind::Other)));
    check(dispatched(inner), 500, "internal", false).await;
}

#[test]
fn the_documentation_has_a_row_for_each_type() {
    let page = include_str!("../../../../eventfold-es/src/http.rs");
    for of_type in ProblemType::ALL {
        let uri = of_type.uri();
        let (_, name) = uri.split_once('#').unwrap();
        let row = format!(
            "//! | <span id=\"{name}\">{}</span> | `{name}` |",
            of_type.status().as_u16()
        );
        assert!(page.contains(&row), "there is no row `{row}`");
    }
}

#[test]
fn the_members_of_the_standard_are_not_replaced() {
    let problem = ProblemDetails::new(StatusCode::CONFLICT);
    let problem = problem
        .with_member("status", 200)
        .with_member("type", "x")
        .with_member("more", 1);
    assert_eq!(
        problem.to_json(),
        json!({ "type": "about:blank", "title": "Conflict", "status": 409, "more": 1 })
    );
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_cause_of_a_failure_is_logged_with_the_instance_that_the_client_gets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let problem = tracing::subscriber::with_default(subscriber.finish(), || {
        ProblemDetails::from(failed(io::ErrorKind::InvalidData)).to_json()
    });
    let instance = problem["instance"].as_str().unwrap();
    assert!(instance.starts_with("urn:uuid:"));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("ERROR") && log.contains(SECRET) && log.contains(instance),
        "{log}"
    );
}

#[tokio::test]
async fn the_domain_says_how_its_refusals_are_answered() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    let withdraw = |amount: u64| {
        let withdraw = bank.post("/accounts/a/withdrawals", &json!({ "amount": amount }));
        withdraw
            .header("idempotency-key", &format!("k-{amount}"))
            .send()
    };
    let refused = withdraw(6).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()),
        (
            422,
            json!({
                "type": "https://bank.example/problems/not-enough",
                "title": "Not enough money",
                "status": 422,
                "detail": "there are only 5",
                "balance": 5,
            })
        )
    );
    let forbidden = withdraw(2_000_000).await;
    assert_eq!(
        (forbidden.status.as_u16(), forbidden.json()["type"].as_str()),
        (403, Some("about:blank"))
    );
    let open = bank
        .post("/accounts/a", &json!({ "owner": "bob" }))
        .send()
        .await;
    assert_eq!(
        open.problem(422, "refused")["detail"],
        "the account is open already"
    );
    let transfer = json!({ "from": "a", "to": "a2", "amount": 1 });
    bank.post("/transfers", &transfer)
        .send()
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn a_service_answers_its_problems() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    let missing = bank
        .get("/accounts/b")
        .send()
        .await
        .problem(404, "not-found");
    assert_eq!(missing["detail"], "There is no account `b`.");
    let owner = json!({ "owner": "bob" });
    let change = |path| bank.ask(axum::http::Method::PUT, path).json(&owner);
    change("/accounts/a/owner")
        .send()
        .await
        .problem(428, "condition-required");
    let changed = change("/accounts/a/owner")
        .header("if-match", "\"2\"")
        .send()
        .await;
    assert_eq!((changed.status.as_u16(), changed.body.len()), (204, 0));
    // RFC 9110, section 9.3.4: the body of this `PUT` is not what a `GET` returns.
    assert_eq!(
        (changed.header("etag"), changed.header("eventfold-position")),
        (None, Some("3"))
    );
    let long = "x".repeat(61);
    bank.get(&format!("/accounts/{long}"))
        .send()
        .await
        .problem(400, "invalid-id");

    let path = "/accounts/faulty%20account";
    let owner = json!({ "owner": "ann" });
    assert_eq!(bank.post(path, &owner).send().await.status, 201);
    let amount = json!({ "amount": 1 });
    let bug = bank.post(&format!("{path}/deposits"), &amount).send().await;
    let problem = bug.problem(500, "internal");
    assert!(!problem.to_string().contains("secret"), "{problem}");

    assert_eq!(
        bank.ask(axum::http::Method::POST, "/accounts/a/archive")
            .send()
            .await
            .status,
        204
    );
    let deposit = || {
        bank.post("/accounts/a/deposits", &json!({ "amount": 1 }))
            .send()
    };
    deposit().await.problem(409, "archived");
    assert_eq!(
        bank.ask(axum::http::Method::POST, "/accounts/a/end")
            .send()
            .await
            .status,
        204
    );
    let ended = deposit().await.problem(410, "ended");
    assert!(
        ended["detail"]
            .as_str()
            .unwrap()
            .ends_with(": its owner left")
    );
    assert_eq!(bank.get("/accounts/a").send().await.status, 200);

    bank.store.shutdown().await.unwrap();
    let closed = deposit().await;
    closed.problem(503, "unavailable");
    assert_eq!(closed.header("retry-after"), Some("1"));
}

struct Closed;

impl Layer for Closed {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        match call.command() {
            "Deposit" => Err(Refused::new("no deposits on Sundays")),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn the_refusal_of_a_layer_keeps_its_text() {
    let store = AggregateStore::in_memory()
        .layer(Closed)
        .open()
        .await
        .unwrap();
    let account = store.get::<Account>("a").await.unwrap();
    account
        .send(Open {
            owner: "ann".to_owned(),
        })
        .await
        .unwrap();
    let refused = account.send(Deposit { amount: 1 }).await.unwrap_err();
    let json = check(refused, 403, "forbidden", false).await;
    assert_eq!(json["detail"], "no deposits on Sundays");
}
