//! Server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

use crate::client::{Bank, in_time};

/// A connection with a stream of events.
pub(crate) struct Listening {
    lines: Lines<BufReader<TcpStream>>,
    pub(crate) head: VecDeque<String>,
}

impl Listening {
    pub(crate) async fn to(bank: &Bank, path: &str, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(bank.address).await.unwrap();
        let last = last.map_or_else(String::new, |last| format!("last-event-id: {last}\r\n"));
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: bank\r\nauthorization: Bearer ann\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut head = VecDeque::new();
        while let Some(line) = in_time(lines.next_line()).await.unwrap() {
            if line.is_empty() {
                break;
            }
            head.push_back(line.to_ascii_lowercase());
        }
        Self { lines, head }
    }

    /// The next line of the body, without what the chunked coding adds; `None` at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            let line = in_time(self.lines.next_line()).await.ok()??;
            if line.starts_with("id:") || line.starts_with("data:") || line.starts_with(':') {
                return Some(line);
            }
            if line == "0" {
                return None;
            }
        }
    }

    /// The next event: its id and what it says.
    pub(crate) async fn event(&mut self) -> Option<(u64, Value)> {
        // Comments come for ever.
        in_time(self.next_event()).await
    }

    async fn next_event(&mut self) -> Option<(u64, Value)> {
        loop {
            let line = self.line().await?;
            if let Some(id) = line.strip_prefix("id: ") {
                let data = self.line().await?;
                let data = data.strip_prefix("data: ").unwrap();
                return Some((id.parse().unwrap(), serde_json::from_str(data).unwrap()));
            }
        }
    }
}

#[tokio::test]
async fn events_come_with_their_positions_and_then_as_they_happen() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    let mut listening = Listening::to(&bank, "/events", None).await;
    assert_eq!(listening.head[0], "http/1.1 200 ok");
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-cache",
        "x-accel-buffering: no",
    ] {
        assert!(
            listening.head.iter().any(|line| line == header),
            "{header}: {:?}",
            listening.head
        );
    }
    let event =
        |event: &str, version: u64| json!({ "account": "a", "event": event, "version": version });
    assert_eq!(listening.event().await, Some((1, event("Opened", 1))));
    assert_eq!(listening.event().await, Some((2, event("Deposited", 2))));
    bank.post("/accounts/a/deposits", &json!({ "amount": 1 }))
        .send()
        .await;
    assert_eq!(listening.event().await, Some((3, event("Deposited", 3))));
    // While nothing happens, the connection is kept alive.
    assert_eq!(listening.line().await.as_deref(), Some(":"));
    let mut later = Listening::to(&bank, "/events?after=2", None).await;
    assert_eq!(later.event().await.unwrap().0, 3);
}

#[tokio::test]
async fn a_stream_goes_on_exactly_after_the_last_event() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    bank.account("b", 5).await;
    for last in 0..4 {
        // The header counts, not where the page began.
        let mut listening = Listening::to(&bank, "/events?after=1", Some(last)).await;
        assert_eq!(listening.event().await.unwrap().0, last + 1);
    }
    // Two events of one commit.
    let transfer = json!({ "from": "a", "to": "b", "amount": 1 });
    assert_eq!(bank.post("/transfers", &transfer).send().await.status, 200);
    let mut listening = Listening::to(&bank, "/events", Some(5)).await;
    assert_eq!(listening.event().await.unwrap().0, 6);
    let mut listening = Listening::to(&bank, "/events", Some(6)).await;
    bank.post("/accounts/a/deposits", &json!({ "amount": 1 }))
        .send()
        .await;
    assert_eq!(listening.event().await.unwrap().0, 7);
}

#[tokio::test]
async fn a_last_event_that_is_none_is_refused() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    for last in [
        "x",
        "",
        "-1",
        "1.0",
        "\"1\"",
        "\u{fc}",
        "3",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        let answer = bank
            .get("/events")
            .header("last-event-id", last)
            .send()
            .await;
        answer.problem(400, "malformed");
    }
    let twice = bank
        .get("/events")
        .header("last-event-id", "1")
        .header("last-event-id", "1");
    twice.send().await.problem(400, "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_lost_lose_and_double_nothing() {
    const DEPOSITS: u64 = 300;
    let bank = Arc::new(Bank::serve().await);
    bank.account("a", 0).await;
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let bank = bank.clone();
            tokio::spawn(async move {
                for _ in 0..DEPOSITS / 3 {
                    let deposit = bank.post("/accounts/a/deposits", &json!({ "amount": 1 }));
                    assert_eq!(deposit.send().await.status, 200);
                }
            })
        })
        .collect();
    let mut seen = Vec::new();
    while seen.len() < 2 + usize::try_from(DEPOSITS).unwrap() {
        let last = seen.last().copied();
        let mut listening = Listening::to(&bank, "/events", last).await;
        // Each connection is lost after another number of events.
        for _ in 0..=seen.len() % 17 {
            let (id, event) = listening.event().await.expect("it goes on");
            assert_eq!(event["version"], id);
            seen.push(id);
            if id == 2 + DEPOSITS {
                break;
            }
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(seen, (1..=2 + DEPOSITS).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_stream_ends_with_its_store() {
    let bank = Bank::serve().await;
    bank.account("a", 5).await;
    let mut listening = Listening::to(&bank, "/events?after=1", None).await;
    assert_eq!(listening.event().await.unwrap().0, 2);
    bank.store.shutdown().await.unwrap();
    assert_eq!(listening.event().await, None);
    let closed = bank.ask(Method::GET, "/events").send().await;
    assert!(closed.status == 503 || closed.body.is_empty());
}
