//! The read model: the tables that the pages show, and the questions that they ask.

use eventfold_es::prelude::*;
use eventfold_es::rusqlite::{self, Connection, Params, Row, ToSql, Transaction, params};
use eventfold_es::{ProjectSql, ProjectSqlEvent, SqlProjection, SqlSchema};
use serde::{Deserialize, Serialize};

use crate::domain::customer::CustomerRegistered;
use crate::domain::queue::{Queue, QueueEvent};
use crate::domain::ticket::{Ticket, TicketEvent};

#[derive(SqlProjection)]
#[projection(name = "board", aggregates(Ticket, Queue), events(CustomerRegistered))]
pub(crate) struct Board;

impl SqlSchema for Board {
    const SCHEMA: &'static str = "
        CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE queue (name TEXT PRIMARY KEY, room INTEGER NOT NULL, on_call TEXT) STRICT;
        CREATE TABLE ticket (
            id TEXT PRIMARY KEY, customer TEXT NOT NULL, subject TEXT NOT NULL, queue TEXT NOT NULL,
            status TEXT NOT NULL, agent TEXT, due_ms INTEGER, opened_ms INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX ticket_by_queue ON ticket (queue, status);
        CREATE TABLE message (
            ticket TEXT NOT NULL, version INTEGER NOT NULL, author TEXT, text TEXT NOT NULL, ms INTEGER NOT NULL,
            PRIMARY KEY (ticket, version)
        ) STRICT, WITHOUT ROWID;
    ";
}

impl ProjectSql<Ticket> for Board {
    fn project(
        &self,
        tx: &Transaction<'_>,
        event: &TicketEvent,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        let (id, ms) = (record.id(), record.unix_millis().cast_signed());
        let set = |columns: &str, value: &dyn ToSql| {
            let sql = format!("UPDATE ticket SET {columns} WHERE id = ?1");
            write(tx, &sql, params![id, value])
        };
        let status = |status: &str| set("status = ?2, due_ms = NULL", &status);
        let say = |author: Option<&str>, text: &str| {
            let version = u64::from(record.version()).cast_signed();
            let sql = "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5)";
            write(tx, sql, params![id, version, author, text, ms])
        };
        match event {
            TicketEvent::Opened(it) => {
                let sql = "INSERT INTO ticket VALUES (?1, ?2, ?3, ?4, 'waiting', NULL, NULL, ?5)";
                write(tx, sql, params![id, it.customer, it.subject, it.queue, ms])?;
                say(None, &it.text)
            }
            TicketEvent::Asked(asked) => say(None, &asked.text),
            TicketEvent::AnswerDue(due) => {
                let due_ms = ms + i64::from(due.within_minutes) * 60_000;
                set("status = 'waiting', due_ms = ?2", &due_ms)
            }
            TicketEvent::Answered(answered) => {
                say(Some(record.actor().unwrap_or("agent")), &answered.text)?;
                status("answered")
            }
            TicketEvent::Assigned(assigned) => set("agent = ?2", &assigned.agent),
            TicketEvent::Moved(moved) => set("queue = ?2", &moved.to),
            TicketEvent::Escalated(_) => status("escalated"),
            TicketEvent::Closed(_) => status("closed"),
        }
    }
}

impl ProjectSql<Queue> for Board {
    fn project(
        &self,
        tx: &Transaction<'_>,
        event: &QueueEvent,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        let name = record.id();
        match event {
            QueueEvent::QueueSetUp(set_up) => {
                let sql =
                    "INSERT INTO queue VALUES (?1, ?2, NULL) ON CONFLICT DO UPDATE SET room = ?2";
                write(tx, sql, params![name, set_up.room])
            }
            QueueEvent::OnCallChanged(changed) => {
                let sql = "UPDATE queue SET on_call = ?2 WHERE name = ?1";
                write(tx, sql, params![name, changed.agent])
            }
            // The table of tickets says which queue each is in.
            QueueEvent::TicketEntered(_) | QueueEvent::TicketLeft(_) | QueueEvent::CalledOut(_) => {
                Ok(())
            }
        }
    }
}

impl ProjectSqlEvent<CustomerRegistered> for Board {
    fn project_event(
        &self,
        tx: &Transaction<'_>,
        event: &CustomerRegistered,
        _: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO customer VALUES (?1, ?2, ?3)";
        write(tx, sql, params![event.customer, event.name, event.email])
    }
}

fn write(tx: &Transaction<'_>, sql: &str, values: impl Params) -> rusqlite::Result<()> {
    tx.prepare_cached(sql)?.execute(values).map(drop)
}

/// What the list shows. Empty texts stand for everything, as an empty field of a form does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) queue: String,
    pub(crate) status: String,
    pub(crate) search: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct TicketRow {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) email: String,
    pub(crate) subject: String,
    pub(crate) queue: String,
    pub(crate) status: String,
    pub(crate) agent: Option<String>,
    pub(crate) due_ms: Option<i64>,
    pub(crate) opened_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Message {
    /// None: the customer.
    pub(crate) author: Option<String>,
    pub(crate) text: String,
    pub(crate) ms: i64,
}

#[derive(Debug)]
pub(crate) struct QueueRow {
    pub(crate) name: String,
    pub(crate) room: u32,
    pub(crate) on_call: Option<String>,
    pub(crate) tickets: u32,
}

#[derive(Debug)]
pub(crate) struct CustomerRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
}

const TICKETS: &str =
    "SELECT ticket.id, name, email, subject, queue, status, agent, due_ms, opened_ms
    FROM ticket JOIN customer ON customer.id = ticket.customer";

fn rows<R>(
    db: &Connection,
    sql: &str,
    values: impl Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<R>,
) -> rusqlite::Result<Vec<R>> {
    db.prepare_cached(sql)?.query_map(values, row)?.collect()
}

fn ticket_row(row: &Row<'_>) -> rusqlite::Result<TicketRow> {
    Ok(TicketRow {
        id: row.get(0)?,
        customer: row.get(1)?,
        email: row.get(2)?,
        subject: row.get(3)?,
        queue: row.get(4)?,
        status: row.get(5)?,
        agent: row.get(6)?,
        due_ms: row.get(7)?,
        opened_ms: row.get(8)?,
    })
}

/// At most two hundred tickets, escalated ones first, then by when their answer is due.
pub(crate) fn tickets(db: &Connection, filter: &Filter) -> rusqlite::Result<Vec<TicketRow>> {
    let sql = format!(
        "{TICKETS} WHERE (?1 = '' OR queue = ?1) AND iif(?2 = '', status <> 'closed', ?2 IN (status, 'all'))
             AND (?3 = '' OR instr(lower(subject || ' ' || name || ' ' || email), lower(?3)))
         ORDER BY status <> 'escalated', due_ms IS NULL, due_ms, opened_ms DESC LIMIT 200"
    );
    let values = params![filter.queue, filter.status, filter.search];
    rows(db, &sql, values, ticket_row)
}

/// None or one.
pub(crate) fn ticket(db: &Connection, id: &str) -> rusqlite::Result<Vec<TicketRow>> {
    let sql = format!("{TICKETS} WHERE ticket.id = ?1");
    rows(db, &sql, [id], ticket_row)
}

pub(crate) fn messages(db: &Connection, ticket: &str) -> rusqlite::Result<Vec<Message>> {
    let sql = "SELECT author, text, ms FROM message WHERE ticket = ?1 ORDER BY version";
    rows(db, sql, [ticket], |row| {
        let (author, text, ms) = row.try_into()?;
        Ok(Message { author, text, ms })
    })
}

pub(crate) fn queues(db: &Connection) -> rusqlite::Result<Vec<QueueRow>> {
    let sql = "SELECT name, room, on_call,
            (SELECT count(*) FROM ticket WHERE queue = name AND status <> 'closed')
        FROM queue ORDER BY name";
    rows(db, sql, [], |row| {
        let (name, room, on_call, tickets) = row.try_into()?;
        Ok(QueueRow {
            name,
            room,
            on_call,
            tickets,
        })
    })
}

pub(crate) fn customers(db: &Connection) -> rusqlite::Result<Vec<CustomerRow>> {
    let sql = "SELECT id, name, email FROM customer ORDER BY name, email";
    rows(db, sql, [], |row| {
        let (id, name, email) = row.try_into()?;
        Ok(CustomerRow { id, name, email })
    })
}

pub(crate) fn is_customer(db: &Connection, id: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM customer WHERE id = ?1)";
    db.query_row(sql, [id], |row| row.get(0))
}
