//! Servers that are killed, stopped, replaced by their standby, or by an old backup.

use std::time::Duration;

use eventfold_es::{AggregateStore, ExecuteError};
use histories::proxy::Proxy;
use histories::{Element, Fault};

use crate::domain::{Append, List, Refused};
use crate::postgres::Server;
use crate::run::{DEADLINE, Run};

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
async fn the_promotion_of_a_synchronous_standby_loses_nothing_that_was_answered() {
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
