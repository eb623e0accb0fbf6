//! The keys of an open store: [`Keyring`]. It asks the key store, and keeps what was used lately.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::personal::error::KeyError;
use crate::personal::key::Secret;
use crate::personal::key_store::{KeyFuture, KeyState, KeyStore};
use crate::sync::lock;
use crate::text::Shown;

/// How many keys are kept in memory although no value of their subjects is.
const MOST_KEPT: usize = 4096;

/// The keyrings of the stores that are open in this process, by the names of the stores. An envelope names
/// the store whose key it needs, so it can be opened wherever it is read.
static OPEN: RwLock<Vec<Weak<Keyring>>> = RwLock::new(Vec::new());

/// The keys of an open store.
pub(crate) struct Keyring {
    /// Names the store.
    name: String,
    /// `None` once the store is closed.
    store: Mutex<Option<Arc<dyn KeyStore>>>,
    /// To the thread that runs the futures of the key store.
    jobs: UnboundedSender<Job>,
    known: Mutex<Known>,
    /// Held while a subject is being forgotten.
    pub(crate) forgetting: tokio::sync::Mutex<()>,
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Known {
    secrets: HashMap<Arc<str>, Weak<Secret>>,
    /// How many secrets there were when those that nobody uses were last removed.
    swept: usize,
    kept: VecDeque<Arc<Secret>>,
    /// The subjects that this process forgets, and whether their keys are destroyed: nothing is sealed for
    /// them any more.
    forgotten: HashMap<Arc<str>, bool>,
}

/// A subject's key was asked for, and there is none to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoKey {
    /// Everything of the subject is erased.
    #[error(
        "the personal data of `{}` was erased, and nothing more is stored about it: a person who comes \
         back is another subject",
        Shown(.0)
    )]
    Forgotten(Arc<str>),
    #[error(
        "the key store has no key for `{}` and does not say that it was destroyed, so it is missing: put \
         all keys of the store in their place",
        Shown(.0)
    )]
    Missing(Arc<str>),
    #[error("the key of `{}` cannot be reached: {cause}", Shown(.subject))]
    Unreachable { subject: Arc<str>, cause: KeyError },
}

impl Keyring {
    /// The keys of the store called `name`. Fails if `store` has those of another one.
    pub(crate) fn open(
        name: String,
        is_new: bool,
        store: Arc<dyn KeyStore>,
    ) -> Result<Arc<Self>, KeyError> {
        let keyring = Arc::new(Self {
            jobs: start_thread()?,
            name,
            store: Mutex::new(Some(store)),
            known: Mutex::default(),
            forgetting: tokio::sync::Mutex::default(),
        });
        let name = keyring.name.clone();
        keyring.ask(move |store| Box::pin(async move { store.bind(&name, is_new).await }))?;
        let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| {
            let other = other.upgrade();
            other.is_some_and(|other| other.name != keyring.name)
        });
        open.push(Arc::downgrade(&keyring));
        drop(open);
        Ok(keyring)
    }

    /// The keyring of the open store called `name`.
    pub(crate) fn of_store(name: &str) -> Option<Arc<Self>> {
        let open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
        let mut open = open.iter().filter_map(Weak::upgrade);
        open.find(|keyring| keyring.name == name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The key to open what was sealed for `subject`. A destroyed one is an answer too.
    pub(crate) fn to_open(&self, subject: &str) -> Result<Arc<Secret>, NoKey> {
        if let Some(secret) = lock(&self.known).get(subject) {
            return Ok(secret);
        }
        let subject: Arc<str> = subject.into();
        let asked = subject.clone();
        let state = self.ask(move |store| Box::pin(async move { store.get(&asked).await }));
        self.note(&subject, state)
    }

    /// The key to seal something for `subject`, a new one if it never had one.
    pub(crate) fn to_seal(&self, subject: &Arc<str>) -> Result<Arc<Secret>, NoKey> {
        let secret = {
            let known = lock(&self.known);
            if known.forgotten.contains_key(subject) {
                return Err(NoKey::Forgotten(subject.clone()));
            }
            known.get(subject)
        };
        let secret = if let Some(secret) = secret {
            secret
        } else {
            let asked = subject.clone();
            let state =
                self.ask(move |store| Box::pin(async move { store.get_or_create(&asked).await }));
            self.note(subject, state)?
        };
        if secret.is_destroyed() {
            return Err(NoKey::Forgotten(subject.clone()));
        }
        Ok(secret)
    }

    /// Keeps the answer of the key store.
    fn note(
        &self,
        subject: &Arc<str>,
        state: Result<KeyState, KeyError>,
    ) -> Result<Arc<Secret>, NoKey> {
        let key = match state {
            Ok(KeyState::Known(key)) => Some(key),
            Ok(KeyState::Destroyed) => None,
            Ok(KeyState::Never) => return Err(NoKey::Missing(subject.clone())),
            Err(cause) => {
                let subject = subject.clone();
                return Err(NoKey::Unreachable { subject, cause });
            }
        };
        let mut known = lock(&self.known);
        // Another thread may have asked too, and all values must share one.
        if let Some(secret) = known.get(subject) {
            return Ok(secret);
        }
        // The answer may be older than the end of the key.
        let is_destroyed = known.forgotten.get(subject) == Some(&true);
        let key = key.filter(|_| !is_destroyed);
        let secret = Arc::new(Secret::new(subject.clone(), key));
        known.keep(secret.clone());
        Ok(secret)
    }

    /// From now on nothing is sealed for `subject`.
    pub(crate) fn begin_forgetting(&self, subject: &Arc<str>) {
        let mut known = lock(&self.known);
        known.forgotten.entry(subject.clone()).or_default();
    }

    /// Destroys the key of `subject`, and erases its values in this process. Whether there was a key.
    pub(crate) fn destroy(&self, subject: &Arc<str>) -> Result<bool, KeyError> {
        self.begin_forgetting(subject);
        let asked = subject.clone();
        let had_one =
            self.ask(move |store| Box::pin(async move { store.destroy(&asked).await }))?;
        let mut known = lock(&self.known);
        known.forgotten.insert(subject.clone(), true);
        if let Some(secret) = known.get(subject) {
            secret.destroy();
        }
        Ok(had_one)
    }

    /// Lets the key store go. Values that are known stay known.
    pub(crate) fn close(&self) {
        drop(lock(&self.store).take());
    }

    /// Runs a call of the key store on its thread, and waits for the answer. The caller may be within
    /// any runtime.
    fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(Arc<dyn KeyStore>) -> KeyFuture<'static, T> + Send + 'static,
    ) -> Result<T, KeyError> {
        let (answer, answered) = sync_channel(1);
        let store = lock(&self.store).clone();
        let store = store.ok_or_else(|| KeyError::new("its store is closed"))?;
        let job = async move {
            // Whoever asked waits for it.
            let _ = answer.send(call(store).await);
        };
        let gone = || KeyError::new("the key store panicked");
        self.jobs.send(Box::pin(job)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl Known {
    fn get(&self, subject: &str) -> Option<Arc<Secret>> {
        self.secrets.get(subject)?.upgrade()
    }

    fn keep(&mut self, secret: Arc<Secret>) {
        if self.secrets.len() >= 2 * self.swept + MOST_KEPT {
            self.secrets.retain(|_, secret| secret.strong_count() > 0);
            self.swept = self.secrets.len();
        }
        let subject = secret.subject().clone();
        self.secrets.insert(subject, Arc::downgrade(&secret));
        if self.kept.len() >= MOST_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(secret);
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.name)
    }
}

/// Starts a thread that runs jobs until nobody can send one any more.
fn start_thread() -> Result<UnboundedSender<Job>, KeyError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (jobs, mut queue) = unbounded_channel::<Job>();
    let work = move || {
        runtime.block_on(async {
            while let Some(job) = queue.recv().await {
                // A panic ends its own task only.
                drop(tokio::spawn(job));
            }
        });
    };
    let thread = std::thread::Builder::new().name("eventfold-keys".to_owned());
    thread.spawn(work)?;
    Ok(jobs)
}
