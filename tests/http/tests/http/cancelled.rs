//! Clients that go away before they are answered.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use eventfold_es_tests_http::{Account, Gate};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::client::{Bank, in_time};

/// Tells when a handler is dropped before its end.
struct Handler {
    dropped: mpsc::UnboundedSender<()>,
    has_ended: bool,
}

impl Drop for Handler {
    fn drop(&mut self) {
        if !self.has_ended {
            let _ = self.dropped.send(());
        }
    }
}

async fn watched() -> (Bank, mpsc::UnboundedReceiver<()>) {
    let (dropped, receive) = mpsc::unbounded_channel();
    let watch = move |request: Request, next: Next| {
        let dropped = dropped.clone();
        async move {
            let mut handler = Handler {
                dropped,
                has_ended: false,
            };
            let response = next.run(request).await;
            handler.has_ended = true;
            response
        }
    };
    let bank = Bank::serve_with(
        move |bank| bank.layer(from_fn(watch)),
        Duration::from_secs(30),
    );
    (bank.await, receive)
}

/// A deposit of 1 as it is sent, with the first `length` bytes of its body.
fn deposit(account: &str, key: &str, length: usize) -> String {
    let body = "{\"amount\":1}";
    format!(
        "POST /accounts/{account}/deposits HTTP/1.1\r\nhost: bank\r\nauthorization: Bearer ann\r\n\
         content-type: application/json\r\nidempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{}",
        body.len(),
        &body[..length.min(body.len())]
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_under_way_runs_to_its_end() {
    let (bank, mut dropped) = watched().await;
    let opened = bank
        .post("/accounts/held", &json!({ "owner": "ann" }))
        .send()
        .await;
    assert_eq!(opened.status, 201);
    let gate = Gate::at("held");
    let mut client = TcpStream::connect(bank.address).await.unwrap();
    client
        .write_all(deposit("held", "k", 99).as_bytes())
        .await
        .unwrap();
    gate.has_come().await;
    drop(client);
    // Nobody waits for the answer any more.
    in_time(dropped.recv()).await.unwrap();
    gate.open();
    let deposited = |account: &Account| account.balance == 1;
    let waited = bank
        .store
        .wait_until::<Account>("held", deposited, Duration::from_secs(30));
    assert_eq!(waited.await.unwrap().version, 2);
    // The client comes back, and gets the answer that it missed.
    let again = bank.post("/accounts/held/deposits", &json!({ "amount": 1 }));
    let again = again.header("idempotency-key", "k").send().await;
    assert_eq!(
        again.json(),
        json!({ "version": 2, "position": 2, "repeated": true })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_did_not_arrive_whole_is_not_sent() {
    let (bank, mut dropped) = watched().await;
    bank.account("a", 0).await;
    for length in [0, 1, 11] {
        let mut client = TcpStream::connect(bank.address).await.unwrap();
        client
            .write_all(deposit("a", "k", length).as_bytes())
            .await
            .unwrap();
        // A second request on another connection, so that the server has had time to begin the first.
        assert_eq!(bank.get("/accounts/a").send().await.status, 200);
        drop(client);
    }
    drop(bank.get("/accounts/a").send().await);
    assert_eq!(bank.stands("a").await, (2, 0));
    // Handlers that had begun are dropped, or answer 400 to nobody.
    while dropped.try_recv().is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_give_up_at_any_moment_and_repeat_are_executed_once() {
    const DEPOSITS: u32 = 200;
    let (bank, _dropped) = watched().await;
    bank.account("a", 0).await;
    for i in 0..DEPOSITS {
        let key = format!("k-{i}");
        let mut client = TcpStream::connect(bank.address).await.unwrap();
        let request = deposit("a", &key, 99);
        client.write_all(request.as_bytes()).await.unwrap();
        if i % 2 == 0 {
            for _ in 0..i {
                tokio::task::yield_now().await;
            }
        } else {
            // Until the first byte of the answer.
            in_time(client.readable()).await.unwrap();
        }
        drop(client);
        let again = bank.post("/accounts/a/deposits", &json!({ "amount": 1 }));
        assert_eq!(
            again.header("idempotency-key", &key).send().await.status,
            200
        );
    }
    assert_eq!(
        bank.stands("a").await,
        (u64::from(DEPOSITS) + 2, u64::from(DEPOSITS))
    );
}
