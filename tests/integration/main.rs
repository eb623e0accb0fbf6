//! What the public API promises, one module a subject.

mod compat;
