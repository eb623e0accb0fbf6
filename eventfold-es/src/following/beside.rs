//! Checks what projections and process managers have saved in a store that other processes may have open.

use serde::de::IgnoredAny;

use crate::following::checkpoint;
use crate::following::moved::{Carried, Doubt};
use crate::report::Severity;
use crate::storage::error::StorageResult;
use crate::storage::observed::{Observed, Opener};
use crate::storage::record_name::{Follower, RecordName};

/// A fault in a record: where it is, how much it matters, and what it is.
pub(crate) type Fault = (String, Severity, String);

/// The faults of all records.
#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "a directory is checked whole")
)]
pub(crate) fn faults(open: &Opener) -> StorageResult<Vec<Fault>> {
    let observed = open()?;
    let mut faults = Vec::new();
    for name in observed.followers(Follower::ProcessManager)? {
        let records = observed.records(Follower::ProcessManager, &name);
        let carried = Carried::read(0, &name, &records);
        // Read anew: its program may be at work.
        let now = open()?;
        let checked = carried.and_then(|carried| match carried {
            None => Ok(()),
            Some(mut carried) => {
                carried.until(now.head(), |position| now.reader(0).history_at(position))
            }
        });
        match checked {
            Ok(()) => {}
            Err(Doubt::Storage(error)) => return Err(error),
            Err(Doubt::Records(_, cause)) => {
                faults.push((records.all().to_string(), Severity::Lost, cause));
            }
        }
    }
    for name in observed.followers(Follower::Projection)? {
        faults.extend(of_projection(open, &observed, &name)?);
    }
    Ok(faults)
}

fn of_projection(open: &Opener, observed: &Observed, name: &str) -> StorageResult<Vec<Fault>> {
    let records = observed.records(Follower::Projection, name);
    let mut faults = Vec::new();
    for record in records.names()? {
        let RecordName::Checkpoint(version) = record else {
            continue;
        };
        let cause = match checkpoint::read::<IgnoredAny>(&records, version) {
            Err(checkpoint::Unusable::Storage(error)) => return Err(error),
            Err(unusable) => Some(unusable.into_error().cause().to_string()),
            Ok(None) => None,
            Ok(Some(read)) => {
                let now = open()?;
                let position = read.position;
                if position > now.head() {
                    Some(format!(
                        "is at position {position}, and the newest event at {}",
                        now.head()
                    ))
                } else {
                    let chain = now.reader(0).history_at(position)?;
                    let is_another = read.chain.is_some_and(|stated| stated != chain);
                    is_another.then(|| checkpoint::another_history(position))
                }
            }
        };
        let rebuilt = |cause| format!("{cause}; the projection is built again");
        faults.extend(cause.map(|cause| {
            let place = records.place(record).to_string();
            (place, Severity::Harmless, rebuilt(cause))
        }));
    }
    Ok(faults)
}
