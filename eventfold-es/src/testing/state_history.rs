//! The state history: a state whose shape changes needs a new version.

use std::path::PathBuf;

use crate::domain::aggregate::Aggregate;
use crate::testing::diff::compared;
use crate::testing::form::{alike, pretty, saved};
use crate::testing::sample;
use crate::testing::sample::{HOW_TO_BLESS, Sample, file_of, is_blessed, new_members};

/// Compares the snapshot form of the aggregate `A` with the sample in `dir`, a directory under
/// version control: one file for each version of its state.
///
/// A snapshot holds the state as serde writes it. If that form changes, the state needs a new
/// [`STATE_VERSION`](Aggregate::STATE_VERSION), `snapshot(version = 2)` for a derived aggregate.
/// Without it, snapshots of the older shape are read as the newer one, and serde's attributes
/// silently fill in the missing members. This test detects that.
///
/// The sample is the state after `events`. Choose events that leave no part of the state empty. The
/// path is relative to the directory where the test runs. Under `cargo test` that is the package's
/// directory.
///
/// ```
/// # use eventfold_es::{testing, __private::example::*};
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path();
/// # std::fs::write(
/// #     dir.join("counter.v1.json"),
/// #     r#"{"type":"counter","version":1,"data":{"value":5}}"#,
/// # ).unwrap();
/// # /*
/// #[test]
/// fn a_changed_state_has_a_new_version() {
///     let dir = "states/";
/// # */
///     testing::state_history::<Counter>(dir)
///         .after(vec![CounterEvent::Added { amount: 5 }])
///         .check();
/// # /*
/// }
/// # */
/// ```
///
/// The first run reports the missing sample, and `EVENTFOLD_BLESS=1 cargo test` writes it. Samples
/// of older versions have no further use. They may be deleted, or kept for the reader.
#[must_use = "nothing is compared before `check`"]
pub fn state_history<A: Aggregate>(dir: impl Into<PathBuf>) -> StateHistory<A> {
    StateHistory {
        dir: dir.into(),
        state: A::default(),
        blessed: is_blessed(),
    }
}

/// A state to compare with the sample. Made by [`state_history`].
#[derive(Debug)]
#[must_use = "nothing is compared before `check`"]
pub struct StateHistory<A> {
    dir: PathBuf,
    state: A,
    blessed: bool,
}

impl<A: Aggregate> StateHistory<A> {
    /// Gives the events that lead to the sample.
    ///
    /// See the example of [`state_history`].
    pub fn after(mut self, events: Vec<A::DomainEvent>) -> Self {
        self.state = events.iter().fold(self.state, A::apply);
        self
    }

    /// Sets whether a missing sample is written, instead of the environment.
    #[doc(hidden)]
    pub fn blessed(mut self, blessed: bool) -> Self {
        self.blessed = blessed;
        self
    }

    /// Compares, and writes the sample if there is none and `EVENTFOLD_BLESS` is set.
    ///
    /// # Panics
    ///
    /// If the shape differs, or there is no sample.
    #[track_caller]
    pub fn check(self) {
        if let Err(problem) = self.compare() {
            panic!("{problem}");
        }
    }

    fn compare(&self) -> Result<(), String> {
        let (name, version) = (A::AGGREGATE_TYPE, A::STATE_VERSION);
        let file = file_of(&self.dir, name, version);
        let (_, today) = saved("the state", &self.state)?;
        let mut problems = Vec::new();
        let mut samples = sample::read_all(&self.dir, &mut problems);
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        let shown = file.display();
        let Some(sample) = samples.remove(&file) else {
            if !self.blessed {
                return Err(format!(
                    "the state of `{name}` has no sample of version {version}: `{HOW_TO_BLESS}` \
                     writes {shown}; commit that file"
                ));
            }
            let sample = Sample {
                tags: Vec::new(),
                name: name.to_owned(),
                version,
                data: today,
                older: Vec::new(),
            };
            let written = sample.write(&file);
            return written.map_err(|error| format!("{shown} cannot be written: {error}"));
        };
        let remedy = format!(
            "Raise it: `snapshot(version = {})`, or `STATE_VERSION` if `Aggregate` is implemented by \
             hand. Then `{HOW_TO_BLESS}` writes its sample. If no snapshot of version {version} was \
             ever taken, delete the file instead.",
            version + 1
        );
        let title = format!(
            "the state of `{name}` has changed, and its version is still {version} ({shown})"
        );
        let again = serde_json::from_value::<A>(sample.data.clone())
            .map_err(|error| format!("{title}: {error}\n{remedy}"))?;
        let (_, again) = saved("the state", &again)?;
        if !alike(&again, &sample.data) {
            let (old, new) = (pretty(&sample.data), pretty(&again));
            let difference = compared("in the sample", &old, "as it is saved today", &new);
            return Err(format!("{title}\n{difference}\n{remedy}"));
        }
        let new = new_members(&sample.data, &today);
        if !new.is_empty() {
            let new = new.join("`, `");
            return Err(format!("{title}: it also has `{new}`\n{remedy}"));
        }
        Ok(())
    }
}
