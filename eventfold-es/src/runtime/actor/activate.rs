//! Activation: an aggregate enters memory from its newest snapshot and the events behind it.

use std::io;
use std::ops::ControlFlow;

use crate::domain::aggregate::{Aggregate, decode_unless_left_out};
use crate::error::{StateError, guarded, panic_message};
use crate::runtime::actor::Actor;
use crate::runtime::actor::head::Head;
use crate::runtime::actor::keys::Keys;
use crate::runtime::inside;
use crate::storage::files::disk;
use crate::storage::files::{
    Extent, Loaded, Saved, Stream, StreamEnd, line_before, line_hash, load,
};

impl<A: Aggregate> Actor<A> {
    /// Loads the durable state. Nothing of an earlier activation is under way when it returns.
    pub(crate) async fn activate(&mut self) -> Result<Head<A>, StateError> {
        self.engine.settle(&self.stream).await?;
        let is_new = self.stream.tail().unflushed.is_none()
            && self.stream.mark().version == 0
            && matches!(disk::find_itself(self.stream.dir()), Ok(None));
        let (mut head, end) = if is_new {
            (Head::empty(), StreamEnd::default())
        } else {
            let stream = self.stream.clone();
            let own = inside::Aggregate::of(&*stream);
            let load = move || own.run(|| Head::<A>::load(&stream));
            self.engine.load(load).await?
        };
        head.epoch = self.stream.start_epoch(end);
        if head.version - head.snapshot_version >= self.snapshot_every
            && let Some(draft) = head.draft(&self.stream)
        {
            let keeper = self.engine.keeper();
            keeper.save_snapshot(self.stream.clone(), draft, end);
        }
        Ok(head)
    }
}

/// Whether a snapshot at `end` is of the stream as the journal has it: the line that it points at is
/// there, and is not behind that with which the stream ends. Invariant S1.
fn fits(stream: &Stream, end: &StreamEnd, extent: &Extent) -> io::Result<bool> {
    let mark = extent.mark;
    if end.version > mark.version {
        return Ok(false);
    }
    let line = line_before(stream, end.offset, extent.unflushed.as_ref())?;
    Ok(line.is_some_and(|line| {
        let is_last = end.version == mark.version;
        line_hash(&line) == end.hash && (!is_last || line_hash(line.trim_ascii()) == mark.hash)
    }))
}

impl<A: Aggregate> Head<A> {
    fn empty() -> Self {
        Self {
            state: A::default(),
            version: 0,
            epoch: 0,
            snapshot_version: 0,
            keys: Keys::default(),
            skipped: Vec::new(),
            event_ids: None,
        }
    }

    fn load(stream: &Stream) -> io::Result<(Self, StreamEnd)> {
        let extent = stream.extent();
        let (mut head, start) = Self::from_snapshot(stream, &extent)?
            .unwrap_or_else(|| (Self::empty(), StreamEnd::default()));
        let end = load(stream, start, &extent, |loaded| {
            head.fold(stream, loaded).map(ControlFlow::Continue)
        })?;
        Ok((head, end))
    }

    /// The head as the newest snapshot has it, `None` if there is none that can be used.
    fn from_snapshot(stream: &Stream, extent: &Extent) -> io::Result<Option<(Self, StreamEnd)>> {
        let Some(saved) = Saved::read(stream) else {
            return Ok(None);
        };
        let Some((contents, end)) = saved
            .contents()
            .and_then(|contents| contents.end().map(|end| (contents, end)))
        else {
            return Ok(None);
        };
        if contents.state_version != A::STATE_VERSION
            || contents.events != A::__fingerprint()
            || contents.skipped.iter().any(|name| A::knows_event(name))
            || !fits(stream, &end, extent)?
        {
            tracing::debug!(stream = %stream.id(), "a snapshot that does not fit is ignored");
            return Ok(None);
        }
        let state = match guarded(|| serde_json::from_str(contents.state.get())) {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => {
                stream.lacks_snapshot(&format!("the state in it cannot be read: {error}"));
                return Ok(None);
            }
            Err(panic) => {
                let panic = panic_message(&*panic);
                stream.lacks_snapshot(&format!("reading the state in it panicked: {panic}"));
                return Ok(None);
            }
        };
        let head = Self {
            state,
            version: end.version,
            snapshot_version: end.version,
            keys: contents.keys.into_iter().collect(),
            skipped: contents.skipped,
            ..Self::empty()
        };
        Ok(Some((head, end)))
    }

    fn fold(&mut self, stream: &Stream, loaded: Loaded<'_>) -> io::Result<()> {
        if let Some(key) = loaded.key {
            self.keys.add_event(key, loaded.version, loaded.offset);
        }
        let name = loaded.event.name();
        let failed = |cause: &dyn std::fmt::Display| loaded.event.failed(cause);
        match guarded(|| decode_unless_left_out::<A>(loaded.event)) {
            Ok(Ok(Some(events))) => self
                .evolve(events.as_slice(), 1)
                .map_err(|panic| failed(&format!("`evolve` panicked: {}", panic_message(&*panic)))),
            Ok(Ok(None)) => {
                if !self.skipped.iter().any(|skipped| skipped == name) {
                    tracing::warn!(stream = %stream.id(), event = name, "an unknown event is left out");
                    self.skipped.push(name.to_owned());
                }
                self.version += 1;
                Ok(())
            }
            Ok(Err(error)) => Err(failed(&error)),
            Err(panic) => Err(failed(&format!(
                "decoding panicked: {}",
                panic_message(&*panic)
            ))),
        }
    }
}
