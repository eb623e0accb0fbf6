//! The command types of an aggregate: [`CommandRoutes`].

use std::any::{Any, TypeId, type_name};
use std::fmt;

/// The command types that convert into the command type `C` of an aggregate, and so lead to it.
/// Filled by `#[derive(Aggregate)]`.
pub struct CommandRoutes<C> {
    routes: Vec<CommandRoute<C>>,
}

/// A command type, and its conversion into a `C`.
pub(crate) struct CommandRoute<C> {
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
    /// `None` for a value of another type.
    pub(crate) into_command: fn(Box<dyn Any + Send>) -> Option<C>,
}

impl<C> CommandRoute<C> {
    /// The route of commands of type `L`.
    pub(crate) fn of<L>() -> Self
    where
        L: Into<C> + Send + 'static,
    {
        Self {
            type_id: TypeId::of::<L>(),
            type_name: type_name::<L>(),
            into_command: |command| Some((*command.downcast::<L>().ok()?).into()),
        }
    }
}

impl<C> CommandRoutes<C> {
    pub(crate) fn new() -> Self {
        Self { routes: Vec::new() }
    }

    pub(crate) fn into_vec(self) -> Vec<CommandRoute<C>> {
        self.routes
    }

    /// Routes commands of the listed type `L`.
    pub fn add<L>(&mut self)
    where
        L: Into<C> + Send + 'static,
    {
        self.routes.push(CommandRoute::of::<L>());
    }
}

impl<C> fmt::Debug for CommandRoutes<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.routes.iter().map(|route| route.type_name))
            .finish()
    }
}
