//! Searches through the index find what a scan finds, whatever happens to the files of the index.

use std::path::{Path, PathBuf};

use crate::__private::example::{Add, Counter};
use crate::storage::files::journal::reader::chain_before;
use crate::{AggregateStore, NewEvent, Position, Query, QueryItem, Tags};

/// A source of numbers that are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }

    fn tags(&mut self, most: u64) -> Tags {
        let count = self.below(most + 1);
        let tags = (0..count).map(|_| match self.below(12) {
            0 => format!("counter:c-{}", self.below(3)),
            1..4 => format!("rare:{}", self.below(200)),
            _ => format!("often:{}", self.below(4)),
        });
        tags.map(|tag| tag.parse().unwrap()).collect()
    }

    fn query(&mut self) -> Query {
        let items: Vec<_> = (0..=self.below(3))
            .map(|_| {
                loop {
                    let types =
                        ["A", "B", "Added"][..usize::try_from(self.below(3)).unwrap()].to_vec();
                    if let Ok(item) = QueryItem::new(types, self.tags(2)) {
                        break item;
                    }
                }
            })
            .collect();
        Query::of_items(items).unwrap()
    }
}

async fn fill(store: &AggregateStore, numbers: &mut Numbers, commits: u64) {
    for _ in 0..commits {
        if numbers.below(4) == 0 {
            let id = format!("c-{}", numbers.below(3));
            let counter = store.get::<Counter>(&id).await.unwrap();
            counter.send(Add(1)).await.unwrap();
        } else {
            let events: Vec<_> = (0..=numbers.below(2))
                .map(|_| {
                    let name = if numbers.below(2) == 0 { "A" } else { "B" };
                    let event = NewEvent::new(name, &()).unwrap();
                    event.with_tags(numbers.tags(4))
                })
                .collect();
            store.append(events, None).await.unwrap();
        }
    }
}

/// The positions that a query finds are those that reading everything finds.
async fn assert_finds(store: &AggregateStore, numbers: &mut Numbers, queries: usize) {
    let all = store.query(Query::all()).read().await.unwrap();
    let tags_of = |event: &crate::RecordedEvent| -> Tags {
        let own = event.tags().map(str::to_owned);
        let implicit = format!("{}:{}", event.aggregate_type(), event.id());
        own.chain([implicit])
            .map(|tag| tag.parse().unwrap())
            .collect()
    };
    let tags: Vec<Tags> = all.events.iter().map(tags_of).collect();
    for _ in 0..queries {
        let query = numbers.query();
        let after = numbers.below(all.position.get() + 2);
        let matching = all.events.iter().zip(&tags).filter(|(event, tags)| {
            event.position().get() > after && query.matches(event.name(), tags)
        });
        let expected: Vec<u64> = matching.map(|(event, _)| event.position().get()).collect();
        let search = store.query(query.clone()).after(Position::new(after));
        let found = search.clone().read().await.unwrap();
        let positions = |found: &crate::Found| -> Vec<u64> {
            let events = found.events.iter();
            events.map(|event| event.position().get()).collect()
        };
        assert_eq!(positions(&found), expected, "{query:?} after {after}");
        let newest = search.backwards().limit(2).read().await.unwrap();
        let expected: Vec<u64> = expected.into_iter().rev().take(2).collect();
        assert_eq!(positions(&newest), expected, "{query:?} backwards");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let tags = std::fs::read_dir(dir.join("tags")).into_iter().flatten();
    let mut files: Vec<_> = tags.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_the_same_with_its_files_deleted_cut_changed_and_from_another_time() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut numbers = Numbers(7);
    let mut store = AggregateStore::open(dir).await.unwrap();
    fill(&store, &mut numbers, 60).await;
    assert_finds(&store, &mut numbers, 40).await;
    let mut merged = 0;
    for round in 0..24 {
        let before: Vec<_> = files(dir)
            .into_iter()
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect();
        fill(&store, &mut numbers, 15).await;
        if round % 2 == 0 {
            assert_finds(&store, &mut numbers, 10).await;
        }
        store.shutdown().await.unwrap();
        drop(store);
        let names = files(dir);
        // The last one is about the last segment.
        let sealed = names.iter().rev().skip(1);
        merged += sealed.filter(|path| is_of_several(path)).count();
        for path in &names {
            let mut content = std::fs::read(path).unwrap();
            match numbers.below(6) {
                0 => std::fs::remove_file(path).unwrap(),
                1 => {
                    content.truncate(content.len() / 2);
                    std::fs::write(path, content).unwrap();
                }
                2 => {
                    let i = usize::try_from(numbers.below(content.len() as u64)).unwrap();
                    content[i] ^= 4;
                    std::fs::write(path, content).unwrap();
                }
                _ => {}
            }
        }
        if round % 3 == 0 {
            for (content, path) in before {
                std::fs::write(path, content).unwrap();
            }
        }
        store = AggregateStore::open(dir).await.unwrap();
        assert_finds(&store, &mut numbers, 10).await;
    }
    assert!(merged > 0, "no files were merged");
    store.shutdown().await.unwrap();
    drop(store);
    let report = AggregateStore::verify(dir).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
}

/// Whether a file is about more than one segment.
fn is_of_several(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    super::file::Span::of_name(name).is_some_and(|(first, last)| first < last)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_another_history_are_not_used() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (i, dir) in dirs.iter().enumerate() {
        let store = AggregateStore::open(dir.path()).await.unwrap();
        for n in 0..40 {
            let tag = format!("n:{}", if i == 0 { n } else { 39 - n });
            let event = NewEvent::new("A", &()).unwrap();
            let event = event.with_tag(tag.parse().unwrap()).with_id("same");
            store.append([event], None).await.unwrap();
        }
        let all = Query::of(QueryItem::tagged("n:3".parse().unwrap()));
        store.query(all).read().await.unwrap();
        store.shutdown().await.unwrap();
    }
    let [ours, other] = &dirs;
    assert!(!files(other.path()).is_empty());
    for path in files(other.path()) {
        let to = ours.path().join("tags").join(path.file_name().unwrap());
        std::fs::copy(path, to).unwrap();
    }
    let store = AggregateStore::open(ours.path()).await.unwrap();
    for n in 0..40 {
        let query = QueryItem::tagged(format!("n:{n}").parse().unwrap());
        let found = store.query(query).read().await.unwrap();
        assert_eq!(found.events[0].position().get(), n + 1);
    }
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_closed_does_not_read_its_last_segment_for_a_search() {
    let dir = tempfile::tempdir().unwrap();
    let append = async |store: &AggregateStore, n: u64| {
        let event = NewEvent::new("A", &()).unwrap();
        let event = event.with_tag(format!("n:{n}").parse().unwrap());
        store.append([event], None).await.unwrap().get()
    };
    let find = async |store: &AggregateStore, n: u64| {
        let query = QueryItem::tagged(format!("n:{n}").parse().unwrap());
        let found = store.query(query).read().await.unwrap();
        let positions = found.events.iter().map(|event| event.position().get());
        positions.collect::<Vec<_>>()
    };
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let first = append(&store, 1).await;
    store.shutdown().await.unwrap();
    // Not searched in this run.
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let second = append(&store, 2).await;
    store.shutdown().await.unwrap();
    let last = files(dir.path());
    assert_eq!(last.len(), 1, "{last:?}");
    // A file that says something else shows that the journal is not asked.
    let span = super::file::TagFile::open(&last[0]).unwrap().unwrap().span;
    let nothing = super::file::TagFile::write(&dir.path().join("tags"), span, &[]);
    drop(nothing.unwrap());
    let store = AggregateStore::open(dir.path()).await.unwrap();
    assert!(find(&store, 1).await.is_empty());
    store.shutdown().await.unwrap();
    std::fs::remove_file(&last[0]).unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let third = append(&store, 1).await;
    assert_eq!(find(&store, 1).await, [first, third]);
    assert_eq!(find(&store, 2).await, [second]);
    store.shutdown().await.unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    assert_eq!(find(&store, 1).await, [first, third]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_are_opened_before_the_first_search_which_removes_those_that_are_not_valid() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(11);
    let store = AggregateStore::open(dir.path()).await.unwrap();
    fill(&store, &mut numbers, 120).await;
    assert_finds(&store, &mut numbers, 3).await;
    store.shutdown().await.unwrap();
    let names = files(dir.path());
    assert!(names.len() > 2, "{names:?}");
    // The first byte of the number of a format.
    let mut content = std::fs::read(&names[0]).unwrap();
    let format = content.windows(6).rposition(|bytes| bytes == b"EFTAGS");
    content[format.unwrap() + 7] = b'1';
    std::fs::write(&names[0], &content).unwrap();

    let store = AggregateStore::open(dir.path()).await.unwrap();
    let tags = store.inner.storage.files().finder.tags().clone();
    // It does the same a second time, so it does not matter whether the store did it already.
    tags.prepare();
    assert_eq!(tags.prepared(), (names.len() - 1, 1));
    assert_eq!(std::fs::read(&names[0]).unwrap(), content);
    assert_finds(&store, &mut numbers, 10).await;
    assert_eq!(tags.prepared().1, 0);
    assert_ne!(std::fs::read(&names[0]).unwrap_or_default(), content);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_notes_the_chain_that_the_header_of_each_segment_states() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    fill(&store, &mut Numbers(3), 120).await;
    store.shutdown().await.unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let index = &store.inner.storage.files().index;
    let segments = index.firsts();
    assert!(segments.len() > 3, "{segments:?}");
    let unnoted = crate::storage::files::journal::Index::new(
        store.inner.storage.files().layout().journal_dir(),
        segments.clone(),
    );
    for first in segments {
        let stated = chain_before(&unnoted, first).unwrap();
        assert_eq!(index.noted_chain(first), Some(stated), "{first}");
    }
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_tags_keeps_no_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let counter = store.get::<Counter>("c-1").await.unwrap();
    for _ in 0..60 {
        counter.send(Add(1)).await.unwrap();
    }
    store.shutdown().await.unwrap();
    assert!(!dir.path().join("tags").exists());
}
