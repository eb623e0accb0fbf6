//! Routes commands by their Rust type: [`CommandBus`].

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::aggregate::Aggregate;
use crate::command::{CommandContext, CommandEnvelope};
use crate::error::DispatchError;
use crate::read_side;
use crate::store::AggregateStore;

/// Sends commands to the aggregate type that takes them, found by the command's Rust type.
///
/// A registered aggregate takes its [`Command`](Aggregate::Command); a derived one also each type
/// that its `commands(...)` list. Commands need not be serialisable.
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
pub struct CommandBus {
    store: AggregateStore,
    routes: HashMap<TypeId, Route>,
}

/// Where commands of one type go.
struct Route {
    to: Arc<dyn Target>,
    /// The command's type.
    command: &'static str,
    /// The types of the aggregates that list this command; several make it ambiguous. Empty for an
    /// aggregate's whole command type, where the last one registered counts.
    listed_by: Vec<&'static str>,
}

impl CommandBus {
    /// A bus that sends to the aggregates of `store`. It holds a clone of the store, so it keeps it
    /// open.
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

    /// Routes the commands of `A` to it. Of two aggregates with the same
    /// [`Command`](Aggregate::Command) type the one registered last gets them.
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
        let mut routes = CommandRoutes {
            routes: Vec::new(),
            aggregate: PhantomData::<A>,
        };
        A::command_routes(&mut routes);
        for (id, command, to) in routes.routes {
            match self.routes.get_mut(&id) {
                None => {
                    let listed_by = vec![A::AGGREGATE_TYPE];
                    self.routes.insert(
                        id,
                        Route {
                            to,
                            command,
                            listed_by,
                        },
                    );
                }
                // A whole command type goes before a listed one.
                Some(route) if route.listed_by.is_empty() => {}
                Some(route) if route.listed_by.contains(&A::AGGREGATE_TYPE) => route.to = to,
                Some(route) => route.listed_by.push(A::AGGREGATE_TYPE),
            }
        }
        let whole = Route {
            to: Arc::new(Typed::<A, A::Command>(PhantomData)),
            command: type_name::<A::Command>(),
            listed_by: Vec::new(),
        };
        self.routes.insert(TypeId::of::<A::Command>(), whole);
    }

    /// Sends a command to the aggregate `instance_id` of the type that takes it, and waits until
    /// its events are durable. They are not returned:
    /// [`AggregateHandle::send`](crate::AggregateHandle::send) does that.
    ///
    /// # Errors
    ///
    /// * [`DispatchError::UnknownCommand`]: no registered aggregate takes a `C`;
    /// * [`DispatchError::AmbiguousCommand`]: several list it;
    /// * [`DispatchError::Io`]: the aggregate cannot be had, see [`AggregateStore::get`];
    /// * [`DispatchError::Execution`]: the command did not succeed; the
    ///   [`ExecuteError`](crate::ExecuteError) is in it.
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

    /// Sends a command that is JSON to its aggregate, and waits until its events are durable. It is
    /// for commands that come from elsewhere, a queue or a request for example.
    ///
    /// It goes to the aggregate types that the store knows, as those of process managers do: by
    /// [`AggregateStoreBuilder::aggregate_type`](crate::AggregateStoreBuilder::aggregate_type), or
    /// from the `dispatches(...)` of one. [`register`](Self::register) is not needed.
    ///
    /// # Errors
    ///
    /// * [`DispatchError::UnknownAggregateType`]: the store was not told of that type;
    /// * [`DispatchError::Deserialization`]: the JSON is not a command of the aggregate;
    /// * [`DispatchError::Io`]: the aggregate cannot be had, see [`AggregateStore::get`];
    /// * [`DispatchError::Execution`]: the command did not succeed; the
    ///   [`ExecuteError`](crate::ExecuteError) is in it.
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
        let sent = read_side::send(&self.store, envelope).await;
        sent.map_err(|failed| failed.error)
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

/// The command types that lead to an aggregate besides its command enum. Filled by
/// `#[derive(Aggregate)]`.
pub struct CommandRoutes<A> {
    routes: Vec<(TypeId, &'static str, Arc<dyn Target>)>,
    aggregate: PhantomData<A>,
}

impl<A: Aggregate> CommandRoutes<A> {
    /// Routes commands of type `C` to `A`.
    pub fn add<C>(&mut self)
    where
        C: Into<A::Command> + Send + 'static,
    {
        let to = Arc::new(Typed::<A, C>(PhantomData));
        self.routes.push((TypeId::of::<C>(), type_name::<C>(), to));
    }
}

impl<A> fmt::Debug for CommandRoutes<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.routes.iter().map(|(_, command, _)| command))
            .finish()
    }
}

/// An aggregate type that takes commands of a type that only it knows.
trait Target: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a AggregateStore,
        id: &'a str,
        command: Box<dyn Any + Send>,
        context: CommandContext,
    ) -> Pin<Box<dyn Future<Output = Result<(), DispatchError>> + Send + 'a>>;
}

struct Typed<A, C>(PhantomData<fn(C) -> A>);

impl<A: Aggregate, C: Into<A::Command> + Send + 'static> Target for Typed<A, C> {
    fn dispatch<'a>(
        &'a self,
        store: &'a AggregateStore,
        id: &'a str,
        command: Box<dyn Any + Send>,
        context: CommandContext,
    ) -> Pin<Box<dyn Future<Output = Result<(), DispatchError>> + Send + 'a>> {
        Box::pin(async move {
            let command: Box<C> = command
                .downcast()
                .map_err(|_| DispatchError::UnknownCommand)?;
            let handle = store.get::<A>(id).await?;
            handle
                .send_with(*command, context)
                .await
                .map_err(|error| DispatchError::Execution(Box::new(error)))?;
            Ok(())
        })
    }
}
