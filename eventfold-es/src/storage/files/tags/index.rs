//! The index from tags to events: [`TagIndex`].
//!
//! The tags of the events in the last segment are in memory, those of the sealed segments in files.
//! Everything is derived from the journal: what is missing or damaged is made again when it is first
//! needed. The committer only adds to memory, so a store whose events have no tags pays nothing.
//! Invariant D12.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::storage::error::StorageResult;
use crate::storage::files::disk;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::reader::{chain_before, read_segment};
use crate::storage::files::tags::entry::{Entry, add_entries};
use crate::storage::files::tags::file::{Span, TagFile};
use crate::sync::lock;

/// How many files of one size are merged into a larger one.
const MERGED: usize = if cfg!(test) { 3 } else { 8 };

/// Finds the events that have a tag.
#[derive(Debug)]
pub(crate) struct TagIndex {
    journal: Arc<Index>,
    dir: PathBuf,
    /// Locked before `live`.
    parts: Mutex<Parts>,
    live: Mutex<Live>,
}

/// The tags of sealed segments, by the first segment of each part.
#[derive(Debug, Default)]
struct Parts {
    of: BTreeMap<u64, Part>,
    /// The tags of the last segment up to where the journal ended when the store was opened.
    last: Option<TagFile>,
    /// Whether the files of earlier runs were looked for.
    is_loaded: bool,
    /// The files of earlier runs that are not valid. They are removed before any is written.
    stale: Vec<PathBuf>,
}

#[derive(Debug)]
struct Part {
    /// The first position of the part's last segment.
    last: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Memory(Vec<Entry>),
    File(TagFile),
}

/// By their hash, the positions and offsets of events, in order.
type ByHash = HashMap<u64, Vec<(u64, u64)>>;

/// The tags of the last segment.
#[derive(Debug)]
struct Live {
    /// The first position of the segment.
    segment: u64,
    /// The tags of events after this position are here.
    after: u64,
    /// The checksum of the last line before those.
    chain: u64,
    /// The checksum of the last line of the segment before, if it is known without its file.
    previous: Option<u64>,
    by_hash: ByHash,
    /// The tags of segments that were sealed since, which are to become parts.
    sealed: Vec<(u64, ByHash)>,
}

impl Live {
    /// Whether all tags of the segment are here.
    fn is_whole(&self) -> bool {
        self.after < self.segment
    }

    /// What the tags of the segment that are not here are about.
    fn span_before(&self) -> Span {
        Span {
            first: self.segment,
            last: self.after,
            chain: self.chain,
        }
    }
}

impl TagIndex {
    /// The index of a journal that ends at `end`. Its files are in `dir`.
    pub(crate) fn new(journal: Arc<Index>, dir: PathBuf, end: End) -> Self {
        Self {
            journal,
            dir,
            parts: Mutex::default(),
            live: Mutex::new(Live {
                segment: end.segment,
                after: end.position,
                chain: end.chain,
                previous: (end.offset == 0).then_some(end.chain),
                by_hash: HashMap::new(),
                sealed: Vec::new(),
            }),
        }
    }

    /// Adds the tags of events that have become durable.
    pub(crate) fn add(&self, entries: &[Entry]) {
        if entries.is_empty() {
            return;
        }
        let mut live = lock(&self.live);
        for entry in entries {
            let places = live.by_hash.entry(entry.hash).or_default();
            places.push((entry.position, entry.offset));
        }
    }

    /// Goes on with a new segment, which `end` is the beginning of. Returns whether
    /// [`keep`](Self::keep) has something to do.
    pub(crate) fn start_segment(&self, end: End) -> bool {
        let mut live = lock(&self.live);
        let by_hash = std::mem::take(&mut live.by_hash);
        let is_kept = live.is_whole() && !by_hash.is_empty();
        if is_kept {
            let sealed = live.segment;
            live.sealed.push((sealed, by_hash));
        }
        live.segment = end.segment;
        live.after = end.position;
        live.chain = end.chain;
        live.previous = Some(end.chain);
        is_kept
    }

    /// Writes the tags of sealed segments into files.
    pub(crate) fn keep(&self) {
        let mut parts = lock(&self.parts);
        self.absorb(&mut parts);
        self.write(&mut parts);
    }

    /// Opens the files of earlier runs, so that the first search need not. Changes nothing on the disk.
    pub(crate) fn prepare(&self) {
        let mut parts = lock(&self.parts);
        let (segment, ..) = self.absorb(&mut parts);
        if let Err(error) = self.load(&mut parts, &self.sealed_before(segment)) {
            tracing::debug!(%error, "the files of tags are opened when they are needed");
        }
    }

    /// How many files are open, and how many were found that are not valid.
    #[cfg(test)]
    pub(crate) fn prepared(&self) -> (usize, usize) {
        let parts = lock(&self.parts);
        let is_open = |part: &&Part| matches!(part.content, Content::File(_));
        let open = parts.of.values().filter(is_open).count() + usize::from(parts.last.is_some());
        (open, parts.stale.len())
    }

    /// Writes the tags of the last segment, which ends at `end`, into a file. The next run needs not
    /// read the segment for them.
    pub(crate) fn keep_last(&self, end: End) {
        let mut parts = lock(&self.parts);
        if let Err(error) = self.try_keep_last(&mut parts, end) {
            tracing::warn!(%error, "the tags of the last segment could not be written");
        }
    }

    fn try_keep_last(&self, parts: &mut Parts, end: End) -> StorageResult<()> {
        let (segment, _, is_whole) = self.absorb(parts);
        let has_files = disk::is_dir(&self.dir);
        let mut entries = Vec::new();
        if !is_whole {
            if has_files {
                self.load(parts, &self.sealed_before(segment))?;
            }
            match self.last_part(parts) {
                // It has all of them already.
                Some(last) if last.span.last == end.position => return Ok(()),
                Some(last) => entries = last.entries()?,
                // Nobody has searched, so the segment was not read.
                None => return Ok(()),
            }
        }
        for (hash, places) in &lock(&self.live).by_hash {
            entries.extend(places.iter().map(|(position, offset)| Entry {
                hash: *hash,
                position: *position,
                offset: *offset,
            }));
        }
        if entries.is_empty() && !has_files {
            return Ok(());
        }
        parts.remove_stale()?;
        entries.sort_unstable();
        let span = Span {
            first: segment,
            last: end.position,
            chain: end.chain,
        };
        TagFile::write(&self.dir, span, &entries)?;
        if let Some(before) = parts.last.take() {
            before.remove()?;
        }
        Ok(())
    }

    /// The events that may have the tag with this hash, after the position `after` and up to the
    /// durable position `until`, in order. Blocks on the disk.
    pub(crate) fn find(&self, hash: u64, range: (u64, u64)) -> StorageResult<Vec<Entry>> {
        let mut made_again = BTreeSet::new();
        loop {
            let (mut parts, segment) = self.ready()?;
            let mut found = Vec::new();
            let searched = parts.find(hash, range, &mut found);
            if let Err((first, error)) = searched {
                if !made_again.insert(first) {
                    return Err(error);
                }
                tracing::warn!(%error, "a file of tags is not valid, so it is made again");
                parts.remove(first);
                continue;
            }
            let live = lock(&self.live);
            // A segment that was sealed meanwhile is in neither of the two.
            if live.segment != segment {
                continue;
            }
            let (after, until) = range;
            for (position, offset) in live.by_hash.get(&hash).into_iter().flatten() {
                if *position > after && *position <= until {
                    found.push(Entry {
                        hash,
                        position: *position,
                        offset: *offset,
                    });
                }
            }
            return Ok(found);
        }
    }

    /// Whether it is known without reading that no event after `after` has the tag with this hash.
    pub(crate) fn has_none_after(&self, hash: u64, after: u64) -> bool {
        let live = lock(&self.live);
        let newest = live.by_hash.get(&hash).and_then(|places| places.last());
        after >= live.after && newest.is_none_or(|(position, _)| *position <= after)
    }

    /// Completes the index up to the last segment, which is returned too.
    fn ready(&self) -> StorageResult<(MutexGuard<'_, Parts>, u64)> {
        let mut parts = lock(&self.parts);
        loop {
            let (segment, after, is_whole) = self.absorb(&mut parts);
            let sealed = self.sealed_before(segment);
            self.load(&mut parts, &sealed)?;
            parts.remove_stale()?;
            let missing = parts.missing(&sealed);
            for first in &missing {
                let mut entries = Vec::new();
                read_segment(&self.journal, *first, u64::MAX, |commit, offset| {
                    add_entries(commit, offset, &mut entries)
                })?;
                entries.sort_unstable();
                parts.insert(*first, *first, Content::Memory(entries));
            }
            if !missing.is_empty() {
                self.write(&mut parts);
            }
            let has_all = self.last_part(&mut parts).is_some() || is_whole;
            if has_all || self.complete(segment, after)? {
                return Ok((parts, segment));
            }
        }
    }

    /// The first positions of the segments before `segment`.
    fn sealed_before(&self, segment: u64) -> Vec<u64> {
        let mut sealed = self.journal.firsts();
        sealed.retain(|first| *first < segment);
        sealed
    }

    /// The part about the last segment, if it has all tags of it that are not in memory.
    fn last_part<'p>(&self, parts: &'p mut Parts) -> Option<&'p TagFile> {
        let wanted = lock(&self.live).span_before();
        // Another one is about a segment that was sealed meanwhile, or was read.
        parts.last = parts.last.take().filter(|last| last.span == wanted);
        parts.last.as_ref()
    }

    /// Takes over the tags of sealed segments. Returns the last segment, up to where its tags are not
    /// in memory, and whether all are.
    fn absorb(&self, parts: &mut Parts) -> (u64, u64, bool) {
        let mut live = lock(&self.live);
        let state = (live.segment, live.after, live.is_whole());
        let sealed = std::mem::take(&mut live.sealed);
        drop(live);
        for (first, by_hash) in sealed {
            let entries = by_hash.into_iter().flat_map(|(hash, places)| {
                places.into_iter().map(move |(position, offset)| Entry {
                    hash,
                    position,
                    offset,
                })
            });
            let mut entries: Vec<_> = entries.collect();
            entries.sort_unstable();
            parts.insert(first, first, Content::Memory(entries));
        }
        state
    }

    /// Reads the tags of the events in `segment` up to `until`, where the tags in memory begin. False
    /// if the segment was sealed meanwhile.
    fn complete(&self, segment: u64, until: u64) -> StorageResult<bool> {
        let mut entries = Vec::new();
        read_segment(&self.journal, segment, until, |commit, offset| {
            add_entries(commit, offset, &mut entries)
        })?;
        let mut live = lock(&self.live);
        if live.segment != segment {
            return Ok(false);
        }
        let mut by_hash = ByHash::new();
        for entry in entries.iter().filter(|entry| entry.position <= until) {
            let places = by_hash.entry(entry.hash).or_default();
            places.push((entry.position, entry.offset));
        }
        for (hash, later) in std::mem::take(&mut live.by_hash) {
            by_hash.entry(hash).or_default().extend(later);
        }
        live.by_hash = by_hash;
        live.after = segment - 1;
        Ok(true)
    }

    /// Takes over the files of earlier runs, if that was not done yet, and notes those that are not valid.
    /// `sealed` are all sealed segments.
    fn load(&self, parts: &mut Parts, sealed: &[u64]) -> StorageResult<()> {
        if parts.is_loaded {
            return Ok(());
        }
        if disk::is_dir(&self.dir) {
            self.load_files(parts, sealed)?;
        }
        parts.is_loaded = true;
        Ok(())
    }

    fn load_files(&self, parts: &mut Parts, sealed: &[u64]) -> StorageResult<()> {
        let mut names = Vec::new();
        for entry in disk::list(&self.dir)? {
            match entry.name.to_str().map(|name| (name, Span::of_name(name))) {
                Some((_, Some(span))) => names.push((span, self.dir.join(entry.name))),
                Some((name, None)) if name.ends_with(".tags.tmp") => {
                    parts.stale.push(self.dir.join(entry.name));
                }
                _ => {}
            }
        }
        let of_last = lock(&self.live).span_before();
        // Of two files about the same segments, the one about more of them.
        names.sort_by_key(|((first, last), _)| (*first, std::cmp::Reverse(*last)));
        for ((first, last), path) in names {
            let known = parts.of.get(&first);
            if known.is_some_and(|part| part.last == last) {
                // It was written in this run.
                continue;
            }
            let is_new = parts.missing(sealed).contains(&first);
            match TagFile::open(&path)? {
                Some(file)
                    if file.span == of_last && (first, last) == (of_last.first, of_last.last) =>
                {
                    parts.last = Some(file);
                }
                Some(file)
                    if is_new && self.is_of_this_history(&file, (first, last), sealed)? =>
                {
                    parts.insert(first, last, Content::File(file));
                }
                _ => parts.stale.push(path),
            }
        }
        Ok(())
    }

    /// Whether a file is about segments of this journal.
    fn is_of_this_history(
        &self,
        file: &TagFile,
        (first, last): (u64, u64),
        sealed: &[u64],
    ) -> StorageResult<bool> {
        let span = file.span;
        let are_there = sealed.contains(&first) && sealed.contains(&last);
        if (span.first, span.last) != (first, last) || !are_there {
            return Ok(false);
        }
        Ok(self.chain_after(last)? == Some(span.chain))
    }

    /// The checksum of the last line of the sealed segment `last`.
    fn chain_after(&self, last: u64) -> StorageResult<Option<u64>> {
        let segments = self.journal.firsts();
        let next = segments.partition_point(|first| *first <= last);
        let Some(next) = segments.get(next) else {
            return Ok(None);
        };
        // A segment without a commit has no header yet.
        let live = lock(&self.live);
        let known = live.previous.filter(|_| live.segment == *next);
        drop(live);
        match known {
            Some(chain) => Ok(Some(chain)),
            None => chain_before(&self.journal, *next).map(Some),
        }
    }

    /// Writes the parts in memory into files, and merges small files. If that fails, they stay as
    /// they are.
    fn write(&self, parts: &mut Parts) {
        if let Err(error) = self.try_write(parts) {
            tracing::warn!(%error, "the tags of a segment could not be written; they stay in memory");
        }
    }

    fn try_write(&self, parts: &mut Parts) -> StorageResult<()> {
        parts.remove_stale()?;
        for (first, part) in &mut parts.of {
            if let Content::Memory(entries) = &part.content
                && let Some(chain) = self.chain_after(part.last)?
            {
                let span = Span {
                    first: *first,
                    last: part.last,
                    chain,
                };
                part.content = Content::File(TagFile::write(&self.dir, span, entries)?);
            }
        }
        let segments = self.journal.firsts();
        while let Some(run) = parts.mergeable(&segments) {
            self.merge(parts, &run)?;
        }
        Ok(())
    }

    /// Replaces the parts that begin with these segments by one.
    fn merge(&self, parts: &mut Parts, run: &[u64]) -> StorageResult<()> {
        let files = run
            .iter()
            .filter_map(|first| match &parts.of.get(first)?.content {
                Content::File(file) => Some(file),
                Content::Memory(_) => None,
            });
        let files: Vec<&TagFile> = files.collect();
        let (Some(one), Some(other)) = (files.first(), files.last()) else {
            return Ok(());
        };
        let span = Span {
            first: one.span.first,
            ..other.span
        };
        let merged = TagFile::merge(&self.dir, span, &files)?;
        for first in run {
            parts.remove(*first);
        }
        parts.insert(span.first, span.last, Content::File(merged));
        Ok(())
    }
}

impl Parts {
    fn insert(&mut self, first: u64, last: u64, content: Content) {
        self.of.insert(first, Part { last, content });
    }

    /// Removes the files that are not valid.
    fn remove_stale(&mut self) -> StorageResult<()> {
        while let Some(path) = self.stale.last() {
            disk::remove(path)?;
            self.stale.pop();
        }
        Ok(())
    }

    /// Removes a part, and its file.
    fn remove(&mut self, first: u64) {
        let last = self.last.take_if(|last| last.span.first == first);
        let of_sealed = self.of.remove(&first);
        let of_sealed = of_sealed.and_then(|part| match part.content {
            Content::File(file) => Some(file),
            Content::Memory(_) => None,
        });
        if let Some(file) = last.or(of_sealed)
            && let Err(error) = file.remove()
        {
            tracing::warn!(%error, "an old file of tags could not be removed");
        }
    }

    /// Those of the sealed segments that no part is about.
    fn missing(&self, sealed: &[u64]) -> Vec<u64> {
        let is_missing = |first: &&u64| {
            let part = self.of.range(..=**first).next_back();
            part.is_none_or(|(_, part)| part.last < **first)
        };
        sealed.iter().filter(is_missing).copied().collect()
    }

    /// Adds what the parts have to `found`.
    ///
    /// # Errors
    ///
    /// The first segment of a part that cannot be read.
    fn find(
        &self,
        hash: u64,
        (after, until): (u64, u64),
        found: &mut Vec<Entry>,
    ) -> Result<(), (u64, crate::storage::error::StorageError)> {
        let mut parts = self.of.iter().peekable();
        while let Some((first, part)) = parts.next() {
            let ends_before = parts
                .peek()
                .is_some_and(|(next, _)| **next <= after.saturating_add(1));
            if ends_before {
                continue;
            }
            if *first > until {
                break;
            }
            match &part.content {
                Content::Memory(entries) => {
                    let start = entries.partition_point(|e| (e.hash, e.position) <= (hash, after));
                    let wanted = entries[start..].iter();
                    let wanted = wanted.take_while(|e| e.hash == hash && e.position <= until);
                    found.extend(wanted);
                }
                Content::File(file) => file
                    .find(hash, (after, until), found)
                    .map_err(|error| (*first, error))?,
            }
        }
        if let Some(last) = &self.last
            && last.span.last > after
        {
            last.find(hash, (after, until), found)
                .map_err(|error| (last.span.first, error))?;
        }
        Ok(())
    }

    /// The first segments of parts in files that follow each other and are about equally many
    /// segments, if there are enough of them.
    fn mergeable(&self, segments: &[u64]) -> Option<Vec<u64>> {
        let place = |first: u64| segments.partition_point(|segment| *segment < first);
        let mut run = Vec::new();
        let (mut size, mut next) = (0, 0);
        for (first, part) in &self.of {
            let start = place(*first);
            let count = place(part.last) + 1 - start;
            let is_file = matches!(part.content, Content::File(_));
            if !is_file || count != size || start != next {
                run.clear();
            }
            if is_file {
                run.push(*first);
            }
            (size, next) = (count, start + count);
            if run.len() == MERGED {
                return Some(run);
            }
        }
        None
    }
}
