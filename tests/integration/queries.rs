//! Events without an aggregate: what conditions and queries promise, and what bad input leads to.

use std::io::ErrorKind;
use std::path::Path;

use eventfold_es::{
    AggregateStore, AppendCondition, AppendError, NewEvent, Position, Projection, Query, QueryItem,
    RecordedEvent, Tag, Tags,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::files::{edit, segments};
use crate::support::{
    Ledger, LedgerCommand as Do, abandon, builder, in_time, open, poll_once, stall, temp_dir,
};

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn tagged(texts: &[&str]) -> Query {
    let tags: Tags = texts.iter().map(|text| tag(text)).collect();
    QueryItem::new([""; 0], tags).unwrap().into()
}

fn named(name: &'static str) -> Query {
    QueryItem::of_type(name).into()
}

fn event(name: &str, tags: &[&str]) -> NewEvent {
    let event = NewEvent::new(name, &json!({ "name": name })).unwrap();
    event.with_tags(tags.iter().map(|text| tag(text)))
}

fn none(query: Query) -> AppendCondition {
    AppendCondition::no_event_matches(query)
}

/// Appends an event without a condition.
async fn append(store: &AggregateStore, name: &str, tags: &[&str]) -> Position {
    store.append([event(name, tags)], None).await.unwrap()
}

/// Appends an event that no query of these tests selects, if the condition holds.
async fn holds(store: &AggregateStore, condition: AppendCondition) -> bool {
    let head = store.head();
    let appended = store.append([event("Tried", &[])], Some(condition)).await;
    match appended {
        Ok(position) => {
            assert_eq!(position, store.head());
            true
        }
        Err(AppendError::ConditionFailed) => {
            assert_eq!(store.head(), head, "nothing is stored");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

async fn found(store: &AggregateStore, query: impl Into<Query>) -> Vec<RecordedEvent> {
    store.query(query).read().await.unwrap().events
}

async fn names(store: &AggregateStore, query: impl Into<Query>) -> Vec<String> {
    names_of(&found(store, query).await)
}

fn names_of(events: &[RecordedEvent]) -> Vec<String> {
    events.iter().map(|event| event.name().to_owned()).collect()
}

fn beyond(position: Position, by: u64) -> Position {
    let number: u64 = position.to_string().parse().unwrap();
    (number + by).to_string().parse().unwrap()
}

// What other stores got wrong.

#[tokio::test(flavor = "multi_thread")]
async fn of_appenders_that_decided_on_the_same_events_exactly_one_commits() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for round in 1..=20 {
        let read = store.query(tagged(&["seat:1"])).read().await.unwrap();
        assert_eq!(read.events.len(), round - 1);
        let mut appenders = JoinSet::new();
        for _ in 0..16 {
            let store = store.clone();
            let condition = none(tagged(&["seat:1"])).after(read.position);
            appenders.spawn(async move {
                let taken = event("Taken", &["seat:1"]);
                store.append([taken], Some(condition)).await
            });
        }
        let mut committed = 0;
        for appended in appenders.join_all().await {
            match appended {
                Ok(_) => committed += 1,
                Err(AppendError::ConditionFailed) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(committed, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_and_a_command_that_exclude_each_other_do_not_both_slip_through() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for round in 0..20 {
        let id = format!("a{round}");
        let ledger = store.get::<Ledger>(&id).await.unwrap();
        ledger.send(Do::Add(1)).await.unwrap();
        let of_ledger = tagged(&[&format!("ledger:{id}")]);
        let read = store.query(of_ledger.clone()).read().await.unwrap();
        assert_eq!(read.events.len(), 1);
        let (sent, appended) = tokio::join!(
            ledger.send(Do::Add(2)),
            store.append(
                [event("Closed", &[])],
                Some(none(of_ledger).after(read.position))
            )
        );
        let sent = sent.unwrap().position;
        match appended {
            Ok(position) => assert!(position < sent, "the command's event was there first"),
            Err(AppendError::ConditionFailed) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_position_of_a_query_are_of_one_moment_and_no_append_is_found_in_part() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        for number in 0..150 {
            let tags = [format!("batch:{number}"), "all".to_owned()];
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            let batch = [(); 3].map(|()| event("Written", &tags));
            writer.append(batch, None).await.unwrap();
        }
    });
    let mut seen = 0;
    while seen < 450 {
        let query = if seen % 2 == 0 {
            Query::all()
        } else {
            tagged(&["all"])
        };
        let read = store.query(query.clone()).read().await.unwrap();
        assert_eq!(read.events.len() % 3, 0, "a part of an append");
        let last = read.events.last().map(RecordedEvent::position);
        assert_eq!(last.unwrap_or_default(), read.position);
        // Nothing appears later at or before the position.
        let again = store
            .query(query)
            .until(read.position)
            .read()
            .await
            .unwrap();
        assert_eq!(again.events.len(), read.events.len());
        seen = read.events.len();
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boundary_that_was_read_twice_does_not_conflict_with_itself() {
    let dir = temp_dir();
    let store = open(&dir).await;
    append(&store, "Defined", &["course:1"]).await;
    let first = store.query(tagged(&["course:1"])).read().await.unwrap();
    append(&store, "Defined", &["course:2"]).await;
    let second = store.query(tagged(&["course:1"])).read().await.unwrap();
    assert!(first.position < second.position);
    let both = none(tagged(&["course:1"]))
        .after(first.position)
        .and_no_event_matches(tagged(&["course:1"]))
        .after(second.position);
    let own = event("Subscribed", &["course:1"]);
    // Neither do the events that are appended themselves.
    store
        .append([own.clone(), own.clone()], Some(both.clone()))
        .await
        .unwrap();
    let again = store.append([own], Some(both)).await;
    assert!(matches!(again, Err(AppendError::ConditionFailed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_values_of_one_tag_name_on_one_event_are_both_its_tags() {
    let dir = temp_dir();
    let store = open(&dir).await;
    append(&store, "Swapped", &["course:1", "course:2"]).await;
    append(&store, "Defined", &["course:3"]).await;
    for texts in [&["course:1"][..], &["course:2"], &["course:1", "course:2"]] {
        assert_eq!(names(&store, tagged(texts)).await, ["Swapped"], "{texts:?}");
        assert!(!holds(&store, none(tagged(texts))).await, "{texts:?}");
    }
    let never = tagged(&["course:1", "course:3"]);
    assert!(found(&store, never.clone()).await.is_empty());
    assert!(holds(&store, none(never)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_position_of_a_query_shows_what_others_wrote_before_an_own_append_which_its_position_hides()
 {
    let dir = temp_dir();
    let store = open(&dir).await;
    let read = store.query(tagged(&["course:1"])).read().await.unwrap();
    append(&store, "Closed", &["course:1"]).await;
    let own = append(&store, "Noted", &[]).await;
    assert!(!holds(&store, none(tagged(&["course:1"])).after(read.position)).await);
    // As the documentation of `append` says.
    assert!(holds(&store, none(tagged(&["course:1"])).after(own)).await);
}

// Conditions.

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_about_names_tags_both_or_everything() {
    let dir = temp_dir();
    let store = open(&dir).await;
    assert!(holds(&store, none(Query::all())).await);
    assert!(!holds(&store, none(Query::all())).await);
    append(&store, "Opened", &["door:1"]).await;
    let both = |name: &'static str, text| QueryItem::of_type(name).with_tag(tag(text)).into();
    for (query, is_there) in [
        (named("Opened"), true),
        (named("Closed"), false),
        (tagged(&["door:1"]), true),
        (tagged(&["door:2"]), false),
        (both("Opened", "door:1"), true),
        (both("Opened", "door:2"), false),
        (both("Closed", "door:1"), false),
        (
            both("Closed", "door:1").or(QueryItem::of_type("Opened")),
            true,
        ),
        (
            both("Closed", "door:1").or(QueryItem::tagged(tag("door:2"))),
            false,
        ),
    ] {
        assert_eq!(
            holds(&store, none(query.clone())).await,
            !is_there,
            "{query:?}"
        );
        assert_eq!(
            !found(&store, query.clone()).await.is_empty(),
            is_there,
            "{query:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_events_after_its_position_count_for_a_clause_and_each_clause_has_its_own() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let opened = append(&store, "Opened", &["door:1"]).await;
    let closed = append(&store, "Closed", &["door:1"]).await;
    assert!(holds(&store, none(named("Opened")).after(opened)).await);
    assert!(!holds(&store, none(tagged(&["door:1"])).after(opened)).await);
    assert!(holds(&store, none(tagged(&["door:1"])).after(closed)).await);
    let each = |first, second| {
        let clauses = none(named("Opened")).after(first);
        clauses.and_no_event_matches(named("Closed")).after(second)
    };
    assert!(holds(&store, each(opened, closed)).await);
    assert!(!holds(&store, each(opened, opened)).await);
    assert!(!holds(&store, each(Position::default(), closed)).await);
    // The last clause has no position.
    let whole = none(named("Opened")).after(opened);
    assert!(!holds(&store, whole.and_no_event_matches(named("Closed"))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_beyond_the_newest_event_excludes_all_events_up_to_it() {
    let dir = temp_dir();
    let store = open(&dir).await;
    append(&store, "Opened", &["door:1"]).await;
    for by in [1, 1000, u64::MAX / 2] {
        let ahead = beyond(store.head(), by);
        for query in [Query::all(), tagged(&["door:1"]), named("Opened")] {
            let read = store
                .query(query.clone())
                .after(ahead)
                .read()
                .await
                .unwrap();
            assert!(read.events.is_empty());
            assert_eq!(read.position, store.head());
            if by > 1 {
                assert!(holds(&store, none(query).after(ahead)).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_hold_on_a_store_that_was_opened_again() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let opened = append(&store, "Opened", &["door:1"]).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    assert!(!holds(&store, none(tagged(&["door:1"]))).await);
    assert!(!holds(&store, none(tagged(&["ledger:a"])).after(opened)).await);
    assert!(!holds(&store, none(named("Opened"))).await);
    assert!(holds(&store, none(tagged(&["door:1"])).after(opened)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_an_append_is_found_by_the_next_query() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let mut appenders = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        appenders.spawn(async move {
            let mut done = 0;
            while done < 10 {
                let read = store.query(tagged(&["seat:1"])).read().await.unwrap();
                let condition = none(tagged(&["seat:1"])).after(read.position);
                let taken = event("Taken", &["seat:1"]);
                match store.append([taken], Some(condition)).await {
                    Ok(_) => done += 1,
                    Err(AppendError::ConditionFailed) => {
                        let newer = store.query(tagged(&["seat:1"])).after(read.position);
                        let newer = newer.read().await.unwrap();
                        assert!(!newer.events.is_empty(), "refused for what nobody can read");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    in_time("the appenders", appenders.join_all()).await;
    assert_eq!(found(&store, tagged(&["seat:1"])).await.len(), 160);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_counts_for_conditions_before_it_is_durable() {
    let dir = temp_dir();
    let store = open(&dir).await;
    append(&store, "Opened", &["door:1"]).await;
    let read = store.query(tagged(&["door:1"])).read().await.unwrap();
    let stalled = stall(&store).await;
    // The caller goes away, the append does not.
    abandon(store.append([event("Closed", &["door:1"])], None)).await;
    let condition = none(tagged(&["door:1"])).after(read.position);
    let mut refused = Box::pin(store.append([event("Noted", &[])], Some(condition)));
    assert!(poll_once(&mut refused).await.is_none());
    drop(stalled);
    let refused = in_time("an answer", refused).await;
    assert!(matches!(refused, Err(AppendError::ConditionFailed)));
    assert_eq!(
        names(&store, tagged(&["door:1"])).await,
        ["Opened", "Closed"]
    );
}

// Aggregates' events.

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregates_events_have_its_name_as_a_tag_for_queries_and_conditions() {
    let dir = temp_dir();
    let store = open(&dir).await;
    append(&store, "Opened", &["ledger:a"]).await;
    for id in ["a", "b", "c:d"] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        ledger.send(Do::AddAll(vec![1, 2])).await.unwrap();
    }
    let of = async |id: &str| names(&store, tagged(&[&format!("ledger:{id}")])).await;
    assert_eq!(of("a").await, ["Opened", "Added", "Added"]);
    assert_eq!(of("b").await, ["Added", "Added"]);
    assert_eq!(of("c:d").await, ["Added", "Added"]);
    assert!(of("c").await.is_empty());
    let item = QueryItem::of_type("Added").with_tag(tag("ledger:a"));
    let read = store.query(item.clone()).backwards().read().await.unwrap();
    let [second, first] = &read.events[..] else {
        panic!("{read:?}")
    };
    assert_eq!((first.id(), second.id()), ("a", "a"));
    assert_eq!((first.version(), second.version()), (1.into(), 2.into()));
    // It is not among the stored tags.
    assert_eq!(first.tags().count(), 0);
    assert!(!holds(&store, none(item.clone().into()).after(first.position())).await);
    assert!(holds(&store, none(item.clone().into()).after(second.position())).await);
    let later = store
        .query(item.clone())
        .after(first.position())
        .read()
        .await
        .unwrap();
    assert_eq!(later.events.len(), 1);
    let earlier = store
        .query(item)
        .until(first.position())
        .read()
        .await
        .unwrap();
    assert_eq!(earlier.events[0].position(), first.position());
    assert_eq!(earlier.events.len(), 1);
}

// Queries.

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_a_range_in_either_order_with_a_limit() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let mut positions = Vec::new();
    for name in ["A", "B", "C", "D", "E"] {
        positions.push(append(&store, name, &["x"]).await);
        append(&store, "Other", &["y"]).await;
    }
    for query in [tagged(&["x"]), tagged(&["x"]).or(QueryItem::of_type("A"))] {
        let all = store.query(query.clone());
        let read = async |query: eventfold_es::EventQuery| {
            names_of(&query.read().await.unwrap().events).concat()
        };
        assert_eq!(read(all.clone()).await, "ABCDE");
        assert_eq!(read(all.clone().backwards()).await, "EDCBA");
        let middle = all.clone().after(positions[0]).until(positions[3]);
        assert_eq!(read(middle.clone()).await, "BCD");
        assert_eq!(read(middle.clone().backwards()).await, "DCB");
        assert_eq!(read(middle.clone().limit(2)).await, "BC");
        assert_eq!(read(middle.clone().backwards().limit(2)).await, "DC");
        assert_eq!(read(middle.clone().limit(0)).await, "");
        assert_eq!(read(middle.after(positions[3])).await, "");
        assert_eq!(read(all.until(Position::default())).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_position_of_a_query_is_how_far_it_looked() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let empty = store.query(Query::all()).read().await.unwrap();
    assert_eq!(empty.position, Position::default());
    let a = append(&store, "A", &["x"]).await;
    let b = append(&store, "B", &["x"]).await;
    let c = append(&store, "C", &["x"]).await;
    let head = append(&store, "Other", &["y"]).await;
    let all = store.query(tagged(&["x"]));
    let looked = async |query: eventfold_es::EventQuery| query.read().await.unwrap().position;
    assert_eq!(looked(all.clone()).await, head);
    assert_eq!(looked(all.clone().backwards().limit(1)).await, head);
    assert_eq!(looked(all.clone().limit(10)).await, head);
    // A condition at that position must not hide what was not looked at.
    assert_eq!(looked(all.clone().until(b)).await, b);
    assert_eq!(looked(all.clone().until(b).backwards()).await, b);
    assert_eq!(looked(all.clone().until(beyond(head, 9))).await, head);
    assert_eq!(looked(all.clone().limit(2)).await, b);
    assert_eq!(looked(all.clone().after(a).limit(1)).await, b);
    assert_eq!(looked(all.clone().after(a).limit(0)).await, a);
    assert_eq!(looked(all.clone().limit(3)).await, c);
    // So a reader goes on from there.
    let next = all
        .clone()
        .after(looked(all.limit(2)).await)
        .read()
        .await
        .unwrap();
    assert_eq!(names_of(&next.events), ["C"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_several_items_match_is_found_once_and_in_its_place() {
    let dir = temp_dir();
    let store = open(&dir).await;
    append(&store, "A", &["x", "y"]).await;
    append(&store, "B", &["y"]).await;
    append(&store, "C", &["x"]).await;
    append(&store, "D", &["x", "y", "z"]).await;
    let query = tagged(&["y"])
        .or_all_of(tagged(&["x"]))
        .or_all_of(tagged(&["x", "y"]));
    assert_eq!(names(&store, query.clone()).await, ["A", "B", "C", "D"]);
    let with_name = query.or(QueryItem::of_type("B"));
    assert_eq!(names(&store, with_name).await, ["A", "B", "C", "D"]);
}

// Events.

#[tokio::test(flavor = "multi_thread")]
async fn an_append_is_answered_with_its_last_position_once_it_can_be_read() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let position = store
        .append(["A", "B", "C"].map(|name| event(name, &["x"])), None)
        .await;
    let position = position.unwrap();
    assert_eq!(position, store.head());
    let events = found(&store, tagged(&["x"])).await;
    assert_eq!(names_of(&events), ["A", "B", "C"]);
    assert!(events.is_sorted_by_key(RecordedEvent::position));
    assert_eq!(events[2].position(), position);
    let ids: std::collections::BTreeSet<_> = events.iter().map(RecordedEvent::event_id).collect();
    assert_eq!(ids.len(), 3, "each has an id of its own");
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    assert_eq!(names(&store, tagged(&["x"])).await, ["A", "B", "C"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_ids_tags_and_payloads_of_any_characters_come_back_as_they_were_given() {
    let odd = "\"quoted\" \\ back\\slash ü 漢字 🦀 \u{202e} , } ]";
    let control = format!("{odd}\n\t\r\u{0}\u{7f}");
    let dir = temp_dir();
    let store = open(&dir).await;
    let payload = RawValue::from_string(
        r#"{ "b" : 1, "a":[123456789012345678901234567890, 1e2, "\u00fc\\\"\u0000"], "b":2 }"#
            .to_owned(),
    );
    let payload = payload.unwrap();
    let meta =
        serde_json::Map::from_iter([(control.clone(), json!({ "deep": [control, 1.5, null] }))]);
    let new = NewEvent::new(control.clone(), &payload)
        .unwrap()
        .with_id(control.clone())
        .with_actor(control.clone())
        .with_metadata(meta.clone())
        .with_tag(tag(odd))
        .with_tag(tag(&"x".repeat(Tag::MAX_BYTES)))
        .with_tag(tag(odd));
    store
        .append([new, event("Plain", &[])], None)
        .await
        .unwrap();
    let check = async |store: &AggregateStore| {
        let by_name = QueryItem::of_type(control.clone());
        for query in [
            tagged(&[odd]),
            by_name.clone().into(),
            by_name.with_tag(tag(odd)).into(),
        ] {
            let events = found(store, query).await;
            let [event] = &events[..] else {
                panic!("{events:?}")
            };
            assert_eq!(event.name(), control);
            assert_eq!(event.event_id(), Some(&*control));
            assert_eq!(event.actor(), Some(&*control));
            assert_eq!(event.metadata(), Some(Value::Object(meta.clone())));
            assert_eq!(event.data(), payload.get());
            let tags: Vec<_> = event.tags().collect();
            assert_eq!(tags, [odd, &"x".repeat(Tag::MAX_BYTES)]);
        }
        assert!(!holds(store, none(tagged(&[odd]))).await);
    };
    check(&store).await;
    store.shutdown().await.unwrap();
    check(&open(&dir).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_keeps_the_id_it_is_given_even_if_another_has_it() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for name in ["A", "B"] {
        let new = event(name, &["x"]).with_id("imported-17");
        store.append([new], None).await.unwrap();
    }
    let events = found(&store, tagged(&["x"])).await;
    assert!(
        events
            .iter()
            .all(|event| event.event_id() == Some("imported-17"))
    );
    assert_eq!(events.len(), 2);
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Names(Vec<String>);

impl Projection for Names {
    const NAME: &'static str = "names";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger", ""]
    }

    fn apply(&mut self, aggregate_type: &str, id: &str, event: &eventfold::Event) {
        self.0
            .push(format!("{aggregate_type}/{id} {}", event.event_type));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_get_the_events_with_their_tags_among_those_of_aggregates() {
    let dir = temp_dir();
    let store = builder(&dir).projection::<Names>().open().await.unwrap();
    let mut events = store.subscribe(Position::default());
    append(&store, "Opened", &["door:1", "house:1"]).await;
    store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .send(Do::Add(1))
        .await
        .unwrap();
    append(&store, "Closed", &["door:1"]).await;

    let mut subscribed = Vec::new();
    for _ in 0..3 {
        let event = in_time("an event", events.next()).await;
        subscribed.push(event.unwrap().unwrap());
    }
    let mut recent = store.recent(3).await.unwrap();
    recent.reverse();
    let mut backwards = Vec::new();
    let mut back = store.backwards();
    while let Some(event) = back.next().await {
        backwards.insert(0, event.unwrap());
    }
    let queried = found(&store, Query::all()).await;
    for events in [subscribed, recent, backwards, queried] {
        let shown: Vec<_> = events
            .iter()
            .map(|event| {
                let tags: Vec<_> = event.tags().collect();
                let (stream, is_of) = (event.aggregate_type(), event.is_of_aggregate());
                format!(
                    "{} {stream} {is_of} {} {}",
                    event.name(),
                    event.version(),
                    tags.join("+")
                )
            })
            .collect();
        let expected = [
            "Opened  false 0 door:1+house:1",
            "Added ledger true 1 ",
            "Closed  false 0 door:1",
        ];
        assert_eq!(shown, expected);
        assert!(
            events
                .iter()
                .all(|event| event.event_id().is_some() && event.unix_millis() > 0)
        );
        assert_eq!(events[0].id(), "");
    }
    let names = store.projection::<Names>().unwrap();
    assert_eq!(names.0, ["/ Opened", "ledger/a Added", "/ Closed"]);
}

// Bad input, and the end.

/// The kind and text with which an append is refused, after which the store goes on.
async fn refusal(store: &AggregateStore, events: Vec<NewEvent>) -> (ErrorKind, String) {
    let head = store.head();
    for condition in [None, Some(none(Query::all()))] {
        // Bad input is reported, not the condition, which a caller would try again.
        if condition.is_some() {
            append(store, "There", &[]).await;
        }
        let refused = store.append(events.clone(), condition).await;
        assert!(matches!(&refused, Err(AppendError::Io(_))), "{refused:?}");
    }
    let stored = store.query(Query::all()).after(head).read().await.unwrap();
    assert_eq!(
        names_of(&stored.events),
        ["There"],
        "nothing of it is stored"
    );
    match store.append(events, None).await {
        Err(AppendError::Io(error)) => (error.kind(), error.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_cannot_be_stored_is_refused_as_a_whole() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let sound = event("Sound", &[]);
    let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();

    let (kind, text) = refusal(&store, Vec::new()).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(text.contains("no events"), "{text}");

    let nameless = NewEvent::new("", &1).unwrap();
    let (kind, text) = refusal(&store, vec![sound.clone(), nameless]).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(text.contains("no name"), "{text}");

    let broken = NewEvent::new("Broken", &raw("[1,\n2]")).unwrap();
    let (kind, text) = refusal(&store, vec![sound.clone(), broken]).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(
        text.contains("`Broken`") && text.contains("line break"),
        "{text}"
    );

    let nested = |depth| raw(&("[".repeat(depth) + &"]".repeat(depth)));
    let deep = NewEvent::new("Deep", &nested(127)).unwrap();
    let (kind, text) = refusal(&store, vec![sound.clone(), deep, sound.clone()]).await;
    assert_eq!(kind, ErrorKind::InvalidData);
    assert!(text.contains("`Deep`") && text.contains("nested"), "{text}");

    let not_so_deep = NewEvent::new("Deep", &nested(126)).unwrap();
    store.append([not_so_deep], None).await.unwrap();
    assert_eq!(found(&store, named("Deep")).await.len(), 1);
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    assert_eq!(found(&store, named("Deep")).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_nested_too_deeply_is_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let deep = (0..130).fold(json!(1), |inner, _| json!([inner]));
    let meta = serde_json::Map::from_iter([("deep".to_owned(), deep)]);
    let (kind, _) = refusal(&store, vec![event("Deep", &[]).with_metadata(meta)]).await;
    assert_eq!(kind, ErrorKind::InvalidData);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_appends_nothing_and_answers_no_query() {
    let dir = temp_dir();
    let store = open(&dir).await;
    append(&store, "Opened", &["door:1"]).await;
    store.shutdown().await.unwrap();
    for condition in [None, Some(none(Query::all()))] {
        let refused = store
            .append([event("Closed", &["door:1"])], condition)
            .await;
        assert!(matches!(refused, Err(AppendError::Closed)), "{refused:?}");
    }
    let refused = store.query(Query::all()).read().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotConnected);
    let store = open(&dir).await;
    assert_eq!(names(&store, tagged(&["door:1"])).await, ["Opened"]);
}

/// A closed store with events of aggregates and of none.
async fn mixed_store(dir: &Path) {
    let store = open(dir).await;
    for number in 0..10 {
        append(&store, "Opened", &["door:1", &format!("n:{number}")]).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(number)).await.unwrap();
    }
    assert_eq!(found(&store, tagged(&["n:7"])).await.len(), 1);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_nothing_wrong_with_events_of_no_aggregate_and_repair_keeps_them() {
    let dir = temp_dir();
    mixed_store(dir.path()).await;
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
    assert_eq!((report.events, report.streams), (20, 1), "{report}");
    let repaired = AggregateStore::repair(dir.path()).await.unwrap();
    assert!(
        repaired.repaired.is_empty() && repaired.remaining.is_empty(),
        "{repaired}"
    );
    let store = open(&dir).await;
    assert_eq!(found(&store, tagged(&["door:1"])).await.len(), 10);
    assert_eq!(found(&store, tagged(&["n:7"])).await.len(), 1);
    assert!(!holds(&store, none(tagged(&["n:7"]))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_an_event_of_no_aggregate_is_reported_and_is_not_read() {
    let dir = temp_dir();
    mixed_store(dir.path()).await;
    let segment = segments(dir.path()).remove(0);
    edit(&segment, |bytes| {
        let at = bytes.windows(5).position(|window| window == b"\"n:7\"");
        bytes[at.unwrap() + 3] = b'8';
    });
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(!report.findings.is_empty());
    let report = report.to_string();
    assert!(report.contains(segment.to_str().unwrap()), "{report}");
    let Ok(store) = builder(&dir).open().await else {
        return;
    };
    for query in [tagged(&["n:7"]), Query::all(), named("Opened")] {
        if let Ok(found) = store.query(query.clone()).read().await {
            panic!("{query:?} finds {:?}", names_of(&found.events));
        }
    }
}
