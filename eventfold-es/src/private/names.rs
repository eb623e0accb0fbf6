//! Stored names that are put together and compared while compiling: those of a generated event
//! enum, and those of the aggregates that something reads.

use crate::event::EventName;

/// The event types listed in an aggregate, each as it is written there, with its stored names.
pub type Events = [(&'static str, &'static [EventName])];

/// How many names several events have together.
pub const fn count_names(events: &Events) -> usize {
    let (mut count, mut event) = (0, 0);
    while event < events.len() {
        count += events[event].1.len();
        event += 1;
    }
    count
}

/// The names of several events, one after the other. `N` is what [`count_names`] returns.
///
/// # Panics
///
/// If `N` is another number.
pub const fn concat_names<const N: usize>(events: &Events) -> [EventName; N] {
    let mut all = [EventName {
        name: "",
        aliases: &[],
        version: None,
    }; N];
    let (mut event, mut filled) = (0, 0);
    while event < events.len() {
        let names = events[event].1;
        let mut name = 0;
        while name < names.len() {
            all[filled] = names[name];
            filled += 1;
            name += 1;
        }
        event += 1;
    }
    assert!(filled == N, "names counted wrongly");
    all
}

/// The names of a retired event. `N` is how many there are.
pub const fn retired_names<const N: usize>(names: &'static [EventName]) -> [EventName; N] {
    let mut retired = concat_names(&[("", names)]);
    let mut name = 0;
    while name < N {
        retired[name].version = None;
        name += 1;
    }
    retired
}

/// Fails to compile if the event at `position` shares a name or an alias with an earlier one.
///
/// # Panics
///
/// If it does, with a message for the user.
#[track_caller]
pub const fn assert_names_are_new(aggregate: &str, events: &Events, position: usize) {
    let mut earlier = 0;
    while earlier < position {
        if let Some(name) = shared_name(events[earlier].1, events[position].1) {
            let message = Message::new()
                .with("`")
                .with(name)
                .with("` is a stored name of both `")
                .with(events[earlier].0)
                .with("` and `")
                .with(events[position].0)
                .with("`; within `")
                .with(aggregate)
                .with("` a name or alias leads to one event, so choose another");
            panic!("{}", message.as_str());
        }
        earlier += 1;
    }
}

/// The aggregates listed in a projection or process manager, each as it is written there, with its
/// stored name.
pub type Aggregates = [(&'static str, &'static str)];

/// Fails to compile if the aggregate at `position` is stored under the name of an earlier one.
///
/// # Panics
///
/// If it is, with a message for the user.
#[track_caller]
pub const fn assert_type_is_new(reader: &str, aggregates: &Aggregates, position: usize) {
    let mut earlier = 0;
    while earlier < position {
        if str_eq(aggregates[earlier].1, aggregates[position].1) {
            let message = Message::new()
                .with("`")
                .with(aggregates[earlier].0)
                .with("` and `")
                .with(aggregates[position].0)
                .with("` are both stored as `")
                .with(aggregates[position].1)
                .with("`, so `")
                .with(reader)
                .with("` could not tell their events apart; list one of them");
            panic!("{}", message.as_str());
        }
        earlier += 1;
    }
}

/// A text put together while compiling.
struct Message {
    bytes: [u8; 1024],
    len: usize,
}

impl Message {
    const fn new() -> Self {
        Self {
            bytes: [0; 1024],
            len: 0,
        }
    }

    /// With `text` at its end, or without if there is no room for it.
    const fn with(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if self.len + text.len() > self.bytes.len() {
            return self;
        }
        let mut i = 0;
        while i < text.len() {
            self.bytes[self.len] = text[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "two of them share a stored name",
        }
    }
}

/// A name or alias that is in both.
const fn shared_name(a: &[EventName], b: &[EventName]) -> Option<&'static str> {
    let mut i = 0;
    while i < a.len() {
        let mut j = 0;
        while j < b.len() {
            if let Some(name) = shared_by(a[i], b[j]) {
                return Some(name);
            }
            j += 1;
        }
        i += 1;
    }
    None
}

const fn shared_by(a: EventName, b: EventName) -> Option<&'static str> {
    let mut i = 0;
    while i <= a.aliases.len() {
        let mut j = 0;
        while j <= b.aliases.len() {
            // Position 0 is the name itself.
            let left = if i == 0 { a.name } else { a.aliases[i - 1] };
            let right = if j == 0 { b.name } else { b.aliases[j - 1] };
            if str_eq(left, right) {
                return Some(left);
            }
            j += 1;
        }
        i += 1;
    }
    None
}

const fn str_eq(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
