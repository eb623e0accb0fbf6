//! An event as an import reads it: [`ExportedEvent`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use crate::event::Tags;
use crate::ids::{Position, StreamId, Version};

/// An event of an export, before it is stored. [`Import::map`](crate::Import::map) changes it or drops
/// it.
///
/// The payload is as it was stored: under its stored name, in the version of that time.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (old, new) = (AggregateStore::in_memory().open().await?, AggregateStore::in_memory().open().await?);
/// # old.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// # let (lines, _) = old.export().write_to(Vec::new()).await?;
/// # let lines = std::io::Cursor::new(lines);
/// let import = new.import(lines).map(|mut event| {
///     if event.name == "Forgotten" {
///         return Ok(None); // it is not imported
///     }
///     if let Some(stream) = event.stream {
///         let id = format!("eu-{}", stream.id());
///         event.stream = Some(StreamId::new(stream.aggregate_type(), &id)?);
///     }
///     // The other events of the stream move up.
///     event.version = None;
///     Ok(Some(event))
/// });
/// import.await?;
/// assert_eq!(new.get::<Counter>("eu-c-1").await?.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportedEvent {
    /// The stream. `None` for an event that belongs to no aggregate.
    pub stream: Option<StreamId>,
    /// The version that the event must get in its stream. With `None` it gets the next one.
    pub version: Option<Version>,
    /// The position in the store that it comes from, if it is known.
    pub position: Option<Position>,
    /// The stored name.
    pub name: String,
    /// Its own id, by which it is recognised if it is imported again.
    pub event_id: Option<String>,
    /// When it happened, in milliseconds since 1970.
    pub unix_millis: u64,
    /// Who sent the command.
    pub actor: Option<String>,
    /// The idempotency key of the command.
    pub key: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// The fingerprint of the command with the key.
    pub(crate) command: Option<String>,
    pub(crate) meta: Option<Box<RawValue>>,
    pub(crate) data: Box<RawValue>,
}

impl ExportedEvent {
    /// The payload as JSON text.
    ///
    /// See the example of [`set_payload`](Self::set_payload).
    #[must_use]
    pub fn data(&self) -> &str {
        self.data.get()
    }

    /// The payload as a `T`, `serde_json::Value` for example.
    ///
    /// # Errors
    ///
    /// If the payload is not a `T`.
    ///
    /// See the example of [`set_payload`](Self::set_payload).
    pub fn payload<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.data.get())
    }

    /// Replaces the payload.
    ///
    /// # Errors
    ///
    /// If `payload` cannot be written as JSON.
    ///
    /// ```
    /// # use eventfold_es::ExportedEvent;
    /// fn without_address(mut event: ExportedEvent) -> serde_json::Result<ExportedEvent> {
    ///     if event.data().contains("\"address\"") {
    ///         let mut payload: serde_json::Map<_, _> = event.payload()?;
    ///         payload.remove("address");
    ///         event.set_payload(&payload)?;
    ///     }
    ///     Ok(event)
    /// }
    /// ```
    pub fn set_payload<T: Serialize + ?Sized>(&mut self, payload: &T) -> serde_json::Result<()> {
        self.data = to_raw_value(payload)?;
        Ok(())
    }

    /// The metadata as JSON text: correlation, causation, the version of the payload's shape, and what
    /// the application added.
    ///
    /// See the example of [`set_metadata`](Self::set_metadata).
    #[must_use]
    pub fn meta(&self) -> Option<&str> {
        self.meta.as_deref().map(RawValue::get)
    }

    /// Replaces the metadata, a JSON object.
    ///
    /// # Errors
    ///
    /// If `metadata` cannot be written as JSON. If it is no object, the import fails.
    ///
    /// ```
    /// # use eventfold_es::ExportedEvent;
    /// fn without_ip(mut event: ExportedEvent) -> serde_json::Result<ExportedEvent> {
    ///     if let Some(meta) = event.meta() {
    ///         let mut meta: serde_json::Map<_, _> = serde_json::from_str(meta)?;
    ///         meta.remove("ip");
    ///         event.set_metadata(&meta)?;
    ///     }
    ///     Ok(event)
    /// }
    /// ```
    pub fn set_metadata<T: Serialize + ?Sized>(&mut self, metadata: &T) -> serde_json::Result<()> {
        self.meta = Some(to_raw_value(metadata)?);
        Ok(())
    }
}
