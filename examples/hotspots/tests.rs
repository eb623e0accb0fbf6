//! The import as a whole, on repositories that the tests make with `git`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use eventfold_es::testing::{event_history, given, projection};

use super::domain::{CommitsImported, FileChanged, ImportError, ImportEvent, ImportFinished};
use super::domain::{ImportStarted, RecordProgress, StartImport, TrackedFileEvent};
use super::*;

/// A repository in a temporary directory; `None`, with a message, where there is no git.
fn repository() -> Option<tempfile::TempDir> {
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("skipped: git cannot be run");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    git(
        dir.path(),
        &["init", "--quiet", "--initial-branch=main"],
        b"",
    );
    Some(dir)
}

/// Runs git with some input.
fn git(repository: &Path, args: &[&str], input: &[u8]) {
    let mut git = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(args)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(input).unwrap();
    assert!(git.wait().unwrap().success(), "git {args:?}");
}

/// Adds a commit: `files` are paths and what is in them now, `None` if they are removed.
fn commit(repository: &Path, author: &str, files: &[(&str, Option<&str>)]) {
    let mut input = Vec::new();
    writeln!(input, "commit refs/heads/main").unwrap();
    writeln!(input, "committer {author} <mail> now\ndata 0").unwrap();
    let has_commits = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["rev-parse", "--quiet", "--verify", "main"])
        .output()
        .unwrap()
        .status
        .success();
    if has_commits {
        writeln!(input, "from refs/heads/main^0").unwrap();
    }
    for (path, content) in files {
        let path = path.replace('\\', "\\\\").replace('"', "\\\"");
        match content {
            Some(content) => {
                writeln!(input, "M 644 inline \"{path}\"").unwrap();
                writeln!(input, "data {}\n{content}", content.len()).unwrap();
            }
            None => writeln!(input, "D \"{path}\"").unwrap(),
        }
    }
    git(
        repository,
        &["fast-import", "--quiet", "--date-format=now"],
        &input,
    );
}

/// Imports what is new and returns the read model.
async fn hotspots(repository: &Path, dir: &Path) -> anyhow::Result<Hotspots> {
    let repository = Repository::find(repository).await?;
    let head = repository.head().await?;
    let store = open(dir).await?;
    import(&store, &repository, &head).await?;
    let hotspots = store.projection()?;
    store.shutdown().await?;
    Ok(hotspots)
}

/// Path, changes, added and deleted lines of each file.
fn table(hotspots: &Hotspots) -> Vec<(&str, u64, u64, u64)> {
    let files = hotspots.files().into_iter();
    files
        .map(|(path, stats)| (path, stats.changes, stats.added, stats.deleted))
        .collect()
}

fn change(path: &str, commit: &str) -> FileChanged {
    FileChanged {
        path: path.to_owned(),
        commit: commit.to_owned(),
        files: 2,
        added: 2,
        deleted: 1,
    }
}

#[test]
fn an_import_goes_on_where_it_was_interrupted() {
    let start = |to: &str, commits| StartImport {
        to: to.to_owned(),
        commits,
    };
    let started = |range: &str, to: &str, commits| ImportStarted {
        range: range.to_owned(),
        to: to.to_owned(),
        commits,
    };
    given::<Import>(events![])
        .when(RecordProgress { commits: 1 })
        .then_error(|error| *error == ImportError::NotRunning)
        .when(start("c3", 3))
        .then(events![started("c3", "c3", 3)])
        .when(start("c4", 4))
        .then_error(|error| *error == ImportError::Running)
        .when(RecordProgress { commits: 2 })
        .then(events![CommitsImported { commits: 2 }])
        .when(RecordProgress { commits: 2 })
        .then_error(|error| matches!(error, ImportError::TooMany { left: 1, .. }))
        .when(RecordProgress { commits: 1 })
        .then(events![CommitsImported { commits: 1 }, ImportFinished])
        .then_state(|import| import.imported.as_deref() == Some("c3"))
        .when(start("c4", 1))
        .then(events![started("c3..c4", "c4", 1)]);
}

#[test]
fn files_of_one_commit_are_changed_together() {
    projection::<Hotspots>()
        .given::<TrackedFile>("a", events![change("a", "c1"), change("a", "c2")])
        .given::<TrackedFile>("b", events![change("b", "c2"), change("b", "c1")])
        .then_state(|hotspots| table(hotspots) == [("a", 2, 4, 2), ("b", 2, 4, 2)])
        .then_state(|hotspots| hotspots.pairs()[0].together == 2);
}

#[test]
fn every_event_that_was_ever_stored_can_be_read() {
    event_history::<TrackedFileEvent>("hotspots/events")
        .sample(change("a", "c1"))
        .check();
    let to = "c1".to_owned();
    let commits = 1;
    event_history::<ImportEvent>("hotspots/import-events")
        .sample(ImportStarted {
            range: "c0..c1".to_owned(),
            to,
            commits,
        })
        .sample(CommitsImported { commits })
        .sample(ImportFinished)
        .check();
}

#[tokio::test]
async fn files_are_counted_and_only_new_commits_imported() {
    let Some(repository) = repository() else {
        return;
    };
    let repository = repository.path();
    let dir = tempfile::tempdir().unwrap();
    commit(
        repository,
        "Ann",
        &[("a", Some("1\n2\n")), ("b", Some("1\n"))],
    );
    commit(repository, "Bob", &[("a", Some("1\n")), ("b", Some("2\n"))]);
    commit(repository, "Bob", &[]);

    let first = hotspots(repository, dir.path()).await.unwrap();
    assert_eq!(table(&first), [("a", 2, 2, 1), ("b", 2, 2, 1)]);
    assert_eq!(first.files()[0].1.authors.len(), 2);
    let together = Pair {
        files: ["a", "b"],
        together: 2,
        percent: 100,
    };
    assert_eq!(first.pairs(), [together]);

    let again = hotspots(repository, dir.path()).await.unwrap();
    assert_eq!(table(&again), table(&first));

    commit(repository, "Cid", &[("a", None)]);
    let more = hotspots(repository, dir.path()).await.unwrap();
    assert_eq!(table(&more), [("a", 3, 2, 2), ("b", 2, 2, 1)]);
}

#[tokio::test]
async fn any_path_is_taken() {
    let Some(repository) = repository() else {
        return;
    };
    let long = ["long"; 100].join("/");
    let paths = [
        "with space",
        "say \"hi\"",
        "日本/é.md",
        "{a => b}",
        "..x",
        "a\\b",
        &long,
    ];
    for (lines, path) in paths.iter().enumerate() {
        commit(
            repository.path(),
            "Ann",
            &[(path, Some(&"line\n".repeat(lines + 1)))],
        );
    }
    commit(repository.path(), "Ann", &[("binary", Some("\0\n"))]);

    let dir = tempfile::tempdir().unwrap();
    let hotspots = hotspots(repository.path(), dir.path()).await.unwrap();
    let mut found = table(&hotspots);
    found.sort_by_key(|file| file.2);
    let lines = paths
        .iter()
        .zip(1..)
        .map(|(path, lines)| (*path, 1, lines, 0));
    let expected: Vec<_> = [("binary", 1, 0, 0)].into_iter().chain(lines).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_renamed_file_is_another_file() {
    let Some(repository) = repository() else {
        return;
    };
    commit(repository.path(), "Ann", &[("old", Some("1\n2\n3\n"))]);
    commit(
        repository.path(),
        "Ann",
        &[("old", None), ("new", Some("1\n2\n3\n"))],
    );
    let dir = tempfile::tempdir().unwrap();
    let hotspots = hotspots(repository.path(), dir.path()).await.unwrap();
    assert_eq!(table(&hotspots), [("old", 2, 3, 3), ("new", 1, 3, 0)]);
}

#[tokio::test]
async fn what_has_no_history_is_refused_with_the_reason() {
    let Some(empty) = repository() else { return };
    let dir = tempfile::tempdir().unwrap();
    let error = hotspots(empty.path(), dir.path()).await.unwrap_err();
    assert!(
        error.to_string().contains("cannot find a commit"),
        "{error:?}"
    );

    let error = hotspots(dir.path(), dir.path()).await.unwrap_err();
    assert!(
        error.to_string().contains("cannot find a git repository"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_import_whose_history_is_gone_says_so() {
    let Some(repository) = repository() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    commit(repository.path(), "Ann", &[("a", Some("1\n"))]);
    let repository = Repository::find(repository.path()).await.unwrap();

    // A run that began with two commits, where there is one now.
    let handle = store.get::<Import>("import").await.unwrap();
    let to = repository.head().await.unwrap();
    let start = StartImport {
        to: to.clone(),
        commits: 2,
    };
    handle.send(start).await.unwrap();
    let error = import(&store, &repository, &to).await.unwrap_err();
    assert!(error.to_string().contains("fewer commits"), "{error:?}");
}

const REPOSITORY: &str = "HOTSPOTS_TEST_REPOSITORY";
const STORE: &str = "HOTSPOTS_TEST_STORE";

/// Not a test: what [`an_import_that_is_killed_goes_on`] starts and kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn import_in_a_process_of_its_own() {
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    hotspots(&path(REPOSITORY), &path(STORE)).await.unwrap();
}

#[tokio::test]
async fn an_import_that_is_killed_goes_on() {
    let Some(repository) = repository() else {
        return;
    };
    let repository = repository.path();
    // Some rounds of commits, each changing a few of 40 files.
    let mut input = Vec::new();
    for commit in 0..4 * COMMITS_AT_ONCE {
        writeln!(input, "commit refs/heads/main").unwrap();
        writeln!(input, "committer Ann <mail> now\ndata 0").unwrap();
        for file in [commit % 40, commit * 7 % 40, commit / 3 % 40] {
            writeln!(input, "M 644 inline {file}.txt\ndata 4\n{commit:04}").unwrap();
        }
    }
    git(
        repository,
        &["fast-import", "--quiet", "--date-format=now"],
        &input,
    );

    let dir = tempfile::tempdir().unwrap();
    let mut time = Duration::from_millis(20);
    let mut kills = 0;
    loop {
        let mut import = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tests::import_in_a_process_of_its_own",
                "--ignored",
            ])
            .env(REPOSITORY, repository)
            .env(STORE, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(time);
        if let Some(status) = import.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        import.kill().unwrap();
        import.wait().unwrap();
        kills += 1;
        time = time.mul_f64(1.3);
    }
    assert!(kills > 0, "the import was never interrupted");

    let killed = hotspots(repository, dir.path()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let uninterrupted = hotspots(repository, dir.path()).await.unwrap();
    assert_eq!(killed.files(), uninterrupted.files());
    assert_eq!(killed.pairs(), uninterrupted.pairs());
}
