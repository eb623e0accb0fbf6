//! What a check found: [`Report`].

use std::fmt;

/// A kind of violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// An element was answered, and is not stored.
    Lost,
    /// An element is stored twice.
    Doubled,
    /// An element is stored although its operation stored nothing, or nobody asked for it.
    Phantom,
    /// An operation is stored in part, or a read saw a part of one.
    Torn,
    /// A read missed what was answered before it began.
    Stale,
    /// Operations are stored in another order than the one that they were answered in.
    Reordered,
    /// Another version or position was answered than the stored one.
    WrongPlace,
    /// A read saw what is not stored.
    Unreal,
    /// An element was decided on another state than that before it.
    WrongBasis,
    /// Positions or versions that no store may have.
    WrongOrder,
    /// The recorded history cannot be one.
    WrongHistory,
}

/// One violation, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its kind.
    pub fault: Fault,
    /// What was found, in a paragraph.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.fault, self.text)
    }
}

/// How many violations are explained. There may be more.
const EXPLAINED: usize = 10;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]

pub struct Report {
    /// How many operations there are.
    pub operations: u64,
    /// How many of them were told that they are stored.
    pub stored: u64,
    /// How many appends were told that they failed or are refused, and stored nothing.
    pub not_stored: u64,
    /// How many have no known outcome.
    pub unknown: u64,
    /// How many of those without a known outcome are stored.
    pub unknown_stored: u64,
    /// How many times a list was read, in refusals and commands that changed nothing too.
    pub reads: u64,
    /// How many elements are stored.
    pub elements: u64,
    /// How many violations there are.
    pub violations: u64,
    /// The first of them.
    pub explained: Vec<Violation>,
}

impl Report {
    pub(crate) fn violation(&mut self, fault: Fault, text: impl FnOnce() -> String) {
        self.violations += 1;
        if self.explained.len() < EXPLAINED {
            let text = text();
            self.explained.push(Violation { fault, text });
        }
    }

    /// # Panics
    ///
    /// If there is a violation, with the first of them.
    pub fn assert_right(&self) {
        assert!(self.violations == 0, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "operations {}, stored {}, not stored {}, unknown {} ({} of them stored), reads {}, \
             elements {}, violations {}",
            self.operations,
            self.stored,
            self.not_stored,
            self.unknown,
            self.unknown_stored,
            self.reads,
            self.elements,
            self.violations
        )?;
        for violation in &self.explained {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}
