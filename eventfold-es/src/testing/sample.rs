//! Samples of stored forms, in files under version control.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stream;

/// The variable that has missing samples written.
const BLESS: &str = "EVENTFOLD_BLESS";

/// How samples are written, as a message says it.
pub(super) const HOW_TO_BLESS: &str = "EVENTFOLD_BLESS=1 cargo test";

/// One stored form: an event's, or a state's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// The event's name, or the aggregate's type.
    #[serde(rename = "type")]
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) data: Value,
}

/// Whether missing samples are to be written.
pub(super) fn is_blessed() -> bool {
    std::env::var_os(BLESS).is_some_and(|value| !value.is_empty() && value != "0")
}

/// The file of one version of what is called `name`: `MoneyDeposited.v2.json`.
pub(super) fn file_of(dir: &Path, name: &str, version: u32) -> PathBuf {
    // One that is too long stays so, which the system then says.
    let file = stream::encode(name).unwrap_or_else(|_| name.to_owned());
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
                "{} is no sample: {error}; restore it from version control",
                file.display()
            )),
        }
    }
    samples
}

/// The members of the object `newer` that `older` has not: what a sample shows that was left out of
/// an older one because it had no value there.
pub(super) fn new_members(older: &Value, newer: &Value) -> Vec<String> {
    let (Value::Object(older), Value::Object(newer)) = (older, newer) else {
        return Vec::new();
    };
    let new = newer.keys().filter(|key| !older.contains_key(*key));
    new.cloned().collect()
}
