//! The fingerprint of the events that a state was folded from.

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::event::EventName;

/// A fingerprint of the versions of events and of the retired events. A state with another
/// fingerprint is folded again. 0 if all events have version 1 and none is retired. Not part of the
/// public interface. Invariant S2.
#[must_use]
pub fn fingerprint(names: &[EventName]) -> u64 {
    // The order of the list does not matter.
    let changed = names.iter().filter(|name| name.version != Some(1));
    let hashes = changed.map(|name| {
        let version = name.version.unwrap_or(0);
        xxh3_64(format!("{}={version}", name.name).as_bytes())
    });
    combine(hashes.collect())
}

/// One fingerprint of several, 0 if all of them are 0.
pub(super) fn combine(mut several: Vec<u64>) -> u64 {
    several.retain(|one| *one != 0);
    if several.is_empty() {
        return 0;
    }
    several.sort_unstable();
    let mut hasher = Xxh3Default::new();
    for one in several {
        hasher.update(&one.to_le_bytes());
    }
    hasher.digest().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &'static str, version: Option<u32>) -> EventName {
        EventName {
            name,
            aliases: &[],
            version,
            tags: &[],
        }
    }

    #[test]
    fn only_versions_and_retired_events_change_a_fingerprint() {
        let first = [name("A", Some(1)), name("B", Some(1))];
        assert_eq!(fingerprint(&first), 0);
        assert_eq!(fingerprint(&[]), 0);
        let second = fingerprint(&[name("A", Some(2)), name("B", Some(1))]);
        assert_eq!(
            fingerprint(&[name("C", Some(1)), name("A", Some(2))]),
            second
        );
        let all = [
            second,
            fingerprint(&[name("A", Some(3))]),
            fingerprint(&[name("B", Some(2))]),
            fingerprint(&[name("A", None)]),
            fingerprint(&[name("A", Some(2)), name("B", None)]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(*one != 0 && !all[..i].contains(one));
        }
    }
}
