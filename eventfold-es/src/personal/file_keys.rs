//! Keys in a file: [`FileKeys`].

use std::collections::HashMap;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;
use zeroize::Zeroizing;

use crate::personal::error::KeyError;
use crate::personal::key::SubjectKey;
use crate::personal::key_store::{KeyFuture, KeyState, KeyStore, check_store};
use crate::sync::lock;
use crate::text::shown;

/// The number of the file's format.
const FORMAT: u32 = 1;
const FILE: &str = "keys.jsonl";
const NEW_FILE: &str = "keys.jsonl.tmp";
const LOCK: &str = "lock";

/// Keys in a directory of their own, which is **not** in the store's directory nor on its backups.
///
/// What is erased is only as gone as its key. If the keys lie beside the data, whoever copies the data has
/// them too: each backup keeps them, and a stolen disk gives both. So choose another place, if possible
/// another disk, and back it up apart, with copies that are deleted after days: a copy of the keys that is
/// put back brings everything back that was erased since.
///
/// The directory has the file `keys.jsonl` (mode 0600), a line for each subject, and `lock`. One process at
/// a time may have it open, and its keys are those of one store. All of them are read into memory. Making
/// one costs one sync, destroying one writes the file anew. Nothing is deleted from it but keys: the subjects
/// stay, so that no key is made for them again.
///
/// ```
/// use eventfold_es::AggregateStore;
/// use eventfold_es::personal::FileKeys;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let (data, keys) = (dir.path().join("data"), dir.path().join("keys"));
/// // For example `/var/lib/shop/data` and `/var/lib/shop-keys`.
/// let store = AggregateStore::builder(data).keys(FileKeys::open(keys)?).open().await?;
/// # Ok(())
/// # }
/// ```
pub struct FileKeys {
    dir: PathBuf,
    /// `None` before a store is opened with them.
    state: Mutex<Option<State>>,
}

struct State {
    /// Held while the keys are in use.
    _lock: File,
    store: Option<String>,
    /// `None` for a destroyed key.
    keys: HashMap<String, Option<SubjectKey>>,
    /// The file, once there is one.
    file: Option<File>,
    /// A key may not be durable, so none is made or destroyed until the file is opened again.
    failed: Option<String>,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    keys: u32,
    #[serde(borrow)]
    store: std::borrow::Cow<'a, str>,
}

/// Any other line.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    subject: std::borrow::Cow<'a, str>,
    /// Absent if the key was destroyed.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key: Option<std::borrow::Cow<'a, str>>,
}

impl FileKeys {
    /// The keys in the directory `dir`, which is created if it is not there. They are read when a store is
    /// opened with them, and in use until it is closed.
    ///
    /// # Errors
    ///
    /// If the directory cannot be created.
    ///
    /// See the example of [`FileKeys`].
    pub fn open(dir: impl AsRef<Path>) -> io::Result<Self> {
        let dir = dir.as_ref();
        create_dir(dir).map_err(|error| failed(dir, "created", &error, error.kind()))?;
        Ok(Self {
            dir: dir.to_owned(),
            state: Mutex::new(None),
        })
    }

    fn error(&self, what: &str, error: &io::Error) -> KeyError {
        KeyError::new(failed(&self.dir, what, error, error.kind()))
    }

    /// Uses the keys, which a store must have been opened with.
    fn with<T>(&self, run: impl FnOnce(&mut State) -> Result<T, KeyError>) -> Result<T, KeyError> {
        match &mut *lock(&self.state) {
            Some(state) => run(state),
            None => Err(KeyError::new("no store was opened with the keys")),
        }
    }
}

fn failed(dir: &Path, what: &str, error: &dyn fmt::Display, kind: io::ErrorKind) -> io::Error {
    let text = format!("the keys in {} cannot be {what}: {error}", shown(dir));
    io::Error::new(kind, text)
}

impl State {
    /// Locks and reads the keys in `dir`.
    fn open(dir: &Path) -> io::Result<Self> {
        let of =
            |what: &'static str| move |error: io::Error| failed(dir, what, &error, error.kind());
        let file = open_private(
            &dir.join(LOCK),
            OpenOptions::new().create(true).append(true),
        );
        let file = file.map_err(of("locked"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = "they are in use, in this process or in another one";
                return Err(failed(dir, "opened", &why, io::ErrorKind::ResourceBusy));
            }
            Err(TryLockError::Error(error)) => return Err(of("locked")(error)),
        }
        let mut state = Self {
            _lock: file,
            store: None,
            keys: HashMap::new(),
            file: None,
            failed: None,
        };
        if let Some(content) = read(&dir.join(FILE)).map_err(of("read"))? {
            let taken = state.take(&content);
            taken.map_err(|error| failed(dir, "read", &error, io::ErrorKind::InvalidData))?;
            // A line may be in the memory of the system only, if its sync failed: what a store builds on
            // must be durable.
            state.write_anew(dir).map_err(of("written"))?;
        }
        Ok(state)
    }

    /// Takes the content of the file.
    fn take(&mut self, content: &[u8]) -> Result<(), String> {
        for (number, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let damaged = || format!("line {} is damaged", number + 1);
            // The end of an append that was never answered.
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            let text = checked(line).ok_or_else(damaged)?;
            if number == 0 {
                let header: Header<'_> = serde_json::from_str(text).map_err(|_| damaged())?;
                if header.keys != FORMAT {
                    return Err(format!(
                        "they have the format {}, and this version knows {FORMAT}",
                        header.keys
                    ));
                }
                self.store = Some(header.store.into_owned());
                continue;
            }
            let entry: Entry<'_> = serde_json::from_str(text).map_err(|_| damaged())?;
            let key = match &entry.key {
                None => None,
                Some(key) => {
                    let bytes = Zeroizing::new(BASE64.decode(&**key).map_err(|_| damaged())?);
                    let bytes = bytes.first_chunk::<32>().ok_or_else(damaged)?;
                    Some(SubjectKey::new(*bytes))
                }
            };
            self.keys.insert(entry.subject.into_owned(), key);
        }
        if self.store.is_none() && !content.is_empty() {
            return Err("the first line is not whole".to_owned());
        }
        Ok(())
    }

    /// Replaces the file by one with what is in memory. If it fails, the old one or the new one is there.
    fn write_anew(&mut self, dir: &Path) -> io::Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let mut content = Zeroizing::new(Vec::with_capacity(128 * (self.keys.len() + 1)));
        let header = Header {
            keys: FORMAT,
            store: store.as_str().into(),
        };
        add_line(&mut content, &header)?;
        for (subject, key) in &self.keys {
            add_line(&mut content, &entry(subject, key.as_ref()))?;
        }
        let new = dir.join(NEW_FILE);
        let options = &mut OpenOptions::new();
        let mut file = open_private(&new, options.write(true).create(true).truncate(true))?;
        file.write_all(&content)?;
        file.sync_all()?;
        std::fs::rename(&new, dir.join(FILE))?;
        if let Some(old) = self.file.replace(file) {
            wipe(old);
        }
        sync_dir(dir)
    }

    /// Adds a line with a new key durably.
    fn append(&mut self, subject: &str, key: &SubjectKey) -> io::Result<()> {
        let mut line = Zeroizing::new(Vec::with_capacity(128 + subject.len()));
        add_line(&mut line, &entry(subject, Some(key)))?;
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(io::SeekFrom::End(0))?;
        file.write_all(&line)?;
        file.sync_data()
    }

    fn check(&self) -> Result<(), KeyError> {
        match &self.failed {
            None => Ok(()),
            Some(failed) => {
                let text = format!("{failed}; open the store again when the disk is sound");
                Err(KeyError::new(text))
            }
        }
    }
}

fn entry<'a>(subject: &'a str, key: Option<&SubjectKey>) -> Entry<'a> {
    Entry {
        subject: subject.into(),
        key: key.map(|key| BASE64.encode(key.as_bytes()).into()),
    }
}

/// Adds `line` with its checksum.
fn add_line(content: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    let text = Zeroizing::new(serde_json::to_string(line)?);
    let sum = xxh3_64(text.as_bytes());
    write!(content, "{sum:016x} ")?;
    content.extend_from_slice(text.as_bytes());
    content.push(b'\n');
    Ok(())
}

/// The text of a line whose checksum is right.
fn checked(line: &[u8]) -> Option<&str> {
    let (sum, text) = line.split_at_checked(17)?;
    let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?.trim_end(), 16).ok()?;
    (sum == xxh3_64(text)).then_some(())?;
    std::str::from_utf8(text).ok()
}

/// Overwrites a file that has no name any more, as far as the disk does that in place.
fn wipe(mut file: File) {
    let wiped = || -> io::Result<()> {
        let length = file.metadata()?.len();
        file.rewind()?;
        io::copy(&mut io::repeat(0).take(length), &mut file)?;
        file.sync_data()
    };
    if let Err(error) = { wiped }() {
        tracing::warn!(%error, "the bytes of a replaced file of keys could not be overwritten");
    }
}

fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    // With room for all, so that nothing is copied and left behind.
    let mut content = Zeroizing::new(Vec::with_capacity(length + 1));
    file.read_to_end(&mut content)?;
    Ok(Some(content))
}

fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if dir.is_dir() {
        return Ok(());
    }
    builder.create(dir)?;
    dir.parent().map_or(Ok(()), sync_dir)
}

fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

impl KeyStore for FileKeys {
    fn bind<'a>(&'a self, store: &'a str, is_new: bool) -> KeyFuture<'a, ()> {
        let bound = || {
            let mut held = lock(&self.state);
            let state = match &mut *held {
                Some(state) => state,
                None => held.insert(State::open(&self.dir)?),
            };
            let at = |error| KeyError::new(format!("{error} (keys in {})", shown(&self.dir)));
            check_store(state.store.as_deref(), store, is_new).map_err(at)?;
            if state.store.is_none() {
                state.store = Some(store.to_owned());
                if let Err(error) = state.write_anew(&self.dir) {
                    state.store = None;
                    return Err(self.error("written", &error));
                }
            }
            Ok(())
        };
        Box::pin(std::future::ready(bound()))
    }

    fn get<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        let known = self.with(|state| Ok(known(state.keys.get(subject))));
        Box::pin(std::future::ready(known))
    }

    fn get_or_create<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        let made = self.with(|state| {
            if let entry @ Some(_) = state.keys.get(subject) {
                return Ok(known(entry));
            }
            state.check()?;
            let key = SubjectKey::generate()?;
            if let Err(error) = state.append(subject, &key) {
                let error = self.error("written", &error);
                state.failed = Some(error.to_string());
                return Err(error);
            }
            state.keys.insert(subject.to_owned(), Some(key.clone()));
            Ok(KeyState::Known(key))
        });
        Box::pin(std::future::ready(made))
    }

    fn destroy<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, bool> {
        let destroyed = self.with(|state| {
            state.check()?;
            if matches!(state.keys.get(subject), Some(None)) {
                return Ok(false);
            }
            let before = state.keys.insert(subject.to_owned(), None);
            if let Err(error) = state.write_anew(&self.dir) {
                let error = self.error("written", &error);
                // The file may have the key or not: nobody may believe either before it is read again.
                state.failed = Some(error.to_string());
                match before {
                    Some(before) => drop(state.keys.insert(subject.to_owned(), before)),
                    None => drop(state.keys.remove(subject)),
                }
                return Err(error);
            }
            Ok(before.flatten().is_some())
        });
        Box::pin(std::future::ready(destroyed))
    }
}

/// What is known of a subject with this entry.
fn known(entry: Option<&Option<SubjectKey>>) -> KeyState {
    match entry {
        None => KeyState::Never,
        Some(None) => KeyState::Destroyed,
        Some(Some(key)) => KeyState::Known(key.clone()),
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subjects = lock(&self.state).as_ref().map(|state| state.keys.len());
        f.debug_struct("FileKeys")
            .field("dir", &self.dir)
            .field("subjects", &subjects)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: KeyFuture<'_, T>) -> Result<T, KeyError> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match { future }.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => done,
            std::task::Poll::Pending => panic!("a file is not waited for"),
        }
    }

    fn key(keys: &FileKeys, subject: &str) -> Option<[u8; 32]> {
        match run(keys.get(subject)).unwrap() {
            KeyState::Known(key) => Some(*key.as_bytes()),
            KeyState::Destroyed => None,
            KeyState::Never => panic!("`{subject}` never had a key"),
        }
    }

    #[test]
    fn keys_and_their_ends_outlast_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(dir.path()).unwrap();
        run(keys.bind("s-1", true)).unwrap();
        for subject in ["a:1", "a:2\n\"", "a:3"] {
            assert!(matches!(run(keys.get(subject)), Ok(KeyState::Never)));
            run(keys.get_or_create(subject)).unwrap();
        }
        let (first, second) = (key(&keys, "a:1"), key(&keys, "a:2\n\""));
        assert!(run(keys.destroy("a:3")).unwrap());
        assert!(!run(keys.destroy("a:3")).unwrap() && !run(keys.destroy("a:4")).unwrap());
        let other = FileKeys::open(dir.path()).unwrap();
        let twice = run(other.bind("s-1", false)).unwrap_err().to_string();
        assert!(twice.contains("they are in use"), "{twice}");
        drop(keys);
        let keys = other;
        run(keys.bind("s-1", false)).unwrap();
        assert_eq!((key(&keys, "a:1"), key(&keys, "a:2\n\"")), (first, second));
        for destroyed in ["a:3", "a:4"] {
            assert_eq!(key(&keys, destroyed), None);
            let again = run(keys.get_or_create(destroyed));
            assert!(matches!(again, Ok(KeyState::Destroyed)));
        }
    }

    #[test]
    fn keys_of_another_store_and_missing_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(dir.path()).unwrap();
        let missing = run(keys.bind("s-1", false)).unwrap_err().to_string();
        assert!(missing.contains("there are no keys"), "{missing}");
        run(keys.bind("s-1", true)).unwrap();
        for is_new in [true, false] {
            let other = run(keys.bind("s-2", is_new)).unwrap_err().to_string();
            assert!(other.contains("those of the store `s-1`"), "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("new");
        let keys = FileKeys::open(&place).unwrap();
        run(keys.bind("s-1", true)).unwrap();
        run(keys.get_or_create("a:1")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join(FILE))), (0o700, 0o600));
        // Also after somebody changed it.
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(place.join(FILE), open).unwrap();
        drop(keys);
        let keys = FileKeys::open(&place).unwrap();
        run(keys.bind("s-1", false)).unwrap();
        assert_eq!(mode(&place.join(FILE)), 0o600);
    }

    /// Every prefix that a crash may leave: all keys whose lines are whole are there.
    #[test]
    fn a_file_that_is_cut_off_keeps_every_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(dir.path()).unwrap();
        run(keys.bind("s-1", true)).unwrap();
        let mut ends = vec![std::fs::metadata(dir.path().join(FILE)).unwrap().len()];
        for subject in ["a:1", "a:2"] {
            run(keys.get_or_create(subject)).unwrap();
            ends.push(std::fs::metadata(dir.path().join(FILE)).unwrap().len());
        }
        drop(keys);
        let content = std::fs::read(dir.path().join(FILE)).unwrap();
        for length in ends[0]..=ends[2] {
            let whole = ends[1..].iter().filter(|end| **end <= length).count();
            let cut = &content[..usize::try_from(length).unwrap()];
            std::fs::write(dir.path().join(FILE), cut).unwrap();
            let state = State::open(dir.path()).unwrap();
            assert_eq!(state.keys.len(), whole, "{length} bytes");
        }
        let mut damaged = content.clone();
        let at = usize::try_from(ends[0]).unwrap() + 40;
        damaged[at] ^= 1;
        std::fs::write(dir.path().join(FILE), damaged).unwrap();
        let error = State::open(dir.path()).err().unwrap();
        assert!(error.to_string().contains("line 2 is damaged"), "{error}");
    }

    #[test]
    fn the_bytes_of_a_destroyed_key_are_in_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let keys = FileKeys::open(dir.path()).unwrap();
        run(keys.bind("s-1", true)).unwrap();
        run(keys.get_or_create("a:1")).unwrap();
        let old = File::open(dir.path().join(FILE)).unwrap();
        let text = BASE64.encode(key(&keys, "a:1").unwrap());
        run(keys.destroy("a:1")).unwrap();
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            files.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        // The file that was replaced, whose blocks may stay on the disk.
        { old }.read_to_end(&mut files).unwrap();
        assert!(memchr::memmem::find(&files, text.as_bytes()).is_none());
    }
}
