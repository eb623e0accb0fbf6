//! The operations of all processes: [`History`].
//!
//! A store has lists: one for each aggregate, and one for each tag. An operation appends elements, each
//! a number that no other operation has, or reads a list. A list is told by its length and the
//! [`digest`] of its elements, so reading one costs the same however long it is.
//!
//! A history is text, two lines an operation. The first is written before the call, the second after
//! the answer:
//!
//! ```text
//! 1 1000 begin 3 append a:17,18 b:19      client 3 appends two elements to `a` and one to `b`
//! 1 1234 stored 42 2 1                    up to position 42, versions 2 and 1
//! 2 1300 begin 3 append l+r:20            one element that is in two lists
//! 2 1400 stored 43 - -                    whose versions were not told
//! 3 1500 begin 3 read a
//! 3 1600 seen a=2:9f3a                    two elements with this digest
//! 4 1700 begin 3 glance a                 as `read`, and it may be behind
//! 4 1800 nothing                          it failed, and stored nothing
//! 5 1900 begin 3 append a:21              unknown: nobody heard how it ended
//! ```

use std::collections::HashMap;
use std::io::{self, BufRead};

/// What is appended. No two are the same.
pub type Element = u64;

/// A list of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(pub(crate) u32);

/// The digest of a list that ends with `element`, after what has the digest `before`. The digest of an
/// empty list is 0.
pub fn digest(before: u64, element: Element) -> u64 {
    let mixed = (before.rotate_left(23) ^ element).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_add(1)
}

/// Elements that one operation appends to the same lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The lists that get each of the elements.
    pub lists: Vec<ListId>,
    /// In their order.
    pub elements: Vec<Element>,
}

/// What a process asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Append all elements, or none.
    Append(Vec<Part>),
    /// Tell what these lists are now.
    Read(Vec<ListId>),
    /// As `Read`, but the answer may be behind.
    Glance(Vec<ListId>),
}

/// What a list was said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which list.
    pub list: ListId,
    /// How many elements it has.
    pub length: u64,
    /// Their digest, `None` if it was not told.
    pub digest: Option<u64>,
}

/// What a process heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All elements are stored.
    Stored {
        /// That of the last element.
        position: u64,
        /// The length of the lists of each part after it, where it was told.
        versions: Vec<Option<u64>>,
    },
    /// Nothing was stored, and the lists are like this.
    Seen(Vec<Seen>),
    /// The call failed, and nothing was stored.
    Nothing,
    /// Nobody knows, or nobody is left who knows.
    Unknown,
}

/// One operation of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Which process of the history.
    pub process: usize,
    /// Its number in that process.
    pub number: u64,
    /// The client in that process.
    pub client: u64,
    /// When it was called, in nanoseconds of the clock that all processes share.
    pub start: u64,
    /// When it was answered.
    pub end: Option<u64>,
    /// What it asked for.
    pub call: Call,
    /// What it heard.
    pub outcome: Outcome,
}

/// The operations of all processes.
#[derive(Debug, Default)]
pub struct History {
    pub(crate) operations: Vec<Operation>,
    processes: Vec<String>,
    lists: Vec<String>,
    by_name: HashMap<String, ListId>,
}

impl History {
    /// Adds the operations that a process wrote down. An operation without an end is unknown, and a
    /// last line that is not whole was never written.
    ///
    /// # Errors
    ///
    /// If a line cannot be read, with its number.
    pub fn add(&mut self, process: &str, mut lines: impl BufRead) -> io::Result<()> {
        let number = self.processes.len();
        self.processes.push(process.to_owned());
        let mut open = HashMap::new();
        let mut line = String::new();
        for at in 1.. {
            line.clear();
            if lines.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                break;
            }
            if self.take(number, &line, &mut open).is_none() {
                let text = format!("line {at} of `{process}` is not one of a history: {line:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(())
    }

    /// The list with this name.
    ///
    /// # Panics
    ///
    /// If there are more than four billion lists.
    pub fn list(&mut self, name: &str) -> ListId {
        if let Some(list) = self.by_name.get(name) {
            return *list;
        }
        let list = ListId(u32::try_from(self.lists.len()).expect("fewer lists than operations"));
        self.lists.push(name.to_owned());
        self.by_name.insert(name.to_owned(), list);
        list
    }

    /// The name of a list.
    pub fn name(&self, list: ListId) -> &str {
        &self.lists[list.0 as usize]
    }

    pub(crate) fn process(&self, operation: &Operation) -> &str {
        &self.processes[operation.process]
    }

    pub(crate) fn lists(&self) -> usize {
        self.lists.len()
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Adds an operation.
    pub fn push(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    fn take(&mut self, process: usize, line: &str, open: &mut HashMap<u64, usize>) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let number = words.next()?.parse().ok()?;
        let time = words.next()?.parse().ok()?;
        let what = words.next()?;
        if what == "begin" {
            let client = words.next()?.parse().ok()?;
            let call = self.call(&mut words)?;
            open.insert(number, self.operations.len());
            self.operations.push(Operation {
                process,
                number,
                client,
                start: time,
                end: None,
                call,
                outcome: Outcome::Unknown,
            });
            return Some(());
        }
        let outcome = self.outcome(what, &mut words)?;
        let operation = &mut self.operations[open.remove(&number)?];
        operation.end = Some(time);
        operation.outcome = outcome;
        Some(())
    }

    fn call<'a>(&mut self, words: &mut impl Iterator<Item = &'a str>) -> Option<Call> {
        let what = words.next()?;
        if what == "append" {
            let parts = words.map(|word| self.part(word));
            return Some(Call::Append(parts.collect::<Option<_>>()?));
        }
        let lists = words.map(|name| self.list(name)).collect();
        match what {
            "read" => Some(Call::Read(lists)),
            "glance" => Some(Call::Glance(lists)),
            _ => None,
        }
    }

    fn part(&mut self, word: &str) -> Option<Part> {
        let (lists, elements) = word.split_once(':')?;
        Some(Part {
            lists: lists.split('+').map(|name| self.list(name)).collect(),
            elements: elements
                .split(',')
                .map(|element| element.parse().ok())
                .collect::<Option<_>>()?,
        })
    }

    fn outcome<'a>(
        &mut self,
        what: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Option<Outcome> {
        Some(match what {
            "stored" => Outcome::Stored {
                position: words.next()?.parse().ok()?,
                versions: words
                    .map(|word| match word {
                        "-" => Some(None),
                        word => word.parse().ok().map(Some),
                    })
                    .collect::<Option<_>>()?,
            },
            "seen" => {
                let seen = words.map(|word| self.seen(word));
                Outcome::Seen(seen.collect::<Option<_>>()?)
            }
            "nothing" => Outcome::Nothing,
            "unknown" => Outcome::Unknown,
            _ => return None,
        })
    }

    fn seen(&mut self, word: &str) -> Option<Seen> {
        let (list, what) = word.split_once('=')?;
        let (length, digest) = match what.split_once(':') {
            Some((length, digest)) => (length, Some(u64::from_str_radix(digest, 16).ok()?)),
            None => (what, None),
        };
        Some(Seen {
            list: self.list(list),
            length: length.parse().ok()?,
            digest,
        })
    }
}
