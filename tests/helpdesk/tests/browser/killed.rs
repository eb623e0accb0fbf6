//! The program is killed while people work with it, and started again.

use eventfold_es_tests_browser::with_browser;

use crate::desk::{Program, open_ticket, press, register, says};

#[tokio::test(flavor = "multi_thread")]
async fn people_go_on_where_they_were_when_the_program_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    with_browser(false, (1200, 900), async move |browser| {
        let program = Program::start(dir.path(), "127.0.0.1:0");
        let desk = format!("http://{}", program.address);
        register(&browser, &desk, "Ann", "ann@example.com").await;
        let list = browser.tab().await;
        browser.open(&desk).await;
        says(&browser, "#live-state", "Live").await;
        let ticket = browser.open_tab().await;
        open_ticket(&browser, &desk, "The printer is on fire", "What now?").await;
        browser.bring_to_front(&list).await;
        says(&browser, "#tickets tbody", "The printer is on fire").await;

        let address = program.kill();
        says(&browser, "#live-state", "Reconnecting").await;
        browser.bring_to_front(&ticket).await;
        press(&browser, "/answers", &[("text", "Run.")]).await;
        says(&browser, "form output", "Send it again").await;

        let _program = Program::start(dir.path(), &address);
        // The form is as it was, so it is the same command.
        press(&browser, "/answers", &[]).await;
        says(&browser, "#ticket .messages", "Run.").await;
        let answers = browser.value("document.querySelectorAll('.messages .agent').length");
        assert_eq!(answers.await, 1);
        // The list was never loaded again.
        browser.bring_to_front(&list).await;
        says(&browser, "#live-state", "Live").await;
        says(&browser, "#tickets .status", "answered").await;
    })
    .await;
}
