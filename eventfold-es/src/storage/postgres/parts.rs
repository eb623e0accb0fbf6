//! What the streams of a store on a server share: [`Parts`].

use std::sync::Arc;

use crate::meter::Meters;
use crate::storage::files::streams::loader::Loader;
use crate::storage::postgres::pauses::Pauses;
use crate::storage::postgres::requests::Requests;
use crate::storage::postgres::server::Server;
use crate::storage::postgres::snapshots::SnapshotWriter;

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) server: Arc<Server>,
    pub(super) meters: Arc<Meters>,
    /// How often a command is decided at most.
    pub(super) conflict_rounds: u32,
    pub(super) pauses: Arc<Pauses>,
    pub(super) requests: Requests,
    pub(super) snapshots: SnapshotWriter,
    /// The threads that read and block.
    pub(super) loader: Arc<Loader>,
}
