//! A power failure that leaves the last segment with its header only.

use crate::AggregateStore;
use crate::storage::files::crash::{Account, Note, open, runtime, temp_dir};
use crate::storage::files::format::commit_line::{Identity, write_header};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::segment_path;
use crate::storage::files::recovery::redo_point::RedoPoint;

#[test]
fn a_large_commit_after_a_lone_header_does_not_replace_the_segment() {
    let dir = temp_dir();
    runtime().block_on(async {
        open(dir.path()).await.unwrap().shutdown().await.unwrap();
        let journal = dir.path().join("journal");
        let mut header = Vec::new();
        write_header(&mut header, Identity::new(), 1, 0);
        let segment = segment_path(&journal, 1);
        let mut content = std::fs::read(&segment).unwrap();
        content[..header.len()].copy_from_slice(&header);
        std::fs::write(&segment, content).unwrap();
        let point = RedoPoint {
            end: End::of_empty(1, 0),
            clean: false,
        };
        point.write(&journal).unwrap();

        let store = open(dir.path()).await.unwrap();
        let account = store.get::<Account>("a0").await.unwrap();
        for number in 1..4 {
            let padding = 3_000;
            let note = Note {
                number,
                count: 2,
                padding,
            };
            account.send(note).await.unwrap();
        }
        store.shutdown().await.unwrap();
        drop((account, store));
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(report.is_clean(), "{report}");
        let store = open(dir.path()).await.unwrap();
        let account = store.get::<Account>("a0").await.unwrap();
        assert_eq!(account.state().await.unwrap().numbers, [1, 1, 2, 2, 3, 3]);
        store.shutdown().await.unwrap();
    });
}
