//! A store that is larger than what the command may keep. `benches/big_store.rs` is the long form.

#[path = "../../benches/big_store/store.rs"]
mod store;

use std::path::Path;

use store::{make, measure};

#[test]
fn memory_does_not_grow_with_the_events() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), 2_000, 60_000);
    let command = Path::new(env!("CARGO_BIN_EXE_eventfold"));
    for args in [
        &["ls"][..],
        &["stats"],
        &["log", "--since", "1h"],
        &["search", "nowhere"],
    ] {
        let measured = measure(command, dir.path(), args);
        println!("{args:?}: {:?}, {:?} KiB", measured.time, measured.peak_kib);
        if let Some(memory) = measured.peak_kib {
            assert!(memory < 64 * 1024, "{args:?} took {memory} KiB");
        }
    }
}
