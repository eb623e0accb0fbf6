//! `export` and `import`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use eventfold_es::inspect::{StoreReader, visible};
use eventfold_es::{AggregateStore, ExportForm, ExportReport, ImportReport, Position};
use serde_json::json;

use crate::args::{Export, Import};
use crate::commands::reading::wait;
#[cfg(not(feature = "postgres"))]
use crate::commands::reading::without_postgres;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;
use crate::progress::{Progress, number};

/// How much of the input is read at once.
const CHUNK: usize = 256 * 1024;

/// The output of an export, which notes its own failure.
struct Noting<W> {
    out: W,
    has_failed: bool,
}

impl<W: Write> Write for Noting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.has_failed |= matches!(&written, Err(e) if e.kind() != io::ErrorKind::Interrupted);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.has_failed |= flushed.is_err();
        flushed
    }
}

pub(crate) fn export(reader: &StoreReader, export: &Export, out: &mut Output) -> Result<()> {
    let Some(file) = &export.file else {
        let mut stdout = io::stdout().lock();
        // Lines and the bar would be mixed.
        let progress = (!stdout.is_terminal()).then(|| Progress::events(reader.head()));
        write(reader, export, progress.as_ref(), &mut stdout)?;
        return Ok(());
    };
    let failed = |action: &str, error: io::Error| {
        Failure::Output(io::Error::new(
            error.kind(),
            format!("cannot {action}: {error}"),
        ))
    };
    if file.symlink_metadata().is_ok() {
        return Err(Failure::Usage(format!(
            "{} exists: choose another name, or remove it",
            shown(file)
        )));
    }
    // A file with the name is a whole export.
    let part = part_of(file);
    let mut begun = create(&part).map_err(|e| failed(&format!("create {}", shown(&part)), e))?;
    let progress = Progress::events(reader.head());
    let written = write(reader, export, Some(&progress), &mut begun);
    drop(progress);
    let named = written.and_then(|report| {
        begun
            .sync_all()
            .and_then(|()| std::fs::rename(&part, file))
            .map_err(|e| failed(&format!("finish {}", shown(file)), e))?;
        Ok(report)
    });
    let report = match named {
        Ok(report) => report,
        Err(failure) => {
            // What is left is of no use. The first failure tells more than one of this.
            let _ = std::fs::remove_file(&part);
            return Err(failure);
        }
    };
    if out.is_json() {
        return out.json(&json!({
            "events": report.events,
            "commits": report.commits,
            "process_managers": report.process_managers,
            "position": number(report.position),
        }));
    }
    out.line(format_args!(
        "{} has {} events in {} commits, up to position {}{}",
        shown(file),
        report.events,
        report.commits,
        report.position,
        managers(report.process_managers)
    ))
}

/// How many process managers come along.
fn managers(count: u64) -> String {
    match count {
        0 => String::new(),
        1 => "; and what 1 process manager has saved".to_owned(),
        count => format!("; and what {count} process managers have saved"),
    }
}

/// Opens the store for an import, and creates it if it is missing.
async fn open_for_import(store: &Place) -> Result<AggregateStore> {
    match store {
        Place::Directory(dir) => Ok(AggregateStore::open(dir).await?),
        #[cfg(feature = "postgres")]
        Place::Schema(url) => Ok(AggregateStore::postgres(url.to_url()).open().await?),
        #[cfg(not(feature = "postgres"))]
        Place::Schema(_) => Err(without_postgres()),
    }
}

fn write(
    reader: &StoreReader,
    export: &Export,
    progress: Option<&Progress>,
    out: &mut impl Write,
) -> Result<ExportReport> {
    let form = if export.cloudevents {
        ExportForm::CloudEvents
    } else {
        ExportForm::EventLines
    };
    let after = export.from.map_or(Position::default(), position);
    let mut exporting = reader.export().form(form).after(after);
    if export.without_process_managers {
        exporting = exporting.without_process_managers();
    }
    if let Some(progress) = progress {
        exporting = exporting.on_progress(progress.mover());
    }
    let mut out = Noting {
        out,
        has_failed: false,
    };
    let written = exporting.write_blocking(&mut out);
    let written = written.map(|(_, report)| report);
    match written {
        Ok(report) => Ok(report),
        Err(error) if out.has_failed => Err(Failure::Output(error)),
        Err(error) => Err(Failure::Store(error)),
    }
}

/// Where a file is written until it is whole.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Creates a file for its owner alone, as those of a store are.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Goes on where an earlier call was interrupted, at any moment.
pub(crate) fn import(store: &Place, import: &Import, out: &mut Output) -> Result<()> {
    let (lines, length): (Box<dyn BufRead + Send>, _) = match &import.file {
        Some(file) => {
            // Before a store is created.
            let failed = |e| Failure::Input(format!("cannot open {}: {e}", shown(file)));
            let open = File::open(file).map_err(failed)?;
            let length = open.metadata().map_err(failed)?.len();
            (
                Box::new(BufReader::with_capacity(CHUNK, open)),
                Some(length),
            )
        }
        None if io::stdin().is_terminal() => {
            let text = "there are no lines to import: name a file, or pipe an export into this";
            return Err(Failure::Usage(text.to_owned()));
        }
        None => (Box::new(BufReader::with_capacity(CHUNK, io::stdin())), None),
    };
    let progress = match length {
        Some(_) => Progress::bytes(),
        None => Progress::of("importing"),
    };
    let mut mover = progress.mover();
    let done: std::result::Result<ImportReport, Failure> = wait(async {
        let store = open_for_import(store).await?;
        let mut importing = store.import(lines);
        if let Some(length) = length {
            importing = importing.on_progress(move |_, bytes| mover(bytes, length));
        }
        if import.keep_positions {
            importing = importing.keep_positions();
        }
        for name in &import.from_now {
            importing = importing.from_now(name);
        }
        for name in &import.react_again {
            importing = importing.react_again(name);
        }
        if import.let_process_managers_react {
            importing = importing.let_process_managers_react();
        }
        let done = importing.await;
        store.shutdown().await?;
        Ok(done?)
    })?;
    drop(progress);
    let report = done?;
    if out.is_json() {
        return out.json(&json!({
            "events": report.events,
            "commits": report.commits,
            "skipped": report.skipped,
            "process_managers": report.process_managers,
            "position": number(report.position),
            "positions_kept": report.positions_kept,
        }));
    }
    let ImportReport {
        events,
        commits,
        skipped,
        ..
    } = report;
    let there = match skipped {
        0 => String::new(),
        skipped => format!("; {skipped} were there already"),
    };
    let positions = if report.positions_kept {
        ""
    } else {
        "; their positions are not those of the lines"
    };
    out.line(format_args!(
        "{events} events in {commits} commits were imported{there}{positions}{}",
        managers(report.process_managers)
    ))
}

fn position(position: u64) -> Position {
    position.to_string().parse().unwrap_or_default()
}

fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy()).to_string()
}
