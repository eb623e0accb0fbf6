//! Stores whose streams are on another file system, by a mount or a link.

use crate::storage::files::crash::{Account, Note, open, runtime, temp_dir};
use crate::storage::files::disk::faults::{Choices, Watch};

/// Enough for checkpoints of more than are synced each on its own.
const STREAMS: u64 = 50;

#[test]
fn a_checkpoint_makes_streams_on_every_file_system_durable() {
    let places: [&[&str]; 5] = [
        &[],
        &["streams"],
        &["streams/account"],
        &["streams/account/a7", "streams/account/a8"],
        &["streams", "streams/account/a7"],
    ];
    for mounts in places {
        let dir = temp_dir();
        let watch = Watch::start(dir.path());
        for mount in mounts {
            watch.mount(dir.path().join(mount));
        }
        runtime().block_on(async {
            // The second time they are known from the beginning.
            for _ in 0..2 {
                let store = open(dir.path()).await.expect("the disk works");
                for number in 0..STREAMS {
                    let account = store.get::<Account>(&format!("a{number}")).await;
                    let note = Note {
                        number,
                        count: 1,
                        padding: 0,
                    };
                    let account = account.expect("it is open");
                    account.send(note).await.expect("the disk works");
                }
                store.shutdown().await.expect("the disk works");
            }
        });
        let log = watch.stop();
        let left = temp_dir();
        log.image(log.end(), &mut Choices::new(1), left.path())
            .expect("there is space");
        runtime().block_on(async {
            let store = open(left.path()).await.expect("it was closed in order");
            for number in 0..STREAMS {
                let account = store.get::<Account>(&format!("a{number}")).await;
                let state = account.expect("it is open").state().await;
                let state = state.unwrap_or_else(|error| panic!("{mounts:?}: {error}"));
                assert_eq!(state.numbers, [number, number], "{mounts:?}");
            }
        });
    }
}
