//! Texts that want to be more than texts, and large ones.

use eventfold_es::console;
use eventfold_es_tests_console::{Account, app, deposits, in_memory, page, write};

const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;";

#[tokio::test]
async fn a_hostile_name_and_a_hostile_payload_stay_texts_on_every_page() {
    let store = in_memory().await;
    deposits(&store, SCRIPT, &[]).await;
    write(&store, SCRIPT, SCRIPT).await;
    store.run_process_managers().await.unwrap();
    let app = app(console::router(&store)
        .aggregate::<Account>()
        .allow_writing());
    let id = "%3Cscript%3Ealert(1)%3C/script%3E%3Cimg%20src=x%20onerror=alert(2)%3E%22'%26lt;";
    for path in [
        "/".to_owned(),
        "/aggregates".to_owned(),
        format!("/aggregates?id={id}"),
        format!("/aggregate?type=account&id={id}"),
        "/log".to_owned(),
        format!("/log?type={id}&event={id}&tag={id}&correlation={id}&id={id}"),
        format!("/event?position={}", store.head()),
        "/dead-letters".to_owned(),
        format!("/dead-letters?done={id}"),
        format!("/state?type=account&id={id}&at=2"),
    ] {
        let answer = page(&app, &path).await;
        assert!(!answer.text.contains("<script>alert"), "{path}");
        assert!(!answer.text.contains("<img"), "{path}");
        assert!(
            answer.text.contains("&lt;script&gt;alert(1)"),
            "{path}: {}",
            answer.text
        );
    }
    for path in [
        format!("/aggregates?type={id}"),
        format!("/event?id={id}"),
        format!("/follower?name={id}"),
    ] {
        let answer = eventfold_es_tests_console::get(&app, &path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}");
        assert!(!answer.text.contains("<script>alert"), "{path}");
    }
}

#[tokio::test]
async fn characters_that_hide_or_turn_a_text_are_shown() {
    let store = in_memory().await;
    write(&store, "a\u{202e}b", "x\u{202e}y\u{200b}z שלום").await;
    let app = app(console::router(&store));
    for path in [
        "/log".to_owned(),
        format!("/event?position={}", store.head()),
    ] {
        let answer = page(&app, &path).await;
        assert!(!answer.text.contains(['\u{202e}', '\u{200b}']), "{path}");
        assert!(
            answer.text.contains(r"x\u{202e}y\u{200b}z שלום"),
            "{path}: {}",
            answer.text
        );
        assert!(answer.text.contains(r"a\u{202e}b"), "{path}");
    }
}

#[tokio::test]
async fn a_payload_of_1_mib_is_cut_and_its_raw_text_is_whole() {
    let store = in_memory().await;
    let note = "é".repeat(512 * 1024);
    write(&store, "a", note.as_str()).await;
    let position = store.head();
    let app = app(console::router(&store).aggregate::<Account>());
    for path in ["/", "/log", "/aggregate?type=account&id=a"] {
        assert!(page(&app, path).await.text.len() < 32 * 1024, "{path}");
    }
    let event = page(&app, &format!("/event?position={position}")).await;
    assert!(event.text.len() < 64 * 1024 && event.text.contains("1.0 MiB"));
    let raw = event
        .attributes("href")
        .into_iter()
        .find(|href| href.contains("raw?"))
        .unwrap();
    let raw = page(&app, &raw.replacen("./", "/", 1)).await;
    assert_eq!(raw.text, format!("{{\"note\":\"{note}\"}}"));
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
    assert!(raw.header("content-disposition").starts_with("attachment"));
}
