//! Makes a big store, and measures what the command takes for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Pay), events(Paid), error = std::convert::Infallible)]
struct Wallet {}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pay {
    count: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Paid {
    amount: u64,
    to: String,
}

#[aggregate_impl]
impl Wallet {
    fn pay(&self, command: Pay) -> Decision<Self> {
        let paid = (0..command.count).map(|amount| Paid {
            amount,
            to: format!("shop-{}", amount % 100),
        });
        Ok(paid.map(Into::into).collect())
    }

    fn paid(&mut self, _: &Paid) {}
}

/// How many events a command stores.
const EACH: u64 = 10;
/// How many commands are under way together.
const TOGETHER: u64 = 256;

/// Makes a store with so many aggregates and events in `dir`.
pub(crate) fn make(dir: &Path, aggregates: u64, events: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(async {
        let store = AggregateStore::builder(dir).snapshot_every(0).open().await;
        let store = store.expect("the directory is new");
        let mut under_way = tokio::task::JoinSet::new();
        for i in 0..events / EACH {
            if under_way.len() as u64 == TOGETHER {
                under_way.join_next().await;
            }
            let store = store.clone();
            under_way.spawn(async move {
                let wallet = store
                    .get::<Wallet>(&format!("w-{:06}", i % aggregates))
                    .await;
                let wallet = wallet.expect("the store is open");
                wallet
                    .send(Pay { count: EACH })
                    .await
                    .expect("the disk works");
            });
        }
        while under_way.join_next().await.is_some() {}
        store.shutdown().await.expect("the disk works");
    });
}

/// What a call of the command took.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) time: Duration,
    /// The largest resident memory, where the system tells it.
    pub(crate) peak_kib: Option<u64>,
}

/// Calls the command and measures it.
pub(crate) fn measure(command: &Path, dir: &Path, args: &[&str]) -> Measured {
    let start = Instant::now();
    let mut child = Command::new(command)
        .arg("--dir")
        .arg(dir)
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("the command can be started");
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = None;
    let ended = loop {
        let peak = std::fs::read_to_string(&status).ok();
        let peak = peak.as_deref().and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        });
        peak_kib = peak_kib.max(peak);
        if let Some(ended) = child.try_wait().expect("it is a child") {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(ended.success(), "{args:?} failed");
    Measured {
        time: start.elapsed(),
        peak_kib,
    }
}
