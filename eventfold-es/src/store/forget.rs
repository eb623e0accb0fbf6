//! Erasing a person's data: [`AggregateStore::forget`].

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::event::{InvalidTag, Tag};
use crate::following::ReadSide;
use crate::following::erase::saved_since;
use crate::ids::StreamId;
use crate::personal::KeyError;
use crate::personal::keyring::Keyring;
use crate::runtime::aggregates::Hold;
use crate::runtime::background::{blocking, to_its_end};
use crate::runtime::inside;
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageResult};
use crate::store::AggregateStore;
use crate::store::keys::{Erasing, begin, finish};

/// What [`AggregateStore::forget`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// Whether the subject had a key, which is destroyed now. If not, there never was personal data of it,
    /// or it was forgotten before.
    pub had_key: bool,
    /// How many events have personal data of the subject, which is erased.
    pub events: u64,
    /// The aggregates with such events. Those that were in memory are loaded again.
    pub aggregates: Vec<StreamId>,
    /// How many snapshots of these aggregates were removed. The next ones are taken as usual.
    pub snapshots: u64,
    /// The projections that had events from the first of these on, by name. What they had saved was removed,
    /// and those that are registered were built again.
    pub projections: Vec<String>,
}

/// A subject could not be forgotten, or not to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// The store was opened without keys. Nothing was done.
    #[error(
        "the store was opened without keys, so it has no personal data to erase: name them by `AggregateStoreBuilder::keys`"
    )]
    NoKeys,
    /// No subject has such a name. Nothing was done.
    #[error("no subject has this name: {0}")]
    Subject(#[from] InvalidTag),
    /// The key store could not destroy the key, or cannot say so. Nothing more is stored about the subject. Call
    /// `forget` again; otherwise the next [`open`](crate::AggregateStoreBuilder::open) tries again, and fails as
    /// long as the key store cannot be reached.
    #[error("the key of `{subject}` could not be destroyed, or that is unknown: {source}")]
    Key {
        /// The subject.
        subject: String,
        /// The error of the key store.
        source: KeyError,
    },
    /// The key is destroyed, or the error says that nothing was done; something that was folded from its data
    /// could not be removed or built again. Call `forget` again; otherwise the next `open` finishes it.
    #[error("what was saved of personal data could not be removed: {0}")]
    Io(#[from] io::Error),
}

impl AggregateStore {
    /// Erases all personal data of `subject`, for example `customer:42`: destroys its key, and builds
    /// everything again that was folded from it.
    ///
    /// When it returns:
    ///
    /// * the key is destroyed durably. Every [`Personal`](crate::personal::Personal) of the subject is erased:
    ///   in the events, in all files of the store and of its backups, and in this process;
    /// * the aggregates in memory are loaded again when they are next used, and what decision models had in
    ///   memory is read again: nothing has what was made of the erased values;
    /// * the snapshots of the aggregates with such events are removed, and the projections that had such
    ///   events are built again. So it takes as long as [reading all
    ///   events](crate::AggregateStore::rebuild_projection), and reads of these projections wait.
    ///
    /// Nothing personal is stored about the subject any more: a command that has such an event fails. A
    /// command that was decided before is stored, with data that nobody can read. Process managers are not
    /// built again: what they hold as `Personal` is erased, and what they made of it as a plain text is not.
    /// The guide page [personal data](crate::guide::personal_data) says what else stays.
    ///
    /// Once it has begun it goes on, even if the caller stops waiting. If the process ends, the next
    /// [`open`](crate::AggregateStoreBuilder::open) finishes it. Calling it again is harmless.
    ///
    /// If files were [dropped](crate::AggregateStoreBuilder::keep_journal_for) from the journal, projections
    /// cannot be built again. Then nothing is done if one has data of the subject, and the error names it.
    ///
    /// # Errors
    ///
    /// [`ForgetError`]. Those with [`io::ErrorKind::Deadlock`] if it is called by code that the store runs.
    ///
    /// ```
    /// # use eventfold_es::AggregateStore;
    /// # use eventfold_es::personal::MemoryKeys;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().keys(MemoryKeys::new()).open().await?;
    /// let forgotten = store.forget("customer:42").await?;
    /// assert!(!forgotten.had_key); // nothing was ever stored about it
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("gdpr", "erase", "delete", "right to be forgotten", "crypto-shredding"))]
    pub async fn forget(&self, subject: &str) -> Result<Forgotten, ForgetError> {
        inside::refuse("forget")?;
        let subject: Tag = subject.parse()?;
        let subject: Arc<str> = subject.as_str().into();
        let keyring = self.inner.registry.keys.keyring.clone();
        let keyring = keyring.ok_or(ForgetError::NoKeys)?;
        self.inner.check_open().map_err(io::Error::from)?;
        let (inner, read_side) = (self.inner.clone(), self.read_side.clone());
        to_its_end(forget(inner, read_side, keyring, subject)).await
    }
}

/// Fails if a projection has data of `subject` and could not be built again without it.
fn check_can_build(storage: &Storage, read_side: &ReadSide, subject: &str) -> StorageResult<()> {
    let dropped = storage.dropped();
    if dropped == 0 {
        return Ok(());
    }
    let found = Erasing::find(storage, &[subject.to_owned()].into())?;
    let Some(first) = found.first else {
        return Ok(());
    };
    let mut names: BTreeSet<String> = saved_since(storage, first)?.into_iter().collect();
    let registered = read_side.projections.iter();
    let registered = registered.filter(|(_, one)| one.progress.position() >= first);
    names.extend(registered.map(|(name, _)| (*name).to_owned()));
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let context = format!(
        "nothing was done, because what has data of the subject could not be built again without it: {} \
         (if you can do without, register it no more, delete its directory in `projections`, and forget again)",
        names.join(", ")
    );
    Err(StorageError::dropped(0, dropped).in_context(context))
}

async fn forget(
    store: Arc<Hold>,
    read_side: Arc<ReadSide>,
    keyring: Arc<Keyring>,
    subject: Arc<str>,
) -> Result<Forgotten, ForgetError> {
    let _turn = keyring.forgetting.lock().await;
    let storage = store.storage.clone();

    // Nothing is dropped from the journal meanwhile.
    let reading = storage.reader(0);
    let (checking, checked) = (storage.clone(), subject.clone());
    let followers = read_side.clone();
    blocking(move || Ok(check_can_build(&checking, &followers, &checked)?)).await?;

    // Invariant P2.
    let (noting, noted) = (storage.clone(), subject.clone());
    blocking(move || Ok(begin(&noting, &noted)?)).await?;

    let (destroying, destroyed) = (keyring.clone(), subject.clone());
    let had_key = blocking(move || Ok(destroying.destroy(&destroyed))).await?;
    let had_key = had_key.map_err(|source| ForgetError::Key {
        subject: subject.to_string(),
        source,
    })?;
    // From here on nothing reads the data any more. What was read before is let go. Invariant P3.
    let under_way = storage.meters().erasures.begin();
    let reloads: Vec<_> = store
        .registry
        .all()
        .into_iter()
        .map(|slot| slot.reload())
        .collect();
    for reload in reloads.into_iter().flatten() {
        reload.await;
    }
    store.decisions.forget_states().await;

    let (erasing, subjects) = (storage.clone(), [subject.to_string()].into());
    let work = move || {
        let found = Erasing::find(&erasing, &subjects)?;
        let (snapshots, mut projections) = found.remove_saved(&erasing)?;
        drop(under_way);
        if let Some(first) = found.first {
            for (name, projection) in &read_side.projections {
                if projection.any.lock()?.build_anew_since(first)? {
                    projections.push((*name).to_owned());
                }
            }
        }
        projections.sort_unstable();
        projections.dedup();
        Ok((found, snapshots, projections))
    };
    let (found, snapshots, projections) = blocking(work).await?;
    let (noting, noted) = (storage, subject.clone());
    blocking(move || Ok(finish(&noting, &noted)?)).await?;
    drop(reading);
    tracing::info!(
        %subject,
        events = found.events,
        aggregates = found.streams.len(),
        snapshots,
        projections = projections.len(),
        "the personal data of a subject is erased"
    );
    Ok(Forgotten {
        had_key,
        events: found.events,
        aggregates: found.streams.into_iter().collect(),
        snapshots,
        projections,
    })
}
