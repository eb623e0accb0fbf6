//! The invariants in ARCHITECTURE.md and the places in the code that cite them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_cited_invariant_is_in_the_architecture() {
    let stated = stated();
    let unknown: Vec<_> = cited()
        .into_iter()
        .filter(|c| !stated.contains(&c.number))
        .collect();
    assert!(
        unknown.is_empty(),
        "ARCHITECTURE.md lacks what these cite: {unknown:#?}"
    );
}

#[test]
fn every_invariant_in_the_architecture_is_cited_by_code() {
    let cited: BTreeSet<String> = cited().into_iter().map(|c| c.number).collect();
    let uncited: Vec<_> = stated().difference(&cited).cloned().collect();
    assert!(uncited.is_empty(), "no code cites `Invariant` {uncited:?}");
}

#[test]
fn the_invariants_of_each_letter_are_numbered_from_1_without_gaps() {
    let stated = stated();
    assert!(!stated.is_empty(), "ARCHITECTURE.md has no invariants");
    for number in &stated {
        let (letter, digits) = number.split_at(1);
        let n: u32 = digits.parse().expect("digits follow the letter");
        let before = format!("{letter}{}", n - 1);
        assert!(
            n == 1 || stated.contains(&before),
            "{number} is there without {before}"
        );
    }
}

/// A place in the code that cites an invariant.
#[derive(Debug)]
struct Citation {
    number: String,
    #[expect(dead_code, reason = "a failed test shows it")]
    place: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The numbers of the list items that begin with one, `* **C1** …`.
fn stated() -> BTreeSet<String> {
    let path = root().join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path).expect("ARCHITECTURE.md can be read");
    let mut stated = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("* **")
            && let Some((number, _)) = rest.split_once("**")
        {
            assert_eq!(leading_number(number), Some(number), "in the line {line}");
            assert!(stated.insert(number.to_owned()), "{number} is there twice");
        }
    }
    stated
}

/// What the sources of both crates cite as `Invariant C1`.
fn cited() -> Vec<Citation> {
    let mut cited = Vec::new();
    for package in ["eventfold-es", "eventfold-es-derive"] {
        collect(&root().join(package).join("src"), &mut cited);
    }
    cited
}

fn collect(dir: &Path, cited: &mut Vec<Citation>) {
    for entry in fs::read_dir(dir).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            collect(&path, cited);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source can be read");
            for (line, text) in (1..).zip(text.lines()) {
                let numbers = text.split("Invariant ").skip(1).filter_map(leading_number);
                cited.extend(numbers.map(|number| Citation {
                    number: number.to_owned(),
                    place: format!("{}:{line}", path.display()),
                }));
            }
        }
    }
}

/// The capital letter and the digits that `text` begins with.
fn leading_number(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(|first: char| first.is_ascii_uppercase())?;
    let length = digits.len()
        - digits
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    (length > 0).then(|| &text[..=length])
}
