use eventfold_es::testing::{event_history, given, state_history};
use serde_json::json;

use super::domain::{
    Address, AddressChanged, ChangeAddress, Currency, FeePaid, Join, MemberJoined, NotAMember,
};
use super::*;

fn joined() -> MemberJoined {
    let name = "Ann".to_owned();
    MemberJoined { name }
}

fn paid(cents: u64) -> FeePaid {
    let currency = Currency::Usd;
    FeePaid { cents, currency }
}

fn moved(year: u64) -> AddressChanged {
    let address = Address {
        street: "1 Main St".to_owned(),
        city: Some("Springfield".to_owned()),
    };
    AddressChanged { address, year }
}

/// The samples in `events` are what was ever stored; those of older programs came from there.
#[test]
fn every_event_that_was_ever_stored_can_be_read() {
    event_history::<MemberEvent>("upcasting/events")
        .sample(joined())
        .sample(paid(1_050))
        .sample(moved(2026))
        .check();
}

#[test]
fn a_state_of_another_shape_has_another_version() {
    state_history::<Member>("upcasting/states")
        .after(events![joined(), paid(1_050), moved(2026)])
        .check();
}

#[test]
fn an_event_of_each_program_is_the_same_today() {
    given::<Member>(events![])
        .and_stored("Joined", 1, json!({ "name": "Ann", "fee": 10 }))
        .and_stored("FeePaid", 1, json!({ "dollars": 10 }))
        .and_stored("NewsletterSent", 1, json!({ "issue": 7 }))
        .and_stored("FeePaid", 2, json!({ "cents": 50 }))
        .and(events![paid(50)])
        .then_state(|ann| ann.name.as_deref() == Some("Ann") && ann.paid_cents == 2_100)
        .and_stored("Moved", 1, json!("1 Main St"))
        .then_state(|ann| {
            ann.address
                .as_ref()
                .is_some_and(|address| address.city.is_none())
        })
        .and_stored("Moved", 1, json!("1 Main St, Springfield"))
        .then_state(|ann| ann.address == Some(moved(0).address) && ann.moved_in == Some(2026));
}

#[test]
fn a_member_joins_once_and_only_a_member_pays() {
    let name = "Ann".to_owned();
    given::<Member>(events![])
        .when(PayFee { cents: 1 })
        .then_error(|error| *error == NotAMember)
        .when(Join { name: name.clone() })
        .then(events![joined()])
        .when(Join { name })
        .then_nothing()
        .when(PayFee { cents: 1_050 })
        .then(events![paid(1_050)])
        .when(ChangeAddress {
            address: moved(2026).address,
            year: 2026,
        })
        .then(events![moved(2026)])
        .then_state(|ann| ann.paid_cents == 1_050);
}

#[tokio::test]
async fn the_data_of_three_older_programs_opens() {
    let dir = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("upcasting/data");
    copy(&data, dir.path()).unwrap();
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");

    let store = AggregateStore::open(dir.path()).await.unwrap();
    let mut members = Vec::new();
    for id in store.list::<Member>().await.unwrap() {
        let member = store.get::<Member>(&id).await.unwrap();
        let version = u64::from(member.version().await.unwrap());
        let state = member.state().await.unwrap();
        let city = state.address.and_then(|address| address.city);
        members.push((id, version, state.paid_cents, city));
    }
    let member = |id: &str, version, cents, city: Option<&str>| {
        (id.to_owned(), version, cents, city.map(str::to_owned))
    };
    assert_eq!(
        members,
        [
            member("ann", 5, 3_550, Some("Springfield")),
            member("ben", 4, 1_000, None),
            member("cara", 5, 2_800, Some("Shelbyville")),
        ]
    );
    store.shutdown().await.unwrap();
}
