//! The console without a mouse.

use eventfold_es::console;
use eventfold_es_tests_browser::{Key, with_browser};
use eventfold_es_tests_console::{Account, deposits, in_memory};

use crate::serve;

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_by_tab_with_a_visible_focus_and_a_way_past_the_menu() {
    let store = in_memory().await;
    deposits(&store, "a", &[1, 2]).await;
    store.run_process_managers().await.unwrap();
    let console = console::router(&store)
        .aggregate::<Account>()
        .allow_writing();
    let address = serve(console.build()).await;
    with_browser(false, (1200, 800), async move |browser| {
        for path in ["", "aggregates", "aggregate?type=account&id=a", "log", "event?position=1", "read-side", "dead-letters"] {
            browser.open(&format!("{address}/{path}")).await;
            // The first key leads to the link past the menu, which is visible then.
            browser.press(&[Key::Tab]).await;
            assert_eq!(browser.value("document.activeElement.className").await, "skip", "{path}");
            assert_eq!(browser.value("document.activeElement.getBoundingClientRect().left >= 0").await, true);
            let all = "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex=\"0\"]')]\
                       .filter(of => of.offsetParent && !of.closest('details:not([open]) > :not(summary)'))";
            let count = browser.value(&format!("{all}.length")).await.as_u64().unwrap();
            let mut reached = 1;
            while reached < count {
                browser.press(&[Key::Tab]).await;
                let is_visible = "document.activeElement !== document.body \
                                  && getComputedStyle(document.activeElement).outlineStyle !== 'none'";
                assert_eq!(browser.value(is_visible).await, true, "{path}: {reached} of {count}");
                reached += 1;
            }
            // Every field has a name.
            let nameless = "[...document.querySelectorAll('input:not([type=hidden]), select')]\
                            .filter(of => !of.labels.length).length";
            assert_eq!(browser.value(nameless).await, 0, "{path}");
        }
        browser.open(&address).await;
        browser.press(&[Key::Tab]).await;
        browser.press(&[Key::Enter]).await;
        browser.until("document.activeElement.id === 'main'").await;
    })
    .await;
}
