//! Imports that are done again, into stores that have some of the events.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::support::{eventually, fast_temp_dir};

#[tokio::test]
async fn an_event_that_the_store_has_is_passed_over_also_if_the_lines_have_it_twice() {
    let (_dir, store, lines) = filled().await;
    let to = temp_dir();
    let other = open(&to).await;
    let events = lines.lines().count() as u64;
    let twice = format!("{lines}{lines}");
    let report = import(&other, &twice).await.unwrap();
    assert_eq!((report.events, report.skipped), (events, events));
    let cloud = exported(&store, ExportForm::CloudEvents).await;
    let report = import(&other, &cloud).await.unwrap();
    assert_eq!((report.events, report.skipped), (0, events));
    assert_eq!(report.position, Position::default());
    assert_eq!(exported(&other, ExportForm::EventLines).await, lines);

    // What came since is added.
    add(&store, "a", [20]).await;
    let lines = exported(&store, ExportForm::EventLines).await;
    let report = import(&other, &lines).await.unwrap();
    assert_eq!((report.events, report.skipped), (1, events));
    assert_eq!(exported(&other, ExportForm::EventLines).await, lines);
}

#[tokio::test]
async fn lines_that_end_anywhere_leave_whole_commits_and_the_rest_follows() {
    let dir = fast_temp_dir();
    let store = open(&dir).await;
    fill(&store).await;
    for form in FORMS {
        let lines = exported(&store, form).await;
        for cut in (0..lines.len()).step_by(97) {
            let Some(begun) = lines.get(..cut) else {
                continue;
            };
            let to = fast_temp_dir();
            let other = open(&to).await;
            let done = import(&other, begun).await;
            let left = exported(&other, form).await;
            assert!(lines.starts_with(&left), "at {cut}");
            let whole = json_lines(&left);
            let ends_commit = |line: &Value| {
                let (place, of) = (&line["commit"][0], &line["commit"][1]);
                place == of && line["commitindex"] == line["commitcount"]
            };
            assert!(whole.last().is_none_or(ends_commit), "at {cut}: {left}");
            if let Err(error) = done {
                // The line that is cut off, or the one that would follow in its commit.
                let line = begun.lines().count() as u64;
                let ImportError::Line { line: named, .. } = error else {
                    panic!("at {cut}: {error:?}");
                };
                assert!(
                    named == line || named == line + 1,
                    "at {cut}: {named} of {line}"
                );
            } else {
                assert!(left.trim_end() == begun.trim_end(), "at {cut}");
            }
            import(&other, &lines).await.unwrap();
            assert_eq!(exported(&other, form).await, lines);
        }
    }
}

#[tokio::test]
async fn events_are_appended_behind_those_that_a_store_has_of_its_own() {
    let (_dir, store, lines) = filled().await;
    let to = temp_dir();
    let other = open(&to).await;
    add(&other, "own", [1, 2, 3]).await;
    let report = import(&other, &lines).await.unwrap();
    assert!(!report.positions_kept);
    assert_eq!(report.position, other.head());
    let all = events(&other).await;
    assert_eq!(all[3..], events(&store).await);
    assert_eq!(state(&other, "a").await, state(&store, "a").await);
    assert_eq!(state(&other, "own").await, Ledger::of([1, 2, 3]));
}

/// Lines that come one after the other. Then the reader fails, or waits for ever.
struct Slow {
    lines: Vec<u8>,
    read: Arc<AtomicUsize>,
    fails: bool,
}

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let at = self.read.load(Ordering::Acquire);
        let rest = &self.lines[at..];
        if rest.is_empty() && self.fails {
            return Err(io::Error::other("the network is gone"));
        }
        if rest.is_empty() {
            std::thread::park();
        }
        let line = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |end| end + 1);
        let taken = line.min(into.len());
        into[..taken].copy_from_slice(&rest[..taken]);
        self.read.store(at + taken, Ordering::Release);
        Ok(taken)
    }
}

fn slow(lines: &str, fails: bool) -> (BufReader<Slow>, Arc<AtomicUsize>) {
    let read = Arc::<AtomicUsize>::default();
    let lines = lines.as_bytes().to_vec();
    let slow = Slow {
        lines,
        read: read.clone(),
        fails,
    };
    (BufReader::new(slow), read)
}

#[tokio::test]
async fn lines_that_cannot_be_read_on_are_imported_up_to_there_and_the_error_names_the_line() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", 0..300).await;
    let lines = exported(&store, ExportForm::EventLines).await;
    let to = temp_dir();
    let other = open(&to).await;
    let error = other.import(slow(&lines, true).0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read line 301: the network is gone"
    );
    assert_eq!(exported(&other, ExportForm::EventLines).await, lines);
}

#[tokio::test]
async fn an_import_that_is_dropped_ends_and_leaves_whole_commits_to_go_on_from() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", 0..300).await;
    let lines = exported(&store, ExportForm::EventLines).await;
    let to = temp_dir();
    let other = open(&to).await;
    let (input, read) = slow(&lines, false);
    let importing = tokio::spawn(other.import(input).into_future());
    eventually("all lines are read", || {
        read.load(Ordering::Acquire) == lines.len()
    })
    .await;
    importing.abort();
    assert!(importing.await.unwrap_err().is_cancelled());
    // Commits that are under way may still be stored.
    let (left, _) = other.export().write_to(Vec::new()).await.unwrap();
    assert!(lines.as_bytes().starts_with(&left));
    import(&other, &lines).await.unwrap();
    assert_eq!(exported(&other, ExportForm::EventLines).await, lines);
    assert_eq!(state(&other, "a").await, state(&store, "a").await);
}

#[tokio::test]
async fn an_import_into_a_store_that_is_shut_down_says_so() {
    let dir = temp_dir();
    let store = open(&dir).await;
    store.shutdown().await.unwrap();
    let error = import(&store, "").await.unwrap_err();
    assert!(matches!(error, ImportError::Closed), "{error:?}");
}
