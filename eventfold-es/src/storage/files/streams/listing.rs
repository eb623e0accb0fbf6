//! Lists the streams: their directories, compared with the streams in the journal.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

#[cfg(feature = "personal")]
use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::FileStorage;
use crate::storage::files::disk;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::load::load;
use crate::storage::files::streams::mark::StreamHash;
use crate::storage::files::streams::mark::TypeHash;
use crate::storage::files::streams::stream::stream_hash;
use crate::storage::loaded::Loaded;

impl FileStorage {
    /// The types and ids of all streams, or of the streams of one aggregate type, sorted. A stream
    /// counts if it has a directory or is about to get one.
    ///
    /// # Errors
    ///
    /// The errors of loading a stream, if a stream's file is missing, or if a file exists although
    /// the journal does not have the stream.
    pub(crate) fn list(&self, only: Option<&str>) -> StorageResult<Vec<(String, String)>> {
        // The order matters: a new stream is first in the journal, then among the unflushed
        // streams, then it has a directory.
        let kind = only.map(TypeHash::new);
        let mut journaled = self.streams.marks().with_events(kind);
        let is_wanted = |id: &StreamId| only.is_none_or(|only| only == id.aggregate_type());
        let mut unflushed = self.unflushed.ids();
        unflushed.retain(is_wanted);

        let layout = &self.layout;
        let types = match only {
            Some(only) => vec![only.to_owned()],
            None => layout.list_aggregate_types()?,
        };
        let mut streams = BTreeSet::new();
        for aggregate_type in types {
            for id in layout.streams_of(&aggregate_type)? {
                streams.insert((aggregate_type.clone(), id));
            }
        }
        let unflushed: HashSet<(String, String)> = unflushed
            .iter()
            .map(|id| (id.aggregate_type().to_owned(), id.id().to_owned()))
            .collect();
        streams.extend(unflushed.iter().cloned());
        for stream in &streams {
            // A directory whose name is not a stream's name was not made by the store.
            if let Ok(id) = StreamId::new(&stream.0, &stream.1) {
                let has_events = journaled.remove(&stream_hash(&id));
                if !unflushed.contains(stream) && self.has_file(&id) != has_events {
                    self.check(&id)?;
                }
            }
        }
        if !journaled.is_empty() {
            self.find_lost(&journaled)?;
        }
        Ok(streams.into_iter().collect())
    }

    /// Whether the stream has a file that is not empty.
    fn has_file(&self, id: &StreamId) -> bool {
        let stream = self.stream(id);
        let file = disk::find(&stream.file());
        matches!(file, Ok(Some(file)) if file.length > 0) || stream.is_rotated()
    }

    /// Fails if loading the stream fails.
    fn check(&self, id: &StreamId) -> StorageResult<()> {
        let stream = self.stream(id);
        let all = |_: Loaded<'_>| StorageResult::Ok(ControlFlow::Continue(()));
        load(&stream, StreamEnd::default(), &Extent::of(&stream)?, all).map(drop)
    }

    /// Passes the events up to the position `dropped`, which the journal does not have any more, to `each`,
    /// one stream after the other.
    #[cfg(feature = "personal")]
    pub(crate) fn each_dropped(
        &self,
        dropped: u64,
        mut each: impl FnMut(StoredEvent<'_>),
    ) -> StorageResult<()> {
        if dropped == 0 {
            return Ok(());
        }
        for (aggregate_type, id) in self.list(None)? {
            let stream = self.stream(&StreamId::new(&aggregate_type, &id)?);
            let each = |loaded: Loaded<'_>| -> StorageResult<_> {
                match loaded.position {
                    Some(position) if position > dropped => return Ok(ControlFlow::Break(())),
                    Some(_) => each(loaded.event),
                    // Of another program.
                    None => {}
                }
                Ok(ControlFlow::Continue(()))
            };
            load(&stream, StreamEnd::default(), &Extent::of(&stream)?, each)?;
        }
        Ok(())
    }

    /// Finds the names of the streams `lost` in the journal, and loads them. Fails if a load fails, or if the
    /// journal does not have all names any more.
    fn find_lost(&self, lost: &HashSet<StreamHash>) -> StorageResult<()> {
        let dropped = self.journal_index().dropped();
        let mut named = HashSet::new();
        let mut reader = self.log().reader(dropped);
        reader.read_to(self.head(), |commit, _| -> StorageResult<_> {
            for part in commit.streams() {
                let id = StreamId::new(part.aggregate_type, part.id)?;
                let hash = stream_hash(&id);
                if lost.contains(&hash) && named.insert(hash) {
                    self.check(&id)?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let nameless = lost.difference(&named).count();
        if nameless > 0 && dropped > 0 {
            let context = format!("the files of {nameless} streams are missing, and their names");
            return Err(StorageError::dropped(0, dropped).in_context(context));
        }
        Ok(())
    }
}
