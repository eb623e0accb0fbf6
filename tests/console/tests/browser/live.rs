//! The log, as new events come.

use axum::Router;
use eventfold_es::console;
use eventfold_es_tests_browser::with_browser;
use eventfold_es_tests_console::{deposits, in_memory};

use crate::serve;

#[tokio::test(flavor = "multi_thread")]
async fn new_events_appear_at_the_top_of_the_log_until_it_is_paused() {
    let store = in_memory().await;
    deposits(&store, "a", &[111]).await;
    let app = Router::new().nest("/admin/eventfold", console::router(&store).build());
    let address = serve(app).await;
    with_browser(false, (1200, 800), async move |browser| {
        browser
            .open(&format!("{address}/admin/eventfold/log?event=Deposited"))
            .await;
        let rows = "[...document.querySelectorAll('#rows tr')].map(row => row.innerText).join()";
        browser
            .until("document.getElementById('live-state').textContent.startsWith('Live')")
            .await;
        deposits(&store, "b", &[222, 333]).await;
        browser.until(&format!("{rows}.includes(':333}}')")).await;
        let first = browser.text("#rows tr:first-child").await;
        assert!(
            first.contains(":333}") && first.contains("Deposited"),
            "{first}"
        );
        // Another event does not match the filter.
        assert_eq!(
            browser
                .value("document.querySelectorAll('#rows tr').length")
                .await,
            3
        );
        let link = browser
            .value("document.querySelector('#rows tr:first-child a').href")
            .await;
        assert!(
            link.as_str()
                .unwrap()
                .contains("/admin/eventfold/event?position="),
            "{link}"
        );

        browser.click("#pause").await;
        assert_eq!(browser.text("#live-state").await, "Paused.");
        deposits(&store, "c", &[444]).await;
        assert_eq!(
            browser
                .value("document.querySelectorAll('#rows tr').length")
                .await,
            3
        );
        browser.click("#pause").await;
        browser.until(&format!("{rows}.includes(':444}}')")).await;

        store.shutdown().await.unwrap();
        browser
            .until("document.getElementById('live-state').textContent.startsWith('Stopped')")
            .await;
    })
    .await;
}
