//! The public conformance suite for stores of the specification Dynamic Consistency Boundary, on
//! files and in memory. `cargo test --test suite -- --show-output` names the rules that were skipped,
//! and why.

mod adapter;
mod fixtures;

use fixtures::{InFiles, InMemory};

happenstance_testkit::event_store_conformance!(mod_name = files, fixture = InFiles::new().await);
happenstance_testkit::event_store_conformance!(mod_name = memory, fixture = InMemory::new().await);

happenstance_testkit::event_store_concurrency_conformance!(
    mod_name = concurrency_in_files,
    fixture = InFiles::new().await
);
happenstance_testkit::event_store_concurrency_conformance!(
    mod_name = concurrency_in_memory,
    fixture = InMemory::new().await
);

happenstance_testkit::event_store_model_conformance!(
    mod_name = model_in_files,
    fixture = InFiles::new().await
);
happenstance_testkit::event_store_model_conformance!(
    mod_name = model_in_memory,
    fixture = InMemory::new().await
);
