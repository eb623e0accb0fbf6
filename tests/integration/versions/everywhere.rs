//! Old events in projections, process managers and subscriptions.

use eventfold_es::prelude::*;
use eventfold_es::{InjectOptions, Outbox, Position, ProcessManager, Project, React, Recorded};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::domain::{CoinsReceived, Deposit, Held, Thanked};
use super::domain::{Wallet1, Wallet2, Wallet4, Wallet5, Wallet6, Wallet6Event};
use super::{deposit, write_foreign};
use crate::support::{in_time, temp_dir};

/// What all wallets hold, in cents, and how many were thanked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(aggregates(Wallet6))]
struct Total {
    cents: u64,
    thanked: u64,
    versions: Vec<u64>,
}

impl Project<Wallet6> for Total {
    fn project(&mut self, event: &Wallet6Event, record: &Recorded<'_>) {
        self.versions.push(record.version().into());
        match event {
            Wallet6Event::CoinsReceived(event) => self.cents += event.cents,
            Wallet6Event::Thanked(_) => self.thanked += 1,
        }
    }
}

/// Deposits a dollar in the wallet `tips` for each thanks.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Wallet6), dispatches(Wallet6))]
struct Tips;

impl React<Wallet6> for Tips {
    fn react_to(&mut self, event: &Wallet6Event, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let Wallet6Event::Thanked(_) = event {
            out.send::<Wallet6>("tips", Deposit(vec![1]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_process_managers_and_subscriptions_see_todays_events() {
    let dir = temp_dir();
    deposit::<Wallet1>(&dir, &[1]).await;
    deposit::<Wallet2>(&dir, &[2]).await;
    deposit::<Wallet4>(&dir, &[4]).await;

    let store = crate::support::builder(&dir)
        .projection::<Total>()
        .process_manager::<Tips>()
        .open()
        .await
        .unwrap();
    let frozen = eventfold::Event::new("Frozen", json!(null));
    store
        .inject_event::<Wallet6>("a", frozen, InjectOptions::default())
        .await
        .unwrap();
    let total = Total {
        cents: 700,
        thanked: 3,
        versions: vec![1, 1, 2, 2, 3, 3],
    };
    assert_eq!(store.projection::<Total>().unwrap(), total);
    store.rebuild_projection::<Total>().unwrap();
    assert_eq!(store.projection::<Total>().unwrap(), total);

    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (3, 0));
    let tips = store.get::<Wallet6>("tips").await.unwrap();
    assert_eq!(tips.state().await.unwrap().held, Held::of([1, 1, 1]));

    let mut events = store.subscribe(Position::default());
    let mut delivered = Vec::new();
    for _ in 0..4 {
        let event = in_time("an event", events.next()).await.unwrap().unwrap();
        delivered.push(
            event
                .decode::<Wallet6>()
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>(),
        );
    }
    let received = |cents| vec![CoinsReceived { cents }.into(), Thanked.into()];
    assert_eq!(
        delivered,
        [received(100), received(200), received(400), vec![]]
    );
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_step_stops_a_projection_and_is_named_by_it() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
    #[projection(aggregates(Wallet5))]
    struct Cents(u64);
    impl Project<Wallet5> for Cents {
        fn project(&mut self, _: &<Wallet5 as Aggregate>::DomainEvent, _: &Recorded<'_>) {
            self.0 += 1;
        }
    }
    let dir = temp_dir();
    let line = |dollars: u64| json!({ "type": "Deposited", "data": dollars, "ts": 1 });
    write_foreign(dir.path(), &[line(1), line(u64::MAX)]);
    let store = crate::support::builder(&dir)
        .projection::<Cents>()
        .projection::<Total>()
        .open()
        .await
        .unwrap();
    let error = store.projection::<Cents>().unwrap_err().to_string();
    let expected = format!(
        "stream wallet/a, version 2, event `Deposited`: cannot process the event: event \
         `Deposited` cannot be upcast from version 2 by `V3::in_cents`: {} dollars are too many",
        u64::MAX
    );
    assert!(error.contains(&expected), "{error}");
    store.shutdown().await.unwrap();
}

/// BEHAVIOURS 23a, by a program that retired what an older one did not know.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_is_read_once_it_is_known_as_a_retired_one() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(
        name = "wallet",
        commands(),
        events(Thanked),
        snapshot(every = 1),
        unknown_events = "skip"
    )]
    struct Ignorant(u64);
    impl Evolve<Thanked> for Ignorant {
        fn evolve(&mut self, _: &Thanked) {
            self.0 += 1;
        }
    }
    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(
        name = "wallet",
        commands(),
        events(Thanked),
        retired("Waved" = thanked_twice),
        snapshot(every = 1),
        unknown_events = "skip"
    )]
    struct Knowing(u64);
    impl Evolve<Thanked> for Knowing {
        fn evolve(&mut self, _: &Thanked) {
            self.0 += 1;
        }
    }
    fn thanked_twice(_: serde_json::Value) -> Vec<KnowingEvent> {
        events![Thanked, Thanked]
    }

    let dir = temp_dir();
    let line = |name: &str| json!({ "type": name, "data": null, "ts": 1 });
    write_foreign(
        dir.path(),
        &[line("Thanked"), line("Waved"), line("Thanked")],
    );
    let (ignorant, version) = super::load::<Ignorant>(&dir).await.unwrap();
    assert_eq!((ignorant.0, version), (2, 3));
    let snapshot = std::fs::read_to_string(super::snapshot_file(dir.path())).unwrap();
    assert!(snapshot.contains(r#""unknown":["Waved"]"#), "{snapshot}");
    let (knowing, version) = super::load::<Knowing>(&dir).await.unwrap();
    assert_eq!((knowing.0, version), (4, 3));
}
