//! What a crash, a cut or a flipped byte leaves: everything that was answered, or a clear refusal.

use std::path::{Path, PathBuf};

use eventfold_es::AggregateStore;
use tokio::task::JoinSet;

use crate::support::files::{Line, copy_into, edit, used};
use crate::support::{
    Ledger, LedgerCommand as Do, child, copy, fast_temp_dir, journal, open, poll_once, random,
    refusal, stall, stream_file, temp_dir, verify,
};

/// A directory as it is on the disk at two moments of a store's life.
struct Moments {
    /// Before the last commits.
    before: crate::support::TempDir,
    /// After them, the store not closed.
    after: crate::support::TempDir,
    /// The last commits.
    last: Vec<Line>,
}

impl Moments {
    /// A copy of `after` whose streams are those of `before`: the journal is ahead of them.
    fn journal_ahead(&self) -> crate::support::TempDir {
        let dir = fast_temp_dir();
        copy_into(
            &self.after.path().join("journal"),
            &dir.path().join("journal"),
        );
        copy_into(
            &self.before.path().join("streams"),
            &dir.path().join("streams"),
        );
        dir
    }

    /// The file in `dir` that holds the last commits.
    fn segment(&self, dir: &Path) -> PathBuf {
        let name = self.last[0].path.file_name().unwrap();
        dir.join("journal").join(name)
    }
}

/// Two commits of several events on two streams, and two more, each made durable on its own.
async fn moments() -> Moments {
    let dir = temp_dir();
    let store = open(&dir).await;
    let a = store.get::<Ledger>("a").await.unwrap();
    let b = store.get::<Ledger>("b").await.unwrap();
    a.send(Do::AddAll(vec![1, 2])).await.unwrap();
    b.send(Do::AddAll(vec![3])).await.unwrap();
    crate::support::written(&store);
    let before = copy(dir.path());
    a.send(Do::AddAll(vec![4, 5])).await.unwrap();
    b.send(Do::AddAll(vec![6, 7])).await.unwrap();
    crate::support::written(&store);
    let after = copy(dir.path());
    let last = journal(after.path()).split_off(2);
    assert_eq!(last.len(), 2);
    Moments {
        before,
        after,
        last,
    }
}

/// What the two streams hold when so many of the last commits are there.
async fn assert_state(store: &AggregateStore, last_commits: usize) {
    let (a, b): (&[u64], &[u64]) = match last_commits {
        0 => (&[1, 2], &[3]),
        1 => (&[1, 2, 4, 5], &[3]),
        _ => (&[1, 2, 4, 5], &[3, 6, 7]),
    };
    for (id, amounts) in [("a", a), ("b", b)] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        assert_eq!(ledger.version().await.unwrap(), amounts.len() as u64);
        assert_eq!(
            ledger.state().await.unwrap(),
            Ledger::of(amounts.iter().copied())
        );
    }
    assert_eq!(store.head().to_string(), (a.len() + b.len()).to_string());
}

/// Opens `dir`, checks how many of the last commits are there, goes on, and checks again.
async fn assert_opens_with(dir: &Path, last_commits: usize) {
    let store = open(dir).await;
    assert_state(&store, last_commits).await;
    let end = journal(dir).last().unwrap().end();
    let segment = journal(dir).last().unwrap().path.clone();
    assert_eq!(
        used(&segment),
        end,
        "something is left behind the last line"
    );
    let c = store.get::<Ledger>("c").await.unwrap();
    assert_eq!(c.send(Do::Add(8)).await.unwrap().version, 1);
    let a = store.get::<Ledger>("a").await.unwrap();
    let version: u64 = a.version().await.unwrap().into();
    assert_eq!(a.send(Do::Add(9)).await.unwrap().version, version + 1);
    store.shutdown().await.unwrap();
    verify(dir);
}

/// Runs `check` for all `cases`, a few at a time.
async fn for_all<T: Send + 'static, F>(cases: impl IntoIterator<Item = T>, check: fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for case in cases {
        if running.len() == 8 {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(check(case));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_cut_anywhere_in_its_last_commits_shows_no_part_of_one() {
    let moments = moments().await;
    let (first, second) = (&moments.last[0], &moments.last[1]);
    let mut cases = Vec::new();
    for cut in first.offset..=second.end() {
        let whole = usize::from(cut >= first.end()) + usize::from(cut >= second.end());
        let dir = moments.journal_ahead();
        let segment = moments.segment(dir.path());
        // The file ends there, or its prepared zeros follow.
        let is_short = cut % 2 == 0;
        edit(&segment, |bytes| {
            if is_short {
                bytes.truncate(cut);
            } else {
                bytes[cut..].fill(0);
            }
        });
        cases.push((dir, whole));
    }
    for_all(cases, |(dir, whole)| async move {
        assert_opens_with(dir.path(), whole).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_journal_is_refused_if_a_stream_proves_that_the_commit_was_durable() {
    let moments = moments().await;
    let (first, second) = (&moments.last[0], &moments.last[1]);
    let dir = copy(moments.after.path());
    let segment = moments.segment(dir.path());
    let whole = std::fs::read(&segment).unwrap();
    for cut in first.offset..second.end() {
        let mut bytes = whole.clone();
        if cut % 2 == 0 {
            bytes.truncate(cut);
        } else {
            bytes[cut..].fill(0);
        }
        std::fs::write(&segment, &bytes).unwrap();
        let damaged = if cut < first.end() { first } else { second };
        let text = refusal(&dir).await;
        let place = format!(
            "{} is damaged at byte {}:",
            segment.display(),
            damaged.offset
        );
        assert!(text.contains(&place), "cut at {cut}: {text}");
        assert!(text.contains("a line of stream ledger/b"), "{text}");
        assert_eq!(
            std::fs::read(&segment).unwrap(),
            bytes,
            "it was changed all the same"
        );
    }
    // Nothing is lost: put right, it opens.
    std::fs::write(&segment, &whole).unwrap();
    assert_opens_with(dir.path(), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_flipped_in_an_answered_commit_is_refused() {
    let moments = moments().await;
    let dir = copy(moments.after.path());
    let segment = moments.segment(dir.path());
    let whole = std::fs::read(&segment).unwrap();
    for line in &moments.last {
        for at in line.offset..line.end() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&segment, &bytes).unwrap();
            let text = refusal(&dir).await;
            let place = format!("{} is damaged at byte {}:", segment.display(), line.offset);
            assert!(text.contains(&place), "flipped {at}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_line_followed_by_a_later_batch_is_refused() {
    let moments = moments().await;
    // No stream knows of them: it is the second commit that proves that the first was durable.
    // (If the first one's own checksum is unreadable, only a stream can prove it.)
    let (first, second) = (&moments.last[0], &moments.last[1]);
    assert!(second.number("durable") >= first.number("pos"));
    for at in [
        first.offset + 5,
        first.offset + first.length / 2,
        first.end() - 40,
    ] {
        let dir = moments.journal_ahead();
        let segment = moments.segment(dir.path());
        edit(&segment, |bytes| bytes[at] ^= 1);
        let text = refusal(&dir).await;
        let place = format!("{} is damaged at byte {}:", segment.display(), first.offset);
        assert!(text.contains(&place), "{text}");
        assert!(text.contains("a later line of the journal"), "{text}");
    }
}

/// Three commits in one batch, on streams that had an event before.
async fn one_batch() -> Moments {
    let dir = temp_dir();
    let store = open(&dir).await;
    let mut ledgers = Vec::new();
    for id in ["a", "b", "c"] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        ledger.send(Do::Add(1)).await.unwrap();
        ledgers.push(ledger);
    }
    let stalled = stall(&store).await;
    crate::support::written(&store);
    let before = copy(dir.path());
    let mut calls = Vec::new();
    for ledger in &ledgers {
        let mut call = Box::pin(ledger.send(Do::AddAll(vec![2, 3])));
        assert!(poll_once(&mut call).await.is_none());
        // Handed over in this order.
        let mut decided = Box::pin(ledger.version());
        assert!(poll_once(&mut decided).await.is_none());
        let looked = crate::support::Door::default();
        let door = looked.clone();
        crate::support::abandon(ledger.inspect(move |_| door.open())).await;
        crate::support::eventually("it is handed over", || looked.is_open()).await;
        calls.push(call);
    }
    drop(stalled);
    for call in calls {
        call.await.unwrap();
    }
    crate::support::written(&store);
    let after = copy(dir.path());
    let last = journal(after.path()).split_off(4);
    let durable: Vec<u64> = last.iter().map(|line| line.number("durable")).collect();
    assert_eq!(durable, [4, 4, 4], "they are one batch");
    Moments {
        before,
        after,
        last,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_batch_is_cut_off_with_the_valid_lines_after_the_torn_one() {
    let moments = one_batch().await;
    for torn in 0..3 {
        let line = &moments.last[torn];
        for at in [line.offset, line.offset + line.length / 2, line.end() - 1] {
            let dir = moments.journal_ahead();
            let segment = moments.segment(dir.path());
            edit(&segment, |bytes| bytes[at] ^= 1);
            let store = open(&dir).await;
            for (i, id) in ["a", "b", "c"].into_iter().enumerate() {
                let ledger = store.get::<Ledger>(id).await.unwrap();
                let there = if i < torn {
                    Ledger::of([1, 2, 3])
                } else {
                    Ledger::of([1])
                };
                assert_eq!(
                    ledger.state().await.unwrap(),
                    there,
                    "torn {torn}, stream {id}"
                );
            }
            assert_eq!(used(&segment), line.offset, "the tail is not erased");

            // A shorter line in their place, and another crash: the stale ones do not come back.
            let a = store.get::<Ledger>("a").await.unwrap();
            a.send(Do::Add(9)).await.unwrap();
            let crashed = copy(dir.path());
            drop((a, store));
            let store = open(&crashed).await;
            let c = store.get::<Ledger>("c").await.unwrap();
            assert_eq!(c.state().await.unwrap(), Ledger::of([1]));
            store.shutdown().await.unwrap();
            verify(crashed.path());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_line_after_a_shorter_new_one_is_never_read() {
    let moments = moments().await;
    let (first, second) = (&moments.last[0], &moments.last[1]);
    // As if an engine had not erased the tail: a stale remainder follows on a valid line, once cut
    // in the middle and once as whole lines.
    let stale = std::fs::read(moments.segment(moments.after.path())).unwrap();
    for from in [second.offset, second.offset + 20] {
        let dir = moments.journal_ahead();
        let segment = moments.segment(dir.path());
        edit(&segment, |bytes| {
            bytes[first.end()..].fill(0);
            let remainder = &stale[from..second.end()];
            let at = first.end() + 3;
            bytes[at..at + remainder.len()].copy_from_slice(remainder);
        });
        assert_opens_with(dir.path(), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_file_cut_anywhere_in_its_last_commits_is_restored_after_a_crash() {
    let moments = moments().await;
    let start = std::fs::read(stream_file(moments.before.path(), "b"))
        .unwrap()
        .len();
    let end = std::fs::read(stream_file(moments.after.path(), "b"))
        .unwrap()
        .len();
    let mut cases = Vec::new();
    for cut in start..end {
        let dir = copy(moments.after.path());
        let is_short = cut % 2 == 0;
        edit(&stream_file(dir.path(), "b"), |bytes| {
            if is_short {
                bytes.truncate(cut);
            } else {
                bytes[cut..].fill(0);
            }
        });
        cases.push(dir);
    }
    for_all(cases, |dir| async move {
        assert_opens_with(dir.path(), 2).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_stream_file_is_restored_after_a_crash() {
    let moments = moments().await;
    let dir = copy(moments.after.path());
    std::fs::remove_dir_all(dir.path().join("streams")).unwrap();
    assert_opens_with(dir.path(), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_flipped_in_a_stream_file_is_reported_with_file_and_offset() {
    let dir = temp_dir();
    let store = AggregateStore::builder(&dir)
        .snapshot_every(u64::MAX)
        .open()
        .await
        .unwrap();
    for id in ["a", "b"] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        ledger.send(Do::AddAll(vec![1, 2])).await.unwrap();
        ledger.send(Do::AddAll(vec![3])).await.unwrap();
    }
    store.shutdown().await.unwrap();
    let file = stream_file(dir.path(), "a");
    let whole = std::fs::read(&file).unwrap();
    let store = open(&dir).await;
    let mut line = 0;
    // The last line end is another matter: without it, it is a torn line.
    for at in 0..whole.len() - 1 {
        if at > 0 && whole[at - 1] == b'\n' {
            line = at;
        }
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let error = store.read_events("ledger", "a").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        let place = format!("{} is damaged at byte {line}:", file.display());
        assert!(error.to_string().contains(&place), "flipped {at}: {error}");
        if at % 50 == 0 {
            let ledger = store.get::<Ledger>("a").await.unwrap();
            let error = ledger.state().await.unwrap_err().to_string();
            assert!(error.contains(&place), "flipped {at}: {error}");
            let error = ledger.send(Do::Add(1)).await.unwrap_err().to_string();
            assert!(error.contains(&place), "flipped {at}: {error}");
        }
    }
    // The others are not concerned, and once it is put right it works again.
    let b = store.get::<Ledger>("b").await.unwrap();
    assert_eq!(b.state().await.unwrap(), Ledger::of([1, 2, 3]));
    std::fs::write(&file, &whole).unwrap();
    let a = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(a.send(Do::Add(4)).await.unwrap().version, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_also_proves_that_its_commit_was_durable() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    ledger.send(Do::Write("x".repeat(100_000))).await.unwrap();
    crate::support::written(&store);
    let crashed = copy(dir.path());
    let last = journal(crashed.path()).pop().unwrap();
    edit(&last.path, |bytes| bytes[last.offset + 10] ^= 1);
    let text = refusal(&crashed).await;
    let place = format!("damaged at byte {}:", last.offset);
    assert!(text.contains(&place), "{text}");
}

/// Writes to four streams at once, and says what was answered.
pub(crate) async fn write_under_load(dir: &Path) {
    let store = AggregateStore::builder(dir)
        .snapshot_every(20)
        .open()
        .await
        .unwrap();
    let mut writers = JoinSet::new();
    for id in ["a", "b", "c", "d"] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        writers.spawn(async move {
            loop {
                let command = Do::decide(|ledger| {
                    let next = (1..=3).map(|i| ledger.count + i);
                    Ok(next
                        .map(|amount| crate::support::LedgerEvent::Added { amount })
                        .collect())
                });
                let done = ledger.send(command).await.unwrap();
                child::say(format!("{id} {}", done.version));
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_under_load_loses_nothing_that_it_answered() {
    let dir = temp_dir();
    let mut random = random(7);
    let mut answered = std::collections::BTreeMap::new();
    for round in 0..12 {
        let mut writer = child::start("write under load", dir.path());
        let enough = 20 + random() % 300;
        for heard in 0.. {
            if heard == enough {
                writer.kill();
            }
            // What it said before its end counts as well.
            let Some(line) = writer.hear() else { break };
            let (id, version) = line.split_once(' ').unwrap();
            let version: u64 = version.parse().unwrap();
            answered.insert(id.to_owned(), version);
        }
        let crashed = copy(dir.path());
        let store = open(&crashed).await;
        for (id, answered) in &mut answered {
            let ledger = store.get::<Ledger>(id).await.unwrap();
            let version: u64 = ledger.version().await.unwrap().into();
            assert!(
                version >= *answered,
                "round {round}: {id} lost answered commits"
            );
            assert_eq!(
                version % 3,
                0,
                "round {round}: {id} has a part of a command"
            );
            assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=version));
            *answered = version;
        }
        store.shutdown().await.unwrap();
        verify(crashed.path());
    }
    assert_eq!(answered.len(), 4);
    open(&dir).await;
}
