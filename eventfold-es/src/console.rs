//! A console in the browser: what a store holds, what its read side does, and what needs somebody.
//!
//! [`router`] makes an [`axum::Router`] that the host application mounts below any path, behind its own
//! authorisation. [`router_of`] does so for a directory, read-only and without the types of the
//! application, as `eventfold ui` does. The [guide page](crate::guide::console) shows both.
//!
//! The console changes nothing, unless the host [allows](Console::allow_writing) it to replay and discard
//! dead letters. It has no authorisation of its own: whoever reaches it reads every event.
//!
//! ```no_run
//! # use eventfold_es::{*, __private::example::*};
//! use axum::Router;
//! use eventfold_es::console;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = AggregateStore::open("./data").await?;
//! let console = console::router(&store)
//!     .aggregate::<Counter>() // its states are shown
//!     .hosts(["admin.example.org"]);
//! let app: Router = Router::new().nest("/admin/eventfold", console.build());
//! # Ok(())
//! # }
//! ```

mod asked;
mod event;
mod failure;
mod guard;
mod html;
mod layout;
mod live;
mod pages;
mod read_side;
mod reading;
mod serve;
mod shared;
mod source;
mod states;
mod summary;
mod trace;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;

use crate::domain::aggregate::{Aggregate, about_aggregate};
use crate::model::Model;
use crate::store::AggregateStore;
use crate::store::inspect::StoreReader;
use guard::LOOPBACK;
use serve::serve;
use shared::Shared;
use source::Source;
use states::KnownType;
use summary::MOST_AGGREGATES;

/// A console that is being set up. From [`router`] and [`router_of`].
///
/// See the example of the [module](self).
#[must_use = "`build` makes the router"]
pub struct Console {
    source: Source,
    types: Vec<KnownType>,
    model: Model,
    hosts: Option<Vec<String>>,
    may_write: bool,
    most_aggregates: usize,
}

/// Begins a console of an open store, on any storage. The router that it becomes keeps the store open, as
/// a clone does.
///
/// See the example of the [module](self).
pub fn router(store: &AggregateStore) -> Console {
    Console::new(Source::Store(store.clone()))
}

/// Begins a console of the directory of a store, which another program may have open. It takes no lock and
/// changes nothing, as a [`StoreReader`].
///
/// # Errors
///
/// As [`StoreReader::open`].
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # AggregateStore::open(dir.path()).await?.shutdown().await?;
/// let app: axum::Router = eventfold_es::console::router_of(dir.path())?.build();
/// # Ok(())
/// # }
/// ```
pub fn router_of(dir: impl AsRef<Path>) -> io::Result<Console> {
    Ok(router_of_reader(StoreReader::open(dir)?))
}

/// As [`router_of`], of what a [`StoreReader`] looks at: a directory, or with the feature `postgres` a schema.
///
/// ```
/// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # AggregateStore::open(dir.path()).await?.shutdown().await?;
/// let reader = StoreReader::open(dir.path())?; // or `StoreReader::postgres`
/// let app: axum::Router = eventfold_es::console::router_of_reader(reader).build();
/// # Ok(())
/// # }
/// ```
pub fn router_of_reader(reader: StoreReader) -> Console {
    Console::new(Source::directory(reader))
}

impl Console {
    fn new(source: Source) -> Self {
        Self {
            source,
            types: Vec::new(),
            model: Model::default(),
            hosts: Some(LOOPBACK.map(str::to_owned).to_vec()),
            may_write: false,
            most_aggregates: MOST_AGGREGATES,
        }
    }

    /// Shows the states of aggregates of type `A`: at each version, with what changed. The code of `A`
    /// runs for that, on threads that may block; a panic in it is shown.
    ///
    /// See the example of the [module](self).
    pub fn aggregate<A: Aggregate>(mut self) -> Self {
        self.types.retain(|known| known.name != A::AGGREGATE_TYPE);
        self.types.push(KnownType::of::<A>());
        let mut told = Model::default();
        told.add_aggregate(about_aggregate::<A>());
        self.model = self.model.and(told);
        self
    }

    /// Shows what these types say on the page of the model, too. It has what the store
    /// [knows](AggregateStore::model) and the aggregates registered here; this adds decisions, and
    /// aggregates whose states are not to be shown.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().open().await?;
    /// let console = console::router(&store).model(eventfold_es::model![Counter]);
    /// # let _: axum::Router = console.build();
    /// # Ok(())
    /// # }
    /// ```
    pub fn model(mut self, model: Model) -> Self {
        self.model = self.model.and(model);
        self
    }

    /// Answers requests for these hosts too: the names, without a port, under which browsers reach the
    /// console. Without this it answers for `localhost`, `127.0.0.1` and `[::1]` only, so that no foreign
    /// page can reach it by giving its own name the address of this machine (DNS rebinding).
    ///
    /// See the example of the [module](self).
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        let known = self.hosts.get_or_insert_default();
        known.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Answers requests for every host. It is right where something else checks them, such as a proxy
    /// that passes on requests for its own names only.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().open().await?;
    /// let app: axum::Router = console::router(&store).any_host().build();
    /// # Ok(())
    /// # }
    /// ```
    pub fn any_host(mut self) -> Self {
        self.hosts = None;
        self
    }

    /// Lets whoever reaches the console replay and discard dead letters. A console of a directory stays
    /// read-only.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().process_manager::<Forward>().open().await?;
    /// let app: axum::Router = console::router(&store).allow_writing().build();
    /// # Ok(())
    /// # }
    /// ```
    pub fn allow_writing(mut self) -> Self {
        self.may_write = true;
        self
    }

    /// How many aggregates the console lists, 200,000 without this. It keeps about 200 bytes in memory for
    /// each. Further ones are found by their exact type and id, for which the whole log is read.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().open().await?;
    /// let app: axum::Router = console::router(&store).most_aggregates(2_000_000).build();
    /// # Ok(())
    /// # }
    /// ```
    pub fn most_aggregates(mut self, aggregates: usize) -> Self {
        self.most_aggregates = aggregates;
        self
    }

    /// The router. All its links are relative, so it works below every path: by
    /// [`nest`](Router::nest), or by [`nest_service`](Router::nest_service) where the router of the host
    /// has a state.
    ///
    /// See the example of the [module](self).
    pub fn build(self) -> Router {
        let may_write = self.may_write && self.source.store().is_some();
        let store = self.source.store();
        let model = store.map_or_else(Model::default, AggregateStore::model);
        let model = model.and(self.model);
        let shared = Shared::new(
            self.source,
            (self.types, model),
            self.hosts,
            may_write,
            self.most_aggregates,
        );
        Router::new()
            .route("/", any(serve))
            .route("/{*page}", any(serve))
            .with_state(Arc::new(shared))
    }
}

impl From<Console> for Router {
    fn from(console: Console) -> Self {
        console.build()
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.types.iter().map(|known| known.name);
        f.debug_struct("Console")
            .field("store", &self.source.name())
            .field("types", &types.collect::<Vec<_>>())
            .field("hosts", &self.hosts)
            .field("may_write", &self.may_write)
            .finish_non_exhaustive()
    }
}
