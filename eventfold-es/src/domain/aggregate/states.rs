//! The state of an aggregate after each of its events, for code that does not know its type.

use std::io;

use crate::domain::aggregate::{Aggregate, fold_stored};
use crate::error::{guarded, panic_message};
use crate::event::RecordedEvent;

/// A state that is folded from the events of one stream, one after the other. It begins before the
/// first event.
pub(crate) trait States: Send {
    /// Folds the next event of the stream. Returns false if the aggregate does not know its name and
    /// leaves such events out.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it is not the next event of the stream;
    /// [`io::ErrorKind::InvalidData`] if the aggregate cannot read it. Then there is no state any
    /// more.
    fn fold(&mut self, event: &RecordedEvent) -> io::Result<bool>;

    /// The state after the events so far, as JSON.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if it cannot be written as JSON, or if there is none any more.
    fn json(&self) -> io::Result<String>;
}

/// The states of one aggregate of type `A`.
pub(crate) fn states_of<A: Aggregate>() -> Box<dyn States> {
    Box::new(Folding::<A> {
        state: Some(A::default()),
        id: None,
        version: 0,
    })
}

struct Folding<A> {
    /// `None` once an event could not be folded.
    state: Option<A>,
    /// The id of the stream, once it is known.
    id: Option<String>,
    version: u64,
}

impl<A: Aggregate> Folding<A> {
    /// Fails if `event` is not the next one of this stream.
    fn check_is_next(&self, event: &RecordedEvent) -> io::Result<()> {
        let (version, next) = (u64::from(event.version()), self.version + 1);
        let is_of_stream = event.aggregate_type() == A::AGGREGATE_TYPE
            && self.id.as_ref().is_none_or(|id| id == event.id());
        if is_of_stream && version == next {
            return Ok(());
        }
        let record = event.record();
        let text = format!(
            "the next event must be version {next} of one {}",
            A::AGGREGATE_TYPE
        );
        let error = event.stored(&record).failed(&text);
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            error.to_string(),
        ))
    }
}

impl<A: Aggregate> States for Folding<A> {
    fn fold(&mut self, event: &RecordedEvent) -> io::Result<bool> {
        self.check_is_next(event)?;
        let mut state = self.state.take().ok_or_else(no_state)?;
        let record = event.record();
        let is_known = fold_stored(&mut state, event.stored(&record))?;
        self.state = Some(state);
        self.id.get_or_insert_with(|| event.id().to_owned());
        self.version += 1;
        Ok(is_known)
    }

    fn json(&self) -> io::Result<String> {
        let state = self.state.as_ref().ok_or_else(no_state)?;
        let unwritable = |cause: String| {
            let text = format!(
                "the state of an aggregate of type `{}` at version {} cannot be written as JSON: {cause}",
                A::AGGREGATE_TYPE,
                self.version
            );
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        match guarded(|| serde_json::to_string(state)) {
            Ok(written) => written.map_err(|error| unwritable(error.to_string())),
            Err(panic) => Err(unwritable(panic_message(&*panic))),
        }
    }
}

fn no_state() -> io::Error {
    let text = "an earlier event could not be folded, so there is no state";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::__private::example::Counter;
    use crate::event::{Recorded, StoredEvent};

    fn event(id: &str, version: u64, name: &str, data: &str) -> RecordedEvent {
        let record = Recorded {
            aggregate_type: "counter",
            id,
            version,
            ..Recorded::NOTHING
        };
        RecordedEvent::new(StoredEvent::new(name, data).with_record(&record))
    }

    #[test]
    fn the_state_after_each_event_is_told_as_json() {
        let mut states = states_of::<Counter>();
        assert_eq!(states.json().unwrap(), r#"{"value":0}"#);
        for (version, sum) in [(1, 5), (2, 10)] {
            let added = event("c-1", version, "Added", r#"{"amount":5}"#);
            assert!(states.fold(&added).unwrap());
            assert_eq!(states.json().unwrap(), format!(r#"{{"value":{sum}}}"#));
        }
        // A counter leaves out events that it does not know.
        assert!(!states.fold(&event("c-1", 3, "Removed", "{}")).unwrap());
        assert_eq!(states.json().unwrap(), r#"{"value":10}"#);
    }

    #[test]
    fn only_the_next_event_of_the_same_stream_is_folded() {
        let mut states = states_of::<Counter>();
        states
            .fold(&event("c-1", 1, "Added", r#"{"amount":5}"#))
            .unwrap();
        for (id, version) in [("c-1", 1), ("c-1", 3), ("c-2", 2)] {
            let other = event(id, version, "Added", r#"{"amount":5}"#);
            let error = states.fold(&other).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("must be version 2"), "{error}");
        }
        assert_eq!(states.json().unwrap(), r#"{"value":5}"#);
    }

    #[test]
    fn after_an_event_that_cannot_be_read_there_is_no_state() {
        let mut states = states_of::<Counter>();
        let error = states.fold(&event("c-1", 1, "Added", "{}")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(
            error.to_string().contains("stream counter/c-1, version 1"),
            "{error}"
        );
        assert_eq!(
            states.json().unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
