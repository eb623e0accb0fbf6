//! What the help desk is about. Nothing here knows of HTTP, of pages or of files.

pub(crate) mod customer;
pub(crate) mod escalation;
pub(crate) mod queue;
pub(crate) mod ticket;
