//! Hostile texts in a real browser.

use eventfold_es::console;
use eventfold_es_tests_browser::with_browser;
use eventfold_es_tests_console::{Account, write};

use crate::{full, serve};

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_the_store_runs_loads_or_turns_anything() {
    let dir = tempfile::tempdir().unwrap();
    let store = full(dir.path()).await;
    let console = console::router(&store)
        .aggregate::<Account>()
        .allow_writing();
    let address = serve(console.build()).await;
    with_browser(false, (1200, 800), async move |browser| {
        let hostile = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
        for path in ["", "aggregates", "aggregate?type=account&id=mallory", "log", "event?position=16", "event?position=17", "dead-letters"] {
            browser.open(&format!("{address}/{path}")).await;
            let title = browser.value("document.title").await;
            assert!(title.as_str().unwrap().ends_with("eventfold"), "{path}: {title}");
            assert_eq!(browser.value("document.images.length").await, 0, "{path}");
            // Only the script of the console itself.
            assert_eq!(browser.value("document.scripts.length").await, 1, "{path}");
            let loaded = "performance.getEntriesByType('resource').every(of => of.name.startsWith(location.origin))";
            assert_eq!(browser.value(loaded).await, true, "{path}");
            assert_eq!(browser.value("document.body.innerText.includes('\\u202e')").await, false, "{path}");
        }
        // Also where the script puts rows into the page.
        browser.open(&format!("{address}/log")).await;
        browser.until("document.getElementById('live-state').textContent.startsWith('Live')").await;
        write(&store, hostile, hostile).await;
        browser.until("document.querySelector('#rows tr').innerText.includes('onerror')").await;
        assert_eq!(browser.value("document.images.length").await, 0);
        assert_ne!(browser.value("document.title").await, "owned");
        // The policy forbids what a mistake would let through.
        browser.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')").await;
        browser.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title=2'}))").await;
        let title = browser.value("document.title").await;
        assert!(title.as_str().unwrap().ends_with("eventfold"), "{title}");
    })
    .await;
}
