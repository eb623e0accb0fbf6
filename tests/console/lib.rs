//! The store that the tests look at, and how they ask the console.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use eventfold_es::AggregateStoreBuilder;
use eventfold_es::console::Console;
use eventfold_es::prelude::*;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

/// An account. Its notes are for hostile texts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open, Deposit, Write), events(Opened, Deposited, Written), error = NotOpen)]
pub struct Account {
    pub owner: Option<String>,
    pub balance: u64,
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open {
    pub owner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deposit {
    pub amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Write {
    pub note: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Opened {
    pub owner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Deposited {
    pub amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Written {
    pub note: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the account is not open")]
pub struct NotOpen;

#[aggregate_impl]
impl Account {
    fn open(&self, command: Open) -> Decision<Self> {
        Ok(events![Opened {
            owner: command.owner
        }])
    }

    fn deposit(&self, command: Deposit) -> Decision<Self> {
        if self.owner.is_none() {
            return Err(NotOpen);
        }
        Ok(events![Deposited {
            amount: command.amount
        }])
    }

    fn write(&self, command: Write) -> Decision<Self> {
        Ok(events![Written { note: command.note }])
    }

    fn opened(&mut self, event: &Opened) {
        self.owner = Some(event.owner.clone());
    }

    fn deposited(&mut self, event: &Deposited) {
        assert!(event.amount != 13, "the amount is 13");
        self.balance += event.amount;
    }

    fn written(&mut self, event: &Written) {
        // A long note is not part of the state.
        self.notes.push(event.note.chars().take(50).collect());
    }
}

/// The sum of all balances.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "balances", aggregates(Account))]
pub struct Balances {
    pub sum: u64,
}

impl Project<Account> for Balances {
    fn project(&mut self, event: &AccountEvent, _: &eventfold_es::Recorded<'_>) {
        if let AccountEvent::Deposited(Deposited { amount }) = event {
            self.sum += amount;
        }
    }
}

/// Gives the savings account of each owner 5, which is refused until that account is open.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "savings", aggregates(Account), dispatches(Account))]
pub struct Savings;

impl React<Account> for Savings {
    fn react_to(
        &mut self,
        event: &AccountEvent,
        record: &eventfold_es::Recorded<'_>,
        out: &mut Outbox<'_>,
    ) {
        if let AccountEvent::Opened(_) = event
            && !record.id().ends_with("-savings")
        {
            let id = format!("{}-savings", record.id());
            out.send::<Account>(&id, Deposit { amount: 5 });
        }
    }
}

/// A store in `dir` with everything above.
pub async fn open(dir: &Path) -> AggregateStore {
    with_all(AggregateStore::builder(dir)).await
}

/// A store in memory with everything above.
pub async fn in_memory() -> AggregateStore {
    with_all(AggregateStore::in_memory()).await
}

/// In the schema `shop` of the server at this URL, which may be one for tests.
pub async fn on_postgres(url: &str) -> AggregateStore {
    let builder = AggregateStore::postgres(url).schema("shop");
    with_all(builder.allow_unsynced(true)).await
}

async fn with_all(builder: AggregateStoreBuilder) -> AggregateStore {
    builder
        .projection::<Balances>()
        .process_manager::<Savings>()
        .open()
        .await
        .expect("the store can be opened")
}

/// Sends `commands` to the account `id`, which it opens first.
pub async fn deposits(store: &AggregateStore, id: &str, amounts: &[u64]) {
    let account = store.get::<Account>(id).await.expect("a valid id");
    let owner = "Ann".to_owned();
    account
        .send(Open { owner })
        .await
        .expect("it can be opened");
    for amount in amounts {
        let deposit = Deposit { amount: *amount };
        account.send(deposit).await.expect("it is open");
    }
}

/// Writes a note of the account `id`.
pub async fn write(store: &AggregateStore, id: &str, note: impl Into<String>) {
    let account = store.get::<Account>(id).await.expect("a valid id");
    let note = note.into();
    account
        .send(Write { note })
        .await
        .expect("it can be written");
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("a header is text"))
    }

    /// The values of an attribute, unescaped.
    pub fn attributes(&self, name: &str) -> Vec<String> {
        let begin = format!(" {name}=\"");
        let rest = self.text.split(&begin).skip(1);
        let values = rest.map(|rest| rest.split('"').next().unwrap_or_default());
        values.map(|value| value.replace("&amp;", "&")).collect()
    }

    /// The value of the hidden field `name` of the first form that has it.
    pub fn hidden(&self, name: &str) -> Option<String> {
        let begin = format!("name=\"{name}\" value=\"");
        let rest = self.text.split_once(&begin)?.1;
        Some(rest.split('"').next()?.to_owned())
    }
}

/// An application with nothing but the console.
pub fn app(console: Console) -> Router {
    console.build()
}

/// Asks for a page on this machine.
pub async fn get(app: &Router, path: &str) -> Answer {
    let request = Request::get(path).header("host", "localhost:8080");
    ask(app, request.body(Body::empty()).expect("a valid request")).await
}

/// Asks for a page that must be there.
pub async fn page(app: &Router, path: &str) -> Answer {
    let answer = get(app, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    answer
}

/// Sends a form as a browser does from a page of the console.
pub async fn post(app: &Router, path: &str, form: &str) -> Answer {
    post_with(app, path, form, &[]).await
}

/// Sends a form with further headers.
pub async fn post_with(
    app: &Router,
    path: &str,
    form: &str,
    headers: &[(&'static str, &str)],
) -> Answer {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "localhost:8080")
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let form = Body::from(form.to_owned());
    ask(app, request.body(form).expect("a valid request")).await
}

pub async fn ask(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.expect("it is answered");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("the answer is whole");
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_bytes().to_vec()).expect("the answer is text"),
    }
}
