//! A replay and a discard, by hand.

use eventfold_es::console;
use eventfold_es_tests_browser::with_browser;
use eventfold_es_tests_console::{Account, deposits, open};

use crate::serve;

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_replayed_and_another_discarded_in_the_browser() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for id in ["a", "b"] {
        deposits(&store, id, &[]).await;
    }
    store.run_process_managers().await.unwrap();
    deposits(&store, "b-savings", &[]).await;
    let console = console::router(&store)
        .aggregate::<Account>()
        .allow_writing();
    let address = serve(console.build()).await;
    let letters = store.dead_letters("savings").unwrap();
    with_browser(false, (1200, 800), async move |browser| {
        browser.open(&format!("{address}/dead-letters")).await;
        // The newest first: that of `b`.
        assert_eq!(
            browser
                .value("document.querySelectorAll('.letter').length")
                .await,
            2
        );
        browser.click(".letter .actions > form button").await;
        browser
            .until("document.body.innerText.includes('took effect')")
            .await;
        assert_eq!(letters.list().await.unwrap().len(), 1);
        let savings = store.get::<Account>("b-savings").await.unwrap();
        assert_eq!(savings.state().await.unwrap().balance, 5);

        // The other is refused, and stays.
        browser.click(".letter .actions > form button").await;
        browser
            .until("document.body.innerText.includes('failed again')")
            .await;
        browser.open(&format!("{address}/dead-letters")).await;
        browser.click(".letter .actions summary").await;
        browser.click(".letter .actions .danger").await;
        browser
            .until("document.body.innerText.includes('was discarded')")
            .await;
        assert!(letters.list().await.unwrap().is_empty());
    })
    .await;
}
