//! The history of a repository, as `git` tells it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader, Split};
use tokio::process::{Child, ChildStdout, Command};

const CANNOT_RUN: &str = "git cannot be run; is it installed?";

/// A commit and what it did to each file.
#[derive(Debug, PartialEq)]
pub(crate) struct Commit {
    pub(crate) hash: String,
    pub(crate) author: String,
    pub(crate) changes: Vec<Change>,
}

/// What a commit did to one file. git counts no lines in a binary one.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) added: u64,
    pub(crate) deleted: u64,
}

/// A repository on this machine.
pub(crate) struct Repository {
    path: PathBuf,
    git_dir: PathBuf,
}

impl Repository {
    /// The repository that `path` is in.
    pub(crate) async fn find(path: &Path) -> anyhow::Result<Self> {
        let git_dir = ask(git_at(path).args(["rev-parse", "--absolute-git-dir"]))
            .await
            .with_context(|| format!("cannot find a git repository at {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            git_dir: git_dir.into(),
        })
    }

    /// Where the repository keeps its data.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// What people call the repository.
    pub(crate) fn name(&self) -> String {
        let dir = match self.git_dir.parent() {
            Some(parent) if self.git_dir.ends_with(".git") => parent,
            _ => &self.git_dir,
        };
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        name.strip_suffix(".git").unwrap_or(&name).to_owned()
    }

    /// The hash of the newest commit of what is checked out.
    pub(crate) async fn head(&self) -> anyhow::Result<String> {
        ask(git_at(&self.path).args(["rev-parse", "--verify", "HEAD^{commit}"]))
            .await
            .with_context(|| {
                format!(
                    "cannot find a commit in the repository at {}",
                    self.path.display()
                )
            })
    }

    /// How many commits [`log`](Self::log) yields.
    pub(crate) async fn count(&self, range: &str) -> anyhow::Result<u64> {
        let count = ["rev-list", "--count", "--no-merges", range, "--"];
        let count = ask(git_at(&self.path).args(count)).await?;
        count.parse().context("git did not print a number")
    }

    /// The commits of a range, parents first, without merges: what they brought together is in the
    /// commits that they merged. The order is the same every time.
    pub(crate) fn log(&self, range: &str) -> anyhow::Result<Log> {
        let mut git = git_at(&self.path)
            // Whatever the user's configuration says, the output is the one that is parsed here.
            .args(["-c", "log.showSignature=false", "-c", "log.showRoot=true"])
            .args(["-c", "diff.relative=false"])
            .args(["log", "--reverse", "--topo-order", "--no-merges"])
            .args(["--numstat", "-z", "--no-renames", "--no-ext-diff"])
            .args(["--no-color", "--encoding=UTF-8", "--format=commit %H %aN"])
            .args([range, "--"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context(CANNOT_RUN)?;
        let output = git.stdout.take().context("git has no output")?;
        Ok(Log {
            git,
            records: BufReader::new(output).split(0),
            commit: None,
        })
    }
}

fn git_at(path: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(path);
    git
}

/// The one line that git prints.
async fn ask(git: &mut Command) -> anyhow::Result<String> {
    let output = git.output().await.context(CANNOT_RUN)?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("git says: {}", reason.trim());
    }
    let line = String::from_utf8(output.stdout).context("git printed what is not UTF-8")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A running `git log`.
pub(crate) struct Log {
    git: Child,
    records: Split<BufReader<ChildStdout>>,
    /// The commit whose changes come next.
    commit: Option<Commit>,
}

impl Log {
    /// The next commit, `None` after the last.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Commit>> {
        while let Some(record) = self.records.next_segment().await? {
            match parse(&record)? {
                Record::Commit(next) => {
                    if let Some(complete) = self.commit.replace(next) {
                        return Ok(Some(complete));
                    }
                }
                Record::Change(change) => {
                    let commit = self.commit.as_mut();
                    let commit = commit.context("git log begins without a commit")?;
                    commit.changes.push(change);
                }
            }
        }
        // The last commit is complete only if git came to the end.
        let status = self.git.wait().await?;
        ensure!(status.success(), "git log failed: {status}");
        Ok(self.commit.take())
    }

    /// The next commits, at most `count`; none after the last.
    pub(crate) async fn take(&mut self, count: usize) -> anyhow::Result<Vec<Commit>> {
        let mut commits = Vec::new();
        while commits.len() < count
            && let Some(commit) = self.next().await?
        {
            commits.push(commit);
        }
        Ok(commits)
    }
}

#[derive(Debug, PartialEq)]
enum Record {
    Commit(Commit),
    Change(Change),
}

/// Parses what `git log --numstat -z --format=commit...` prints between two NULs: `commit`, hash and
/// author, or the numbers of added and deleted lines and a path. A newline stands before the first
/// change of a commit.
fn parse(record: &[u8]) -> anyhow::Result<Record> {
    let record = record.strip_prefix(b"\n").unwrap_or(record);
    let text = to_text(record);
    if let Some(commit) = text.strip_prefix("commit ")
        && let Some((hash, author)) = commit.split_once(' ')
    {
        return Ok(Record::Commit(Commit {
            hash: hash.to_owned(),
            author: author.to_owned(),
            changes: Vec::new(),
        }));
    }
    let mut fields = text.splitn(3, '\t');
    if let (Some(added), Some(deleted), Some(path)) = (fields.next(), fields.next(), fields.next())
        && let (Some(added), Some(deleted)) = (lines(added), lines(deleted))
    {
        let path = path.to_owned();
        return Ok(Record::Change(Change {
            path,
            added,
            deleted,
        }));
    }
    bail!("git log printed {text:?}, which is neither a commit nor a change")
}

/// A number of lines; `-` stands for a binary file.
fn lines(field: &str) -> Option<u64> {
    if field == "-" {
        return Some(0);
    }
    field.parse().ok()
}

/// What git prints as text. A path may be any bytes; those that are not UTF-8 become `\xFF`.
fn to_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, added: u64, deleted: u64) -> Record {
        let path = path.to_owned();
        Record::Change(Change {
            path,
            added,
            deleted,
        })
    }

    #[test]
    fn a_commit_has_a_hash_and_an_author() {
        for author in ["Ada", "Ada  King, née Byron", ""] {
            let record = format!("commit 8ab5e2a {author}");
            let expected = Commit {
                hash: "8ab5e2a".to_owned(),
                author: author.to_owned(),
                changes: Vec::new(),
            };
            assert_eq!(parse(record.as_bytes()).unwrap(), Record::Commit(expected));
        }
    }

    #[test]
    fn a_change_has_line_counts_and_a_path() {
        assert_eq!(
            parse(b"3\t14\tsrc/lib.rs").unwrap(),
            change("src/lib.rs", 3, 14)
        );
        assert_eq!(parse(b"\n1\t0\tREADME").unwrap(), change("README", 1, 0));
    }

    #[test]
    fn a_binary_file_has_no_lines() {
        assert_eq!(parse(b"-\t-\tlogo.png").unwrap(), change("logo.png", 0, 0));
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        for path in [
            "with space",
            "\"quoted\"",
            "tab\tand\nnewline",
            "{a => b}/c",
            "commit 8ab5e2a Ada",
            "Überblick/日本.md",
        ] {
            let record = format!("0\t1\t{path}");
            assert_eq!(parse(record.as_bytes()).unwrap(), change(path, 0, 1));
        }
        assert_eq!(parse(b"0\t1\ta\xFFb").unwrap(), change("a\\xffb", 0, 1));
    }

    #[test]
    fn anything_else_is_refused() {
        for record in ["", "gpg: signature", "1\t2", "x\t2\ta", "commit 8ab5e2a"] {
            let error = parse(record.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("neither"), "{error}");
        }
    }
}
