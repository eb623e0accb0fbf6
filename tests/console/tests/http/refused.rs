//! Headers, hosts, and stores that cannot be read.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use eventfold_es::console;
use eventfold_es_tests_console::{Answer, app, ask, deposits, get, in_memory, open, page};

use crate::PAGES;

#[tokio::test]
async fn every_answer_forbids_foreign_content_frames_and_caching() {
    let store = in_memory().await;
    deposits(&store, "a", &[]).await;
    let app = app(console::router(&store));
    let others = [
        "/no-page",
        "/console.css",
        "/console.js",
        "/icon.svg",
        "/raw?position=1",
        "/live?after=0",
    ];
    for path in PAGES
        .into_iter()
        .chain(others)
        .filter(|path| !path.starts_with("/live"))
    {
        let answer = get(&app, path).await;
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(
                policy.split("; ").any(|found| found == part),
                "{path}: {policy}"
            );
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
    }
}

#[tokio::test]
async fn no_page_has_a_script_a_style_or_an_address_of_another_origin_in_it() {
    let store = in_memory().await;
    deposits(&store, "a", &[1]).await;
    store.run_process_managers().await.unwrap();
    let app = app(console::router(&store).allow_writing());
    for path in PAGES {
        let answer = page(&app, path).await;
        for forbidden in [
            " style=",
            "<style",
            "<script>",
            " onclick=",
            " src=\"http",
            " href=\"http",
            " href=\"/",
        ] {
            assert!(!answer.text.contains(forbidden), "{path} has {forbidden}");
        }
    }
}

async fn from_host(app: &axum::Router, host: Option<&str>) -> Answer {
    let mut request = Request::get("/");
    if let Some(host) = host {
        request = request.header("host", host);
    }
    ask(app, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn only_this_machine_and_the_named_hosts_are_answered() {
    let store = in_memory().await;
    let plain = app(console::router(&store));
    let named = app(console::router(&store).hosts(["Admin.example.org"]));
    let any = app(console::router(&store).any_host());
    for (host, by_plain, by_named) in [
        (Some("localhost"), true, true),
        (Some("LOCALHOST:1234"), true, true),
        (Some("127.0.0.1:80"), true, true),
        (Some("[::1]:80"), true, true),
        (Some("admin.example.org"), false, true),
        (Some("admin.example.org.:443"), false, true),
        (Some("evil.example"), false, false),
        (Some("localhost.evil.example"), false, false),
        (Some("evil.example/localhost"), false, false),
        (Some("x@localhost@evil.example"), false, false),
        (Some(""), false, false),
        (None, false, false),
    ] {
        let is_answered = |answer: Answer| answer.status == StatusCode::OK;
        assert_eq!(
            is_answered(from_host(&plain, host).await),
            by_plain,
            "{host:?}"
        );
        assert_eq!(
            is_answered(from_host(&named, host).await),
            by_named,
            "{host:?}"
        );
        assert!(is_answered(from_host(&any, host).await), "{host:?}");
    }
    let refused = from_host(&plain, Some("evil.example")).await;
    assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(
        refused.text.contains(".hosts([\"evil.example\"])"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn a_store_that_was_shut_down_is_said_to_be() {
    let store = in_memory().await;
    let app = app(console::router(&store));
    store.shutdown().await.unwrap();
    let answer = get(&app, "/log").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("Open it again"), "{}", answer.text);
}

#[tokio::test]
async fn damage_is_a_page_that_names_the_file_the_place_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    deposits(&store, "a", &[1_111, 2_222]).await;
    store.shutdown().await.unwrap();
    let journal = dir.path().join("journal");
    let segment = std::fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let segment = segment
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .min()
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(4).position(|part| part == b"1111").unwrap();
    bytes[at] = b'9';
    std::fs::write(&segment, bytes).unwrap();
    let app = app(console::router_of(dir.path()).unwrap());
    for path in [
        "/",
        "/log",
        "/aggregates",
        "/aggregate?type=account&id=a",
        "/event?position=2",
    ] {
        let answer = get(&app, path).await;
        assert_eq!(
            answer.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{path}: {}",
            answer.text
        );
        assert!(answer.text.contains(".jsonl"), "{}", answer.text);
        assert!(answer.text.contains("eventfold verify"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_directory_without_a_store_is_refused_when_the_console_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let error = console::router_of(dir.path()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
