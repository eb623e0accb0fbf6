//! Decisions over tagged events: [`Decisions`].
//!
//! A decision locks the tags of its models, in order. So no other decision of this store comes between
//! what it read and what it stores. It reads from states that stay folded in memory, and hands its
//! events over with a condition. It goes on without waiting for the disk: the states have the events at
//! once, and the next decision on these tags names this commit as what it is based on. If the commit
//! fails, so do those that are based on it. Each is then decided again. Invariant C15.

pub(crate) mod boundary;
pub(crate) mod decide;
mod flight;
mod folded;
mod keys;
