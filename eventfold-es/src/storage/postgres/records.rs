//! Records on a server: [`PgRecords`] and [`PgLines`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::postgres::rows::{signed, unsigned};
use crate::storage::postgres::server::{Param, Server};
use crate::storage::record_name::{Follower, RecordName};
use crate::storage::term::Term;

const READ: &str = "\
    SELECT content, part FROM records WHERE kind = $1 AND follower = $2 AND name = $3 ORDER BY part";
const REPLACE: &str = "SELECT replace_record($1, $2, $3, $4, $5, $6)";
const ADD: &str = "SELECT add_to_record($1, $2, $3, $4, $5, $6, $7)";
const REMOVE: &str = "SELECT remove_record($1, $2, $3, $4)";
const POSITION: &str = "\
    SELECT place FROM records WHERE kind = $1 AND follower = $2 AND name = $3 AND part = 0";
const NAMES: &str = "SELECT DISTINCT name FROM records WHERE kind = $1 AND follower = $2";
const FOLLOWERS: &str = "SELECT DISTINCT follower FROM records WHERE kind = $1 ORDER BY follower";

/// The name of the record that the server has as `text`, `None` if it is no record of this release.
fn name_of(text: &str) -> Option<RecordName> {
    let version = |prefix: &str| text.strip_prefix(prefix)?.parse::<u32>().ok();
    Some(match text {
        "checkpoint of 0.2.0" => RecordName::OldCheckpoint,
        "dead letters" => RecordName::DeadLetters,
        "restored" => RecordName::Restored,
        _ => match version("checkpoint ") {
            Some(version) => RecordName::Checkpoint(version),
            None => RecordName::Skipped(version("skipped ")?),
        },
    })
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
        vec![Box::new(follower.kind())],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The records of one follower.
#[derive(Debug, Clone)]
pub(crate) struct PgRecords {
    server: Arc<Server>,
    kind: &'static str,
    owner: String,
    /// Changes are refused once this term has ended.
    term: Option<Arc<Term>>,
    /// Counts the changes within the term. An attempt that was given up may arrive late.
    changes: Arc<AtomicI64>,
}

impl PgRecords {
    pub(super) fn new(server: Arc<Server>, follower: Follower, name: &str) -> Self {
        Self {
            server,
            kind: follower.kind(),
            owner: name.to_owned(),
            term: None,
            changes: Arc::default(),
        }
    }

    pub(crate) fn within(self, term: &Arc<Term>) -> Self {
        Self {
            term: Some(term.clone()),
            changes: Arc::default(),
            ..self
        }
    }

    /// The number of the term, as the server takes it.
    fn term(&self) -> Param {
        Box::new(self.term.as_ref().map(|term| term.number()))
    }

    /// The place of the next change in the order of the term, `None` without a term.
    fn next(&self) -> Option<i64> {
        let next = || self.changes.fetch_add(1, Ordering::Relaxed);
        self.term.as_ref().map(|_| next())
    }

    /// Makes a change, which the server refuses if the term has ended.
    fn change(
        &self,
        action: &'static str,
        sql: &'static str,
        params: Vec<Param>,
    ) -> StorageResult<()> {
        let changed = self.server.change(action, sql, params);
        changed.map_err(|error| match &self.term {
            Some(term) if error.kind() == StorageErrorKind::Busy => term.refused(),
            _ => error,
        })
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

    /// The names of the existing records, sorted.
    pub(crate) fn names(&self) -> StorageResult<Vec<RecordName>> {
        let params: Vec<Param> = vec![Box::new(self.kind), Box::new(self.owner.clone())];
        let rows = self.server.read("read the records of", NAMES, params)?;
        let mut names: Vec<_> = rows.iter().filter_map(|row| name_of(row.get(0))).collect();
        names.sort_unstable();
        Ok(names)
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
        self.save(name, content, self.next())
    }

    /// Replaces the record, unless another store has saved a state with more events.
    pub(crate) fn replace_older(
        &self,
        name: RecordName,
        position: u64,
        content: &[u8],
    ) -> StorageResult<()> {
        self.save(name, content, Some(signed(position)))
    }

    fn save(&self, name: RecordName, content: &[u8], place: Option<i64>) -> StorageResult<()> {
        let mut params = self.params(name);
        params.push(Box::new(content.to_vec()));
        params.push(self.term());
        params.push(Box::new(place));
        self.change("save a record in", REPLACE, params)
    }

    /// The position of a saved state, where several stores may save it.
    pub(crate) fn position(&self, name: RecordName) -> StorageResult<Option<u64>> {
        let params = self.params(name);
        let rows = self.server.read("read a record of", POSITION, params)?;
        let position = rows.first().and_then(|row| row.get::<_, Option<i64>>(0));
        Ok(position.map(unsigned))
    }

    pub(crate) fn remove(&self, name: RecordName) -> StorageResult<()> {
        let mut params = self.params(name);
        params.push(self.term());
        self.change("remove a record from", REMOVE, params)
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
        params.push(self.records.term());
        params.push(Box::new(self.records.next()));
        let records = &self.records;
        records.change("add a line to a record of", ADD, params)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_name_on_a_server_of_postgres_is_read_as_it_was_written() {
        for name in [
            RecordName::Checkpoint(1),
            RecordName::Checkpoint(7),
            RecordName::OldCheckpoint,
            RecordName::Skipped(1),
            RecordName::Skipped(7),
            RecordName::DeadLetters,
            RecordName::Restored,
        ] {
            assert_eq!(name_of(&text_of(name)), Some(name));
        }
        assert_eq!(name_of("checkpoint x"), None);
    }
}
