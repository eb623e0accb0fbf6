//! The history of events, each test with samples of its own.

use std::path::Path;

use eventfold_es::DomainEvent;
use eventfold_es::testing::event_history;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fails;
use crate::support::{TempDir, temp_dir};

/// Events of a program, each with the shape that it has there.
macro_rules! program {
    ($program:ident { $($item:item)* }) => {
        mod $program {
            use super::*;
            $(
                #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
                $item
            )*
        }
    };
}

program!(first {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        Deposited { amount: u64 },
        Closed,
    }
});

/// A directory with the samples of the first program.
fn samples() -> TempDir {
    let dir = temp_dir();
    let opened = first::Event::Opened {
        owner: "Ada".to_owned(),
        tags: vec!["a".to_owned()],
    };
    event_history::<first::Event>(dir.path())
        .sample(opened)
        .blessed(true)
        .check();
    dir
}

fn check<E: DomainEvent>(dir: &Path) {
    event_history::<E>(dir).blessed(false).check();
}

pub(super) fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut files: Vec<String> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    files.sort();
    files
}

#[test]
fn a_blessed_run_writes_a_file_for_each_event_and_nothing_twice() {
    let dir = samples();
    assert_eq!(
        files(dir.path()),
        ["Closed.v1.json", "Deposited.v1.json", "Opened.v1.json"]
    );
    let opened = std::fs::read_to_string(dir.path().join("Opened.v1.json")).unwrap();
    let expected = r#"{
  "type": "Opened",
  "version": 1,
  "data": {
    "owner": "Ada",
    "tags": [
      "a"
    ]
  }
}
"#;
    assert_eq!(opened, expected);
    // What is there stays as it is, whatever sample is given, and the test passes without a blessing.
    let other = first::Event::Opened {
        owner: "Bob".to_owned(),
        tags: vec![],
    };
    event_history::<first::Event>(dir.path())
        .sample(other)
        .blessed(true)
        .check();
    assert_eq!(
        std::fs::read_to_string(dir.path().join("Opened.v1.json")).unwrap(),
        expected
    );
    check::<first::Event>(dir.path());
}

#[test]
fn an_event_without_a_sample_is_named_with_its_file_and_the_remedy() {
    let dir = temp_dir();
    fails(
        || check::<first::Event>(dir.path()),
        &[
            "event `Opened` has no sample of version 1: `EVENTFOLD_BLESS=1 cargo test` writes",
            "Opened.v1.json",
            "event `Closed` has no sample",
        ],
    );
    assert_eq!(files(dir.path()), [] as [&str; 0]);
}

#[test]
fn an_event_without_a_default_sample_must_be_given_one() {
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Ratio(u64);
    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    struct Scaled {
        by: Ratio,
    }
    let dir = temp_dir();
    fails(
        || event_history::<Scaled>(dir.path()).blessed(true).check(),
        &[
            "event `Scaled` has no sample of version 1, and `Default` cannot make one",
            "`.sample(...)`",
        ],
    );
    event_history::<Scaled>(dir.path())
        .sample(Scaled { by: Ratio(2) })
        .blessed(true)
        .check();
    assert_eq!(files(dir.path()), ["Scaled.v1.json"]);
}

program!(with_more_in_it {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        Deposited { amount: u64, #[serde(default)] currency: String },
        Closed,
    }
});
program!(with_less_in_it {
    pub(super) enum Event {
        Opened { owner: String },
        Deposited { amount: u64 },
        Closed,
    }
});
program!(with_another_number {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        Deposited { amount: f64 },
        Closed,
    }
});
program!(with_another_type {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        Deposited { amount: String },
        Closed,
    }
});
program!(with_another_member {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        Deposited { #[serde(alias = "amount")] cents: u64 },
        Closed,
    }
});

#[test]
fn a_payload_whose_shape_changed_under_the_same_version_is_noticed() {
    let dir = samples();
    let changed = "the payload of `Deposited` has changed, and its version is still 1";
    let remedy = "raise `version` to 2 and add `upcast(1 = path)`";
    fails(
        || check::<with_less_in_it::Event>(dir.path()),
        &["the payload of `Opened` has changed", "-   \"tags\": ["],
    );
    fails(
        || check::<with_another_number::Event>(dir.path()),
        &[
            changed,
            remedy,
            "- in the sample\n+ as it is read and written today",
            "-   \"amount\": 0",
            "+   \"amount\": 0.0",
        ],
    );
    fails(
        || check::<with_another_type::Event>(dir.path()),
        &["Deposited.v1.json can no longer be read", remedy],
    );
    fails(
        || check::<with_another_member::Event>(dir.path()),
        &[changed, "-   \"amount\": 0", "+   \"cents\": 0"],
    );
}

fn file(dir: &Path, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap()
}

#[test]
fn a_new_field_with_a_default_needs_no_new_version_and_the_file_keeps_both_samples() {
    let dir = samples();
    fails(
        || check::<with_more_in_it::Event>(dir.path()),
        &[
            "the payload of `Deposited` now has `currency`, which is not in",
            "Deposited.v1.json",
            "- in the sample\n+ as it is read and written today",
            "+   \"currency\": \"\"",
            "If the result is right for the events that are already stored, `EVENTFOLD_BLESS=1 cargo test` adds",
            "raise `version` to 2 and add `upcast(1 = path)`",
        ],
    );
    let deposited = with_more_in_it::Event::Deposited {
        amount: 7,
        currency: "EUR".to_owned(),
    };
    event_history::<with_more_in_it::Event>(dir.path())
        .sample(deposited)
        .blessed(true)
        .check();
    let today = json!({"amount": 7, "currency": "EUR"});
    let expected = json!({
        "type": "Deposited", "version": 1, "data": today, "older": [{"amount": 0}],
    });
    assert_eq!(file(dir.path(), "Deposited.v1.json"), expected);
    check::<with_more_in_it::Event>(dir.path());
    // What is not new is left as it is.
    assert_eq!(file(dir.path(), "Closed.v1.json").get("older"), None);

    // The field is not lost again unnoticed, and the older events are still read.
    fails(
        || check::<first::Event>(dir.path()),
        &[
            "the payload of `Deposited` has changed",
            "-   \"currency\": \"EUR\"",
        ],
    );
    fails(
        || check::<with_more_without_a_default::Event>(dir.path()),
        &["Deposited.v1.json can no longer be read", "currency"],
    );
    // A further version reads both.
    fails(
        || check::<with_more_of_another_meaning::Event>(dir.path()),
        &[
            "Deposited.v1.json can no longer be read",
            "nothing is too little",
        ],
    );
}

program!(with_more_without_a_default {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        Deposited { amount: u64, currency: String },
        Closed,
    }
});
program!(with_more_of_another_meaning {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        #[event(version = 2, upcast(1 = more_than_nothing))]
        Deposited { amount: u64 },
        Closed,
    }
});

fn more_than_nothing(old: Dollars) -> Result<with_more_of_another_meaning::Event, String> {
    match old.amount {
        0 => Err("nothing is too little".to_owned()),
        amount => Ok(with_more_of_another_meaning::Event::Deposited { amount }),
    }
}

#[test]
fn a_new_field_inside_a_payload_is_shown_by_its_path_and_in_the_new_sample() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    struct Line {
        sku: String,
        #[serde(default)]
        note: Option<String>,
    }
    #[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
    struct Placed {
        lines: Vec<Line>,
    }
    let dir = temp_dir();
    std::fs::write(
        dir.path().join("Placed.v1.json"),
        r#"{"type":"Placed","version":1,"data":{"lines":[{"sku":"a"},{"sku":"b"}]}}"#,
    )
    .unwrap();
    fails(
        || check::<Placed>(dir.path()),
        &["the payload of `Placed` now has `lines[].note`"],
    );
    // The sample that `Default` makes has no line, which would not show it.
    event_history::<Placed>(dir.path()).blessed(true).check();
    let lines = json!([{"sku": "a", "note": null}, {"sku": "b", "note": null}]);
    assert_eq!(file(dir.path(), "Placed.v1.json")["data"]["lines"], lines);
    check::<Placed>(dir.path());
}

#[test]
fn a_value_that_is_read_back_differently_is_not_a_new_field() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
    struct Deposited {
        amount: u64,
        #[serde(default, deserialize_with = "never")]
        note: Option<String>,
    }
    fn never<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
        Option::<String>::deserialize(value).map(|_| Some("read".to_owned()))
    }
    let dir = temp_dir();
    std::fs::write(
        dir.path().join("Deposited.v1.json"),
        r#"{"type":"Deposited","version":1,"data":{"amount":5}}"#,
    )
    .unwrap();
    fails(
        || event_history::<Deposited>(dir.path()).blessed(true).check(),
        &["the payload of `Deposited` has changed"],
    );
}

#[test]
fn a_field_that_is_left_out_when_empty_is_noticed_by_a_sample_that_has_it() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
    struct Closed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    }
    let dir = temp_dir();
    std::fs::write(
        dir.path().join("Closed.v1.json"),
        r#"{"type":"Closed","version":1,"data":{}}"#,
    )
    .unwrap();
    let why = Some("fraud".to_owned());
    fails(
        || {
            event_history::<Closed>(dir.path())
                .sample(Closed { why })
                .check();
        },
        &[
            "the payload of `Closed` now has `why`, which",
            "`EVENTFOLD_BLESS=1 cargo test` adds a new sample",
        ],
    );
}

program!(renamed {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        #[event(alias = "Deposited")]
        MoneyDeposited { amount: u64 },
        Closed,
    }
});
program!(renamed_without_an_alias {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        MoneyDeposited { amount: u64 },
        Closed,
    }
});
program!(retired {
    #[event(retired("Deposited"))]
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        Closed,
    }
});

#[test]
fn a_name_or_an_alias_that_disappears_is_noticed() {
    let dir = samples();
    fails(
        || check::<renamed_without_an_alias::Event>(dir.path()),
        &[
            "event `Deposited` is no longer known",
            "Deposited.v1.json",
            "add `alias = \"Deposited\"`",
            "`retired(...)`",
            "event `MoneyDeposited` has no sample",
        ],
    );
    check::<retired::Event>(dir.path());
    event_history::<renamed::Event>(dir.path())
        .blessed(true)
        .check();
    assert_eq!(
        files(dir.path()),
        [
            "Closed.v1.json",
            "Deposited.v1.json",
            "MoneyDeposited.v1.json",
            "Opened.v1.json"
        ]
    );
    // Also if the history began after it had been renamed.
    let dir = temp_dir();
    event_history::<renamed::Event>(dir.path())
        .sample(renamed::Event::MoneyDeposited { amount: 5 })
        .blessed(true)
        .check();
    assert!(dir.path().join("Deposited.v1.json").exists());
    fails(
        || check::<renamed_without_an_alias::Event>(dir.path()),
        &["event `Deposited` is no longer known"],
    );
}

program!(second {
    pub(super) enum Event {
        Opened { owner: String, tags: Vec<String> },
        #[event(version = 2, upcast(1 = in_cents))]
        Deposited { cents: u64 },
        Closed,
    }
});

#[derive(Deserialize)]
struct Dollars {
    amount: u64,
}

fn in_cents(old: Dollars) -> Result<second::Event, String> {
    match old.amount.checked_mul(100) {
        Some(cents) => Ok(second::Event::Deposited { cents }),
        None => Err(format!("{} is too much", old.amount)),
    }
}

#[test]
fn a_new_version_has_a_sample_of_its_own_beside_the_old_one() {
    let dir = samples();
    fails(
        || check::<second::Event>(dir.path()),
        &[
            "event `Deposited` has no sample of version 2",
            "Deposited.v2.json",
        ],
    );
    event_history::<second::Event>(dir.path())
        .blessed(true)
        .check();
    assert_eq!(
        files(dir.path()),
        [
            "Closed.v1.json",
            "Deposited.v1.json",
            "Deposited.v2.json",
            "Opened.v1.json"
        ]
    );
    check::<second::Event>(dir.path());
    // The older program does not know it.
    fails(
        || check::<first::Event>(dir.path()),
        &[
            "Deposited.v2.json can no longer be read",
            "a newer program wrote it",
        ],
    );
    // A step that fails.
    let old = json!({ "type": "Deposited", "version": 1, "data": { "amount": u64::MAX } });
    std::fs::write(dir.path().join("Deposited.v1.json"), old.to_string()).unwrap();
    fails(
        || check::<second::Event>(dir.path()),
        &[
            "Deposited.v1.json can no longer be read",
            "by `in_cents`",
            "is too much",
        ],
    );
}

#[test]
fn a_history_that_begins_late_must_be_given_samples_of_old_versions_and_aliases() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
    #[event(alias = "Paid", version = 3, upcast(1 = of_text, 2 = of_number))]
    struct Deposited {
        cents: u64,
    }
    fn of_text(text: String) -> Result<u64, std::num::ParseIntError> {
        text.parse()
    }
    fn of_number(cents: u64) -> Deposited {
        Deposited { cents }
    }
    let dir = temp_dir();
    fails(
        || event_history::<Deposited>(dir.path()).blessed(true).check(),
        &[
            "`.stored_sample(\"Deposited\", 1, json!(...))`",
            "`.stored_sample(\"Deposited\", 2, json!(...))`",
            "`.stored_sample(\"Paid\", 1, json!(...))`",
        ],
    );
    let given = || {
        event_history::<Deposited>(dir.path())
            .stored_sample("Deposited", 1, json!("5"))
            .stored_sample("Deposited", 2, json!(5))
            .stored_sample("Paid", 1, json!("5"))
    };
    given().blessed(true).check();
    check::<Deposited>(dir.path());
    let wrong =
        || event_history::<Deposited>(dir.path()).stored_sample("Deposited", 1, json!("five"));
    wrong().check();
    for file in ["Deposited.v1.json", "Paid.v1.json"] {
        std::fs::remove_file(dir.path().join(file)).unwrap();
    }
    fails(
        || wrong().blessed(true).check(),
        &["by `of_text`: invalid digit"],
    );
    // What cannot be read is not written either.
    assert_eq!(
        files(dir.path()),
        ["Deposited.v2.json", "Deposited.v3.json"]
    );
}

#[test]
fn a_file_that_is_no_sample_or_has_the_wrong_name_is_noticed() {
    let dir = samples();
    let path = |name: &str| dir.path().join(name);
    std::fs::rename(path("Closed.v1.json"), path("Closed.v2.json")).unwrap();
    std::fs::write(path("Opened.v1.json"), "<<<<<<< ours").unwrap();
    std::fs::write(path("README.md"), "not looked at").unwrap();
    fails(
        || check::<first::Event>(dir.path()),
        &[
            "Closed.v2.json holds version 1 of `Closed`",
            "Opened.v1.json is not a sample",
        ],
    );
}
