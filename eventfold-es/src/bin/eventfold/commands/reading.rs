//! What the subcommands share.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use eventfold_es::inspect::StoreReader;
use eventfold_es::{JournalDropped, Position};

use crate::event::DIM;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;

/// Looks at a store. Says so if its newest events are not shown.
pub(crate) fn open(place: &Place) -> Result<StoreReader> {
    let reader = match place {
        Place::Directory(dir) => StoreReader::open(dir).map_err(with_hint)?,
        #[cfg(feature = "postgres")]
        Place::Schema(url) => StoreReader::postgres(url.to_url())?,
        #[cfg(not(feature = "postgres"))]
        Place::Schema(_) => return Err(without_postgres()),
    };
    if reader.sync_failed()? {
        use std::io::Write as _;
        let _ = writeln!(
            anstream::stderr(),
            "eventfold: a sync of this store failed: the newest events may not be durable, and are not \
             shown until the store was opened again"
        );
    }
    let begins_after = reader.begins_after();
    if begins_after > Position::default() {
        use std::io::Write as _;
        let _ = writeln!(
            anstream::stderr(),
            "eventfold: the journal of this store begins after position {begins_after}: older events were dropped from it"
        );
    }
    Ok(reader)
}

/// What reading backwards came to. That it met the beginning of a journal whose older events were dropped is no
/// failure: [`open`] has said so.
pub(crate) fn to_the_beginning(read: io::Result<()>) -> io::Result<()> {
    match read {
        Err(error) if JournalDropped::of(&error).is_some() => Ok(()),
        read => read,
    }
}

/// Says how to get the command that knows stores in PostgreSQL.
#[cfg(not(feature = "postgres"))]
pub(crate) fn without_postgres() -> Failure {
    let text = "this `eventfold` was built without PostgreSQL: install it with `cargo install eventfold-es \
                --features cli,postgres`";
    Failure::Usage(text.to_owned())
}

/// Runs `each` for entries, whose failures end the reading.
pub(crate) fn until_failure<T>(
    failed: &mut Result<()>,
    run: impl FnOnce() -> Result<T>,
) -> Option<T> {
    match run() {
        Ok(done) => Some(done),
        Err(failure) => {
            *failed = Err(failure);
            None
        }
    }
}

/// Says up to which position something is shown.
pub(crate) fn print_head(reader: &StoreReader, out: &mut Output) -> Result<()> {
    let text = format!("up to position {}", reader.head());
    let text = out.styled(DIM, text);
    out.line(text)
}

/// Says how the directory is named, if there is no store in it.
pub(crate) fn with_hint(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    let text = format!("{error} (`--dir` names the directory of the store)");
    io::Error::new(io::ErrorKind::NotFound, text)
}

/// Runs a future of the store to its end, or until Ctrl-C.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::Store)?;
    let done = runtime.block_on(async {
        let mut future = pin!(future);
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        poll_fn(|context| {
            if let Poll::Ready(done) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            let interrupted = interrupted.as_mut().poll(context);
            interrupted.map(|_| Err(Failure::Interrupted))
        })
        .await
    });
    // Without waiting for a thread that still reads.
    runtime.shutdown_background();
    done
}
