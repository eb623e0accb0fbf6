//! Every page, as people see it: screenshots, and what can be said of them without looking.

use std::path::Path;

use eventfold_es_tests_browser::{Browser, pictures, with_browser};

use crate::desk::{Desk, open_ticket, press, register, says};

const WIDE: (u32, u32) = (1200, 800);
const NARROW: (u32, u32) = (500, 900);

/// Something on every page.
async fn fill(browser: &Browser, desk: &Desk) {
    let address = &desk.address;
    register(browser, address, "Ann", "ann@example.com").await;
    let long = "bartholomew.montgomery-featherstonehaugh@department-of-long-names.example.com";
    register(
        browser,
        address,
        "Bartholomew Montgomery-Featherstonehaugh",
        long,
    )
    .await;
    for queue in ["support", "billing"] {
        browser.open(&format!("{address}/queues")).await;
        let form = format!("/queues/{queue}/on-call");
        press(browser, &form, &[("agent", "ben")]).await;
        says(browser, &format!("#queue-{queue}"), "ben").await;
    }
    open_ticket(
        browser,
        address,
        "My invoice has another name on it",
        "Is it mine?",
    )
    .await;
    let unbroken = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen".repeat(3);
    open_ticket(
        browser,
        address,
        &unbroken,
        "שלום <script>alert(1)</script> & good bye",
    )
    .await;
    press(browser, "/close", &[]).await;
    says(browser, "main", "The ticket is closed.").await;
    open_ticket(
        browser,
        address,
        "The printer is on fire",
        "What now?\nIt is still burning.",
    )
    .await;
    press(browser, "/escalation", &[]).await;
    says(browser, "#ticket .status", "escalated").await;
    desk.settle().await;
    press(
        browser,
        "/answers",
        &[("text", "Run.\n\nThen call the fire brigade.")],
    )
    .await;
    says(browser, "#ticket .messages", "fire brigade").await;
    press(browser, "/questions", &[("text", "And then?")]).await;
    says(browser, "#ticket .messages", "And then?").await;
    press(browser, "/agent", &[("agent", " ")]).await;
    says(browser, "form output", "the agent is missing").await;
}

async fn look(is_dark: bool, size: (u32, u32), name: &'static str) {
    let desk = Desk::open().await;
    let pictures = pictures(Path::new(env!("CARGO_MANIFEST_DIR")), "helpdesk");
    with_browser(is_dark, size, async move |browser| {
        fill(&browser, &desk).await;
        let ticket = browser.address().await;
        for (page, path) in [
            // As it is, with the refusal.
            ("ticket", ""),
            ("ticket-closed", "/?status=closed"),
            ("tickets", "/?status=all"),
            ("new-ticket", "/new"),
            ("queues", "/queues"),
            ("customers", "/customers"),
            ("not-there", "/tickets/none"),
        ] {
            if !path.is_empty() {
                browser.open(&format!("{}{path}", desk.address)).await;
            }
            if page == "ticket-closed" {
                browser.click("#tickets a").await;
                says(&browser, "main", "The ticket is closed.").await;
            }
            browser.check_look(page, is_dark).await;
            let picture = browser.picture(size).await;
            std::fs::write(pictures.join(format!("{page}-{name}.png")), picture).unwrap();
        }
        assert!(ticket.contains("/tickets/"), "{ticket}");
        desk.close().await;
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
