//! A single aggregate, found by its directory: [`spawn_actor`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::domain::aggregate::Aggregate;
use crate::ids::{StreamId, decode};
use crate::runtime::handle::AggregateHandle;
use crate::storage::error::StorageError;
use crate::storage::files::disk;
use crate::storage::files::layout::RawNames;
use crate::storage::files::lock::Patience;
use crate::store::{AggregateStoreBuilder, opened};
use crate::sync::lock;

/// Held while a store is looked up and opened for [`spawn_actor`].
static SPAWNING: Mutex<()> = Mutex::new(());

/// A handle to the aggregate whose stream is in the directory `stream_dir`. Creates the directory
/// if it is missing.
///
/// If the directory belongs to a stream in a store (`<base>/streams/<type>/<id>`), that store is
/// opened, or shared if this process has it open. Any other directory becomes a store of its own,
/// with this one stream. Works without a runtime; blocks on the disk.
///
/// In a store that this call opens, the aggregate stays in memory until the last handle is gone. In
/// a shared store, that store's idle timeout applies.
///
/// # Errors
///
/// As [`AggregateStore::open`](crate::store::AggregateStore::open), and
/// [`io::ErrorKind::InvalidInput`] if the directory is that of an aggregate of another type.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let counter = spawn_actor::<Counter>(&dir.path().join("streams/counter/c-1"))?;
/// counter.send(Add(5)).await?;
/// assert_eq!(counter.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
pub fn spawn_actor<A: Aggregate>(stream_dir: &Path) -> io::Result<AggregateHandle<A>> {
    disk::create_dir(stream_dir)?;
    let dir = stream_dir
        .canonicalize()
        .map_err(|e| StorageError::io("open", stream_dir, e))?;
    let _spawning = lock(&SPAWNING);
    if let Some((base, id)) = find_in_store(&dir) {
        if id.aggregate_type() != A::AGGREGATE_TYPE {
            let text = format!("{id} is not a stream of type `{}`", A::AGGREGATE_TYPE);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if let Some(store) = opened::find(&base) {
            return AggregateHandle::get(&store, &id);
        }
        return open_for(&base, &id, RawNames::new());
    }
    let id = StreamId::new(A::AGGREGATE_TYPE, "spawned")?;
    open_for(&dir, &id, RawNames::from([(id.clone(), dir.clone())]))
}

fn open_for<A: Aggregate>(
    base: &Path,
    id: &StreamId,
    extra: RawNames,
) -> io::Result<AggregateHandle<A>> {
    let store = AggregateStoreBuilder::new(base)
        .idle_timeout(Duration::MAX)
        .open_blocking(extra, &Patience::default(), Arc::default())?;
    AggregateHandle::get(&store.inner, id)
}

/// The store and the stream that `dir` belongs to, if its path is like that of a stream's
/// directory. eventfold-es 0.2.0 gave directories names that are not encoded ids.
fn find_in_store(dir: &Path) -> Option<(PathBuf, StreamId)> {
    let type_dir = dir.parent()?;
    let streams = type_dir.parent()?;
    if streams.file_name()? != "streams" {
        return None;
    }
    let text = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        Some(decode(name).unwrap_or_else(|| name.to_owned()))
    };
    let stream = StreamId::new(&text(type_dir)?, &text(dir)?).ok()?;
    Some((streams.parent()?.to_owned(), stream))
}
