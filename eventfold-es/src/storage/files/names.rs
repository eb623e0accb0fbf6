//! File names that a file system takes for one. On some, names that differ only in case or in
//! Unicode form are the same name. There, two streams must not get the same directory.

use std::path::Path;

use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::{Kind, Status};
use crate::storage::files::streams::stream::Stream;
use crate::text::{Shown, shown};

/// `error`, or a better one if the cause is that another stream has the stream's directory.
pub(crate) fn explained(stream: &Stream, error: StorageError) -> StorageError {
    other_holder(stream).map_or(error, |other| refusal(stream, &other))
}

/// Fails if another stream has the stream's directory.
pub(crate) fn check(stream: &Stream) -> StorageResult<()> {
    other_holder(stream).map_or(Ok(()), |other| Err(refusal(stream, &other)))
}

fn refusal(stream: &Stream, other: &str) -> StorageError {
    let place = ErrorPlace::Stream(stream.id().clone());
    let cause = format!("cannot be stored: {}", cause(stream, other));
    StorageError::at(StorageErrorKind::InvalidInput, place, cause)
}

/// Why the stream cannot have its directory, which is listed as `other`.
pub(crate) fn cause(stream: &Stream, other: &str) -> String {
    format!(
        "its directory {} is the same as `{}` beside it, which belongs to another stream: on \
         this file system, names must differ in more than case or Unicode form",
        shown(stream.dir()),
        Shown(other),
    )
}

/// The name under which the stream's or its type's directory is listed, if it has another name.
pub(crate) fn other_holder(stream: &Stream) -> Option<String> {
    let dir = stream.dir();
    let type_dir = dir.parent()?;
    if type_dir.parent()?.file_name()? != "streams" {
        return None;
    }
    other_name(type_dir).or_else(|| other_name(dir))
}

/// The other name under which the directory at `path` is listed. `None` if a directory, not a link,
/// is listed under its own name.
fn other_name(path: &Path) -> Option<String> {
    let (parent, own) = (path.parent()?, path.file_name()?);
    let there = disk::find(path).ok().flatten()?;
    let entries = disk::list(parent).ok()?;
    let is_itself = |entry: &disk::Entry| entry.name == *own && entry.kind == Kind::Dir;
    if entries.iter().any(is_itself) {
        return None;
    }
    let others = entries.iter().filter(|entry| entry.name != *own);
    let same = others.map(|entry| &entry.name).find(|name| {
        let other = disk::find(&parent.join(name)).ok().flatten();
        other.is_some_and(|other| is_same(&there, &other))
            || (there.identity.is_none() && own.eq_ignore_ascii_case(name))
    })?;
    Some(same.to_string_lossy().into_owned())
}

fn is_same(one: &Status, other: &Status) -> bool {
    one.identity.is_some() && one.identity == other.identity
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::StreamId;
    use crate::storage::files::layout::StreamLayout;
    use crate::storage::files::streams::high_water::HighWaterMarks;
    use crate::storage::files::streams::stream::Streams;

    #[cfg(unix)]
    #[tokio::test(flavor = "multi_thread")]
    async fn where_two_names_can_be_the_same_a_stream_has_its_own_directory_before_anything_is_journaled()
     {
        use crate::__private::example::{Add, Counter};
        use crate::AggregateStore;

        let dir = tempfile::tempdir().unwrap();
        let store = AggregateStore::open(dir.path()).await.unwrap();
        store.inner.storage.files().streams.set_names_may_fold();
        let streams = dir.path().join("streams/counter");
        // The empty file of an earlier attempt.
        std::fs::create_dir_all(streams.join("Alice")).unwrap();
        std::fs::write(streams.join("Alice/app.jsonl"), "").unwrap();
        std::os::unix::fs::symlink("Alice", streams.join("alice")).unwrap();
        let counter = store.get::<Counter>("alice").await.unwrap();
        let error = counter.send(Add(1)).await.unwrap_err();
        assert!(error.to_string().contains("the same as `Alice`"), "{error}");
        assert_eq!(store.inner.storage.files().head(), 0);
        let counter = store.get::<Counter>("Alice").await.unwrap();
        counter.send(Add(2)).await.unwrap();
        let counter = store.get::<Counter>("bob").await.unwrap();
        counter.send(Add(3)).await.unwrap();
        // The committer itself created it before the answer.
        assert!(streams.join("bob/app.jsonl").is_file());
        store.shutdown().await.unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_listed_under_another_name_belongs_to_another_stream() {
        let dir = tempfile::tempdir().unwrap();
        let streams = Streams::new(StreamLayout::new(dir.path()), HighWaterMarks::unknown());
        let stream = |of: &str, id: &str| streams.get(&StreamId::new(of, id).unwrap());
        let base = dir.path().join("streams");
        std::fs::create_dir_all(base.join("clock/Alice")).unwrap();
        // Imitates a file system that takes the names for one.
        std::os::unix::fs::symlink("Alice", base.join("clock/alice")).unwrap();
        std::os::unix::fs::symlink("clock", base.join("Clock")).unwrap();
        for (of, id, other) in [
            ("clock", "Alice", None),
            ("clock", "bob", None),
            ("clock", "alice", Some("Alice")),
            ("Clock", "Alice", Some("clock")),
        ] {
            let stream = stream(of, id);
            assert_eq!(other_holder(&stream).as_deref(), other, "{of}/{id}");
            assert_eq!(check(&stream).is_err(), other.is_some());
        }
        // A link to another disk still belongs to the stream.
        let elsewhere = dir.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, base.join("clock/carol")).unwrap();
        assert_eq!(other_holder(&stream("clock", "carol")), None);
    }
}
