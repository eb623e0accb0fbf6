//! The members that all lines of one command share: [`Common`].

use crate::domain::command::{CommandContext, Fingerprint};
use crate::storage::encoding::event_line::write_member;

/// The members that all lines of a command share, encoded once.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// `,"actor":…,"meta":…`, or only one of them, or nothing.
    pub(crate) after_id: Vec<u8>,
    /// Where the value of `meta` begins in `after_id`, which ends with it; 0 if there is none.
    pub(crate) meta_at: usize,
    /// `,"key":…`, or `,"key":…,"command":…`, or nothing.
    pub(crate) key: Vec<u8>,
    pub(crate) ms: u64,
}

impl Common {
    /// The shared members of a command's events with the event version `version`. `ms` is the time
    /// of the events in milliseconds since 1970. `command` is the fingerprint of the command, which is
    /// stored with its key.
    pub(crate) fn of(
        (context, command): (&CommandContext, Option<Fingerprint>),
        ms: u64,
        version: Option<u32>,
    ) -> Self {
        let mut common = Self {
            ms,
            ..Self::default()
        };
        common.add(context.actor.as_deref(), context.meta(version).as_ref());
        if let Some(key) = &context.idempotency_key {
            write_member(&mut common.key, "key", key);
            if let Some(command) = &command {
                write_member(&mut common.key, "command", command);
            }
        }
        common
    }

    /// Adds an id that may have any characters. It must be added first.
    pub(crate) fn add_id(&mut self, id: &str) {
        write_member(&mut self.after_id, "id", &id);
    }

    /// Adds the members between the id and the version.
    pub(crate) fn add<T: serde::Serialize>(&mut self, actor: Option<&str>, meta: Option<&T>) {
        if let Some(actor) = actor {
            write_member(&mut self.after_id, "actor", &actor);
        }
        if let Some(meta) = meta {
            self.meta_at = self.after_id.len() + ",\"meta\":".len();
            write_member(&mut self.after_id, "meta", meta);
        }
    }

    /// How many bytes the value of `meta` takes, 0 if there is none.
    pub(crate) fn meta_len(&self) -> usize {
        if self.meta_at == 0 {
            return 0;
        }
        self.after_id.len() - self.meta_at
    }

    /// `meta` as JSON.
    pub(crate) fn meta(&self) -> Option<&str> {
        let meta = self.after_id.get(self.meta_at..)?;
        let meta = (self.meta_at > 0).then_some(meta)?;
        std::str::from_utf8(meta).ok()
    }
}
