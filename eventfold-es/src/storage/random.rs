//! Numbers that tell stores and terms apart: [`random_number`].

use uuid::Uuid;

/// A number that is unlike every other one made here, and never 0.
pub(crate) fn random_number() -> i64 {
    // The bits of a random id, in which only a few are fixed.
    let (high, low) = Uuid::new_v4().as_u64_pair();
    ((high ^ low.rotate_left(32)) | 1).cast_signed()
}
