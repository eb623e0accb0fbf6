//! A subscriber of `tracing` that keeps what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;

/// The fields of a span or an event, as text.
pub(crate) type Fields = BTreeMap<&'static str, String>;

/// A span, or an event within one.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// A span's name, or an event's message.
    pub(crate) what: String,
    pub(crate) fields: Fields,
    /// The number of the span that it is in.
    pub(crate) parent: Option<usize>,
    pub(crate) metadata: &'static Metadata<'static>,
}

#[derive(Debug, Default)]
struct All {
    spans: Vec<Told>,
    events: Vec<Told>,
}

/// Keeps all spans and events of this crate's subjects up to a level. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    most: Level,
    all: Arc<Mutex<All>>,
}

thread_local! {
    /// The spans that this thread is in.
    static INSIDE: std::cell::RefCell<Vec<Id>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Told {
    /// The value of a field; empty if it has none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(crate) fn level(&self) -> Level {
        *self.metadata.level()
    }
}

impl Collector {
    pub(crate) fn up_to(most: Level) -> Self {
        Self {
            most,
            all: Arc::default(),
        }
    }

    /// Keeps what this thread tells until the guard is dropped.
    pub(crate) fn listen(&self) -> DefaultGuard {
        // While there is only one, `tracing` asks the subscriber of whatever thread first comes to a
        // place whether anybody listens there, and keeps the answer for all threads.
        static ANOTHER: LazyLock<Dispatch> =
            LazyLock::new(|| Dispatch::new(Collector::up_to(Level::ERROR)));
        LazyLock::force(&ANOTHER);
        tracing::subscriber::set_default(self.clone())
    }

    /// The spans of this name, with their numbers.
    pub(crate) fn spans(&self, name: &str) -> Vec<(usize, Told)> {
        let all = self.all.lock().unwrap();
        let spans = all.spans.iter().cloned().enumerate();
        spans.filter(|(_, span)| span.what == name).collect()
    }

    /// The events with this message.
    pub(crate) fn events(&self, message: &str) -> Vec<Told> {
        let all = self.all.lock().unwrap();
        let events = all.events.iter();
        events.filter(|e| e.what == message).cloned().collect()
    }

    fn add(
        &self,
        metadata: &'static Metadata<'static>,
        mut fields: Fields,
        parent: Option<usize>,
    ) -> usize {
        let mut all = self.all.lock().unwrap();
        let list = if metadata.is_span() {
            &mut all.spans
        } else {
            &mut all.events
        };
        let message = fields.remove("message");
        list.push(Told {
            what: message.unwrap_or_else(|| metadata.name().to_owned()),
            fields,
            parent,
            metadata,
        });
        list.len() - 1
    }
}

fn number(id: &Id) -> usize {
    usize::try_from(id.into_u64()).unwrap() - 1
}

fn present() -> Option<usize> {
    INSIDE.with_borrow(|inside| inside.last().map(number))
}

/// Takes fields down as text.
struct Texts<'a>(&'a mut Fields);

impl Visit for Texts<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Collector {
    /// Asked again each time: tests with other collectors run beside this one.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        *metadata.level() <= self.most
            && (target.starts_with("eventfold_es") || target.starts_with("integration"))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        span.record(&mut Texts(&mut fields));
        let parent = span.parent().map(number);
        let parent = parent.or_else(|| present().filter(|_| span.is_contextual()));
        let number = self.add(span.metadata(), fields, parent);
        Id::from_u64(number as u64 + 1)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut all = self.all.lock().unwrap();
        values.record(&mut Texts(&mut all.spans[number(span)].fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Texts(&mut fields));
        let parent = event.parent().map(number);
        self.add(event.metadata(), fields, parent.or_else(present));
    }

    fn enter(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(span.clone()));
    }

    fn exit(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| {
            let last = inside.iter().rposition(|id| id == span);
            last.map(|last| inside.remove(last));
        });
    }

    fn current_span(&self) -> Current {
        let all = self.all.lock().unwrap();
        match present() {
            Some(span) => {
                let id = Id::from_u64(span as u64 + 1);
                Current::new(id, all.spans[span].metadata)
            }
            None => Current::none(),
        }
    }
}
