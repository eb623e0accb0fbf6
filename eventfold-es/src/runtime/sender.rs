//! Who sends a command, if not a user: [`Sender`].

use std::sync::Arc;

use crate::storage::term::Term;

/// A process manager that sends a command.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) name: &'static str,
    /// Nothing of its commands is stored once this has ended. Invariant F11.
    pub(crate) term: Option<Arc<Term>>,
}

impl Sender {
    /// Whether it is known that another process sends in its place now.
    pub(crate) fn is_replaced(&self) -> bool {
        is_lost(self.term.as_ref())
    }
}

/// Whether a command that carries `term` must not be decided any more.
#[inline]
pub(crate) fn is_lost(term: Option<&Arc<Term>>) -> bool {
    term.is_some_and(|term| term.is_lost())
}
