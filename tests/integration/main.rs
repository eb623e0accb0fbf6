//! What the public interface promises, one module a subject.

mod commands;
mod compat;
mod concurrency;
mod derive;
mod disk;
mod support;
