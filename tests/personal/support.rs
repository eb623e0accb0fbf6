//! What the tests share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventfold_es::personal::{FileKeys, KeyError, KeyFuture, KeyState, KeyStore};
use eventfold_es::{AggregateHandle, AggregateStore, AggregateStoreBuilder};

use crate::domain::{Customer, Greeter, Names, Recommend, Register};

pub(crate) const ANN: &str = "Ann Everywhere";
pub(crate) const MAIL: &str = "ann@nowhere.example";
pub(crate) const BOB: &str = "Bob Somewhere";

/// A directory with the data and the keys of a store.
pub(crate) struct Place {
    path: PathBuf,
    /// Removed with this.
    _dir: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            path: dir.path().to_owned(),
            _dir: Some(dir),
        }
    }

    /// A directory that another process made.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, _dir: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn keys(&self) -> FileKeys {
        FileKeys::open(self.path().join("keys")).unwrap()
    }

    pub(crate) fn builder(&self) -> AggregateStoreBuilder {
        AggregateStore::builder(self.data())
    }

    pub(crate) async fn open(&self) -> AggregateStore {
        let builder = self.builder().keys(self.keys());
        let builder = builder.projection::<Names>().process_manager::<Greeter>();
        builder.open().await.unwrap()
    }

    /// The files with `text`, relative to the directory, and how many files there are.
    pub(crate) fn files_with(&self, text: &str) -> (Vec<String>, usize) {
        let (mut found, mut all) = (Vec::new(), 0);
        let mut dirs = vec![self.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                all += 1;
                let bytes = match std::fs::read(&path) {
                    // An open store renames and removes files.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    bytes => bytes.unwrap(),
                };
                let name = path.strip_prefix(self.path()).unwrap();
                if contains(&bytes, text.as_bytes()) || name.to_string_lossy().contains(text) {
                    found.push(name.display().to_string());
                }
            }
        }
        found.sort();
        (found, all)
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// The state of a customer.
pub(crate) async fn customer(store: &AggregateStore, id: &str) -> Customer {
    let customer = store.get::<Customer>(id).await.unwrap();
    customer.state().await.unwrap()
}

/// Registers a customer.
pub(crate) async fn register(store: &AggregateStore, id: u64, name: &str) {
    let _ = registered(store, id, name).await;
}

/// Registers a customer, and returns its aggregate.
pub(crate) async fn registered(
    store: &AggregateStore,
    id: u64,
    name: &str,
) -> AggregateHandle<Customer> {
    let customer = store.get::<Customer>(&format!("c-{id}")).await.unwrap();
    let command = Register {
        customer: id,
        name: name.to_owned(),
        email: MAIL.to_owned(),
    };
    customer.send(command).await.unwrap();
    customer
}

pub(crate) fn recommend(by: (u64, &str), friend: (u64, &str)) -> Recommend {
    Recommend {
        by: (by.0, by.1.to_owned()),
        friend: (friend.0, friend.1.to_owned()),
    }
}

/// A key store that can be out of reach.
pub(crate) struct Distant<K> {
    pub(crate) keys: K,
    is_away: Arc<AtomicBool>,
}

/// Takes a key store out of reach and back.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<AtomicBool>);

impl Line {
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    pub(crate) fn to<K: KeyStore>(&self, keys: K) -> Distant<K> {
        Distant {
            keys,
            is_away: self.0.clone(),
        }
    }
}

impl<K: KeyStore> Distant<K> {
    fn reach<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&'a K) -> KeyFuture<'a, T>,
    ) -> KeyFuture<'a, T> {
        if self.is_away.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(KeyError::new("the line is cut"))));
        }
        call(&self.keys)
    }
}

impl<K: KeyStore> KeyStore for Distant<K> {
    fn bind<'a>(&'a self, store: &'a str, is_new: bool) -> KeyFuture<'a, ()> {
        self.reach(|keys| keys.bind(store, is_new))
    }

    fn get<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        self.reach(|keys| keys.get(subject))
    }

    fn get_or_create<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        self.reach(|keys| keys.get_or_create(subject))
    }

    fn destroy<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, bool> {
        self.reach(|keys| keys.destroy(subject))
    }
}
