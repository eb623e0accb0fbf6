//! The same random appends under conditions and queries on a store and on UmaDB, with the same
//! outcomes. Aggregates' events are among them; UmaDB gets the tag that names the aggregate like any
//! other. `EVENTFOLD_SEEDS=100 cargo test --test umadb` tries that many runs.

use std::sync::Arc;

use eventfold_es::{
    Aggregate, AggregateStore, AppendCondition, AppendError, Found, NewEvent, Position, Query,
    QueryItem, Tag, Tags,
};
use serde::{Deserialize, Serialize};
use umadb_core::db::UmaDb;
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_dcb::{
    DcbAppendCondition, DcbError, DcbEvent, DcbEventStoreSync, DcbQuery, DcbQueryItem,
};

/// How many runs there are unless the environment says otherwise.
const RUNS: u64 = 4;
/// How many operations a run has.
const OPERATIONS: usize = 1000;

const NAMES: [&str; 4] = ["Opened", "Moved", "Closed", "Noted"];
const TAGS: [&str; 8] = [
    "course:1",
    "course:2",
    "student:1",
    "student:2",
    "student:\"3\" ü",
    "plain",
    // Those of aggregates, which other events may have as well.
    "diary:a",
    "diary:b:c",
];
const DIARIES: [&str; 2] = ["a", "b:c"];

/// An aggregate whose events are named as others are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Diary;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum DiaryEvent {
    Noted(u64),
    Closed(u64),
}

impl Aggregate for Diary {
    const AGGREGATE_TYPE: &'static str = "diary";
    type Command = Vec<DiaryEvent>;
    type DomainEvent = DiaryEvent;
    type Error = std::convert::Infallible;

    fn handle(&self, events: Vec<DiaryEvent>) -> Result<Vec<DiaryEvent>, Self::Error> {
        Ok(events)
    }

    fn apply(self, _: &DiaryEvent) -> Self {
        self
    }
}

/// Reproducible choices.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let limit = u64::try_from(limit).expect("small");
        usize::try_from((mixed ^ (mixed >> 31)) % limit).expect("small")
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Some of these, at least `least`.
    fn some<'a>(&mut self, of: &[&'a str], least: usize, most: usize) -> Vec<&'a str> {
        let count = least + self.below(most - least + 1);
        let mut chosen: Vec<_> = (0..count).map(|_| self.one(of)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}

/// The items of a query, each with names and tags; none for all events.
type Items = Vec<(Vec<&'static str>, Vec<&'static str>)>;

fn items(random: &mut Random) -> Items {
    let count = random.one(&[0, 1, 1, 1, 2, 3]);
    let item = |_| match random.below(6) {
        0 => (random.some(&NAMES, 1, 2), Vec::new()),
        1 | 2 => (random.some(&NAMES, 1, 3), random.some(&TAGS, 1, 2)),
        _ => (Vec::new(), random.some(&TAGS, 1, 3)),
    };
    (0..count).map(item).collect()
}

fn tags(texts: &[&str]) -> Tags {
    let tag = |text: &&str| text.parse::<Tag>().expect("a tag");
    texts.iter().map(tag).collect()
}

fn our_query(items: &Items) -> Query {
    let item = |(names, texts): &(Vec<&'static str>, Vec<&str>)| {
        QueryItem::new(names.iter().copied(), tags(texts)).expect("it names something")
    };
    if items.is_empty() {
        Query::all()
    } else {
        Query::of_items(items.iter().map(item)).expect("there are items")
    }
}

fn their_query(items: &Items) -> DcbQuery {
    let item = |(names, tags): &(Vec<&str>, Vec<&str>)| {
        let item = DcbQueryItem::new().types(names.iter().copied());
        item.tags(tags.iter().copied())
    };
    DcbQuery::with_items(items.iter().map(item))
}

fn position(number: u64) -> Position {
    serde_json::from_value(number.into()).expect("any number is a position")
}

fn number(position: Position) -> u64 {
    let number = serde_json::to_value(position).expect("a number");
    number.as_u64().expect("a number")
}

/// An event as both stores are asked for it.
#[derive(Debug, PartialEq)]
struct Seen {
    position: u64,
    name: String,
    data: String,
    tags: Vec<String>,
}

fn ours_seen(found: &Found) -> Vec<Seen> {
    let seen = |event: &eventfold_es::RecordedEvent| {
        let mut tags: Vec<_> = event.tags().map(str::to_owned).collect();
        if event.is_of_aggregate() {
            tags.push(format!("{}:{}", event.aggregate_type(), event.id()));
            tags.sort();
        }
        Seen {
            position: number(event.position()),
            name: event.name().to_owned(),
            data: event.data().to_owned(),
            tags,
        }
    };
    found.events.iter().map(seen).collect()
}

struct Both {
    dir: tempfile::TempDir,
    store: AggregateStore,
    uma: UmaDb,
    random: Random,
    /// How many appends were stored, were refused, and how many queries found something.
    counts: [usize; 3],
}

impl Both {
    async fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let options = StorageOptions::default().db_path(dir.path().join("uma.db"));
        let mvcc = Mvcc::new(false, options).expect("a new database");
        Self {
            store: AggregateStore::open(dir.path().join("store"))
                .await
                .expect("a new store"),
            uma: UmaDb::from_arc(Arc::new(mvcc)),
            random: Random(seed),
            counts: [0; 3],
            dir,
        }
    }

    fn head(&self) -> u64 {
        number(self.store.head())
    }

    /// A position in the store, at its ends, or beyond.
    fn any_position(&mut self) -> u64 {
        let head = usize::try_from(self.head()).expect("small");
        let near = head.saturating_sub(20);
        let any = match self.random.below(4) {
            0 => self.random.below(head + 4),
            _ => near + self.random.below(head + 3 - near),
        };
        any as u64
    }

    async fn append(&mut self) {
        let mut new = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..=self.random.below(3) {
            let (name, texts) = (self.random.one(&NAMES), self.random.some(&TAGS, 0, 3));
            let data = self.random.below(1000);
            let event = NewEvent::new(name, &data).expect("a number");
            new.push(event.with_tags(tags(&texts)));
            let event = DcbEvent::new().event_type(name).tags(texts);
            theirs.push(event.data(data.to_string().into_bytes()));
        }
        let condition = (self.random.below(5) > 0).then(|| {
            let after = match self.random.below(4) {
                0 => None,
                _ => Some(self.any_position()),
            };
            (items(&mut self.random), after)
        });
        let ours = condition.as_ref().map(|(items, after)| {
            let condition = AppendCondition::no_event_matches(our_query(items));
            match after {
                Some(after) => condition.after(position(*after)),
                None => condition,
            }
        });
        let uma = condition
            .as_ref()
            .map(|(items, after)| DcbAppendCondition::new(their_query(items)).after(*after));
        let ours = self.store.append(new, ours).await;
        let theirs = self.uma.append(theirs, uma, None);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(number(ours), theirs, "{condition:?}");
                self.counts[0] += 1;
            }
            (Err(AppendError::ConditionFailed), Err(DcbError::IntegrityError(_))) => {
                self.counts[1] += 1;
            }
            (ours, theirs) => panic!("{condition:?}: {ours:?}, UmaDB: {theirs:?}"),
        }
    }

    async fn send(&mut self) {
        let id = self.random.one(&DIARIES);
        let mut events = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..=self.random.below(2) {
            let data = self.random.below(1000) as u64;
            let (name, event) = match self.random.below(2) {
                0 => ("Noted", DiaryEvent::Noted(data)),
                _ => ("Closed", DiaryEvent::Closed(data)),
            };
            events.push(event);
            let event = DcbEvent::new().event_type(name);
            let event = event.tags([format!("{}:{id}", Diary::AGGREGATE_TYPE)]);
            theirs.push(event.data(data.to_string().into_bytes()));
        }
        let diary = self.store.get::<Diary>(id).await.expect("it is open");
        let done = diary.send(events).await.expect("it is stored");
        let theirs = self.uma.append(theirs, None, None).expect("it is stored");
        assert_eq!(number(done.position), theirs);
    }

    async fn query(&mut self) {
        let items = items(&mut self.random);
        let backwards = self.random.below(2) == 0;
        let from = (self.random.below(3) > 0).then(|| self.any_position());
        let limit = match self.random.below(3) {
            0 => None,
            _ => Some(self.random.one(&[0, 1, 2, 7, 100])),
        };
        let mut read = self.store.query(our_query(&items));
        // UmaDB reads from a position on, which is included, in both directions.
        if let Some(from) = from {
            read = if backwards {
                read.until(position(from))
            } else {
                read.after(position(from.saturating_sub(1)))
            };
        }
        if backwards {
            read = read.backwards();
        }
        if let Some(limit) = limit {
            read = read.limit(limit);
        }
        let found = read.read().await.expect("it can be read");
        let limit = limit.map(|limit| u32::try_from(limit).expect("small"));
        let theirs = self
            .uma
            .read(Some(their_query(&items)), from, backwards, limit);
        let theirs = theirs.expect("it can be read").map(|event| {
            let event = event.expect("it can be read");
            Seen {
                position: event.position,
                name: event.event.event_type,
                data: String::from_utf8(event.event.data).expect("a number"),
                tags: event.event.tags,
            }
        });
        let theirs: Vec<_> = theirs.collect();
        let ours = ours_seen(&found);
        assert_eq!(
            ours, theirs,
            "{items:?} from {from:?}, {backwards}, {limit:?}"
        );
        self.counts[2] += usize::from(!ours.is_empty());
    }

    async fn reopen(&mut self) {
        if self.random.below(2) == 0 {
            self.store.shutdown().await.expect("it closes");
        }
        // Otherwise the new one waits for the end of the old one, which nobody uses any more.
        let nowhere = AggregateStore::in_memory().open().await.expect("a store");
        drop(std::mem::replace(&mut self.store, nowhere));
        let again = AggregateStore::open(self.dir.path().join("store")).await;
        self.store = again.expect("it opens");
        assert_eq!(
            self.uma.head().expect("it can be read").unwrap_or(0),
            self.head()
        );
    }

    async fn run(&mut self) {
        for _ in 0..OPERATIONS {
            match self.random.below(100) {
                0 => self.reopen().await,
                1..45 => self.append().await,
                45..60 => self.send().await,
                _ => self.query().await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_under_conditions_and_queries_have_the_same_outcomes_as_in_umadb() {
    let runs = std::env::var("EVENTFOLD_SEEDS").ok();
    let runs = runs.and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let mut counts = [0; 3];
    for seed in 0..runs {
        let mut both = Both::new(seed).await;
        both.run().await;
        for (all, here) in counts.iter_mut().zip(both.counts) {
            *all += here;
        }
        both.store.shutdown().await.expect("it closes");
        let report = AggregateStore::verify(both.dir.path().join("store"))
            .await
            .expect("it can be read");
        assert!(report.findings.is_empty(), "{report}");
    }
    let [stored, refused, found] = counts;
    println!("{stored} appends stored, {refused} refused, {found} queries with results");
    let least = usize::try_from(runs).expect("few") * OPERATIONS / 10;
    assert!(
        stored > least && refused > least && found > least,
        "{counts:?}"
    );
}
