//! What the public interface promises, one module a subject.

mod compat;
mod derive;
