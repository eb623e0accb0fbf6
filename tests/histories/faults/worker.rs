//! A process that works on a store and writes down what it does. This binary is started again for it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use eventfold_es::{
    AggregateStore, AggregateStoreBuilder, CommandContext, ExecuteError, Loaded, ManualClock,
    Position, StateError, TogetherError,
};
use histories::{Element, Recorder};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::domain::{
    Append, Copying, Everything, List, Look, Mark, Marking, NotMarked, Refuse, Refused,
};

/// The variable with the [`Task`].
pub(crate) const TASK: &str = "EVENTFOLD_HISTORIES_TASK";

/// Where a store is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Place {
    Files(PathBuf),
    Postgres { url: String, schema: String },
}

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) place: Place,
    /// Where it writes its history.
    pub(crate) history: PathBuf,
    /// A number that no other process of the history has.
    pub(crate) process: u64,
    pub(crate) clients: u64,
    /// How many lists there are. Few make conflicts.
    pub(crate) lists: u64,
    /// After how many operations it ends. Without it, when its input ends.
    pub(crate) operations: Option<u64>,
    pub(crate) command_timeout: Duration,
    /// Whether a process manager copies a list. Of several processes one runs it.
    pub(crate) copies: bool,
    /// How many hours its clock is ahead of the machine's, or behind.
    pub(crate) hours_ahead: i32,
}

/// How long a process that gives no sign of life keeps the process manager.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(1);

impl Place {
    pub(crate) fn builder(&self) -> AggregateStoreBuilder {
        match self {
            Self::Files(dir) => AggregateStore::builder(dir),
            Self::Postgres { url, schema } => AggregateStore::postgres(url).schema(schema),
        }
    }
}

impl Task {
    fn builder(&self) -> AggregateStoreBuilder {
        let mut builder = self
            .place
            .builder()
            .lock_timeout(Duration::from_secs(30))
            .snapshot_every(100)
            .projection::<Everything>()
            .aggregate_type::<List>();
        if matches!(self.place, Place::Postgres { .. }) {
            builder = builder.command_timeout(self.command_timeout);
        }
        if self.copies {
            builder = builder.process_manager::<Copying>().decision::<Marking>();
            builder = builder.lease_ttl(LEASE_TTL).live();
        }
        if self.hours_ahead != 0 {
            let hours = Duration::from_secs(3600 * u64::from(self.hours_ahead.unsigned_abs()));
            let now = SystemTime::now();
            let time = if self.hours_ahead > 0 {
                now + hours
            } else {
                now - hours
            };
            builder = builder.clock(ManualClock::new(time));
        }
        builder
    }
}

/// What the clients of a process share.
struct Working {
    store: AggregateStore,
    recorder: Recorder,
    task: Task,
    /// The number of the newest element of this process.
    element: AtomicU64,
    /// How many operations have begun, and how many have ended.
    begun: AtomicU64,
    ended: AtomicU64,
    is_over: Arc<AtomicBool>,
    /// What calls failed with, and how often.
    failures: Mutex<BTreeMap<String, u64>>,
}

/// Says something to the process that started this one.
fn say(text: impl fmt::Display) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    // Nobody may be left who hears it.
    let _ = writeln!(out, "said: {text}").and_then(|()| out.flush());
}

pub(crate) fn work(task: &str) {
    let task: Task = serde_json::from_str(task).unwrap();
    let is_over = Arc::<AtomicBool>::default();
    std::thread::spawn({
        let is_over = is_over.clone();
        move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            is_over.store(true, Ordering::Release);
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(task, is_over));
}

async fn run(task: Task, is_over: Arc<AtomicBool>) {
    let recorder = Recorder::create(&task.history).unwrap();
    let store = loop {
        match task.builder().open().await {
            Ok(store) => break store,
            Err(error) if is_over.load(Ordering::Acquire) => return say(error),
            Err(_) => pause().await,
        }
    };
    say("open");
    let working = Arc::new(Working {
        store,
        recorder,
        element: AtomicU64::new(task.process << 32),
        task,
        begun: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        is_over,
        failures: Mutex::default(),
    });
    let mut clients = JoinSet::new();
    for client in 0..working.task.clients {
        let working = working.clone();
        clients.spawn(async move { working.client(client).await });
    }
    clients.join_all().await;
    let everything = working.store.read::<Everything, _>(|all| all.0.clone());
    match everything.await {
        Ok(List { length, digest }) => say(format!("everything {length} {digest}")),
        Err(error) => say(format!("no projection: {error}")),
    }
    for (failure, times) in working.failures.lock().unwrap().iter() {
        say(format!("{times} calls failed: {failure}"));
    }
    // The server may be away.
    match working.store.shutdown().await {
        Ok(()) => say("closed"),
        Err(error) => say(format!("not closed: {error}")),
    }
}

/// A position is opaque to programs, and its text is a number.
pub(crate) fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

/// A pause after a failure, so that attempts do not keep the machine busy.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// How a call ended, as it is written down.
enum Ended {
    Stored(u64, Vec<Option<u64>>),
    Seen(Vec<(String, u64, Option<u64>)>),
    Nothing,
    Unknown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(position, versions) => {
                write!(f, "stored {position}")?;
                for version in versions {
                    match version {
                        Some(version) => write!(f, " {version}")?,
                        None => f.write_str(" -")?,
                    }
                }
                Ok(())
            }
            Self::Seen(lists) => {
                f.write_str("seen")?;
                for (list, length, digest) in lists {
                    write!(f, " {list}={length}")?;
                    if let Some(digest) = digest {
                        write!(f, ":{digest:x}")?;
                    }
                }
                Ok(())
            }
            Self::Nothing => f.write_str("nothing"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What the failure of a command says about it. Only what is documented to store nothing did so.
fn outcome<E: std::error::Error + Send + Sync>(error: &ExecuteError<E>) -> Ended {
    match error {
        ExecuteError::OutcomeUnknown(_) | ExecuteError::ActorGone => Ended::Unknown,
        ExecuteError::Io(_) | ExecuteError::Conflict | ExecuteError::Closed => Ended::Nothing,
        error => panic!("no operation leads to this: {error}"),
    }
}

fn refused(list: &str, Refused { length, digest }: &Refused) -> Ended {
    Ended::Seen(vec![(list.to_owned(), *length, Some(*digest))])
}

impl Working {
    fn failed<E: std::error::Error + Send + Sync>(&self, error: &ExecuteError<E>) -> Ended {
        self.note(error);
        outcome(error)
    }

    fn note(&self, failure: &dyn fmt::Display) {
        let mut failures = self.failures.lock().unwrap();
        *failures.entry(failure.to_string()).or_default() += 1;
    }

    /// Makes one call after the other.
    async fn client(&self, client: u64) {
        let mut state = (self.task.process << 8 | client) * 2 + 1;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let limit = self.task.operations.unwrap_or(u64::MAX);
        while !self.is_over.load(Ordering::Acquire)
            && self.begun.fetch_add(1, Ordering::Relaxed) < limit
        {
            self.operate(client, &mut random).await;
            let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
            if ended.is_multiple_of(20) {
                say(format!("did {ended}"));
            }
        }
    }

    fn element(&self) -> Element {
        self.element.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn list(&self, random: u64) -> String {
        format!("l-{}", random % self.task.lists)
    }

    async fn operate(&self, client: u64, random: &mut impl FnMut() -> u64) {
        let list = self.list(random());
        let number;
        let ended = match random() % 100 {
            0..50 => {
                let elements = vec![self.element()];
                number = self.begin(client, append(&list, &elements));
                self.append(&list, elements, None).await
            }
            50..58 => {
                let elements: Vec<_> = (0..random() % 3 + 2).map(|_| self.element()).collect();
                number = self.begin(client, append(&list, &elements));
                self.append(&list, elements, None).await
            }
            58..63 => {
                let elements = vec![self.element()];
                number = self.begin(client, append(&list, &elements));
                let key = format!("key {elements:?}");
                self.append_until_known(&list, elements, key).await
            }
            63..68 => {
                // As a caller does that has seen the list before.
                let Ok(version) = self.version(&list).await else {
                    return pause().await;
                };
                let elements = vec![self.element()];
                number = self.begin(client, append(&list, &elements));
                self.append(&list, elements, Some(version)).await
            }
            68..74 => {
                number = self.begin(client, format!("read {list}"));
                self.read(&list).await
            }
            74..78 => {
                number = self.begin(client, format!("glance {list}"));
                self.glance(&list).await
            }
            78..82 => {
                number = self.begin(client, format!("read {list}"));
                self.refuse(&list).await
            }
            82..86 => {
                number = self.begin(client, format!("read {list}"));
                self.look(&list).await
            }
            86..93 => {
                let other = self.list(random());
                if other == list {
                    return;
                }
                let elements = [self.element(), self.element()];
                let call = format!("append {list}:{} {other}:{}", elements[0], elements[1]);
                number = self.begin(client, call);
                self.together(&[list, other], elements).await
            }
            93.. => {
                let mark = Mark {
                    left: (random() % 3).to_string(),
                    right: (random() % 3).to_string(),
                    element: self.element(),
                    refuse: random().is_multiple_of(5),
                };
                let (left, right) = (
                    format!("left-{}", mark.left),
                    format!("right-{}", mark.right),
                );
                let call = format!("append {left}+{right}:{}", mark.element);
                number = self.begin(client, call);
                self.mark(mark, left, right).await
            }
        };
        let has_failed = matches!(ended, Ended::Nothing | Ended::Unknown);
        self.recorder.end(number, ended).unwrap();
        if has_failed {
            pause().await;
        }
    }

    fn begin(&self, client: u64, call: impl fmt::Display) -> u64 {
        self.recorder.begin(client, call).unwrap()
    }

    async fn version(&self, list: &str) -> Result<u64, ()> {
        let list = self.store.get::<List>(list).await.map_err(drop)?;
        list.version().await.map(u64::from).map_err(drop)
    }

    async fn append(&self, list: &str, elements: Vec<Element>, expected: Option<u64>) -> Ended {
        let mut context = CommandContext::default();
        if let Some(expected) = expected {
            context = context.with_expected_version(expected);
        }
        self.append_with(list, elements, context).await
    }

    async fn append_with(
        &self,
        list: &str,
        elements: Vec<Element>,
        context: CommandContext,
    ) -> Ended {
        let Ok(handle) = self.store.get::<List>(list).await else {
            return Ended::Nothing;
        };
        match handle.send_with(Append { elements }, context).await {
            Ok(done) => Ended::Stored(number(done.position), vec![Some(done.version.into())]),
            Err(ExecuteError::ExpectedVersion { actual, .. }) => {
                Ended::Seen(vec![(list.to_owned(), actual.into(), None)])
            }
            Err(ExecuteError::Domain(told)) => refused(list, &told),
            Err(error) => self.failed(&error),
        }
    }

    /// Sends a command again under its key until it is known what became of it.
    async fn append_until_known(&self, list: &str, elements: Vec<Element>, key: String) -> Ended {
        let context = CommandContext::default().with_idempotency_key(key);
        let mut is_unknown = false;
        for _ in 0..5 {
            let sent = self.append_with(list, elements.clone(), context.clone());
            match sent.await {
                Ended::Unknown => is_unknown = true,
                Ended::Nothing => {}
                known => return known,
            }
            pause().await;
        }
        if is_unknown {
            Ended::Unknown
        } else {
            Ended::Nothing
        }
    }

    async fn read(&self, list: &str) -> Ended {
        let Ok(handle) = self.store.get::<List>(list).await else {
            return Ended::Nothing;
        };
        self.loaded(list, handle.load().await)
    }

    async fn glance(&self, list: &str) -> Ended {
        let Ok(handle) = self.store.get::<List>(list).await else {
            return Ended::Nothing;
        };
        self.loaded(list, handle.load_local().await)
    }

    fn loaded(&self, list: &str, loaded: Result<Loaded<List>, StateError>) -> Ended {
        match loaded {
            Ok(loaded) => {
                let List { length, digest } = loaded.state;
                assert_eq!(u64::from(loaded.version), length);
                Ended::Seen(vec![(list.to_owned(), length, Some(digest))])
            }
            Err(StateError::Panicked(panic)) => panic!("{panic}"),
            Err(error) => {
                self.note(&error);
                Ended::Nothing
            }
        }
    }

    async fn refuse(&self, list: &str) -> Ended {
        let Ok(handle) = self.store.get::<List>(list).await else {
            return Ended::Nothing;
        };
        match handle.send(Refuse).await {
            Ok(done) => panic!("it is always refused: {done:?}"),
            Err(ExecuteError::Domain(told)) => refused(list, &told),
            Err(error) => self.failed(&error),
        }
    }

    async fn look(&self, list: &str) -> Ended {
        let Ok(handle) = self.store.get::<List>(list).await else {
            return Ended::Nothing;
        };
        match handle.send(Look).await {
            Ok(done) => Ended::Seen(vec![(list.to_owned(), done.version.into(), None)]),
            Err(error) => self.failed(&error),
        }
    }

    async fn together(&self, lists: &[String; 2], elements: [Element; 2]) -> Ended {
        let [Ok(one), Ok(two)] = [
            self.store.get::<List>(&lists[0]).await,
            self.store.get::<List>(&lists[1]).await,
        ] else {
            return Ended::Nothing;
        };
        let [first, second] = elements.map(|element| Append {
            elements: vec![element],
        });
        let group = self.store.together().send(&one, first).send(&two, second);
        match group.commit().await {
            Ok(done) => {
                let version = |list| done.of(list).map(|done| u64::from(done.version));
                Ended::Stored(number(done.position), vec![version(&one), version(&two)])
            }
            Err(error) => {
                self.note(&error);
                match error {
                    TogetherError::OutcomeUnknown(_) | TogetherError::ActorGone => Ended::Unknown,
                    _ => Ended::Nothing,
                }
            }
        }
    }

    async fn mark(&self, mark: Mark, left: String, right: String) -> Ended {
        match self.store.decide::<Marking>(mark).await {
            Ok(done) => Ended::Stored(number(done.position), vec![None]),
            Err(ExecuteError::Domain(NotMarked { left: l, right: r })) => Ended::Seen(vec![
                (left, l.length, Some(l.digest)),
                (right, r.length, Some(r.digest)),
            ]),
            Err(error) => self.failed(&error),
        }
    }
}

/// The call that appends to one list.
fn append(list: &str, elements: &[Element]) -> String {
    let mut call = format!("append {list}:");
    for (i, element) in elements.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(call, "{comma}{element}");
    }
    call
}
