//! The slider through the states of an aggregate.

use eventfold_es::console;
use eventfold_es_tests_browser::{Key, with_browser};
use eventfold_es_tests_console::{Account, deposits, in_memory};

use crate::serve;

#[tokio::test(flavor = "multi_thread")]
async fn the_slider_shows_the_state_at_each_version_also_by_keys_and_in_the_address() {
    let store = in_memory().await;
    deposits(&store, "a", &[10, 20, 30]).await;
    let address = serve(console::router(&store).aggregate::<Account>().build()).await;
    with_browser(false, (1200, 800), async move |browser| {
        browser
            .open(&format!("{address}/aggregate?type=account&id=a"))
            .await;
        let state = "document.getElementById('state-part').innerText";
        browser
            .until(&format!("{state}.includes('\"balance\": 60')"))
            .await;
        browser
            .element("input[type=range]")
            .await
            .send_keys("")
            .await
            .unwrap();
        browser
            .value("document.querySelector('input[type=range]').focus()")
            .await;
        browser.press(&[Key::Left]).await;
        browser
            .until(&format!("{state}.includes('\"balance\": 30')"))
            .await;
        let changes = browser.text(".changes").await;
        assert!(
            changes.contains("balance") && changes.contains("10"),
            "{changes}"
        );
        assert!(browser.address().await.contains("at=3"));
        browser.press(&[Key::Home]).await;
        browser
            .until(&format!("{state}.includes('before the first event')"))
            .await;
        browser.click("a.step[rel=next]").await;
        browser
            .until(&format!("{state}.includes('Version 1')"))
            .await;
        assert_eq!(browser.text("output").await, "1 of 4");
    })
    .await;
}
