//! Records on a server: [`PgRecords`] and [`PgLines`].

use std::sync::Arc;

use crate::storage::error::StorageResult;
use crate::storage::postgres::rows::{signed, unsigned};
use crate::storage::postgres::server::{Param, Server};
use crate::storage::record_name::{Follower, RecordName};

const READ: &str = "\
    SELECT content, part FROM records WHERE kind = $1 AND follower = $2 AND name = $3 ORDER BY part";
const REPLACE: &str = "SELECT replace_record($1, $2, $3, $4)";
const ADD: &str = "SELECT add_to_record($1, $2, $3, $4, $5)";
const REMOVE: &str = "SELECT remove_record($1, $2, $3)";
const FOLLOWERS: &str = "SELECT DISTINCT follower FROM records WHERE kind = $1 ORDER BY follower";

/// The name of a kind of followers, as the server has it.
fn kind(follower: Follower) -> &'static str {
    match follower {
        Follower::Projection => "projection",
        Follower::ProcessManager => "process manager",
    }
}

fn text_of(name: RecordName) -> String {
    match name {
        RecordName::Checkpoint(version) => format!("checkpoint {version}"),
        RecordName::OldCheckpoint => "checkpoint of 0.2.0".to_owned(),
        RecordName::Skipped(version) => format!("skipped {version}"),
        RecordName::DeadLetters => "dead letters".to_owned(),
        RecordName::Restored => "restored".to_owned(),
    }
}

/// The names of all followers of this kind that have records.
pub(super) fn followers(server: &Arc<Server>, follower: Follower) -> StorageResult<Vec<String>> {
    let rows = server.read(
        "read the records of",
        FOLLOWERS,
        vec![Box::new(kind(follower))],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The records of one follower.
#[derive(Debug, Clone)]
pub(crate) struct PgRecords {
    server: Arc<Server>,
    kind: &'static str,
    owner: String,
}

impl PgRecords {
    pub(super) fn new(server: Arc<Server>, follower: Follower, name: &str) -> Self {
        Self {
            server,
            kind: kind(follower),
            owner: name.to_owned(),
        }
    }

    /// Where all records of the follower are, for error messages.
    pub(crate) fn all(&self) -> String {
        format!(
            "the records of the {} `{}` in {}",
            self.kind,
            self.owner,
            self.server.place()
        )
    }

    /// Where a record is, for error messages.
    pub(crate) fn place(&self, name: RecordName) -> String {
        format!(
            "the record `{}` of the {} `{}` in {}",
            text_of(name),
            self.kind,
            self.owner,
            self.server.place()
        )
    }

    fn params(&self, name: RecordName) -> Vec<Param> {
        vec![
            Box::new(self.kind),
            Box::new(self.owner.clone()),
            Box::new(text_of(name)),
        ]
    }

    pub(crate) fn read(&self, name: RecordName) -> StorageResult<Option<Vec<u8>>> {
        Ok(self.parts(name)?.map(|(content, _)| content))
    }

    /// The content of a record, and the number of its last part.
    fn parts(&self, name: RecordName) -> StorageResult<Option<(Vec<u8>, u64)>> {
        let rows = self
            .server
            .read("read a record of", READ, self.params(name))?;
        let mut content: Option<(Vec<u8>, u64)> = None;
        for row in &rows {
            let part: &[u8] = row.get(0);
            let (bytes, last) = content.get_or_insert_default();
            bytes.extend_from_slice(part);
            *last = unsigned(row.get(1));
        }
        Ok(content)
    }

    pub(crate) fn replace(&self, name: RecordName, content: &[u8]) -> StorageResult<()> {
        let mut params = self.params(name);
        params.push(Box::new(content.to_vec()));
        self.server.change("save a record in", REPLACE, params)
    }

    pub(crate) fn remove(&self, name: RecordName) -> StorageResult<()> {
        self.server
            .change("remove a record from", REMOVE, self.params(name))
    }

    /// A record that takes further lines, and its content.
    pub(crate) fn lines(&self, name: RecordName) -> StorageResult<(PgLines, Vec<u8>)> {
        let parts = self.parts(name)?;
        let next = parts.as_ref().map(|(_, last)| last + 1);
        let content = parts.unwrap_or_default().0;
        let lines = PgLines {
            length: content.len() as u64,
            next,
            ..self.empty_lines(name)
        };
        Ok((lines, content))
    }

    /// A record that takes further lines. Its old content is no longer needed.
    pub(crate) fn empty_lines(&self, name: RecordName) -> PgLines {
        PgLines {
            records: self.clone(),
            name,
            next: None,
            length: 0,
        }
    }
}

/// A record that takes further lines. Each is a part of the record.
#[derive(Debug)]
pub(crate) struct PgLines {
    records: PgRecords,
    name: RecordName,
    /// The number of the next part. `None` if the record does not exist, or its content is outdated:
    /// the first change replaces it.
    next: Option<u64>,
    length: u64,
}

impl PgLines {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn read(&self) -> StorageResult<Vec<u8>> {
        if self.next.is_none() {
            return Ok(Vec::new());
        }
        Ok(self.records.read(self.name)?.unwrap_or_default())
    }

    pub(crate) fn add(&mut self, line: Vec<u8>) -> StorageResult<()> {
        let Some(next) = self.next else {
            return self.replace(&line);
        };
        let length = line.len() as u64;
        let mut params = self.records.params(self.name);
        params.push(Box::new(signed(next)));
        params.push(Box::new(line));
        let server = &self.records.server;
        server.change("add a line to a record of", ADD, params)?;
        self.next = Some(next + 1);
        self.length += length;
        Ok(())
    }

    pub(crate) fn replace(&mut self, content: &[u8]) -> StorageResult<()> {
        self.records.replace(self.name, content)?;
        self.next = Some(1);
        self.length = content.len() as u64;
        Ok(())
    }

    /// Removes a line whose addition failed with an unknown outcome.
    pub(crate) fn tidy(&mut self) -> StorageResult<()> {
        if self.next.is_none() {
            return Ok(());
        }
        let content = self.read()?;
        let Ok(known) = usize::try_from(self.length) else {
            return Ok(());
        };
        match content.get(..known) {
            Some(kept) if content.len() > known => self.replace(kept),
            _ => Ok(()),
        }
    }
}
