//! What a backup has of a store's directory `meta`.

use std::path::Path;

use crate::storage::error::StorageResult;
use crate::storage::files::disk;
use crate::storage::files::layout::{
    KEYS_FILE, REGISTRY_FILE, RawNames, StreamLayout, TAKEN_OVER_FILE, write_raw_names,
};

/// Copies the files about the whole store into the directory `base`, durably. `raw_names` are the
/// streams that have raw names.
pub(crate) fn copy(from: &StreamLayout, raw_names: &RawNames, base: &Path) -> StorageResult<()> {
    let to = StreamLayout::new(base).meta_dir();
    let streams = from.streams_dir();
    // A stream in a directory of its own is entered by whoever opens that directory.
    let raw_names = raw_names
        .iter()
        .filter(|(_, dir)| dir.starts_with(&streams));
    let names: Vec<_> = raw_names.map(|(id, _)| id).collect();
    for name in [REGISTRY_FILE, TAKEN_OVER_FILE, KEYS_FILE] {
        let Some(content) = disk::read_if_there(&from.meta_dir().join(name))? else {
            continue;
        };
        let place = to.join(name);
        if disk::read_if_there(&place)?.as_deref() != Some(&content[..]) {
            disk::create_private_dir(&to)?;
            disk::replace_durably(&place, &content)?;
        }
    }
    if !names.is_empty() {
        disk::create_private_dir(&to)?;
        write_raw_names(&to, &names)?;
    }
    Ok(())
}
