//! What the lines of one command have in common: [`Common`].

use crate::domain::command::CommandContext;
use crate::storage::encoding::event_line::write_member;

/// What a command's events have in common, encoded once.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// `,"actor":…,"meta":…` or less.
    pub(crate) after_id: Vec<u8>,
    /// Where the value of `meta` begins in there, which ends with it; 0 if there is none.
    pub(crate) meta_at: usize,
    /// `,"key":…` or nothing.
    pub(crate) key: Vec<u8>,
    pub(crate) ms: u64,
}

impl Common {
    /// What the lines of a command's events of one version have in common. They are of the time `ms`, in
    /// milliseconds since 1970.
    pub(crate) fn of(context: &CommandContext, ms: u64, version: Option<u32>) -> Self {
        let mut common = Self {
            ms,
            ..Self::default()
        };
        common.add(context.actor.as_deref(), context.meta(version).as_ref());
        if let Some(key) = &context.idempotency_key {
            write_member(&mut common.key, "key", key);
        }
        common
    }

    /// Adds what stands between the id and the version.
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
