//! A help desk: a small service on `eventfold-es`, as one would put it into production.
//!
//! ```text
//! cargo run -p helpdesk                        # then open http://127.0.0.1:8080
//! cargo run -p helpdesk -- --data ./desk --listen 127.0.0.1:9000
//! cargo run -p helpdesk -- backup ./copy       # also while it runs
//! ```
//!
//! Customers ask, agents answer. A ticket that is not answered in time is escalated, and goes to whoever is on
//! call for its queue. Register a customer, open a ticket that is due in a minute, and watch the list; nobody is
//! on call yet, so the call is a dead letter in the console. Put somebody on call, and replay it there. Kill the
//! program whenever you like.
//!
//! * `domain/` says what the help desk is about: tickets and queues are aggregates, the unique e-mail addresses of
//!   customers a decision over tagged events, the escalation a process manager with a durable timer.
//! * `desk.rs` has the commands of several aggregates in one commit: a ticket that moves leaves one queue and
//!   enters the other, or neither.
//! * `board.rs` is the read model, in SQLite.
//! * `web/` has the pages and the API. The pages use the API as everybody else does.
//!
//! ```text
//! desk=http://127.0.0.1:8080
//! curl -X PUT $desk/api/customers/ann --json '{"name": "Ann", "email": "ann@example.com"}'
//! curl -X PUT $desk/api/tickets/t-1 --json '{"customer": "ann", "subject": "Printer", "text": "It is on fire.",
//!     "queue": "support", "answer_within_minutes": 1}'
//! curl -i $desk/api/tickets/t-1                                     # ETag: "2"
//! curl $desk/api/tickets/t-1/answers --json '{"text": "Run."}' -H 'If-Match: "2"' -H 'Idempotency-Key: a-1'
//! curl $desk/api/tickets/t-1/move --json '{"from": "support", "to": "billing"}'
//! curl "$desk/api/tickets?queue=billing"
//! curl -X PUT $desk/api/queues/sales --json '{"room": 20}'           # a queue more
//! curl -N $desk/api/live -H 'Last-Event-ID: 0'                      # what happened, and what happens
//! curl $desk/health; curl $desk/metrics
//! ```
//!
//! It knows its people by the header `X-Remote-User`, which the proxy sets that lets them sign in, and it does not
//! ask whether they may: it listens on this machine only unless it is told otherwise. The log is JSON, a line for
//! each thing that happened, with the `trace_id` of the request.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use eventfold_es::{AggregateStore, http};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// A help desk.
#[derive(Parser)]
struct Args {
    /// The directory of the store.
    #[arg(
        long,
        global = true,
        default_value = "helpdesk-data",
        value_name = "DIR"
    )]
    data: PathBuf,
    /// Where to listen. With port 0 the system chooses one, which the log names.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A name of the help desk, besides those of this machine, under which the console answers.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Copies the store, also while the help desk runs. Into the same directory again, it copies what is new.
    Backup { dir: PathBuf },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().json().flatten_event(true);
    log.with_env_filter(filter).init();
    let args = Args::parse();
    match args.command {
        Some(Command::Backup { dir }) => {
            // The log says up to which position.
            AggregateStore::backup_of(&args.data, &dir).await?;
            Ok(())
        }
        None => serve(args).await,
    }
}

/// Until it is told to end. What was answered by then is stored.
async fn serve(args: Args) -> anyhow::Result<()> {
    let end = told_to_end()?;
    let store = helpdesk::open(AggregateStore::builder(&args.data)).await?;
    let app = helpdesk::app(&store, args.host)?;
    let listener = TcpListener::bind(args.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "the help desk is open");
    http::serve(listener, app, &store, end).await?;
    tracing::info!("the help desk is closed");
    Ok(())
}

#[cfg(unix)]
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
