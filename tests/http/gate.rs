//! A place where a test can hold a command while it is decided.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex};

static GATES: LazyLock<Mutex<HashMap<String, Arc<Gate>>>> = LazyLock::new(Mutex::default);

/// Holds deposits into one account. Without a gate nothing is held.
#[derive(Debug, Default)]
pub struct Gate {
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
    pub fn at(account: &str) -> Arc<Self> {
        let gate = Arc::new(Self::default());
        let mut gates = GATES.lock().unwrap();
        gates.insert(account.to_owned(), gate.clone());
        gate
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
    pub async fn has_come(self: &Arc<Self>) {
        let gate = self.clone();
        let come = tokio::task::spawn_blocking(move || {
            let mut state = gate.state.lock().unwrap();
            while !state.has_come {
                state = gate.changed.wait(state).unwrap();
            }
        });
        come.await.unwrap();
    }

    pub fn open(&self) {
        self.state.lock().unwrap().is_open = true;
        self.changed.notify_all();
    }
}
