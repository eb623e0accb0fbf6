//! Servers that are killed, stopped, replaced by their standby, or by an old backup.

use std::time::Duration;

use eventfold_es::inspect::StoreReader;
use eventfold_es::{AggregateStore, ExecuteError, Position};
use histories::proxy::Proxy;
use histories::{Element, Fault};

use crate::domain::{Append, List, Refused};
use crate::postgres::Server;
use crate::run::{DEADLINE, Run};
use crate::worker::number;

/// Appends one element. Returns the length of the list.
pub(crate) async fn append(
    store: &AggregateStore,
    list: &str,
    element: Element,
) -> Result<u64, ExecuteError<Refused>> {
    let elements = vec![element];
    let list = store.get::<List>(list).await?;
    let done = list.send(Append { elements }).await?;
    Ok(done.version.into())
}

/// How many elements are stored, by the tables.
pub(crate) fn count(server: &Server) -> String {
    server.sql("SELECT count(*) FROM orders.events")
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_server_lose_nothing() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    let worker = run.start();
    for _ in 0..3 {
        worker.wait_for_more(100);
        server.kill();
        server.run(&[]);
    }
    worker.wait_for_more(100);
    run.finish(worker);
    run.assert_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_everything_lose_nothing() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    for _ in 0..3 {
        let worker = run.start();
        worker.wait_for_more(150);
        server.kill();
        run.kill(worker);
        server.run(&[]);
    }
    run.assert_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_for_longer_than_callers_wait_leaves_unknown_outcomes_that_are_settled()
 {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    run.set(|task| task.command_timeout = Duration::from_millis(300));
    let worker = run.start();
    for _ in 0..2 {
        worker.wait_for_more(100);
        server.stop();
        // All of them fail.
        worker.wait_for_more(40);
        server.go_on();
    }
    worker.wait_for_more(200);
    run.finish(worker);
    let report = run.assert_right().await;
    // Whether a batch was under way when the server was stopped is a matter of luck.
    assert!(report.unknown + report.not_stored > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promotion_of_a_synchronous_standby_loses_nothing_that_was_answered_and_fails_no_command()
 {
    let Some(mut primary) = Server::start(&[]) else {
        return;
    };
    let standby = primary.standby(&[]);
    primary.wait_for_standby(true);
    let mut run = Run::at(primary.url_with(&standby));
    let worker = run.start();
    worker.wait_for_more(300);
    primary.kill();
    standby.promote();
    worker.wait_for_more(300);
    run.finish(worker);
    let report = run.assert_right().await;
    assert!(report.stored > 300, "{report}");
    assert_eq!(run.failures, [""; 0]);
    assert_eq!(report.unknown, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions_one_after_the_other_lose_nothing_that_was_answered() {
    let Some(mut primary) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&primary.socket_path());
    let mut run = Run::at(proxy.url());
    let worker = run.start();
    for _ in 0..3 {
        worker.wait_for_more(60);
        let standby = primary.standby(&[]);
        primary.wait_for_standby(true);
        worker.wait_for_more(100);
        proxy.lead_to(&standby.socket_path());
        primary.kill();
        standby.promote();
        primary = standby;
    }
    worker.wait_for_more(100);
    run.finish(worker);
    run.assert_right().await;
}

/// A standby that lacks the last five of fifteen elements, promoted, and the store that had them
/// answered.
async fn promoted_without_the_newest(primary: &mut Server) -> (Server, AggregateStore) {
    let standby = primary.standby(&[]);
    primary.wait_for_standby(true);
    let url = primary.url_with(&standby);
    let store = AggregateStore::postgres(url).schema("orders");
    let store = store.open().await.unwrap();
    for element in 1..=10 {
        append(&store, "a", element).await.unwrap();
    }
    primary.wait_for_standby(false);
    standby.stop_following();
    for element in 11..=15 {
        append(&store, "a", element).await.unwrap();
    }
    primary.kill();
    standby.promote();
    assert_eq!(count(&standby), "10");
    (standby, store)
}

/// The store notices by itself that the server has another history, and stores nothing more.
async fn fails_for_good(store: &AggregateStore, server: &Server) {
    let before = count(server);
    let failure = append(store, "b", 100).await.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("15"), "the last position is named: {text}");
    for list in ["a", "b", "c"] {
        let failure = append(store, list, 101).await.unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("open the store again"), "{text}");
    }
    assert_eq!(count(server), before, "it wrote all the same");
    assert!(store.shutdown().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_lacks_what_was_answered_is_found_and_nothing_is_written_to_it() {
    let Some(mut primary) = Server::start(&[]) else {
        return;
    };
    let (standby, store) = promoted_without_the_newest(&mut primary).await;
    fails_for_good(&store, &standby).await;
    // Opened again it goes on from what is there.
    let store = AggregateStore::postgres(standby.url()).schema("orders");
    let store = store.open().await.unwrap();
    assert_eq!(append(&store, "a", 200).await.unwrap(), 11);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_events_is_found_although_others_have_appended_since() {
    let Some(mut primary) = Server::start(&[]) else {
        return;
    };
    let (standby, store) = promoted_without_the_newest(&mut primary).await;
    // The events of another process are where those were that are lost.
    let others = "INSERT INTO orders.events SELECT position + 10, commit + 10, place, type, id, \
                  version + 10, name, key, tags, line, sum, chain + 1 FROM orders.events; \
                  UPDATE orders.head SET position = 20, chain = chain + 1; \
                  UPDATE orders.streams SET version = 20, position = 20";
    standby.sql(others);
    fails_for_good(&store, &standby).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_an_old_backup_is_found_and_nothing_is_written_to_it() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let store = AggregateStore::postgres(server.url()).schema("orders");
    let store = store.open().await.unwrap();
    for element in 1..=10 {
        append(&store, "a", element).await.unwrap();
    }
    let backup = server.back_up();
    for element in 11..=15 {
        append(&store, "a", element).await.unwrap();
    }
    server.crash();
    server.put_back(backup);
    server.run(&[]);
    assert_eq!(count(&server), "10");
    fails_for_good(&store, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_finds_what_an_old_backup_lacks() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    let worker = run.start();
    worker.wait_for_more(100);
    let backup = server.back_up();
    worker.wait_for_more(100);
    run.finish(worker);
    server.crash();
    server.put_back(backup);
    server.run(&[]);
    let report = run.check_without_projections().await;
    assert!(report.violations > 0, "{report}");
    let mut faults = report.explained.iter().map(|violation| violation.fault);
    assert!(
        faults.all(|fault| matches!(fault, Fault::Lost | Fault::Unreal)),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_outlasts_a_standby_that_is_gone_for_a_while() {
    let Some(primary) = Server::start(&[]) else {
        return;
    };
    let mut standby = primary.standby(&[]);
    primary.wait_for_standby(true);
    let mut run = Run::on(&primary);
    let worker = run.start();
    worker.wait_for_more(100);
    standby.kill();
    // Nothing is answered until it is there again, or nobody waits for it.
    standby.run(&["cluster_name=standby"]);
    worker.wait_for_more(100);
    standby.kill();
    primary.set("synchronous_standby_names", "");
    assert!(worker.wait_for_more(100), "it goes on within {DEADLINE:?}");
    run.finish(worker);
    run.assert_right().await;
}

/// The positions of all events that a reader sees.
fn positions(reader: &StoreReader) -> Vec<u64> {
    let mut positions = Vec::new();
    let each = |entry: eventfold_es::inspect::Entry<'_>| {
        positions.push(number(entry.event().record().position()));
        std::ops::ControlFlow::Continue(())
    };
    reader.read(Position::default(), each).unwrap();
    positions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_on_a_standby_sees_what_has_arrived_there_up_to_a_position_and_goes_on_after_a_promotion()
 {
    let Some(mut primary) = Server::start(&[]) else {
        return;
    };
    let store = AggregateStore::postgres(primary.url()).schema("orders");
    let store = store.open().await.unwrap();
    for element in 1..=10 {
        append(&store, "a", element).await.unwrap();
    }
    let standby = primary.standby(&[]);
    primary.wait_for_standby(true);
    // An answered event is on the standby, and is seen there a moment later.
    append(&store, "a", 11).await.unwrap();
    let url = |server: &Server| format!("{}?schema=orders", server.url());
    let mut reader = StoreReader::postgres(url(&standby)).unwrap();
    let started = std::time::Instant::now();
    while number(reader.refresh().unwrap()) < 11 {
        assert!(
            started.elapsed() < DEADLINE,
            "it stays at {}",
            reader.head()
        );
    }
    assert_eq!(positions(&reader), (1..=11).collect::<Vec<_>>());

    primary.wait_for_standby(false);
    standby.stop_following();
    for element in 12..=15 {
        append(&store, "a", element).await.unwrap();
    }
    // It lacks the newest, and says so by its position.
    assert_eq!(number(reader.refresh().unwrap()), 11);
    assert_eq!(positions(&reader), (1..=11).collect::<Vec<_>>());
    let of_primary = StoreReader::postgres(url(&primary)).unwrap();
    assert_eq!(number(of_primary.head()), 15);
    assert_eq!(positions(&of_primary), (1..=15).collect::<Vec<_>>());
    assert!(!reader.compare(&of_primary, |_, _| {}).unwrap().is_same());

    // Nobody writes there.
    let refused = AggregateStore::postgres(standby.url()).schema("orders");
    let refused = refused.open().await.unwrap_err().to_string();
    assert!(refused.contains("standby"), "{refused}");

    primary.kill();
    standby.promote();
    assert_eq!(number(reader.refresh().unwrap()), 11);
    let store = AggregateStore::postgres(standby.url()).schema("orders");
    let store = store.open().await.unwrap();
    append(&store, "a", 20).await.unwrap();
    assert_eq!(number(reader.refresh().unwrap()), 12);
    store.shutdown().await.unwrap();
}
