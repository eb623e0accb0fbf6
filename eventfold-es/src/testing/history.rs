//! The event history: every event that was ever stored can still be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::event::{DecodeError, Decoded, DomainEvent, EventName};
use crate::testing::diff::compared;
use crate::testing::form::{Form, Place, alike, pretty, time_of};
use crate::testing::sample;
use crate::testing::sample::{
    HOW_TO_BLESS, Sample, additions, file_of, is_blessed, members, new_members,
};

/// Compares the events of the set `E` with the samples of their stored form in `dir`. The directory
/// is under version control, and has one file for every name and version ever written.
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
/// The first run reports the missing samples, and `EVENTFOLD_BLESS=1 cargo test` writes them
/// ("blesses" them). Commit them. Never change or delete a sample of a released version. From then
/// on the test fails in these cases:
///
/// * an event has a new name or version without a sample: bless;
/// * under the same version a payload has a further member, a field with `#[serde(default)]` for
///   example, and the older samples are still read without loss: bless, if the default is true of
///   the older events. The file then has both: the current sample as `data`, the earlier ones as
///   `older`;
/// * the shape of a payload changed in another way under the same version: add a version;
/// * a name or an alias that has samples is gone: add an alias, or retire it;
/// * a sample cannot be read any more, even through its steps.
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

/// The events to compare with the samples. Made by [`event_history`].
#[derive(Debug)]
#[must_use = "nothing is compared before `check`"]
pub struct EventHistory<E> {
    dir: PathBuf,
    /// At most one for each name is used: the last one given.
    given: Vec<Result<Form, String>>,
    blessed: bool,
    of: std::marker::PhantomData<fn() -> E>,
}

impl<E: DomainEvent> EventHistory<E> {
    /// Gives a sample of an event. Without one, the sample is made by `Default`, if the event's
    /// type has that, or the types of all fields of its variant do. A given sample is better: it
    /// can have a value in each optional place, such as `Some` or a list that is not empty.
    ///
    /// See the example of [`event_history`].
    pub fn sample(mut self, event: impl Into<E>) -> Self {
        self.given.push(Form::of_event(&event.into()));
        self
    }

    /// Gives a sample of an event that is read and not written any more: an older version from
    /// before there was a history, a retired event, or an alias. `data` is the payload as it was
    /// stored, the `data` of a line of a stream.
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
        self.given.push(Ok(Form::new(name, version, data)));
        self
    }

    /// Sets whether missing samples are written, instead of the environment.
    #[doc(hidden)]
    pub fn blessed(mut self, blessed: bool) -> Self {
        self.blessed = blessed;
        self
    }

    /// Compares the events with the samples. Writes missing samples if `EVENTFOLD_BLESS` is set.
    ///
    /// # Panics
    ///
    /// If something differs. The message lists every difference, and what to do about it.
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
                        tags: tags_of::<E>(name),
                        data: form.data.clone(),
                        older: Vec::new(),
                    };
                    let written = still_readable::<E>(&file, &sample, None).and_then(|_| {
                        let written = sample.write(&file);
                        written.map_err(|e| format!("{} cannot be written: {e}", file.display()))
                    });
                    problems.extend(written.err());
                }
                Some(_) => problems.push(format!(
                    "event `{name}` has no sample of version {version}: `{HOW_TO_BLESS}` writes \
                     {}; commit that file",
                    file.display()
                )),
                None => problems.push(no_sample::<E>(name, version, &file)),
            }
        }
        for (file, mut sample) in samples {
            let file = &file;
            match same_tags::<E>(file, &sample) {
                Err(_) if self.blessed => {
                    sample.tags = tags_of::<E>(&sample.name);
                    let written = sample.write(file);
                    let problem = |e| format!("{} cannot be written: {e}", file.display());
                    problems.extend(written.map_err(problem).err());
                }
                same => problems.extend(same.err()),
            }
            let sample = &sample;
            let given = given.get(&(sample.name.as_str(), sample.version));
            let checked = still_readable::<E>(file, sample, given.copied());
            let checked = checked.and_then(|addition| match addition {
                Some(addition) if self.blessed => addition.write::<E>(file, sample),
                Some(addition) => Err(addition.describe(file, sample)),
                None => Ok(()),
            });
            problems.extend(checked.err());
        }
        problems
    }
}

/// The names and versions that need samples: each that is written, each older version, and at least
/// one of each name that is only read.
fn wanted<E: DomainEvent>(samples: &BTreeMap<PathBuf, Sample>) -> Vec<(&'static str, u32)> {
    let has_one = |name: &str| samples.values().any(|sample| sample.name == name);
    let mut wanted = Vec::new();
    for EventName {
        name,
        aliases,
        version,
        ..
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

/// The names of the tags of the event `name`, in order. None under an alias, which is not written.
fn tags_of<E: DomainEvent>(name: &str) -> Vec<String> {
    let known = E::NAMES.iter().find(|known| known.name == name);
    let tags = known.map_or(&[][..], |known| known.tags);
    let tags: BTreeSet<&str> = tags.iter().copied().collect();
    tags.into_iter().map(str::to_owned).collect()
}

/// Checks that the event has the tags that its sample has, if the sample is of the version that is
/// written.
fn same_tags<E: DomainEvent>(file: &Path, sample: &Sample) -> Result<(), String> {
    let Sample { name, version, .. } = sample;
    let mut written = E::NAMES.iter();
    let is_written = written.any(|known| known.name == name && known.version == Some(*version));
    let tags = tags_of::<E>(name);
    if !is_written || tags == sample.tags {
        return Ok(());
    }
    let difference = compared("in the sample", &sample.tags, "today", &tags);
    Err(format!(
        "the tags of `{name}` have changed ({})\n{difference}\nEvents that are stored keep the tags \
         that they were stored with: by a further tag they are not found, and by a tag that is gone \
         new events are not found. If that is right, `{HOW_TO_BLESS}` writes the tags into the file; \
         commit it.",
        file.display()
    ))
}

/// The text that asks for a sample which only the test can give.
fn no_sample<E: DomainEvent>(name: &str, version: u32, file: &Path) -> String {
    let file = file.display();
    let is_written = E::NAMES
        .iter()
        .any(|known| known.name == name && known.version == Some(version));
    if is_written {
        format!(
            "event `{name}` has no sample of version {version}, and `Default` cannot make one: \
             give one with `.sample(...)`, then `{HOW_TO_BLESS}` writes {file}"
        )
    } else {
        format!(
            "event `{name}` has no sample of version {version}, which is read but not written \
             any more: give the `data` of a stored line with `.stored_sample(\"{name}\", \
             {version}, json!(...))`, then \
             `{HOW_TO_BLESS}` writes {file}"
        )
    }
}

/// The form that is written today has more members than the samples of its version.
struct Addition {
    /// The paths of the further members.
    added: BTreeSet<String>,
    /// The newest sample, read and written again.
    again: Value,
    /// A current sample.
    today: Value,
}

impl Addition {
    fn describe(&self, file: &Path, sample: &Sample) -> String {
        let Sample {
            name,
            version,
            data,
            ..
        } = sample;
        let (file, next) = (file.display(), version + 1);
        let added = self
            .added
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("`, `");
        let difference = compared(
            "in the sample",
            &pretty(data),
            "as it is read and written today",
            &pretty(&self.again),
        );
        format!(
            "the payload of `{name}` now has `{added}`, which is not in \
             {file}\n{difference}\nThe sample can still be read. If the result is right for the \
             events that are already stored, `{HOW_TO_BLESS}` adds a new sample to the file; \
             commit it. If not, raise `version` to {next} and add `upcast({version} = path)`."
        )
    }

    /// Adds the current sample to those in the file.
    fn write<E: DomainEvent>(self, file: &Path, sample: &Sample) -> Result<(), String> {
        let mut older = sample.older.clone();
        older.push(sample.data.clone());
        let sample = Sample {
            data: self.today,
            older,
            ..sample.clone()
        };
        still_readable::<E>(file, &sample, None)?;
        let written = sample.write(file);
        written.map_err(|e| format!("{} cannot be written: {e}", file.display()))
    }
}

/// Checks that the samples in a file can be read. If the file has the version that is written,
/// today's form must still have all members of the file's. Returns the further members of today's
/// form.
fn still_readable<E: DomainEvent>(
    file: &Path,
    sample: &Sample,
    given: Option<&Form>,
) -> Result<Option<Addition>, String> {
    let Sample { name, version, .. } = sample;
    let shown = file.display();
    let Some(known) = E::NAMES.iter().find(|known| known.is(name)) else {
        return Err(format!(
            "event `{name}` is no longer known, but may be stored ({shown}): if the event has \
             another name now, add `alias = \"{name}\"` to it; if it is no longer written, add \
             it to `retired(...)`"
        ));
    };
    let is_written = known.version == Some(*version);
    for older in &sample.older {
        let events = read::<E>(file, sample, older, known.version)?;
        if is_written {
            written_again(file, sample, older, events)?;
        }
    }
    let data = &sample.data;
    let events = read::<E>(file, sample, data, known.version)?;
    if !is_written {
        return Ok(None);
    }
    let (again, mut added) = written_again(file, sample, data, events)?;
    if known.name != *name {
        // An alias is only read: nothing is written under it any more.
        return Ok(None);
    }
    if let Some(given) = given {
        added.extend(new_members(data, &given.data));
    }
    if added.is_empty() {
        return Ok(None);
    }
    // A given sample with values is better than the older sample written again, if it has all new
    // members.
    let shows_all = |form: &&Form| members(&form.data).is_superset(&added);
    let today = given.filter(shows_all).map_or(&again, |form| &form.data);
    Ok(Some(Addition {
        today: today.clone(),
        added,
        again,
    }))
}

/// The events that stored `data` is read as. `current` is the version that is written, if any.
fn read<E: DomainEvent>(
    file: &Path,
    sample: &Sample,
    data: &Value,
    current: Option<u32>,
) -> Result<Decoded<E>, String> {
    decode(sample, data).map_err(|error| {
        let version = sample.version;
        let remedy = if current.is_some_and(|current| current <= version) {
            format!(
                "; if the payload has another shape now, raise `version` to {} and add \
                 `upcast({version} = path)`",
                version + 1
            )
        } else {
            String::new()
        };
        format!("{} can no longer be read: {error}{remedy}", file.display())
    })
}

fn decode<E: DomainEvent>(sample: &Sample, data: &Value) -> Result<Decoded<E>, DecodeError> {
    let form = Form::new(&sample.name, sample.version, data.clone());
    let place = Place {
        aggregate_type: "sample",
        id: "sample",
        version: 1,
        position: 1,
        ms: time_of(1),
        context: None,
    };
    form.stored(place, E::decode)
}

/// The form in which `events`, which were read from `data`, are written today, and its members that
/// `data` lacks. The form must have everything that `data` has, and come back unchanged. Then the
/// payload has kept its meaning, and older programs can read what is written today.
fn written_again<E: DomainEvent>(
    file: &Path,
    sample: &Sample,
    data: &Value,
    events: Decoded<E>,
) -> Result<(Value, BTreeSet<String>), String> {
    let Sample { name, version, .. } = sample;
    let write = |events: Decoded<E>| {
        let form = Form::of_event(&events.into_one().ok()?).ok()?;
        (form.version == *version).then_some(form.data)
    };
    let again = write(events);
    let added = again.as_ref().and_then(|again| additions(data, again));
    if let (Some(again), Some(added)) = (&again, added) {
        let back = decode::<E>(sample, again).ok().and_then(write);
        if added.is_empty() || back.is_some_and(|back| alike(&back, again)) {
            return Ok((again.clone(), added));
        }
    }
    let again = again.map_or_else(Vec::new, |again| pretty(&again));
    let difference = compared(
        "in the sample",
        &pretty(data),
        "as it is read and written today",
        &again,
    );
    Err(format!(
        "the payload of `{name}` has changed, and its version is still {version} \
         ({})\n{difference}\nIf such events are stored anywhere, raise `version` to {} and add \
         `upcast({version} = path)`. If not, delete the file and write it again: `{HOW_TO_BLESS}`.",
        file.display(),
        version + 1
    ))
}
