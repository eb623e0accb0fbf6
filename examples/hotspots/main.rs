//! Where a code base changes: the files of a git repository that are changed most often, and those
//! that are changed together.
//!
//! ```text
//! cargo run --release --example hotspots                  # the repository that this runs in
//! cargo run --release --example hotspots -- ../project    # another one
//! ```
//!
//! One aggregate a file, one command a change. Run it again and it imports what is new; kill it
//! anywhere and the next run goes on as if nothing had happened. Two things make that so:
//!
//! * how far the import is, is an aggregate as well (`Import` in `domain.rs`);
//! * what was recorded after it last said so is recorded again, under the same idempotency key,
//!   and therefore has no effect.

mod domain;
mod git;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use eventfold_es::prelude::*;
use futures::stream::{self, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use xxhash_rust::xxh3::xxh3_64;

use domain::{
    FileChanged, FileStats, Hotspots, Import, Pair, RecordChange, RecordProgress, Running,
    StartImport, TrackedFile,
};
use git::{Change, Commit, Repository};

/// How many commits are imported before that is recorded, so at most as many are repeated after an
/// interruption. A stream remembers its last 1,000 idempotency keys; a commit takes one of a file.
const COMMITS_AT_ONCE: usize = 500;
/// How many files have a command in flight at once: the store makes all that wait durable together.
const FILES_AT_ONCE: usize = 256;

/// Shows which files of a git repository are changed most often, and which together.
#[derive(Debug, Parser)]
struct Args {
    /// The repository, or a directory in it.
    #[arg(default_value = ".")]
    repository: PathBuf,
    /// Where what is imported is kept [default: target/hotspots/<REPOSITORY>].
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// How many files and pairs of files are shown.
    #[arg(long, value_name = "COUNT", default_value_t = 15)]
    top: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let repository = Repository::find(&args.repository).await?;
    let head = repository.head().await?;
    let dir = args.store.unwrap_or_else(|| default_store(&repository));
    println!(
        "The history of `{}` is kept in {}.",
        repository.name(),
        dir.display()
    );

    let store = open(&dir).await?;
    import(&store, &repository, &head).await.with_context(|| {
        format!(
            "the import is incomplete; run this again, or remove {} to begin anew",
            dir.display()
        )
    })?;
    store.read(|hotspots| show(hotspots, args.top)).await?;
    store.shutdown().await?;
    Ok(())
}

/// A directory that `cargo clean` removes, of a name that no other repository has.
fn default_store(repository: &Repository) -> PathBuf {
    let hash = xxh3_64(repository.git_dir().as_os_str().as_encoded_bytes());
    let name = format!("{}-{hash:016x}", repository.name());
    ["target", "hotspots", &name].iter().collect()
}

async fn open(dir: &Path) -> anyhow::Result<AggregateStore> {
    AggregateStore::builder(dir)
        .projection::<Hotspots>()
        .open()
        .await
        .with_context(|| format!("the store in {} cannot be opened", dir.display()))
}

/// Imports the commits up to `head` that are not imported yet.
async fn import(store: &AggregateStore, repository: &Repository, head: &str) -> anyhow::Result<()> {
    // A store has the history of one repository, so one import.
    let import = store.get::<Import>("import").await?;
    if let Some(interrupted) = import.state().await?.running {
        let Running { commits, done, .. } = &interrupted;
        println!("The last import was interrupted after {done} of {commits} commits. Going on.");
        run(store, repository, &import, interrupted).await?;
    }
    let range = import.state().await?.range(head);
    let commits = repository.count(&range).await?;
    if commits == 0 {
        println!("There are no new commits.");
        return Ok(());
    }
    let to = head.to_owned();
    import.send(StartImport { to, commits }).await?;
    let running = import.state().await?.running;
    let running = running.context("the import does not run")?;
    run(store, repository, &import, running).await
}

/// Imports what is left of a range of commits.
async fn run(
    store: &AggregateStore,
    repository: &Repository,
    import: &AggregateHandle<Import>,
    running: Running,
) -> anyhow::Result<()> {
    let Running {
        range,
        commits,
        done,
        ..
    } = running;
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} commits, {eta} left")?;
    let bar = ProgressBar::new(commits).with_style(style);
    bar.set_position(done);
    let mut log = repository.log(&range)?;
    for _ in 0..done {
        log.next().await?; // recorded before the interruption
    }
    let start = Instant::now();
    let mut changes = 0;
    let mut next = log.take(COMMITS_AT_ONCE).await?;
    while !next.is_empty() {
        // git looks for the next changes while these are recorded.
        let recorded = next;
        next = tokio::try_join!(record(store, &recorded), log.take(COMMITS_AT_ONCE))?.1;
        let commits = recorded.len() as u64;
        import.send(RecordProgress { commits }).await?;
        bar.inc(commits);
        for commit in recorded {
            changes += commit.changes.len();
        }
    }
    bar.finish_and_clear();
    let is_finished = import.inspect(|import| import.running.is_none()).await?;
    ensure!(is_finished, "git has fewer commits than when it began");
    let per_second = changes as u128 * 1000 / start.elapsed().as_millis().max(1);
    println!(
        "Imported {changes} changes of files in {} commits: {per_second} changes a second.",
        commits - done
    );
    Ok(())
}

/// Records the changes of some commits. Files are independent of each other, so many are recorded at
/// once; the changes of one go one after the other.
async fn record(store: &AggregateStore, commits: &[Commit]) -> anyhow::Result<()> {
    let mut files = HashMap::<&str, Vec<(&Commit, &Change)>>::new();
    for commit in commits {
        for change in &commit.changes {
            let changes = files.entry(&change.path).or_default();
            changes.push((commit, change));
        }
    }
    stream::iter(files.into_iter().map(anyhow::Ok))
        .try_for_each_concurrent(FILES_AT_ONCE, async |(path, changes)| {
            let file = store.get::<TrackedFile>(&TrackedFile::id(path)).await?;
            for (commit, change) in changes {
                let context = CommandContext::default()
                    .with_actor(&commit.author)
                    .with_idempotency_key(&commit.hash);
                let command = RecordChange(FileChanged {
                    path: path.to_owned(),
                    commit: commit.hash.clone(),
                    files: commit.changes.len(),
                    added: change.added,
                    deleted: change.deleted,
                });
                file.send_with(command, context)
                    .await
                    .with_context(|| format!("cannot record {path} of commit {}", commit.hash))?;
            }
            Ok(())
        })
        .await
}

fn show(hotspots: &Hotspots, top: usize) {
    let files = hotspots.files();
    println!("\nOf {} files the most often changed:\n", files.len());
    println!("changes  authors    added  deleted  file");
    for (path, stats) in files.iter().take(top) {
        let FileStats {
            changes,
            added,
            deleted,
            authors,
        } = stats;
        let authors = authors.len();
        println!(
            "{changes:7}  {authors:7}  {added:7}  {deleted:7}  {}",
            printable(path)
        );
    }

    let pairs = hotspots.pairs();
    println!(
        "\nOf {} pairs of files the most often changed together:\n",
        pairs.len()
    );
    println!("together  of the changes  files");
    for pair in pairs.iter().take(top) {
        let Pair {
            files: [one, other],
            together,
            percent,
        } = pair;
        let (one, other) = (printable(one), printable(other));
        println!("{together:8}  {percent:13}%  {one}, {other}");
    }
}

/// A path may have newlines or escape sequences in it, which a terminal would obey.
fn printable(path: &str) -> String {
    path.replace(char::is_control, "\u{fffd}")
}
