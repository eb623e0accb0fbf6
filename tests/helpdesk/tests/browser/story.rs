//! A day at the help desk.

use std::path::Path;

use eventfold_es_tests_browser::{pictures, with_browser};

use crate::desk::{Desk, open_ticket, press, register, says};

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_opened_moved_escalated_and_answered_and_everybody_sees_it_at_once() {
    let desk = Desk::open().await;
    let address = desk.address.clone();
    let pictures = pictures(Path::new(env!("CARGO_MANIFEST_DIR")), "helpdesk");
    with_browser(false, (1200, 900), async move |browser| {
        let page = |path: &str| format!("{address}{path}");
        register(&browser, &address, "Ann", "ann@example.com").await;
        // Nobody else gets the address.
        browser.fill("[name=name]", "Anna").await;
        browser.fill("[name=email]", "ANN@example.com").await;
        browser.click("form button").await;
        says(&browser, "form output", "belongs to a customer").await;

        // One looks at the list while another opens a ticket.
        let list = browser.tab().await;
        browser.open(&page("/")).await;
        says(&browser, "#live-state", "Live").await;
        let ticket = browser.open_tab().await;
        open_ticket(&browser, &address, "The printer is on fire", "What now?").await;
        browser.bring_to_front(&list).await;
        says(&browser, "#tickets tbody tr", "The printer is on fire").await;
        says(&browser, "#tickets [data-of=queue]", "support").await;

        browser.bring_to_front(&ticket).await;
        browser.choose("[name=to]", "billing").await;
        press(&browser, "/move", &[]).await;
        says(&browser, "#ticket [data-of=queue]", "billing").await;
        browser.bring_to_front(&list).await;
        says(&browser, "#tickets [data-of=queue]", "billing").await;

        // The answer is due in an hour.
        desk.pass(59).await;
        says(&browser, "#tickets .status", "waiting").await;
        desk.pass(1).await;
        says(&browser, "#tickets .status", "escalated").await;
        says(&browser, "#tickets [data-of=agent]", "–").await;

        // Nobody is on call, so the call waits for somebody to replay it.
        let console = browser.open_tab().await;
        browser.open(&page("/queues")).await;
        press(&browser, "/queues/billing/on-call", &[("agent", "ben")]).await;
        says(&browser, "#queue-billing [data-of=on-call]", "ben").await;
        browser.open(&page("/admin/dead-letters")).await;
        says(&browser, ".letter", "nobody is on call for this queue").await;
        let picture = browser.picture((1200, 900)).await;
        std::fs::write(pictures.join("dead-letter.png"), picture).unwrap();
        browser.click(".letter .actions > form button").await;
        says(&browser, "body", "took effect").await;
        desk.settle().await;
        browser.bring_to_front(&list).await;
        says(&browser, "#tickets [data-of=agent]", "ben").await;

        // What is shown of the ticket was kept up to date, so it can be answered as it is.
        browser.bring_to_front(&ticket).await;
        says(&browser, "#ticket [data-of=agent]", "ben").await;
        press(&browser, "/answers", &[("text", "Run.")]).await;
        says(&browser, "#ticket .messages", "Run.").await;
        browser.bring_to_front(&list).await;
        says(&browser, "#tickets .status", "answered").await;

        browser.bring_to_front(&ticket).await;
        press(&browser, "/close", &[]).await;
        says(&browser, "main", "The ticket is closed.").await;
        browser.bring_to_front(&list).await;
        says(&browser, "#tickets", "No tickets.").await;
        browser.bring_to_front(&console).await;
        says(&browser, "body", "took effect").await;
        desk.close().await;
    })
    .await;
}
