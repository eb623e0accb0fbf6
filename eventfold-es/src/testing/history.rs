//! The event history: whatever was stored under any name and version can still be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::diff::diff;
use super::form::{Form, Place, comes_back, pretty};
use super::sample::{self, HOW_TO_BLESS, Sample, file_of, is_blessed, new_members};
use crate::event::{DomainEvent, EventName};

/// Compares the events of the set `E` with the samples of their stored form in `dir`, a directory
/// under version control: one file for every name and version ever written.
///
/// The path is relative to where the test runs, which is the package's directory under `cargo test`.
/// `E` is an event type or a set of them, such as the event enum of an aggregate.
///
/// ```
/// use eventfold_es::{prelude::*, testing};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
/// struct Deposited {
///     amount: u64,
/// }
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path();
/// # std::fs::write(
/// #     dir.join("Deposited.v1.json"),
/// #     r#"{"type":"Deposited","version":1,"data":{"amount":5}}"#,
/// # ).unwrap();
/// # /*
/// #[test]
/// fn every_event_ever_stored_can_be_read() {
///     let dir = "events/";
/// # */
///     testing::event_history::<Deposited>(dir)
///         .sample(Deposited { amount: 5 })
///         .check();
/// # /*
/// }
/// # */
/// ```
///
/// The first run says which samples are missing, and `EVENTFOLD_BLESS=1 cargo test` writes them.
/// Commit them, and never change or delete one of a version that was released. From then on the test
/// fails if
///
/// * an event has a new name or version of which there is no sample yet: bless;
/// * the shape of a payload changed under the same version: add a version;
/// * a name or an alias is gone of which there are samples: add an alias, or retire it;
/// * a sample cannot be read any more, through whatever steps.
///
/// ```text
/// events/Deposited.v1.json
/// {
///   "type": "Deposited",
///   "version": 1,
///   "data": {
///     "amount": 5
///   }
/// }
/// ```
#[must_use = "nothing is compared before `check`"]
pub fn event_history<E: DomainEvent>(dir: impl Into<PathBuf>) -> EventHistory<E> {
    EventHistory {
        dir: dir.into(),
        given: E::__samples().iter().map(Form::of_event).collect(),
        blessed: is_blessed(),
        of: std::marker::PhantomData,
    }
}

/// What is compared with the samples. Made by [`event_history`].
#[derive(Debug)]
#[must_use = "nothing is compared before `check`"]
pub struct EventHistory<E> {
    dir: PathBuf,
    /// One for each name at most is used, the last one given.
    given: Vec<Result<Form, String>>,
    blessed: bool,
    of: std::marker::PhantomData<fn() -> E>,
}

impl<E: DomainEvent> EventHistory<E> {
    /// Gives a sample of an event. Without one, the sample is made of `Default` if the event's type,
    /// or the types of all fields of its variant, have that; a better one has a value wherever there
    /// may be none, such as `Some` and a list that is not empty.
    ///
    /// See the example of [`event_history`].
    pub fn sample(mut self, event: impl Into<E>) -> Self {
        self.given.push(Form::of_event(&event.into()));
        self
    }

    /// Gives a sample of what is read and not written any more: an older version from before there
    /// was a history, a retired event, or an alias. `data` is the payload as it was stored, the `data`
    /// of a line of a stream.
    ///
    /// ```no_run
    /// # use eventfold_es::{prelude::*, testing};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize, DomainEvent)]
    /// # #[event(version = 2, upcast(1 = in_cents))]
    /// # struct Deposited { cents: u64 }
    /// # fn in_cents(dollars: u64) -> Deposited { Deposited { cents: dollars * 100 } }
    /// testing::event_history::<Deposited>("events/")
    ///     .stored_sample("Deposited", 1, serde_json::json!(5))
    ///     .check();
    /// ```
    pub fn stored_sample(mut self, name: &str, version: u32, data: Value) -> Self {
        self.given.push(Ok(Form {
            name: name.to_owned(),
            version,
            data,
        }));
        self
    }

    /// Writes missing samples, or does not, whatever the environment says.
    #[doc(hidden)]
    pub fn blessed(mut self, blessed: bool) -> Self {
        self.blessed = blessed;
        self
    }

    /// Compares, and writes what is missing if `EVENTFOLD_BLESS` is set.
    ///
    /// # Panics
    ///
    /// If something differs, with everything that does, and with what to do about each.
    #[track_caller]
    pub fn check(self) {
        let problems = self.compare();
        if !problems.is_empty() {
            let dir = self.dir.display();
            panic!(
                "the events differ from their history in {dir}:\n\n{}",
                problems.join("\n\n")
            );
        }
    }

    fn compare(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let samples = sample::read_all(&self.dir, &mut problems);
        let mut given = BTreeMap::new();
        for form in &self.given {
            match form {
                Ok(form) => drop(given.insert((form.name.as_str(), form.version), form)),
                Err(error) => problems.push(format!("a sample cannot be stored: {error}")),
            }
        }
        for (name, version) in wanted::<E>(&samples) {
            let file = file_of(&self.dir, name, version);
            if samples.contains_key(&file) {
                continue;
            }
            // In the first version, an alias is only another name.
            let known = E::NAMES.iter().find(|known| known.is(name));
            let is_first = known.is_some_and(|known| known.version == Some(1));
            let form = given
                .get(&(name, version))
                .or_else(|| given.get(&(known?.name, 1)).filter(|_| is_first));
            match form {
                Some(form) if self.blessed => {
                    let sample = Sample {
                        name: name.to_owned(),
                        version,
                        data: form.data.clone(),
                    };
                    let written = still_readable::<E>(&file, &sample, None).and_then(|()| {
                        let written = sample.write(&file);
                        written.map_err(|e| format!("{} cannot be written: {e}", file.display()))
                    });
                    problems.extend(written.err());
                }
                Some(_) => problems.push(format!(
                    "event `{name}` has no sample of version {version}: `{HOW_TO_BLESS}` writes {}, \
                     which is to be committed",
                    file.display()
                )),
                None => problems.push(no_sample::<E>(name, version, &file)),
            }
        }
        for (file, sample) in &samples {
            let given = given.get(&(sample.name.as_str(), sample.version));
            if let Err(problem) = still_readable::<E>(file, sample, given.copied()) {
                problems.push(problem);
            }
        }
        problems
    }
}

/// Of which names and versions there must be samples: each that is written, each older version, and
/// one at least of what is only read.
fn wanted<E: DomainEvent>(samples: &BTreeMap<PathBuf, Sample>) -> Vec<(&'static str, u32)> {
    let has_one = |name: &str| samples.values().any(|sample| sample.name == name);
    let mut wanted = Vec::new();
    for EventName {
        name,
        aliases,
        version,
    } in E::NAMES
    {
        let is_of_this = |sample: &Sample| *name == sample.name || aliases.contains(&&*sample.name);
        let Some(current) = *version else {
            if !has_one(name) {
                wanted.push((*name, 1));
            }
            continue;
        };
        for version in 1..current {
            // It may have been written under an older name.
            let mut there = samples.values().filter(|sample| sample.version == version);
            if !there.any(is_of_this) {
                wanted.push((*name, version));
            }
        }
        wanted.push((*name, current));
        wanted.extend(
            aliases
                .iter()
                .filter(|alias| !has_one(alias))
                .map(|alias| (*alias, 1)),
        );
    }
    wanted
}

/// What to do about a sample that only the test can give.
fn no_sample<E: DomainEvent>(name: &str, version: u32, file: &Path) -> String {
    let file = file.display();
    let is_written = E::NAMES
        .iter()
        .any(|known| known.name == name && known.version == Some(version));
    if is_written {
        format!(
            "event `{name}` has no sample of version {version}, and `Default` makes none: give one, \
             `.sample(...)`, then `{HOW_TO_BLESS}` writes {file}"
        )
    } else {
        format!(
            "event `{name}` has no sample of version {version}, which is only read: give the `data` \
             of a stored line, `.stored_sample(\"{name}\", {version}, json!(...))`, then \
             `{HOW_TO_BLESS}` writes {file}"
        )
    }
}

/// Whether a sample can be read, and if it is of the version that is written, whether that has the
/// same shape.
fn still_readable<E: DomainEvent>(
    file: &Path,
    sample: &Sample,
    given: Option<&Form>,
) -> Result<(), String> {
    let Sample {
        name,
        version,
        data,
    } = sample;
    let file = file.display();
    let Some(known) = E::NAMES.iter().find(|known| known.is(name)) else {
        return Err(format!(
            "event `{name}` is not known any more, and may be stored ({file}): if it has another name \
             now, add `alias = \"{name}\"` to that; if it is not written any more, add it to \
             `retired(...)`"
        ));
    };
    let form = Form {
        name: name.clone(),
        version: *version,
        data: data.clone(),
    };
    let place = Place {
        aggregate_type: "sample",
        id: "sample",
        version: 1,
        position: 1,
    };
    let read = form.stored(place, E::decode);
    if let Err(error) = &read {
        let remedy = if known.version.is_some_and(|current| current <= *version) {
            format!(
                "; if the payload has another shape now, raise `version` to {} and lead there, \
                 `upcast({version} = path)`",
                version + 1
            )
        } else {
            String::new()
        };
        return Err(format!("{file} cannot be read any more: {error}{remedy}"));
    }
    if known.version != Some(*version) {
        return Ok(());
    }
    let remedy = format!(
        "If it was stored anywhere, raise `version` to {} and lead there, `upcast({version} = path)`; \
         if it never was, delete the file and write it anew: `{HOW_TO_BLESS}`.",
        version + 1
    );
    let title =
        format!("the payload of `{name}` has changed, and its version is still {version} ({file})");
    // Under an alias, it is written by its name of today.
    let form_of = |event: &E| {
        Form::of_event(event).map(|form| Form {
            name: name.clone(),
            ..form
        })
    };
    if comes_back(&form, &read, form_of).is_err() {
        let again = read.ok().and_then(|events| events.into_one().ok());
        let again = again.and_then(|event| form_of(&event).ok());
        let again = again.map_or_else(Vec::new, |form| pretty(&form.data));
        return Err(format!(
            "{title}\n{}\n{remedy}",
            diff(&pretty(data), &again)
        ));
    }
    let new = given.map_or_else(Vec::new, |given| new_members(data, &given.data));
    if !new.is_empty() {
        let new = new.join("`, `");
        return Err(format!(
            "{title}: the sample of today has `{new}` besides\n{remedy}"
        ));
    }
    Ok(())
}
