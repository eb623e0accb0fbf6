//! The use of listed types in generated code, if a type is of the listed kind.
//!
//! `ListedEvent::<T>::__known(event)` is the event if `T` is an event: the compiler then selects
//! the function with that bound. Otherwise it is an [`Unknown`], which supports everything that an
//! event does. So the compiler reports once that `T` is not an event, and nothing else about it.

use std::fmt::Debug;
use std::marker::PhantomData;

#[cfg(feature = "sqlite")]
use rusqlite::Transaction;

use super::CommandPayload;
use crate::domain::aggregate::{Aggregate, Decide, Decision, DecisionTypes, Evolve};
use crate::domain::evolve_with::EvolveWith;
use crate::domain::process_manager::{Outbox, React, ReactTo};
use crate::domain::projection::Project;
#[cfg(feature = "sqlite")]
use crate::domain::sql_projection::{ProjectSql, ProjectSqlEvent, SqlRefusal};
use crate::event::{DecodeError, DomainEvent, LifecycleEvent, StoredEvent};

/// A type listed in `events(...)`.
#[derive(Debug)]
pub struct ListedEvent<T>(PhantomData<T>);

impl<T: DomainEvent> ListedEvent<T> {
    #[inline]
    pub fn __known(event: &T) -> &T {
        event
    }

    #[inline]
    pub fn __clone(event: &T) -> T
    where
        T: Clone,
    {
        event.clone()
    }

    pub fn __debug(event: &T) -> &dyn Debug
    where
        T: Debug,
    {
        event
    }

    /// Reads an event and folds it.
    pub fn __fold<M: EvolveWith<T>>(
        model: &mut M,
        stored: StoredEvent<'_>,
    ) -> Result<(), DecodeError> {
        for event in T::decode(stored)?.as_slice() {
            model.evolve_with(event, stored.record());
        }
        Ok(())
    }

    /// Reads an event and writes it into tables.
    #[cfg(feature = "sqlite")]
    pub fn __project_sql<P: ProjectSqlEvent<T>>(
        projection: &P,
        tx: &Transaction<'_>,
        stored: StoredEvent<'_>,
    ) -> Result<(), SqlRefusal> {
        for event in T::decode(stored)?.as_slice() {
            projection.project_event(tx, event, stored.record())?;
        }
        Ok(())
    }

    /// Reads an event and reacts to it.
    pub fn __react<M: ReactTo<T>>(
        manager: &mut M,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        for event in T::decode(stored)?.as_slice() {
            manager.react_to_event(event, stored.record(), out);
        }
        Ok(())
    }
}

/// A type listed in `commands(...)` whose commands are serialised.
#[derive(Debug)]
pub struct ListedCommand<T>(PhantomData<T>);

impl<T: CommandPayload> ListedCommand<T> {
    #[inline]
    pub fn __own(command: T) -> T {
        command
    }

    pub fn __clone(command: &T) -> T
    where
        T: Clone,
    {
        command.clone()
    }

    pub fn __debug(command: &T) -> &dyn Debug
    where
        T: Debug,
    {
        command
    }
}

/// A type listed in `aggregates(...)`.
#[derive(Debug)]
pub struct ListedAggregate<T>(PhantomData<T>);

impl<T: Aggregate> ListedAggregate<T> {
    /// Reads an event and projects it.
    pub fn __project<P: Project<T>>(
        projection: &mut P,
        stored: StoredEvent<'_>,
    ) -> Result<(), DecodeError> {
        if let Some(noted) = LifecycleEvent::of(stored)? {
            projection.lifecycle(&noted, stored.record());
            return Ok(());
        }
        for event in T::decode_event(stored)?.as_slice() {
            projection.project(event, stored.record());
        }
        Ok(())
    }

    /// Reads an event and writes it into tables.
    #[cfg(feature = "sqlite")]
    pub fn __project_sql<P: ProjectSql<T>>(
        projection: &P,
        tx: &Transaction<'_>,
        stored: StoredEvent<'_>,
    ) -> Result<(), SqlRefusal> {
        for event in T::decode_event(stored)?.as_slice() {
            projection.project(tx, event, stored.record())?;
        }
        Ok(())
    }

    /// Reads an event and reacts to it.
    pub fn __react<M: React<T>>(
        manager: &mut M,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        if let Some(noted) = LifecycleEvent::of(stored)? {
            manager.lifecycle(&noted, stored.record(), out);
            return Ok(());
        }
        for event in T::decode_event(stored)?.as_slice() {
            manager.react_to(event, stored.record(), out);
        }
        Ok(())
    }
}

/// For a type that is not of its listed kind. The program does not compile, so nothing here ever
/// runs.
pub trait NotListed<T>: Sized {
    fn __known(_: &T) -> &Unknown {
        unreachable!()
    }

    fn __own(_: T) -> Unknown {
        unreachable!()
    }

    fn __clone(_: &T) -> T {
        unreachable!()
    }

    fn __debug(_: &T) -> &dyn Debug {
        unreachable!()
    }

    fn __fold<M>(_: &mut M, _: StoredEvent<'_>) -> Result<(), DecodeError> {
        unreachable!()
    }

    fn __project<P>(_: &mut P, _: StoredEvent<'_>) -> Result<(), DecodeError> {
        unreachable!()
    }

    #[cfg(feature = "sqlite")]
    fn __project_sql<P>(_: &P, _: &Transaction<'_>, _: StoredEvent<'_>) -> Result<(), SqlRefusal> {
        unreachable!()
    }

    fn __react<M>(_: &mut M, _: StoredEvent<'_>, _: &mut Outbox<'_>) -> Result<(), DecodeError> {
        unreachable!()
    }
}

impl<T> NotListed<T> for ListedEvent<T> {}
impl<T> NotListed<T> for ListedCommand<T> {}
impl<T> NotListed<T> for ListedAggregate<T> {}

/// A stand-in for a value of a type that is not of its listed kind.
///
/// Everything is implemented for a reference as well. With a single impl, the compiler would select
/// it before it looks at the value, for which a program has no impl.
#[derive(Debug)]
pub enum Unknown {}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S> Evolve<Unknown> for S {
    fn evolve(&mut self, event: &Unknown) {
        match *event {}
    }
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S> Evolve<&Unknown> for S {
    fn evolve(&mut self, event: &&Unknown) {
        match **event {}
    }
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S: DecisionTypes> Decide<Unknown> for S {
    fn decide(&self, command: Unknown) -> Decision<Self> {
        match command {}
    }
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S: DecisionTypes> Decide<&Unknown> for S {
    fn decide(&self, command: &Unknown) -> Decision<Self> {
        match *command {}
    }
}
