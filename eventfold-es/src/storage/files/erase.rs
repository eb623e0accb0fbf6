//! Notes about the whole store in the directory `meta`, and the removal of snapshots.

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::FileStorage;
use crate::storage::files::disk;
use crate::storage::files::upkeep::Job;

impl FileStorage {
    pub(crate) fn note(&self, name: &str) -> StorageResult<Option<Vec<u8>>> {
        disk::read_if_there(&self.layout().meta_dir().join(name))
    }

    pub(crate) fn replace_note(&self, name: &str, content: &[u8]) -> StorageResult<()> {
        let meta = self.layout().meta_dir();
        disk::create_private_dir(&meta)?;
        disk::replace_durably(&meta.join(name), content)
    }

    pub(crate) fn remove_note(&self, name: &str) -> StorageResult<()> {
        disk::remove_durably(&self.layout().meta_dir().join(name)).map(drop)
    }

    /// See [`Storage::remove_snapshots`](crate::storage::Storage::remove_snapshots).
    pub(crate) fn remove_snapshots(&self, streams: &[StreamId]) -> StorageResult<u64> {
        let files = streams.iter().map(|id| self.stream(id).snapshot_file());
        let files: Vec<PathBuf> = files.collect();
        let (done, removed) = sync_channel(1);
        // On the thread that writes them, so that none is just being written.
        let remove = move || {
            let removed = files
                .iter()
                .map(|file| disk::remove_durably(file).map(u64::from));
            let _ = done.send(removed.sum());
        };
        self.keeper().submit(Job::Run(Box::new(remove)));
        removed
            .recv()
            .unwrap_or_else(|_| Err(StorageError::closed()))
    }
}
