//! What the process manager did: each element of the list that it copies must be copied once.

use std::collections::BTreeMap;
use std::fmt;

use histories::Element;

use crate::domain::{COPIED, CopiedTo};

/// The elements that are stored, in the order of the store.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    pub(crate) originals: Vec<Element>,
    pub(crate) first: Vec<Element>,
    pub(crate) second: Vec<Element>,
    pub(crate) tagged: Vec<Element>,
}

impl Copies {
    /// Panics unless each element was copied once to where it belongs, and none elsewhere. What goes to a
    /// list must be there in the order of the events that led to it.
    pub(crate) fn assert_right(&self) {
        let expected = |is_there: fn(CopiedTo) -> bool| -> Vec<Element> {
            let there = self.originals.iter();
            let there = there.filter(|element| is_there(CopiedTo::of(**element)));
            there.map(|element| element | COPIED).collect()
        };
        let to_tags = expected(|to| to == CopiedTo::Tags);
        let to_first = expected(|to| to != CopiedTo::Tags);
        let to_second = expected(|to| to == CopiedTo::BothCopies);
        for (place, copied, expected) in [
            ("the copy", &self.first, to_first),
            ("the second copy", &self.second, to_second),
            ("the tags", &self.tagged, to_tags),
        ] {
            let faults = faults(copied, &expected);
            assert!(faults.is_empty(), "in {place}: {faults:?}");
            if place != "the tags" {
                assert!(*copied == expected, "{place} has another order");
            }
        }
    }
}

/// What is wrong with the copies, the first few of it.
fn faults(copied: &[Element], expected: &[Element]) -> Vec<String> {
    let mut times = BTreeMap::<Element, (u32, u32)>::new();
    for element in copied {
        times.entry(*element).or_default().0 += 1;
    }
    for element in expected {
        times.entry(*element).or_default().1 += 1;
    }
    let wrong = times
        .iter()
        .filter(|(_, (copied, expected))| copied != expected);
    let wrong = wrong.map(|(element, (copied, expected))| {
        format!("{element:x} is there {copied} times and not {expected}")
    });
    wrong.take(5).collect()
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            originals,
            first,
            second,
            tagged,
        } = self;
        let (originals, first) = (originals.len(), first.len());
        let (second, tagged) = (second.len(), tagged.len());
        write!(
            f,
            "{originals} originals, copied: {first}, {second} also elsewhere, {tagged} by tags"
        )
    }
}
