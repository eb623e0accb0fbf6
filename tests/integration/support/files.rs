//! Looking at what a store has on disk.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use eventfold_es::AggregateStore;
use serde_json::Value;

use super::TempDir;

/// A copy of the directory as it is now: what is left if the process is killed at this moment.
pub(crate) fn copy(base: &Path) -> crate::support::TempDir {
    let copy = super::fast_temp_dir();
    copy_into(base, copy.path());
    copy
}

pub(crate) fn copy_into(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_into(&entry.path(), &target);
            continue;
        }
        match std::fs::copy(entry.path(), &target) {
            // Temporary files come and go, and a segment may have been compressed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let compressed = entry.path().with_extension("jsonl.zst");
                let is_segment = entry.path().extension().is_some_and(|ext| ext == "jsonl");
                if is_segment && compressed.exists() {
                    std::fs::copy(compressed, target.with_extension("jsonl.zst")).unwrap();
                }
            }
            copied => drop(copied.unwrap()),
        }
    }
}

/// All files and directories below `dir`, sorted.
pub(crate) fn everything_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_below(&path));
        }
        found.push(path);
    }
    found.sort_unstable();
    found
}

/// All files below `dir`, sorted.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = everything_below(dir);
    found.retain(|path| path.is_file());
    found
}

/// A line of the journal.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) path: PathBuf,
    pub(crate) offset: usize,
    /// With its line end.
    pub(crate) length: usize,
    pub(crate) json: Value,
}

impl Line {
    /// A number of the commit, or of the one stream that it names.
    pub(crate) fn number(&self, key: &str) -> u64 {
        let of_commit = self.json[key].as_u64();
        of_commit.unwrap_or_else(|| self.json["streams"][0][key].as_u64().unwrap())
    }

    pub(crate) fn events(&self) -> &[Value] {
        self.json["events"].as_array().unwrap()
    }

    pub(crate) fn end(&self) -> usize {
        self.offset + self.length
    }

    /// The type and the id of the stream.
    pub(crate) fn stream(&self) -> (String, String) {
        let stream = &self.json["streams"][0];
        let text = |key: &str| stream[key].as_str().unwrap().to_owned();
        (text("type"), text("id"))
    }
}

/// The files of the journal's segments, in order. Of a segment in two forms it is the plain one.
pub(crate) fn segments(base: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(base.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.to_string_lossy();
            name.ends_with(".jsonl") || name.ends_with(".jsonl.zst")
        })
        .collect();
    paths.sort_unstable();
    paths.dedup_by(|one, other| {
        one.file_name().unwrap().as_encoded_bytes()[..20]
            == other.file_name().unwrap().as_encoded_bytes()[..20]
    });
    paths
}

/// The bytes of a file; of a segment that is compressed, or was just compressed, those of its lines.
pub(crate) fn content(path: &Path) -> Vec<u8> {
    let is_compressed = path.extension().is_some_and(|ext| ext == "zst");
    let compressed = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !is_compressed => {
            std::fs::read(path.with_extension("jsonl.zst")).unwrap()
        }
        read if is_compressed => read.unwrap(),
        read => return read.unwrap(),
    };
    zstd::stream::decode_all(&compressed[..]).unwrap()
}

/// The commits in the journal, in order.
pub(crate) fn journal(base: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for path in segments(base) {
        let bytes = content(&path);
        let mut offset = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line[0] == 0 {
                break;
            }
            let json: Value = serde_json::from_slice(line).unwrap();
            if json.get("journal").is_none() {
                lines.push(Line {
                    path: path.clone(),
                    offset,
                    length: line.len(),
                    json,
                });
            }
            offset += line.len();
        }
    }
    lines
}

/// How many bytes of the file are in use: what comes behind is zeros.
pub(crate) fn used(path: &Path) -> usize {
    let bytes = content(path);
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |i| i + 1)
}

/// Checks that positions and versions have no gaps, and that each stream's file holds the lines
/// that the journal has of it. Returns each stream's events.
pub(crate) fn verify(base: &Path) -> BTreeMap<(String, String), Vec<Value>> {
    let mut streams: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    let mut position = 0;
    for line in journal(base) {
        assert_eq!(line.number("pos"), position + 1, "positions have a gap");
        let events = streams.entry(line.stream()).or_default();
        let version = events.len() as u64 + 1;
        assert_eq!(line.number("version"), version, "versions have a gap");
        assert!(!line.events().is_empty(), "a commit without events");
        for event in line.events() {
            position += 1;
            events.push(event.clone());
            if let Some(stated) = event.get("pos") {
                assert_eq!(stated, &position, "an event states another position");
                assert_eq!(event["version"], events.len() as u64);
            }
        }
    }
    for ((aggregate_type, id), events) in &streams {
        let layout = eventfold_es::StreamLayout::new(base);
        let file = layout.stream_dir(aggregate_type, id).join("app.jsonl");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.ends_with('\n'),
            "{} ends in a torn line",
            file.display()
        );
        let lines = text.lines().filter(|line| !line.is_empty());
        let there: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(&there, events, "{} and the journal differ", file.display());
    }
    streams
}

/// Changes a file's bytes.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Checks the files of a closed store with [`verify`]. A memory has none.
pub(crate) fn check(dir: &TempDir) {
    dir.on_disk().map(verify);
}

/// Checks the files of a closed store with [`AggregateStore::verify`]. A memory has none.
pub(crate) async fn check_report(dir: &TempDir) {
    let Some(base) = dir.on_disk() else { return };
    let report = AggregateStore::verify(base).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
}
