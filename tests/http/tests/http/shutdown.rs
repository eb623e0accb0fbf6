//! The end of a service.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use eventfold_es_tests_http::{Account, Gate};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::client::{Bank, in_time, open};
use crate::events::Listening;

/// Waits until the server takes no more connections.
async fn refuses(address: SocketAddr) {
    in_time(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_under_way_are_answered() {
    let mut bank = Bank::serve().await;
    let opened = bank
        .post("/accounts/last", &json!({ "owner": "ann" }))
        .send()
        .await;
    assert_eq!(opened.status, 201);
    let gate = Gate::at("last");
    let deposit = bank.post("/accounts/last/deposits", &json!({ "amount": 1 }));
    let deposit = tokio::spawn(deposit.send());
    gate.has_come().await;
    bank.stop();
    refuses(bank.address).await;
    assert!(bank.store.list::<Account>().await.is_ok());
    assert!(
        bank.store.get::<Account>("other").await.is_ok(),
        "the store did not wait for the request"
    );
    gate.open();
    let answer = deposit.await.unwrap();
    assert_eq!(answer.json()["version"], 2);
    let store = bank.store.clone();
    let dir = bank.ended().await;
    assert!(
        store.get::<Account>("last").await.is_err(),
        "the store is not shut down"
    );
    let store = open(dir.path()).await;
    let loaded = store
        .get::<Account>("last")
        .await
        .unwrap()
        .load()
        .await
        .unwrap();
    assert_eq!((loaded.version.into(), loaded.state.balance), (2_u64, 1));
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_events_end_at_the_signal() {
    // Its grace is longer than the test may take.
    let mut bank = Bank::serve_with(|bank| bank, Duration::from_secs(600)).await;
    bank.account("a", 1).await;
    let mut listening = Listening::to(&bank, "/events", None).await;
    assert_eq!(listening.event().await.unwrap().0, 1);
    bank.stop();
    while let Some((id, _)) = listening.event().await {
        assert_eq!(id, 2);
    }
    bank.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_holds_nothing_up_for_ever() {
    let (send, mut begun) = mpsc::channel(1);
    let never = get(async move || {
        send.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let endless = get(async || {
        let bytes = || Ok::<_, std::convert::Infallible>(vec![0; 64 * 1024]);
        Body::from_stream(futures_util::stream::repeat_with(bytes))
    });
    let routes = |bank: Router| bank.route("/never", never).route("/endless", endless);
    let mut bank = Bank::serve_with(routes, Duration::from_millis(50)).await;
    let mut hung = TcpStream::connect(bank.address).await.unwrap();
    hung.write_all(b"GET /never HTTP/1.1\r\nhost: bank\r\n\r\n")
        .await
        .unwrap();
    in_time(begun.recv()).await.unwrap();
    // Half of a request.
    let mut half = TcpStream::connect(bank.address).await.unwrap();
    half.write_all(b"GET /accounts/a HTTP/1.1\r\nho")
        .await
        .unwrap();
    // A client that reads nothing but the beginning of an answer without end.
    let mut slow = TcpStream::connect(bank.address).await.unwrap();
    slow.write_all(b"GET /endless HTTP/1.1\r\nhost: bank\r\n\r\n")
        .await
        .unwrap();
    in_time(slow.read_u8()).await.unwrap();
    let at_the_signal = Instant::now();
    bank.stop();
    let _dir = bank.ended().await;
    assert!(at_the_signal.elapsed() < Duration::from_secs(20));
    // Both connections are closed, without an answer.
    for mut client in [hung, half] {
        let mut answer = Vec::new();
        let _ = in_time(client.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "{answer:?}");
    }
    let mut rest = Vec::new();
    let _ = in_time(slow.read_to_end(&mut rest)).await;
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "it looks like a whole answer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_under_load_loses_no_command_that_was_answered() {
    let mut bank = Bank::serve().await;
    bank.account("a", 0).await;
    bank.account("b", 0).await;
    let (send, mut answered) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for client in 0..16 {
        let path = ["/accounts/a/deposits", "/accounts/b/deposits"][client % 2];
        clients.push(tokio::spawn(hammer(
            bank.address,
            path,
            client,
            send.clone(),
        )));
    }
    drop(send);
    let mut positions = BTreeSet::new();
    for _ in 0..300 {
        let position = in_time(answered.recv()).await.unwrap();
        assert!(
            positions.insert(position),
            "two commands have the position {position}"
        );
    }
    bank.stop();
    let dir = bank.ended().await;
    for client in clients {
        in_time(client).await.unwrap();
    }
    while let Some(position) = answered.recv().await {
        assert!(
            positions.insert(position),
            "two commands have the position {position}"
        );
    }
    let store = open(dir.path()).await;
    let events = store.recent(usize::MAX).await.unwrap();
    let positions_of = |event: &eventfold_es::RecordedEvent| event.position().to_string().parse();
    let stored: BTreeSet<u64> = events
        .iter()
        .map(|event| positions_of(event).unwrap())
        .collect();
    let lost: Vec<_> = positions.difference(&stored).collect();
    assert!(
        lost.is_empty(),
        "these were answered and are not stored: {lost:?}"
    );
    store.shutdown().await.unwrap();
}

/// Deposits again and again on connections of its own, until it gets no more answers.
async fn hammer(address: SocketAddr, path: &str, client: usize, send: mpsc::UnboundedSender<u64>) {
    let body = "{\"amount\":1}";
    for i in 0.. {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return;
        };
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: bank\r\nauthorization: Bearer client-{client}\r\n\
             idempotency-key: k-{i}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        let mut answer = String::new();
        if in_time(stream.read_to_string(&mut answer)).await.is_err() {
            return;
        }
        // A closed connection, or the store is shut down.
        if answer.is_empty() || answer.starts_with("HTTP/1.1 503 ") {
            return;
        }
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let _ = send.send(json["position"].as_u64().unwrap());
    }
}
