//! A place where a test can hold a command while it is decided.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex};

static GATES: LazyLock<Mutex<HashMap<String, Arc<Inner>>>> = LazyLock::new(Mutex::default);

/// Holds deposits into one account until it is opened or dropped. Without a gate nothing is held.
#[derive(Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    has_come: bool,
    is_open: bool,
}

impl Gate {
    /// A closed gate at this account. No two tests may have accounts of one name.
    pub fn at(account: &str) -> Self {
        let inner = Arc::<Inner>::default();
        let mut gates = GATES.lock().unwrap();
        gates.insert(account.to_owned(), inner.clone());
        Self(inner)
    }

    pub(crate) fn pass(account: &str) {
        let gate = GATES.lock().unwrap().get(account).cloned();
        let Some(gate) = gate else { return };
        let mut state = gate.state.lock().unwrap();
        state.has_come = true;
        gate.changed.notify_all();
        while !state.is_open {
            state = gate.changed.wait(state).unwrap();
        }
    }

    /// Waits until a command has come to the gate.
    pub async fn has_come(&self) {
        let gate = self.0.clone();
        let come = tokio::task::spawn_blocking(move || {
            let mut state = gate.state.lock().unwrap();
            while !state.has_come {
                state = gate.changed.wait(state).unwrap();
            }
        });
        come.await.unwrap();
    }

    pub fn open(&self) {
        self.0.state.lock().unwrap().is_open = true;
        self.0.changed.notify_all();
    }
}

/// A test that fails is to end all the same.
impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
