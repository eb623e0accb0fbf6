//! Commands of several aggregates that take effect in one commit, or not at all.
//!
//! The actors of all aggregates are lent to the group, in the order of their streams' names, so two
//! groups never wait for each other. Then all commands are decided, their events are handed over as one
//! commit, and the actors go back at once, without waiting for the disk. So no other command comes
//! between, and later ones decide on the group's events. Invariant C14.

pub(crate) mod committed;
pub(crate) mod error;
pub(crate) mod group;
pub(crate) mod participant;
