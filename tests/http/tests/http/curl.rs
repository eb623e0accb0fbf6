//! `curl` as a client.

use std::process::Stdio;

use eventfold_es_tests_http::LARGEST_BODY;
use serde_json::Value;
use tokio::process::Command;

use crate::client::{Bank, in_time};

/// Runs `curl` with the credentials of `ann`. `None` if there is none on this machine.
async fn curl(bank: &Bank, path: &str, args: &[&str]) -> Option<(String, String)> {
    let ran = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--write-out",
            "\n%{http_code}",
        ])
        .args(["--header", "Authorization: Bearer ann"])
        .args(args)
        .arg(format!("http://{}{path}", bank.address))
        .stdin(Stdio::null())
        .output();
    let ran = match in_time(ran).await {
        Ok(ran) => ran,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no curl");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let out = String::from_utf8(ran.stdout).unwrap();
    let (body, status) = out.rsplit_once('\n').unwrap();
    Some((status.to_owned(), body.to_owned()))
}

const JSON: [&str; 2] = ["--json", "{\"owner\":\"ann\"}"];
const ONE: [&str; 2] = ["--json", "{\"amount\":1}"];

#[tokio::test(flavor = "multi_thread")]
async fn curl_keeps_a_tag_and_asks_with_it() {
    let bank = Bank::serve().await;
    let dir = tempfile::tempdir().unwrap();
    let tag = dir.path().join("etag");
    let tag = tag.to_str().unwrap();
    let create = [&JSON[..], &["--header", "If-None-Match: *"]].concat();
    let Some((status, _)) = curl(&bank, "/accounts/a", &create).await else {
        return;
    };
    assert_eq!(status, "201");
    let (status, body) = curl(&bank, "/accounts/a", &create).await.unwrap();
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status.as_str(), problem["version"].as_u64()),
        ("412", Some(1))
    );

    let (status, _) = curl(&bank, "/accounts/a", &["--etag-save", tag])
        .await
        .unwrap();
    assert_eq!(status, "200");
    assert_eq!(std::fs::read_to_string(tag).unwrap().trim(), "\"1\"");
    let same = ["--etag-compare", tag];
    assert_eq!(
        curl(&bank, "/accounts/a", &same).await.unwrap(),
        ("304".to_owned(), String::new())
    );
    let deposit = [&ONE[..], &["--header", "If-Match: \"1\""]].concat();
    assert_eq!(
        curl(&bank, "/accounts/a/deposits", &deposit)
            .await
            .unwrap()
            .0,
        "200"
    );
    assert_eq!(
        curl(&bank, "/accounts/a/deposits", &deposit)
            .await
            .unwrap()
            .0,
        "412"
    );
    let (status, body) = curl(&bank, "/accounts/a", &same).await.unwrap();
    assert_eq!(
        (status.as_str(), body.contains("\"balance\":1")),
        ("200", true)
    );
    assert_eq!(
        curl(&bank, "/accounts/a", &["--head"]).await.unwrap().0,
        "200"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_repeats_a_command_under_its_key() {
    let bank = Bank::serve().await;
    if curl(&bank, "/accounts/a", &JSON).await.is_none() {
        return;
    }
    let deposit = [&ONE[..], &["--header", "Idempotency-Key: \"d-1\""]].concat();
    for repeated in ["false", "true", "true"] {
        let (status, body) = curl(&bank, "/accounts/a/deposits", &deposit).await.unwrap();
        assert_eq!(status, "200");
        assert!(body.contains(&format!("\"repeated\":{repeated}")), "{body}");
    }
    let other = [
        "--json",
        "{\"amount\":2}",
        "--header",
        "Idempotency-Key: d-1",
    ];
    assert_eq!(
        curl(&bank, "/accounts/a/deposits", &other).await.unwrap().0,
        "422"
    );
    assert_eq!(bank.stands("a").await, (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_told_what_is_wrong_with_a_body() {
    let bank = Bank::serve().await;
    if curl(&bank, "/accounts/a", &JSON).await.is_none() {
        return;
    }
    let path = "/accounts/a/deposits";
    // As a form, which is what it sends by default.
    assert_eq!(
        curl(&bank, path, &["--data", "amount=1"]).await.unwrap().0,
        "415"
    );
    assert_eq!(
        curl(&bank, path, &["--json", "{\"amount\":"])
            .await
            .unwrap()
            .0,
        "400"
    );
    let large = " ".repeat(LARGEST_BODY + 1);
    assert_eq!(
        curl(&bank, path, &["--json", &large]).await.unwrap().0,
        "413"
    );
    // It asks with `Expect: 100-continue` whether it may send as much, and is told no before it does.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large.json");
    std::fs::write(&file, vec![b' '; 4_000_000]).unwrap();
    let file = format!("@{}", file.display());
    assert_eq!(
        curl(&bank, path, &["--json", &file]).await.unwrap().0,
        "413"
    );
    assert_eq!(bank.stands("a").await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_follows_events_until_the_service_ends() {
    let mut bank = Bank::serve().await;
    if curl(&bank, "/accounts/a", &JSON).await.is_none() {
        return;
    }
    assert_eq!(
        curl(&bank, "/accounts/a/deposits", &ONE).await.unwrap().0,
        "200"
    );
    let address = format!("http://{}/events", bank.address);
    let follow = Command::new("curl")
        .args(["--silent", "--no-buffer", "--max-time", "30"])
        .args([
            "--header",
            "Authorization: Bearer ann",
            "--header",
            "Last-Event-ID: 1",
        ])
        .arg(address)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut listening = crate::events::Listening::to(&bank, "/events", Some(1)).await;
    assert_eq!(listening.event().await.unwrap().0, 2);
    let mut follow = follow;
    let mut out = tokio::io::BufReader::new(follow.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("id: 2\n") {
        let read = tokio::io::AsyncBufReadExt::read_line(&mut out, &mut text);
        assert_ne!(in_time(read).await.unwrap(), 0, "{text}");
    }
    assert!(!text.contains("id: 1\n"), "{text}");
    bank.stop();
    bank.ended().await;
    // The stream ended in order: as a whole answer.
    assert!(in_time(follow.wait()).await.unwrap().success());
}
