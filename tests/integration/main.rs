//! What the public interface promises, one module a subject.

mod commands;
mod concurrency;
mod derive;
mod disk;
mod support;
