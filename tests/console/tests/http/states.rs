//! Time travel.

use eventfold_es::console;
use eventfold_es::prelude::*;
use eventfold_es_tests_console::{
    Account, Deposited, Open, Opened, app, deposits, in_memory, page, write,
};
use serde::{Deserialize, Serialize};

#[tokio::test]
async fn the_state_at_each_version_is_shown_with_what_changed() {
    let store = in_memory().await;
    deposits(&store, "a", &[10, 20]).await;
    let app = app(console::router(&store).aggregate::<Account>());
    for (version, shown) in [
        (0, "before the first event"),
        (1, "<code>&quot;Ann&quot;</code>"),
        (2, "<code>10</code>"),
        (3, "<code>30</code>"),
    ] {
        let path = format!("/aggregate?type=account&id=a&at={version}");
        let whole = page(&app, &path).await.text;
        assert!(whole.contains(shown), "{version}: {whole}");
        let part = page(&app, &path.replace("aggregate?", "state?")).await.text;
        assert!(
            part.contains(shown) && !part.contains("<html"),
            "{version}: {part}"
        );
    }
    let newest = page(&app, "/aggregate?type=account&id=a").await.text;
    assert!(newest.contains("3 of 3"), "{newest}");
}

#[tokio::test]
async fn a_state_of_an_aggregate_among_many_is_made_of_its_own_events() {
    let store = in_memory().await;
    // Several thousand events of others lie between those of this one.
    deposits(&store, "a", &[1]).await;
    for round in 2..=4 {
        for other in 0..20 {
            deposits(&store, &format!("other-{round}-{other}"), &[100; 60]).await;
        }
        let account = store.get::<Account>("a").await.unwrap();
        account
            .send(eventfold_es_tests_console::Deposit { amount: round })
            .await
            .unwrap();
    }
    let app = app(console::router(&store).aggregate::<Account>());
    let newest = page(&app, "/aggregate?type=account&id=a").await.text;
    assert!(
        newest.contains("<code>10</code>") && newest.contains("<code>6</code>"),
        "{newest}"
    );
    assert_eq!(newest.matches("<tr data-position").count(), 5);
    let earlier = page(&app, "/state?type=account&id=a&at=3").await.text;
    assert!(
        earlier.contains("<code>1</code>") && earlier.contains("<code>3</code>"),
        "{earlier}"
    );
}

#[tokio::test]
async fn without_its_type_the_page_says_how_to_register_it() {
    let store = in_memory().await;
    write(&store, "a", "x").await;
    let answer = page(
        &app(console::router(&store)),
        "/aggregate?type=account&id=a",
    )
    .await;
    assert!(
        answer
            .text
            .contains("console::router(&amp;store).aggregate::"),
        "{}",
        answer.text
    );
}

/// The account as another program has it, whose code cannot take all events.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", commands(Open), events(Opened, Deposited))]
struct Strict {
    deposits: u64,
}

impl Decide<Open> for Strict {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![])
    }
}

impl Evolve<Opened> for Strict {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<Deposited> for Strict {
    fn evolve(&mut self, event: &Deposited) {
        assert!(event.amount != 17, "the amount is 17");
        self.deposits += 1;
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_is_named_and_earlier_states_are_shown() {
    let store = in_memory().await;
    deposits(&store, "a", &[1, 17]).await;
    deposits(&store, "b", &[]).await;
    write(&store, "b", "not known to it").await;
    let app = app(console::router(&store)
        .aggregate::<Account>()
        .aggregate::<Strict>());
    for (id, cause) in [
        ("a", "version 3, event `Deposited`"),
        ("b", "version 2, event `Written`"),
    ] {
        let path = format!("/aggregate?type=account&id={id}");
        let newest = page(&app, &path).await.text;
        assert!(newest.contains(cause), "{newest}");
        let before = page(&app, &format!("{path}&at=1")).await.text;
        assert!(!before.contains("role=\"alert\""), "{before}");
    }
    let panicked = page(&app, "/state?type=account&id=a&at=3").await.text;
    assert!(
        panicked.contains("panicked: the amount is 17"),
        "{panicked}"
    );
}
