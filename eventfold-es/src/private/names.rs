//! Stored names that are joined and compared at compile time: the names of a generated event enum,
//! and the names of the aggregates of a reader.

use crate::event::EventName;

/// The event types listed in an aggregate, each as written there, with its stored names.
pub type Events = [(&'static str, &'static [EventName])];

/// How many names several events have in total.
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
/// If `N` is a different number.
pub const fn concat_names<const N: usize>(events: &Events) -> [EventName; N] {
    let mut all = [EventName {
        name: "",
        aliases: &[],
        version: None,
        tags: &[],
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

/// For each of several events: the first earlier event that shares a name or an alias with it, and
/// that name.
pub type Shared<const N: usize> = [Option<(usize, &'static str)>; N];

/// How many slots [`shared_names`] needs: a power of two, at least twice the number of names and
/// aliases.
pub const fn slots(events: &Events) -> usize {
    let (mut texts, mut event) = (1, 0);
    while event < events.len() {
        let names = events[event].1;
        let mut name = 0;
        while name < names.len() {
            texts += 1 + names[name].aliases.len();
            name += 1;
        }
        event += 1;
    }
    (2 * texts).next_power_of_two()
}

/// Finds names and aliases that several events have. It uses a hash table, since comparing all
/// pairs would take the compiler seconds. `N` is the number of events, `SLOTS` is the result of
/// [`slots`].
pub const fn shared_names<const N: usize, const SLOTS: usize>(events: &Events) -> Shared<N> {
    let mut shared = [None; N];
    // The text in each slot, and the first event that has it.
    let mut table: [Option<(&str, usize)>; SLOTS] = [None; SLOTS];
    let mut event = 0;
    while event < N {
        let names = events[event].1;
        let mut name = 0;
        while name < names.len() {
            // Position 0 is the name itself.
            let mut position = 0;
            while position <= names[name].aliases.len() {
                let text = match position {
                    0 => names[name].name,
                    _ => names[name].aliases[position - 1],
                };
                let mut slot = hash(text) % SLOTS;
                loop {
                    match table[slot] {
                        None => {
                            table[slot] = Some((text, event));
                            break;
                        }
                        Some((earlier, first)) if str_eq(earlier, text) => {
                            if first < event && shared[event].is_none() {
                                shared[event] = Some((first, text));
                            }
                            break;
                        }
                        Some(_) => slot = (slot + 1) % SLOTS,
                    }
                }
                position += 1;
            }
            name += 1;
        }
        event += 1;
    }
    shared
}

/// Fails to compile if the event at `position` shares a name or an alias with an earlier one.
///
/// # Panics
///
/// If it shares one, with a message for the user.
#[track_caller]
pub const fn assert_names_are_new<const N: usize>(
    aggregate: &str,
    events: &Events,
    shared: &Shared<N>,
    position: usize,
) {
    if let Some((earlier, name)) = shared[position] {
        let message = Message::new()
            .with("`")
            .with(name)
            .with("` is a stored name of both `")
            .with(events[earlier].0)
            .with("` and `")
            .with(events[position].0)
            .with("`; within `")
            .with(aggregate)
            .with("` each name and alias must belong to one event: choose another");
        panic!("{}", message.as_str());
    }
}

/// The name of an aggregate on disk, in the form in which event names are compared.
pub const fn aggregate_name(name: &'static str) -> EventName {
    EventName {
        name,
        aliases: &[],
        version: None,
        tags: &[],
    }
}

/// Fails to compile if the aggregate at `position` is stored under the name of an earlier one.
/// `aggregates` are those listed in a projection or process manager, each as written there, with
/// its [`aggregate_name`].
///
/// # Panics
///
/// If it is stored so, with a message for the user.
#[track_caller]
pub const fn assert_type_is_new<const N: usize>(
    reader: &str,
    aggregates: &Events,
    shared: &Shared<N>,
    position: usize,
) {
    if let Some((earlier, name)) = shared[position] {
        let message = Message::new()
            .with("`")
            .with(aggregates[earlier].0)
            .with("` and `")
            .with(aggregates[position].0)
            .with("` are both stored as `")
            .with(name)
            .with("`, so `")
            .with(reader)
            .with("` could not tell their events apart; list one of them");
        panic!("{}", message.as_str());
    }
}

/// A text that is built at compile time.
pub(super) struct Message {
    bytes: [u8; 1024],
    len: usize,
}

impl Message {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; 1024],
            len: 0,
        }
    }

    /// The message with `text` at its end, or unchanged if there is no room for it.
    pub(super) const fn with(mut self, text: &str) -> Self {
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

    pub(super) const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "a stored name or a tag is wrong",
        }
    }
}

/// A hash of `text`, eight bytes at a time. (That of `rustc-hash`, in a `const fn`.)
const fn hash(text: &str) -> usize {
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let (chunks, rest) = text.as_bytes().as_chunks::<8>();
    let mut hash = text.len() as u64;
    let mut i = 0;
    while i < chunks.len() {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(chunks[i])).wrapping_mul(FACTOR);
        i += 1;
    }
    let mut i = 0;
    while i < rest.len() {
        hash = (hash.rotate_left(5) ^ rest[i] as u64).wrapping_mul(FACTOR);
        i += 1;
    }
    // The upper bits depend on all of the text.
    (hash >> 32) as usize
}

pub(super) const fn str_eq(a: &str, b: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn named(name: &'static str, aliases: &'static [&'static str]) -> EventName {
        EventName {
            name,
            aliases,
            version: Some(1),
            tags: &[],
        }
    }

    /// The shared names of these events, in a table of the size that [`slots`] returns.
    macro_rules! shared {
        ($events:expr) => {{
            const EVENTS: &Events = $events;
            shared_names::<{ EVENTS.len() }, { slots(EVENTS) }>(EVENTS)
        }};
    }

    #[test]
    fn a_shared_name_or_alias_is_found_at_the_later_event_with_the_number_of_the_first() {
        let shared = shared!(&[
            ("A", &[named("a", &["old-a"])]),
            ("B", &[named("b", &[]), named("b2", &["older"])]),
            ("C", &[named("old-a", &[])]),
            ("D", &[named("d", &["x", "older"])]),
            ("E", &[named("e", &["a", "b"])]),
        ]);
        assert_eq!(
            shared,
            [
                None,
                None,
                Some((0, "old-a")),
                Some((1, "older")),
                Some((0, "a"))
            ]
        );
    }

    #[test]
    fn a_name_that_one_event_has_twice_is_not_shared() {
        let shared = shared!(&[("A", &[named("a", &["a"]), named("a", &[])]), ("B", &[])]);
        assert_eq!(shared, [None, None]);
    }

    #[test]
    fn names_of_every_length_are_compared_in_full() {
        let text: &'static str = "the-customer-has-changed-their-order";
        for length in 1..text.len() {
            let (shorter, longer) = (&text[..length - 1], &text[..length]);
            let [a, b, c] = [
                [named(shorter, &[])],
                [named(longer, &[])],
                [named(longer, &[])],
            ]
            .map(|names| &*Box::leak(Box::new(names)));
            let shared = shared_names::<3, 8>(&[("A", a), ("B", b), ("C", c)]);
            assert_eq!(shared, [None, None, Some((1, longer))]);
        }
    }

    #[test]
    fn different_names_with_the_same_slot_are_not_shared() {
        const EVENTS: &Events = &[("A", &[named("a", &[])]), ("B", &[named("b", &[])])];
        // Two slots for two names: both slots are taken, in any case.
        let shared = shared_names::<2, 2>(EVENTS);
        assert_eq!(shared, [None, None]);
    }
}
