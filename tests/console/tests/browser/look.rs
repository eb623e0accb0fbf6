//! Every page, as people see it: screenshots, and what can be said of them without looking.

use std::path::Path;

use eventfold_es::console;
use eventfold_es_tests_browser::{pictures, with_browser};
use eventfold_es_tests_console::Account;

use crate::{full, serve};

const WIDE: (u32, u32) = (1360, 900);
const NARROW: (u32, u32) = (500, 900);

const PAGES: [(&str, &str); 13] = [
    ("overview", ""),
    ("aggregates", "aggregates"),
    ("aggregate", "aggregate?type=account&id=alice&at=3"),
    ("aggregate-hostile", "aggregate?type=account&id=mallory"),
    ("log", "log"),
    ("log-empty", "log?event=Nothing"),
    ("event", "event?position=3"),
    ("event-large", "event?position=20"),
    ("read-side", "read-side"),
    ("follower", "follower?name=savings"),
    ("dead-letters", "dead-letters"),
    ("model", "model"),
    ("not-there", "event?position=99999"),
];

async fn look(is_dark: bool, size: (u32, u32), name: &'static str) {
    let dir = tempfile::tempdir().unwrap();
    let store = full(dir.path()).await;
    let console = console::router(&store)
        .aggregate::<Account>()
        .allow_writing();
    let address = serve(console.build()).await;
    let pictures = pictures(Path::new(env!("CARGO_MANIFEST_DIR")), "console");
    with_browser(is_dark, size, async move |browser| {
        for (page, path) in PAGES {
            browser.open(&format!("{address}/{path}")).await;
            browser.check_look(page, is_dark).await;
            let picture = browser.picture(size).await;
            std::fs::write(pictures.join(format!("{page}-{name}.png")), picture).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_on_a_wide_light_screen() {
    look(false, WIDE, "wide-light").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_on_a_wide_dark_screen() {
    look(true, WIDE, "wide-dark").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_on_a_narrow_light_screen() {
    look(false, NARROW, "narrow-light").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_on_a_narrow_dark_screen() {
    look(true, NARROW, "narrow-dark").await;
}
