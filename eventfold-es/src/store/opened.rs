//! The stores that this process has open.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use crate::runtime::aggregates::Hold;
use crate::storage::Storage;
use crate::sync::lock;

/// The open stores by their directories.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Hold>>>> = Mutex::new(None);

/// Notes an open store, so that [`find`] finds it.
pub(super) fn note(store: &Arc<Hold>) {
    let mut stores = lock(&OPEN);
    let stores = stores.get_or_insert_default();
    stores.retain(|_, store| store.strong_count() > 0);
    let Storage::Files(files) = &store.storage else {
        return;
    };
    let base = files.canonical_dir().to_owned();
    stores.insert(base, Arc::downgrade(store));
}

/// The open store whose directory is `base`, unless another directory has taken that place.
pub(super) fn find(base: &Path) -> Option<Arc<Hold>> {
    let store = lock(&OPEN).as_ref()?.get(base)?.upgrade();
    store.filter(|store| {
        let is_where_it_was = match &store.storage {
            Storage::Files(files) => files.is_where_it_was(),
            Storage::Memory(_) => false,
            #[cfg(feature = "postgres")]
            Storage::Postgres(_) => false,
        };
        is_where_it_was && !store.is_closed() && store.storage.process().is_this()
    })
}
