//! Routes commands by their Rust type: [`CommandBus`].

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, CommandEnvelope};
use crate::domain::routes::{CommandRoute, CommandRoutes};
use crate::error::DispatchError;
use crate::runtime::dispatch::send;
use crate::store::AggregateStore;

/// Sends commands to the aggregate type that takes them, which it finds by the command's Rust type.
///
/// A registered aggregate takes its [`Command`](Aggregate::Command). A derived aggregate also takes
/// each type that its `commands(...)` list. Commands need not be serialisable.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let mut bus = CommandBus::new(store.clone());
/// bus.register::<Counter>();
/// bus.dispatch("c-1", Add(5), CommandContext::default()).await?;
/// assert_eq!(store.get::<Counter>("c-1").await?.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
#[doc(alias("cqrs", "mediator", "command handler", "dispatcher"))]
pub struct CommandBus {
    store: AggregateStore,
    routes: HashMap<TypeId, Route>,
}

/// Where commands of one type go.
struct Route {
    to: Arc<dyn Target>,
    /// The command's type.
    command: &'static str,
    /// The types of the aggregates that list this command. Several make it ambiguous. Empty for an
    /// aggregate's whole command type, where the last registered aggregate gets the command.
    listed_by: Vec<&'static str>,
}

impl CommandBus {
    /// A bus that sends to the aggregates of `store`. It holds a clone of the store, so the store
    /// stays open.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let bus = CommandBus::new(store.clone());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(store: AggregateStore) -> Self {
        Self {
            store,
            routes: HashMap::new(),
        }
    }

    /// Routes the commands of `A` to it. If two aggregates have the same
    /// [`Command`](Aggregate::Command) type, the one registered last gets them.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let mut bus = CommandBus::new(store);
    /// bus.register::<Counter>();
    /// # Ok(())
    /// # }
    /// ```
    pub fn register<A: Aggregate>(&mut self) {
        let mut routes = CommandRoutes::new();
        A::command_routes(&mut routes);
        for listed in routes.into_vec() {
            match self.routes.get_mut(&listed.type_id) {
                None => {
                    let command = listed.type_id;
                    let route = Route {
                        command: listed.type_name,
                        listed_by: vec![A::AGGREGATE_TYPE],
                        to: Arc::new(Typed::<A>(listed)),
                    };
                    self.routes.insert(command, route);
                }
                // A whole command type goes before a listed one.
                Some(route) if route.listed_by.is_empty() => {}
                Some(route) if route.listed_by.contains(&A::AGGREGATE_TYPE) => {
                    route.to = Arc::new(Typed::<A>(listed));
                }
                Some(route) => route.listed_by.push(A::AGGREGATE_TYPE),
            }
        }
        let whole = CommandRoute::of::<A::Command>();
        let whole = Route {
            command: whole.type_name,
            to: Arc::new(Typed::<A>(whole)),
            listed_by: Vec::new(),
        };
        self.routes.insert(TypeId::of::<A::Command>(), whole);
    }

    /// Sends a command to the aggregate `instance_id` of the type that takes it, and waits until
    /// its events are durable. The events are not returned: use
    /// [`AggregateHandle::send`](crate::runtime::handle::AggregateHandle::send) for that.
    ///
    /// # Errors
    ///
    /// * [`DispatchError::UnknownCommand`]: no registered aggregate takes a `C`;
    /// * [`DispatchError::AmbiguousCommand`]: several registered aggregates list it;
    /// * [`DispatchError::Io`]: the aggregate cannot be reached, see [`AggregateStore::get`];
    /// * [`DispatchError::Refused`]: a [layer](crate::Layer) refused the command;
    /// * [`DispatchError::Execution`]: the command did not succeed. The error contains the
    ///   [`ExecuteError`](crate::ExecuteError).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let mut bus = CommandBus::new(store);
    /// # bus.register::<Counter>();
    /// bus.dispatch("c-1", Add(5), CommandContext::default().with_actor("ann")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn dispatch<C: Send + 'static>(
        &self,
        instance_id: &str,
        cmd: C,
        ctx: CommandContext,
    ) -> Result<(), DispatchError> {
        let route = self.routes.get(&TypeId::of::<C>());
        let route = route.ok_or(DispatchError::UnknownCommand)?;
        if route.listed_by.len() > 1 {
            return Err(DispatchError::AmbiguousCommand {
                command: route.command,
                aggregates: route.listed_by.join(", "),
            });
        }
        route
            .to
            .dispatch(&self.store, instance_id, Box::new(cmd), ctx)
            .await
    }

    /// Sends a command in JSON to its aggregate, and waits until its events are durable. It is for
    /// commands that come from elsewhere, a queue or a request for example.
    ///
    /// It reaches the same aggregate types as process managers do: those registered by
    /// [`AggregateStoreBuilder::aggregate_type`](crate::store::AggregateStoreBuilder::aggregate_type),
    /// and those in the `dispatches(...)` of a process manager. [`register`](Self::register) is not
    /// needed.
    ///
    /// # Errors
    ///
    /// * [`DispatchError::UnknownAggregateType`]: that type is not registered;
    /// * [`DispatchError::Deserialization`]: the JSON is not a command of the aggregate;
    /// * [`DispatchError::Io`]: the aggregate cannot be reached, see [`AggregateStore::get`];
    /// * [`DispatchError::Refused`]: a [layer](crate::Layer) refused the command;
    /// * [`DispatchError::Execution`]: the command did not succeed. The error contains the
    ///   [`ExecuteError`](crate::ExecuteError).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).aggregate_type::<Counter>().open().await?;
    /// let bus = CommandBus::new(store.clone());
    /// bus.dispatch_envelope(CommandEnvelope {
    ///     aggregate_type: "counter".to_owned(),
    ///     instance_id: "c-1".to_owned(),
    ///     command: serde_json::json!(5), // an `Add(5)`
    ///     context: CommandContext::default(),
    /// })
    /// .await?;
    /// assert_eq!(store.get::<Counter>("c-1").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn dispatch_envelope(&self, envelope: CommandEnvelope) -> Result<(), DispatchError> {
        let command = envelope.try_into();
        let command = command.map_err(DispatchError::Deserialization)?;
        let dispatchers = &self.store.read_side.dispatchers;
        let sent = send(&self.store.inner, dispatchers, command, None).await;
        sent.map(drop).map_err(|failed| failed.error)
    }
}

impl fmt::Debug for CommandBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands = self.routes.values().map(|route| route.command);
        f.debug_struct("CommandBus")
            .field("store", &self.store)
            .field("commands", &commands.collect::<Vec<_>>())
            .finish()
    }
}

/// An aggregate type that takes one type of command. The bus does not know that type.
trait Target: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a AggregateStore,
        id: &'a str,
        command: Box<dyn Any + Send>,
        context: CommandContext,
    ) -> Pin<Box<dyn Future<Output = Result<(), DispatchError>> + Send + 'a>>;
}

/// The aggregates of type `A`, for commands of one type.
struct Typed<A: Aggregate>(CommandRoute<A::Command>);

impl<A: Aggregate> Target for Typed<A> {
    fn dispatch<'a>(
        &'a self,
        store: &'a AggregateStore,
        id: &'a str,
        command: Box<dyn Any + Send>,
        context: CommandContext,
    ) -> Pin<Box<dyn Future<Output = Result<(), DispatchError>> + Send + 'a>> {
        Box::pin(async move {
            let command = (self.0.into_command)(command).ok_or(DispatchError::UnknownCommand)?;
            let handle = store.get::<A>(id).await?;
            handle.send_with(command, context).await?;
            Ok(())
        })
    }
}
