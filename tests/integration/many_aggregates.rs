//! As many live aggregates as a program wants, whatever the limits of the process.

#[cfg(target_os = "linux")]
use std::path::Path;

#[cfg(target_os = "linux")]
use crate::support::{Ledger, LedgerCommand as Do, child, fast_temp_dir, open};

const AGGREGATES: usize = 10_000;

/// Has so many aggregates with a stored command live at once, under a limit of 1,024 descriptors.
#[cfg(target_os = "linux")]
pub(crate) async fn live_under_a_limit(dir: &Path) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = Rlimit {
        current: Some(1_024),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let store = open(dir).await;
    let mut ledgers = Vec::with_capacity(AGGREGATES);
    let mut writers = tokio::task::JoinSet::new();
    for i in 0..AGGREGATES {
        if writers.len() == 500 {
            ledgers.push(writers.join_next().await.unwrap().unwrap());
        }
        let store = store.clone();
        writers.spawn(async move {
            let ledger = store.get::<Ledger>(&format!("l{i}")).await.unwrap();
            ledger.send(Do::Add(i as u64)).await.unwrap();
            (i, ledger)
        });
        if i == 1_000 {
            child::say(threads());
        }
    }
    ledgers.extend(writers.join_all().await);
    child::say(threads());
    let live = ledgers
        .iter()
        .filter(|(_, ledger)| ledger.is_alive())
        .count();
    child::say(live);
    child::say(std::fs::read_dir("/proc/self/fd").unwrap().count());
    for (i, ledger) in &ledgers {
        assert_eq!(ledger.send(Do::Add(1)).await.unwrap().version, 2);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([*i as u64, 1]));
    }
    child::say(threads());
    store.shutdown().await.unwrap();
    child::say("done");
    child::wait_for_the_end();
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_live_aggregates_need_neither_descriptors_nor_threads() {
    let dir = fast_temp_dir();
    let mut child = child::start("live under a limit", dir.path());
    let mut hear = || child.hear().expect("it says how it is");
    let number = |text: String| text.parse::<usize>().unwrap();
    let threads_at_first = number(hear());
    let threads = number(hear());
    assert!(
        threads <= threads_at_first && threads <= 16,
        "{threads_at_first} threads became {threads}"
    );
    assert_eq!(number(hear()), AGGREGATES, "all are live at once");
    let descriptors = number(hear());
    assert!(descriptors <= 256, "{descriptors} descriptors");
    let threads = number(hear());
    assert!(threads <= 16, "{threads} threads");
    assert_eq!(hear(), "done");
    child.finish();
    let streams = std::fs::read_dir(dir.path().join("streams/ledger")).unwrap();
    assert_eq!(streams.count(), AGGREGATES);
}

#[cfg(not(target_os = "linux"))]
#[test]
fn ten_thousand_live_aggregates_need_neither_descriptors_nor_threads() {
    eprintln!("skipped: {AGGREGATES} aggregates under a limit are only counted on Linux");
}
