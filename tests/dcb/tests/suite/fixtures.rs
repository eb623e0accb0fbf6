//! The stores that the suite tests: each fixture is an empty store, in files or in memory.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use eventfold_es::{AggregateStore, Memory};
use happenstance_core::StoreId;
use happenstance_testkit::{Capability, Fixture};

use crate::adapter::Handle;

const NO_WRITE_FAULT: Capability = Capability::declined(
    "all events of an append are one line of the journal, so there is no moment between two of \
     them; the tests of eventfold-es itself make each call to the disk fail",
);
const NO_FRONTIER: Capability =
    Capability::declined("an event can be read from the moment at which its append is answered");

/// A store in files.
#[derive(Debug)]
pub(crate) struct InFiles {
    dir: tempfile::TempDir,
    store: Mutex<AggregateStore>,
    id: StoreId,
}

/// A store in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    memory: Memory,
    store: Mutex<AggregateStore>,
    id: StoreId,
}

/// Another identity for each store: the interface of eventfold-es has none.
fn new_id() -> StoreId {
    static MADE: AtomicU64 = AtomicU64::new(1);
    let number = u128::from(MADE.fetch_add(1, Ordering::Relaxed));
    StoreId::from_bytes(number.to_be_bytes())
}

fn the(store: &Mutex<AggregateStore>) -> AggregateStore {
    store.lock().expect("no test panics with the lock").clone()
}

impl InFiles {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = AggregateStore::open(dir.path()).await.expect("a new store");
        Self {
            dir,
            store: Mutex::new(store),
            id: new_id(),
        }
    }
}

impl InMemory {
    pub(crate) async fn new() -> Self {
        let memory = Memory::default();
        let store = AggregateStore::in_memory().keep_in(&memory).open().await;
        Self {
            memory,
            store: Mutex::new(store.expect("a new store")),
            id: new_id(),
        }
    }
}

impl Fixture for InFiles {
    type Store = Handle;

    const SECOND_HANDLE: Capability = Capability::SUPPORTED;
    const REOPEN: Capability = Capability::SUPPORTED;
    const MID_BATCH_FAULT: Capability = NO_WRITE_FAULT;
    const READ_FAULT: Capability = Capability::SUPPORTED;
    const HELD_ABOVE_FRONTIER: Capability = NO_FRONTIER;

    async fn connect(&self) -> Handle {
        Handle {
            store: the(&self.store),
            id: self.id,
        }
    }

    async fn reopen(&self) {
        the(&self.store).shutdown().await.expect("it closes");
        let again = AggregateStore::open(self.dir.path()).await;
        *self.store.lock().expect("no test panics with the lock") = again.expect("it opens");
    }

    async fn arm_read_fault(&self) {
        damage_last_event(&self.dir.path().join("journal")).expect("the journal has events");
    }
}

impl Fixture for InMemory {
    type Store = Handle;

    const SECOND_HANDLE: Capability = Capability::SUPPORTED;
    const REOPEN: Capability = Capability::SUPPORTED;
    const MID_BATCH_FAULT: Capability = NO_WRITE_FAULT;
    const READ_FAULT: Capability =
        Capability::declined("the events are in memory, where nothing can fail to be read");
    const HELD_ABOVE_FRONTIER: Capability = NO_FRONTIER;

    async fn connect(&self) -> Handle {
        Handle {
            store: the(&self.store),
            id: self.id,
        }
    }

    async fn reopen(&self) {
        the(&self.store).shutdown().await.expect("it closes");
        let again = AggregateStore::in_memory().keep_in(&self.memory).open();
        let again = again.await.expect("it opens");
        *self.store.lock().expect("no test panics with the lock") = again;
    }
}

/// Changes a byte of the last event's payload in the journal.
fn damage_last_event(journal: &Path) -> io::Result<()> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(journal)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            segments.push(path);
        }
    }
    segments.sort();
    let last = segments.pop().ok_or(io::ErrorKind::NotFound)?;
    let mut bytes = fs::read(&last)?;
    let member = b"\"data\":\"";
    let mut starts = bytes.windows(member.len());
    let start = starts.rposition(|window| window == member);
    let at = start.ok_or(io::ErrorKind::NotFound)? + member.len();
    bytes[at] ^= 1;
    fs::write(last, bytes)
}
