//! Imports: the events of an export enter a store, [`Import`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io::BufRead;
use std::pin::Pin;

mod error;
mod known;
mod managers;
mod reading;
mod report;
mod storing;
mod turn;

pub use error::ImportError;
pub use report::ImportReport;

use crate::following::moved::Carried;
use crate::runtime::background::blocking;
use crate::store::AggregateStore;
use crate::store::export::exported::ExportedEvent;
use managers::{Begins, Managers};
use reading::{Input, Map, Terms};
use storing::Storing;
use turn::Turn;

/// Lines on their way into a store, made by [`AggregateStore::import`]. Awaiting it imports them.
#[must_use = "nothing is imported before it is awaited"]
pub struct Import {
    store: AggregateStore,
    input: Box<dyn BufRead + Send>,
    map: Option<Map>,
    told: Option<Told>,
    keeps_positions: bool,
    managers: Managers,
}

/// Takes how many events are stored, and how many bytes of the input are done.
type Told = Box<dyn FnMut(u64, u64) + Send>;

impl Import {
    /// Changes each event before it is stored, or drops it with `None`: renames streams and events,
    /// removes a part of a payload. An error ends the import; what was imported before stays.
    ///
    /// An event that is dropped leaves a gap in the versions of its stream. So who drops events sets
    /// [`version`](ExportedEvent::version) of the others of that stream to `None`.
    ///
    /// See the example of [`ExportedEvent`].
    pub fn map(
        mut self,
        map: impl FnMut(
            ExportedEvent,
        )
            -> Result<Option<ExportedEvent>, Box<dyn std::error::Error + Send + Sync>>
        + Send
        + 'static,
    ) -> Self {
        self.map = Some(Box::new(map));
        self
    }

    /// Stores an event only if it gets the position that its line states. Otherwise an event gets the
    /// next position of the store: into an empty store, an export from the first event on keeps its
    /// positions in any case. Nobody else may write to the store meanwhile.
    ///
    /// Choose it if something outside of the store has positions of the old one: a read model with its
    /// own checkpoint, for example.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let old = AggregateStore::open(dir.path()).await?;
    /// # old.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # let (lines, _) = old.export().write_to(Vec::new()).await?;
    /// # let new = AggregateStore::open(to.path()).await?;
    /// let report = new.import(std::io::Cursor::new(lines)).keep_positions().await?;
    /// assert!(report.positions_kept);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_positions(mut self) -> Self {
        self.keeps_positions = true;
        self
    }

    /// Lets the process manager `name` begin behind the imported events: it reacts to none of them. What
    /// comes along of it is left out. It must not be registered with this store while it imports, and must not have reacted to anything
    /// here before.
    ///
    /// See the example of [`react_again`](Self::react_again).
    pub fn from_now(mut self, name: impl Into<String>) -> Self {
        self.managers.begins.insert(name.into(), Begins::FromNow);
        self
    }

    /// Lets the process manager `name` begin at the first event. It sends no command again whose effect
    /// is among the imported events: it knows them by their idempotency keys. These name positions, so
    /// positions must be [kept](Self::keep_positions). Otherwise as [`from_now`](Self::from_now).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let old = AggregateStore::open(dir.path()).await?;
    /// # old.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # let (lines, _) = old.export().write_to(Vec::new()).await?;
    /// # let lines = std::io::Cursor::new(lines);
    /// let new = AggregateStore::open(to.path()).await?; // without its process managers
    /// new.import(lines).react_again("forward").from_now("newsletter").await?;
    /// new.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn react_again(mut self, name: impl Into<String>) -> Self {
        self.managers.begins.insert(name.into(), Begins::ReactAgain);
        self.keeps_positions = true;
        self
    }

    /// Lets the process managers that the store has go on, take the imported events for new ones, and
    /// react to them. Without this call the import is refused if there are any that do not come along.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let old = AggregateStore::in_memory().open().await?;
    /// # old.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # let (lines, _) = old.export().write_to(Vec::new()).await?;
    /// # let lines = std::io::Cursor::new(lines);
    /// let new = AggregateStore::in_memory()
    ///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
    ///     .aggregate_type::<Counter>()
    ///     .open()
    ///     .await?;
    /// new.import(lines).let_process_managers_react().await?;
    /// new.run_process_managers().await?;
    /// assert_eq!(new.get::<Counter>("all").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn let_process_managers_react(mut self) -> Self {
        self.managers.others_react = true;
        self
    }

    /// Calls `told` now and then with how many events are stored so far, and how many bytes of the input
    /// are done.
    ///
    /// ```
    /// # use eventfold_es::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// # let lines = std::io::empty();
    /// let import = store.import(lines);
    /// import.on_progress(|events, bytes| println!("{events} events, {bytes} bytes")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress(mut self, told: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    async fn run(self) -> Result<ImportReport, ImportError> {
        let Self {
            store,
            input,
            map,
            mut told,
            keeps_positions,
            managers,
        } = self;
        let aggregates = &store.inner.aggregates;
        aggregates.check_usable().map_err(ImportError::from)?;
        let storage = aggregates.storage.clone();
        // Another import may be about to store the same events.
        let _only = aggregates.importing.lock().await;
        let registered = store.read_side.process_managers.iter().map(|m| m.name);
        let registered: Vec<&'static str> = registered.collect();
        let check = {
            let (storage, registered) = (storage.clone(), registered.clone());
            blocking(move || {
                managers.check(&storage, &registered)?;
                Ok(managers)
            })
        };
        let managers = check.await.map_err(ImportError::of_managers)?;

        let _turn = Turn::take(&storage).await?;
        Storing::wait_for_others(&storage).await?;
        let terms = Terms {
            keeps_positions,
            decided: managers.begins.keys().cloned().collect(),
        };
        let mut input = Input::start(input, map, terms, &storage)?;
        let mut carried = Vec::new();
        let mut first = input.next().await?;
        while let Some(batch) = first.take_if(|batch| !batch.has_events()) {
            carried.extend(batch.carried.map(|carried| *carried));
            first = input.next().await?;
        }
        let check = |managers: Managers, mut carried: Vec<Carried>| {
            let (storage, registered) = (storage.clone(), registered.clone());
            blocking(move || {
                managers.check_carried(&storage, &registered, &mut carried)?;
                Ok((managers, carried))
            })
        };
        let (managers, mut carried) = check(managers, carried)
            .await
            .map_err(ImportError::of_managers)?;
        let head = storage.current_head().await?;
        let mut storing = Storing::new(aggregates, keeps_positions, head);
        if !carried.is_empty() {
            storing.keep_positions();
        }
        let done = storing
            .store_all(first, &mut input, &mut told, &mut carried)
            .await;
        // What is under way is stored, also if a later line cannot be.
        let finished = storing.finish().await;
        finished.and(done)?;
        let mut report = storing.report();
        if let Some(told) = &mut told {
            told(report.events, input.bytes());
        }
        // Later lines may have more of them.
        let (managers, carried) = check(managers, carried)
            .await
            .map_err(ImportError::of_managers)?;
        report.process_managers = carried.len() as u64;
        let entered = blocking(move || Ok(managers.begin(&storage, &carried)?)).await;
        entered.map_err(ImportError::of_managers)?;
        tracing::info!(
            events = report.events,
            commits = report.commits,
            skipped = report.skipped,
            "imported"
        );
        Ok(report)
    }
}

impl IntoFuture for Import {
    type Output = Result<ImportReport, ImportError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import")
            .field("keeps_positions", &self.keeps_positions)
            .field("managers", &self.managers)
            .finish_non_exhaustive()
    }
}

impl AggregateStore {
    /// Imports the lines of an [export](Self::export) into this store, in either form. [The
    /// guide](crate::guide::moving) describes the lines, and how to make them of what another event store
    /// has.
    ///
    /// Events keep their ids, times, metadata, tags and idempotency keys. Events that were stored together
    /// in one commit are so again: each commit is stored whole or not at all, durably and in the order of
    /// the lines. An event that the store has already, by its id, is passed over, and refused if it is
    /// another one than the line says. So an import that was
    /// interrupted, at any moment and in any way, is done again with the same lines, and goes on.
    ///
    /// The types of the application are not needed. Payloads are not looked into, and no rule is checked.
    /// Aggregates that are in memory are loaded again when they are next used; commands that are sent to
    /// an aggregate wait while events are stored in its stream. To projections and subscriptions the
    /// events are new ones.
    ///
    /// Process managers go on where they were: their positions, states, timers, waiting commands, dead
    /// letters and skipped events come along with the lines. Therefore events keep their positions then, as
    /// by [`keep_positions`](Import::keep_positions), and the import is refused if a process manager has
    /// worked in this store. To process managers that do not come along the events are new ones, but see
    /// [`from_now`](Import::from_now).
    ///
    /// Imports into one store are done one after the other. About 60 bytes of memory are needed for each
    /// event that the store has or gets. The input is read on a thread of its own, which may wait for it
    /// after the future is dropped.
    ///
    /// # Errors
    ///
    /// [`ImportError`], which names the line. What the lines before it say is stored.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let lines = r#"{"eventfold":1,"type":"counter","id":"c-1","event":"Added","event_id":"e-1","ms":1767225600000,"data":{"amount":5}}"#;
    /// let store = AggregateStore::open(dir.path()).await?;
    /// let report = store.import(std::io::Cursor::new(lines)).await?;
    /// assert_eq!((report.events, report.position), (1, store.head()));
    /// assert_eq!(store.get::<Counter>("c-1").await?.state().await?.value, 5);
    ///
    /// let again = store.import(std::io::Cursor::new(lines)).await?;
    /// assert_eq!((again.events, again.skipped), (0, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("restore", "bulk load", "copy", "seed", "migrate"))]
    pub fn import(&self, lines: impl BufRead + Send + 'static) -> Import {
        Import {
            store: self.clone(),
            input: Box::new(lines),
            map: None,
            told: None,
            keeps_positions: false,
            managers: Managers {
                begins: BTreeMap::new(),
                others_react: false,
            },
        }
    }
}
