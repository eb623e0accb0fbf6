//! Samples of stored forms, in files under version control.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids;

/// The variable that turns on the writing of missing samples.
const BLESS: &str = "EVENTFOLD_BLESS";

/// How to write samples, for messages.
pub(super) const HOW_TO_BLESS: &str = "EVENTFOLD_BLESS=1 cargo test";

/// One stored form: an event's, or a state's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// The event's name, or the aggregate's type.
    #[serde(rename = "type")]
    pub(super) name: String,
    pub(super) version: u32,
    /// The names of the event's tags, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
    pub(super) data: Value,
    /// Earlier forms of the same version, which lack members that this one has; the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) older: Vec<Value>,
}

/// Whether missing samples are to be written.
pub(super) fn is_blessed() -> bool {
    std::env::var_os(BLESS).is_some_and(|value| !value.is_empty() && value != "0")
}

/// The file of one version of what is called `name`: `MoneyDeposited.v2.json`.
pub(super) fn file_of(dir: &Path, name: &str, version: u32) -> PathBuf {
    // A name that is too long is left as it is; the system then reports it.
    let file = ids::encode(name).unwrap_or_else(|_| name.to_owned());
    dir.join(format!("{file}.v{version}.json"))
}

impl Sample {
    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let json = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        std::fs::write(file, json + "\n")
    }
}

/// The samples in `dir`, by their files. What cannot be read is a problem.
pub(super) fn read_all(dir: &Path, problems: &mut Vec<String>) -> BTreeMap<PathBuf, Sample> {
    let mut samples = BTreeMap::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return samples,
        Err(error) => {
            problems.push(format!("{} cannot be read: {error}", dir.display()));
            return samples;
        }
    };
    for entry in entries {
        let file = match entry {
            Ok(entry) => entry.path(),
            Err(error) => {
                problems.push(format!("{} cannot be read: {error}", dir.display()));
                continue;
            }
        };
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let read = std::fs::read(&file)
            .and_then(|json| serde_json::from_slice::<Sample>(&json).map_err(io::Error::other));
        match read {
            Ok(sample) if file_of(dir, &sample.name, sample.version) == file => {
                samples.insert(file, sample);
            }
            Ok(sample) => problems.push(format!(
                "{} holds version {} of `{}`, whose file is {}; move it there",
                file.display(),
                sample.version,
                sample.name,
                file_of(dir, &sample.name, sample.version).display()
            )),
            Err(error) => problems.push(format!(
                "{} is not a sample: {error}; restore it from version control",
                file.display()
            )),
        }
    }
    samples
}

/// The paths of the members that `newer` has and `older` has not, such as `lines[].note`. `None` if
/// `newer` lacks something of `older`.
pub(super) fn additions(older: &Value, newer: &Value) -> Option<BTreeSet<String>> {
    let mut added = BTreeSet::new();
    extends(older, newer, "", &mut added).then_some(added)
}

fn extends(older: &Value, newer: &Value, path: &str, added: &mut BTreeSet<String>) -> bool {
    match (older, newer) {
        (Value::Object(older), Value::Object(newer)) => {
            let further = newer.keys().filter(|key| !older.contains_key(*key));
            added.extend(further.map(|key| member(path, key)));
            older.iter().all(|(key, value)| {
                let newer = newer.get(key);
                newer.is_some_and(|newer| extends(value, newer, &member(path, key), added))
            })
        }
        // In any order, since a `HashSet` has another order each time that it is read.
        (Value::Array(older), Value::Array(newer)) => {
            let mut rest: Vec<&Value> = newer.iter().collect();
            let path = format!("{path}[]");
            older.len() == newer.len()
                && older.iter().all(|value| {
                    let found = rest
                        .iter()
                        .position(|newer| additions(value, newer).is_some());
                    found.is_some_and(|place| extends(value, rest.remove(place), &path, added))
                })
        }
        (older, newer) => older == newer,
    }
}

/// The paths of all members of `value`.
pub(super) fn members(value: &Value) -> BTreeSet<String> {
    fn collect(value: &Value, path: &str, all: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let path = member(path, key);
                    collect(value, &path, all);
                    all.insert(path);
                }
            }
            Value::Array(elements) => {
                let path = format!("{path}[]");
                for element in elements {
                    collect(element, &path, all);
                }
            }
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    collect(value, "", &mut all);
    all
}

fn member(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The members of the object `newer` that `older` lacks: an older sample left them out because they
/// had no value.
pub(super) fn new_members(older: &Value, newer: &Value) -> Vec<String> {
    let (Value::Object(older), Value::Object(newer)) = (older, newer) else {
        return Vec::new();
    };
    let new = newer.keys().filter(|key| !older.contains_key(*key));
    new.cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn added(older: Value, newer: Value) -> Option<Vec<String>> {
        additions(&older, &newer).map(|added| added.into_iter().collect())
    }

    #[test]
    fn a_sample_that_only_adds_members_is_an_addition() {
        assert_eq!(added(json!({"a": 1}), json!({"a": 1})), Some(vec![]));
        let nested = json!({"a": {"b": [{"c": 1}, {"c": 2}]}});
        let further =
            json!({"a": {"b": [{"c": 2, "d": null}, {"c": 1, "d": null}], "e": 0}, "f": ""});
        let paths = ["a.b[].d", "a.e", "f"].map(str::to_owned).to_vec();
        assert_eq!(added(nested, further.clone()), Some(paths.clone()));
        assert!(members(&further).is_superset(&paths.into_iter().collect()));
    }

    #[test]
    fn a_sample_with_missing_or_changed_members_is_no_addition() {
        for (older, newer) in [
            (json!({"a": 1}), json!({"b": 1})),
            (json!({"a": 1}), json!({"a": 2, "b": 1})),
            (json!({"a": null}), json!({"a": 0})),
            (json!(null), json!({"a": 0})),
            (json!([1, 1]), json!([1, 2])),
            (json!([1]), json!([1, 1])),
            (
                json!([{"a": 1}, {"a": 1}]),
                json!([{"a": 1, "b": 1}, {"a": 2, "b": 1}]),
            ),
        ] {
            assert_eq!(added(older, newer), None);
        }
    }
}
