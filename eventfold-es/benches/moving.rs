//! How fast events are exported and imported.
//!
//! ```text
//! cargo bench -p eventfold-es --bench moving
//! EVENTFOLD_EVENTS=10000000 EVENTFOLD_AGGREGATES=100000 cargo bench -p eventfold-es --bench moving
//! EVENTFOLD_URL=postgres://… cargo bench -p eventfold-es --features postgres --bench moving
//! ```
//!
//! With a URL it also measures moving into PostgreSQL and back, in a schema that must not exist yet.
//!
//! It needs about 1 GB of disk for each million of events, below the directory `EVENTFOLD_DIR`, or here.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::time::Instant;

use eventfold_es::inspect::StoreReader;
use eventfold_es::{AggregateStore, ExportForm};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The lines of small events in turn of all aggregates, as they are read.
struct Lines {
    next: u64,
    events: u64,
    aggregates: u64,
    buffer: String,
    used: usize,
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
            for i in self.next..self.events.min(self.next + 1000) {
                let (aggregate, version) = (i % self.aggregates, i / self.aggregates + 1);
                let _ = writeln!(
                    self.buffer,
                    r#"{{"eventfold":1,"position":{},"type":"account","id":"a-{aggregate}","version":{version},"event":"Deposited","event_id":"{i:032x}","ms":{},"actor":"ann","data":{{"amount":{i}}}}}"#,
                    i + 1,
                    1_767_225_600_000 + i
                );
            }
            self.next += 1000;
        }
        let rest = &self.buffer.as_bytes()[self.used..];
        let taken = rest.len().min(into.len());
        into[..taken].copy_from_slice(&rest[..taken]);
        self.used += taken;
        Ok(taken)
    }
}

fn say(what: &str, events: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = events as f64 / seconds;
    println!("{what:<44} {seconds:>7.2} s  {rate:>9.0} events/s");
}

#[tokio::main]
async fn main() -> Result {
    let events = number("EVENTFOLD_EVENTS", 1_000_000);
    let aggregates = number("EVENTFOLD_AGGREGATES", 10_000);
    let lines = || -> Box<dyn BufRead + Send> {
        Box::new(BufReader::new(Lines {
            next: 0,
            events,
            aggregates,
            buffer: String::new(),
            used: 0,
        }))
    };
    println!("{events} events of {aggregates} aggregates, one a commit");
    let dir = tempfile::tempdir_in(std::env::var("EVENTFOLD_DIR").unwrap_or(".".to_owned()))?;
    let store = AggregateStore::open(dir.path()).await?;

    let start = Instant::now();
    let report = store.import(lines()).await?;
    assert_eq!(report.events, events);
    say("import into an empty store", events, start);

    let start = Instant::now();
    let report = store.import(lines()).await?;
    assert_eq!(report.skipped, events);
    say("import again: all are there", events, start);

    for form in [ExportForm::EventLines, ExportForm::CloudEvents] {
        let start = Instant::now();
        let (_, report) = store.export().form(form).write_to(io::sink()).await?;
        assert_eq!(report.events, events);
        say(&format!("export as {form:?}"), events, start);
    }
    store.shutdown().await?;

    let start = Instant::now();
    let reader = StoreReader::open(dir.path())?;
    let (_, report) = reader.export().write_blocking(io::sink())?;
    assert_eq!(report.events, events);
    say("export of the closed directory", events, start);
    #[cfg(feature = "postgres")]
    if let Ok(url) = std::env::var("EVENTFOLD_URL") {
        on_postgres(&url, lines(), events, &reader).await?;
    }
    Ok(())
}

#[cfg(feature = "postgres")]
async fn on_postgres(
    url: &str,
    lines: Box<dyn BufRead + Send>,
    events: u64,
    old: &StoreReader,
) -> Result {
    let store = AggregateStore::postgres(url).open().await?;
    let start = Instant::now();
    let report = store.import(lines).await?;
    assert_eq!(report.events, events);
    say("import into an empty schema", events, start);

    let start = Instant::now();
    let (_, report) = store.export().write_to(io::sink()).await?;
    assert_eq!(report.events, events);
    say("export of the schema", events, start);
    store.shutdown().await?;

    let new = StoreReader::postgres(url)?;
    let start = Instant::now();
    assert!(old.compare(&new, |_, _| {})?.is_same());
    say("compare the directory with the schema", events, start);

    let start = Instant::now();
    assert!(AggregateStore::verify_postgres(url).await?.is_clean());
    say("verify the schema", events, start);
    let start = Instant::now();
    assert!(
        AggregateStore::verify(old.layout().base_dir())
            .await?
            .is_clean()
    );
    say("verify the directory", events, start);
    Ok(())
}
