//! The JSON Schema of a type, if it offers one and the cargo feature `schema` is on.

use std::marker::PhantomData;

use crate::event::Schema;

/// The payload of a command or an event.
#[derive(Debug)]
pub struct SchemaOf<T>(PhantomData<T>);

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> SchemaOf<T> {
    pub const __SCHEMA: Schema = Some(|| {
        let generator = schemars::SchemaGenerator::default();
        generator.into_root_schema_for::<T>().to_value()
    });
}

/// For types without a schema. An inherent constant goes before a trait's.
pub trait NoSchema: Sized {
    const __SCHEMA: Schema = None;
}

impl<T> NoSchema for SchemaOf<T> {}
