//! The command line.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::failure::Result;
use crate::place::Place;

/// Where a store is.
fn place() -> impl clap::builder::TypedValueParser<Value = Place> {
    PathBufValueParser::new().map(Place::of)
}

/// Exit codes, at the end of each help.
const EXIT_CODES: &str = "\
A store is a directory, or a schema of PostgreSQL: postgres://user@host:5432/database?schema=NAME. A password
is best in the environment variable PGPASSWORD, since others can see the arguments of a program.

Exit codes:
  0  done
  1  problems were found, or what was asked for is not there
  2  the command line is not valid, or a directory or lines do not fit (backup, restore, follow, import)
  3  there is no store in the directory or the schema
  4  a file or an event is damaged, or of another version; or a line cannot be read (import)
  5  a store has the directory open (verify, repair, discard, import), or another backup goes on
  6  a file cannot be read or written, or the output; or the server cannot be reached
  130  interrupted by Ctrl-C";

/// Looks into an eventfold-es store, checks it, repairs it and moves it.
///
/// Everything that only looks works beside a running program that writes the store, and after a crash. It
/// shows what is durable, takes no lock and changes nothing.
#[derive(Debug, Parser)]
#[command(name = "eventfold", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The store: its directory, or its URL. `backup`, `restore`, `follow` and `compare` name theirs
    /// behind them.
    #[arg(
        short,
        long,
        visible_alias = "store",
        global = true,
        env = "EVENTFOLD_DIR",
        hide_env_values = true,
        default_value = ".",
        value_name = "STORE",
        value_parser = place()
    )]
    dir: Place,
    /// The schema of a store in PostgreSQL, in place of `?schema=` in its URL; `eventfold` without it.
    #[arg(long, global = true, value_name = "NAME")]
    schema: Option<String>,
    /// Print JSON: one object a line, or one document.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The store that is named, by the subcommand or by `--dir`.
    pub(crate) fn store(&self) -> Result<Place> {
        let own = match &self.command {
            Command::Ls(Ls { store, .. })
            | Command::Stats(Stats { store, .. })
            | Command::Log(Log { store, .. })
            | Command::Projections(OfStore { store })
            | Command::ProcessManagers(OfStore { store })
            | Command::Verify(OfStore { store })
            | Command::Repair(OfStore { store })
            | Command::Ui(Ui { store, .. }) => store.as_ref(),
            _ => None,
        };
        own.unwrap_or(&self.dir).in_schema(self.schema.as_deref())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the aggregates: events, version, first and last time, bytes.
    #[command(after_help = "Examples:
  eventfold --dir data ls
  eventfold ls postgres://reader@db/shop?schema=orders
  eventfold --dir data ls --type order --sort events --limit 20
  eventfold --dir data ls --json | jq -s 'map(.events) | add'")]
    Ls(Ls),
    /// Count the whole store: events by type and name, per day, the largest streams, disk use.
    #[command(after_help = "Examples:
  eventfold --dir data stats
  eventfold --dir data stats --json | jq .events_by_name")]
    Stats(Stats),
    /// Show the events of one aggregate.
    #[command(after_help = "Examples:
  eventfold --dir data show order o-17
  eventfold --dir data show order o-17 --at 3
  eventfold --dir data show order o-17 --at 2026-01-31T12:00:00Z")]
    Show(Show),
    /// Show one event with everything that is recorded with it.
    #[command(after_help = "Example:
  eventfold --dir data event 9ca7d819-ab63-4d66-a41e-8b0395ac87ab")]
    Event {
        /// The event's id, or its position.
        id: String,
    },
    /// Print the events in the order of the store.
    #[command(after_help = "Examples:
  eventfold --dir data log --last 20
  eventfold --dir data log --type order --event OrderPlaced --since 2h
  eventfold --dir data log --tag course:c-1 --json
  eventfold --dir data log -f")]
    Log(Log),
    /// Search the payloads for a text, or by a path into JSON.
    #[command(after_help = "Examples:
  eventfold --dir data search alice@example.org
  eventfold --dir data search --jsonpath '$.items[?@.amount > 100]' --type order")]
    Search(Search),
    /// Show what led to an event and what followed from it.
    #[command(after_help = "Examples:
  eventfold --dir data trace 9ca7d819-ab63-4d66-a41e-8b0395ac87ab
  eventfold --dir data trace request-7")]
    Trace(Trace),
    /// List the projections: position, lag, size, skipped events.
    Projections(OfStore),
    /// List the process managers: position, lag, and what waits.
    ProcessManagers(OfStore),
    /// List the commands of process managers that wait to be sent.
    Outbox(OfManager),
    /// List the timers of process managers, the next one first.
    Timers(OfManager),
    /// List, show or discard the commands that process managers gave up.
    #[command(after_help = "Examples:
  eventfold --dir data dead-letters
  eventfold --dir data dead-letters show fulfilment 17
  eventfold --dir data dead-letters discard fulfilment 17")]
    DeadLetters {
        #[command(subcommand)]
        what: Option<DeadLetters>,
    },
    /// Check every file against the journal. The store must not be open. Of a store in PostgreSQL, check
    /// every event and the tables made of them, also beside the programs that write the store.
    #[command(after_help = "Examples:
  eventfold --dir data verify && echo in order
  eventfold verify postgres://reader@db/shop?schema=orders")]
    Verify(OfStore),
    /// Repair what the journal proves. The store must not be open; what is replaced is kept.
    #[command(after_help = "Example:
  eventfold --dir data repair")]
    Repair(OfStore),
    /// Copy the store into a directory, also beside the program that writes it.
    ///
    /// Into the directory of an earlier backup only what is new is copied.
    #[command(after_help = "Examples:
  eventfold backup data /mnt/backup
  eventfold backup data /mnt/backup --bytes-per-second 100000000")]
    Backup(Backup),
    /// Make a store of a backup.
    #[command(after_help = "Examples:
  eventfold restore /mnt/backup data
  eventfold restore /mnt/backup data --at 2026-01-31T12:00:00Z
  eventfold restore /mnt/backup data --at 1700 --process-managers from-now")]
    Restore(Restore),
    /// Keep a warm copy of a store that a program writes, until it is interrupted.
    #[command(after_help = "Example:
  eventfold follow data /mnt/copy")]
    Follow(Follow),
    /// Write the events as text, one a line, also beside the program that writes the store.
    ///
    /// A line has everything that the store has of an event. What process managers have saved is in front of
    /// the events. `import` makes the same store of the lines.
    #[command(after_help = "Examples:
  eventfold --dir data export events.jsonl
  eventfold --dir data export | zstd > events.jsonl.zst
  eventfold --dir data export --from 1700 news.jsonl
  eventfold --store postgres://db/shop export events.jsonl
  eventfold --dir data export --cloudevents | jq -r .type | sort | uniq -c")]
    Export(Export),
    /// Store the events of an export. The store must not be open; it is created if it is missing.
    ///
    /// Events that are there already are passed over, so what was interrupted is done again.
    #[command(after_help = "Examples:
  eventfold --dir data import events.jsonl
  eventfold --dir data export | eventfold --store postgres://db/shop?schema=orders import
  eventfold --dir old export | eventfold --dir new import --from-now fulfilment")]
    Import(Import),
    /// Compare two stores: whether each aggregate has the same events in both, at the same positions.
    #[command(after_help = "Example:
  eventfold compare data postgres://reader@db/shop?schema=orders && echo moved")]
    Compare(Compare),
    /// Serve the console for the browser on this machine, read-only, until it is interrupted.
    #[command(after_help = "Examples:
  eventfold ui data
  eventfold --dir data ui --port 8080")]
    Ui(Ui),
    /// Print the completions for a shell.
    #[command(after_help = "Example:
  eventfold completions bash > ~/.local/share/bash-completion/completions/eventfold")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

impl Command {
    /// Whether its arguments name the directories, in place of `--dir`.
    pub(crate) fn names_directories(&self) -> bool {
        matches!(
            self,
            Self::Backup(_) | Self::Restore(_) | Self::Follow(_) | Self::Compare(_)
        )
    }
}

#[derive(Debug, Group)]
pub(crate) struct Ls {
    /// The store, in place of --dir.
    #[arg(value_name = "STORE", value_parser = place())]
    pub(crate) store: Option<Place>,
    /// Only aggregates of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) aggregate_type: Option<String>,
    /// The order. Numbers and times begin with the largest.
    #[arg(long, value_enum, default_value_t = Sort::Name)]
    pub(crate) sort: Sort,
    /// At most this many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    Name,
    Events,
    Bytes,
    First,
    Last,
}

#[derive(Debug, Group)]
pub(crate) struct Stats {
    /// The store, in place of --dir.
    #[arg(value_name = "STORE", value_parser = place())]
    pub(crate) store: Option<Place>,
    /// How many of the newest days are shown. JSON has all.
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub(crate) days: usize,
    /// How many of the largest streams are shown.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) largest: usize,
}

#[derive(Debug, Group)]
pub(crate) struct Show {
    /// The type of the aggregate.
    #[arg(value_name = "TYPE")]
    pub(crate) aggregate_type: String,
    /// Its id.
    pub(crate) id: String,
    /// Only events up to this version or this time.
    #[arg(long, value_name = "VERSION|TIME")]
    pub(crate) at: Option<String>,
}

/// Which events.
#[derive(Debug, Group)]
pub(crate) struct Filter {
    /// Only events of aggregates of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) aggregate_type: Option<String>,
    /// Only events of aggregates with this id.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Only events with this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
    /// Only events with this tag. Several: the event must have all of them.
    #[arg(long, value_name = "NAME:VALUE")]
    pub(crate) tag: Vec<String>,
    /// Only events that were committed since: a time, a day, or how long ago (`2h`, `7d`). Of a store in
    /// PostgreSQL, those that happened since.
    #[arg(long, value_name = "TIME|AGO")]
    pub(crate) since: Option<String>,
    /// Only events after this position.
    #[arg(long, value_name = "POSITION")]
    pub(crate) from: Option<u64>,
}

#[derive(Debug, Group)]
pub(crate) struct Log {
    /// The store, in place of --dir.
    #[arg(value_name = "STORE", value_parser = place())]
    pub(crate) store: Option<Place>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most this many, the first ones.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Only the last ones, this many. With --follow and without --from or --since it is 10.
    #[arg(long, value_name = "N", conflicts_with_all = ["limit", "from"])]
    pub(crate) last: Option<usize>,
    /// Wait for more, until it is interrupted.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Search {
    /// The text, as it is in the payload.
    #[arg(required_unless_present = "jsonpath", conflicts_with = "jsonpath")]
    pub(crate) text: Option<String>,
    /// A path as RFC 9535 has it (`JSONPath`). An event is found if it selects something in the payload.
    #[arg(long, value_name = "PATH")]
    pub(crate) jsonpath: Option<String>,
    /// Do not tell upper from lower case.
    #[arg(short, long, conflicts_with = "jsonpath")]
    pub(crate) ignore_case: bool,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most this many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Group)]
pub(crate) struct Trace {
    /// The id of an event, or a correlation id.
    pub(crate) id: String,
    /// At most this many events.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) limit: usize,
}

#[derive(Debug, Group)]
pub(crate) struct Backup {
    /// The directory of the store.
    #[arg(value_name = "STORE")]
    pub(crate) from: PathBuf,
    /// The directory of the backup.
    #[arg(value_name = "BACKUP")]
    pub(crate) to: PathBuf,
    /// How many bytes a second are copied at most; 32 MiB without it, so that the program goes on
    /// undisturbed.
    #[arg(long, value_name = "N")]
    pub(crate) bytes_per_second: Option<u64>,
    /// Give finished files a second name in place of a copy: no protection against a broken disk.
    #[arg(long)]
    pub(crate) hard_links: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Follow {
    /// The directory of the store.
    #[arg(value_name = "STORE")]
    pub(crate) from: PathBuf,
    /// The directory of the copy. Opening it later makes a store of its own of it.
    #[arg(value_name = "COPY")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct Restore {
    /// The directory of the backup.
    #[arg(value_name = "BACKUP")]
    pub(crate) from: PathBuf,
    /// The directory of the restored store: empty or missing.
    #[arg(value_name = "STORE")]
    pub(crate) to: PathBuf,
    /// Restore the store as it was at this position or time. Without it: all of the backup.
    #[arg(long, value_name = "POSITION|TIME")]
    pub(crate) at: Option<String>,
    /// What becomes of process managers that the backup has no early enough checkpoint of.
    #[arg(long, value_enum, default_value_t = Managers::Refuse)]
    pub(crate) process_managers: Managers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Managers {
    /// Nothing is restored.
    Refuse,
    /// They begin empty, behind the restored position.
    FromNow,
    /// They begin at the first event. Commands whose effect is there are not sent again.
    ReactAgain,
}

#[derive(Debug, Group)]
pub(crate) struct Ui {
    /// The store, in place of --dir.
    #[arg(value_name = "STORE", value_parser = place())]
    pub(crate) store: Option<Place>,
    /// The port. Without it the system chooses a free one.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
}

#[derive(Debug, Group)]
pub(crate) struct Export {
    /// The file to write, which must not exist; the standard output without it. It is written as
    /// FILE.part, and gets its name when it is whole.
    pub(crate) file: Option<PathBuf>,
    /// Write `CloudEvents` 1.0.
    #[arg(long)]
    pub(crate) cloudevents: bool,
    /// Only events after this position, the last one of a commit.
    #[arg(long, value_name = "POSITION")]
    pub(crate) from: Option<u64>,
    /// Leave out what process managers have saved, so that every line is an event.
    #[arg(long)]
    pub(crate) without_process_managers: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Import {
    /// The file with the lines; the standard input without it.
    pub(crate) file: Option<PathBuf>,
    /// Refuse an event that would get another position than its line states.
    #[arg(long)]
    pub(crate) keep_positions: bool,
    /// Let this process manager begin behind the imported events, whatever comes along of it. May be given
    /// several times.
    #[arg(long, value_name = "PROCESS-MANAGER")]
    pub(crate) from_now: Vec<String>,
    /// Let this process manager begin at the first event, and send no command again whose effect is among
    /// the events. Keeps positions. May be given several times.
    #[arg(long, value_name = "PROCESS-MANAGER")]
    pub(crate) react_again: Vec<String>,
    /// Let the process managers that the store has go on, and react to the imported events.
    #[arg(long)]
    pub(crate) let_process_managers_react: bool,
}

#[derive(Debug, Group)]
pub(crate) struct OfStore {
    /// The store, in place of --dir.
    #[arg(value_name = "STORE", value_parser = place())]
    pub(crate) store: Option<Place>,
}

#[derive(Debug, Group)]
pub(crate) struct Compare {
    /// A store.
    #[arg(value_name = "STORE", value_parser = place())]
    pub(crate) one: Place,
    /// The other one.
    #[arg(value_name = "OTHER", value_parser = place())]
    pub(crate) other: Place,
}

#[derive(Debug, Group)]
pub(crate) struct OfManager {
    /// Only of this process manager.
    pub(crate) process_manager: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them. This is what happens without a subcommand.
    List(OfManager),
    /// Show one with its command.
    Show(Letter),
    /// Remove one for good. The store must not be open.
    Discard(Letter),
}

#[derive(Debug, Group)]
pub(crate) struct Letter {
    /// The process manager.
    pub(crate) process_manager: String,
    /// The id of the dead letter.
    pub(crate) id: String,
}
