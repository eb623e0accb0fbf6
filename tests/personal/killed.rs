//! A process that is killed while it forgets: the next one finishes it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use eventfold_es::AggregateStore;

use crate::domain::{Names, known};
use crate::support::{ANN, BOB, Place, customer, register};

const DIR: &str = "EVENTFOLD_FORGETS_IN";

/// Not a test of its own: forgets Ann, until it is killed. `place` has the directory.
#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_forgets() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let place = Place::at(dir.into());
    let store = place.open().await;
    println!("ready");
    store.forget("customer:42").await.unwrap();
    println!("forgotten");
    std::process::exit(0);
}

/// Starts the process, and kills it this long after it was ready. Whether it had said that it is done.
fn forget_and_be_killed(place: &Place, after: Duration) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_process_that_forgets", "--nocapture"])
        .env(DIR, place.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = lines.by_ref().any(|line| line.unwrap().ends_with("ready"));
    assert!(is_ready);
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    lines.any(|line| line.is_ok_and(|line| line.ends_with("forgotten")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_has_forgotten_or_the_next_one_finishes_it() {
    let (mut begun, mut done) = (0, 0);
    for round in 0..40_u32 {
        let place = Place::new();
        let store = place.open().await;
        register(&store, 42, ANN).await;
        register(&store, 7, BOB).await;
        store.projection::<Names>().unwrap();
        store.shutdown().await.unwrap();
        drop(store);
        assert_eq!(place.files_with(ANN).0.len(), 2);

        let was_done = forget_and_be_killed(&place, Duration::from_micros(150) * round);
        done += u32::from(was_done);
        let is_begun = place.data().join("meta/forgetting.json").exists();
        begun += u32::from(is_begun);
        let store = place.open().await;
        let ann = customer(&store, "c-42").await;
        if was_done || is_begun {
            assert!(ann.name.is_erased());
            assert_eq!(
                store.projection::<Names>().unwrap().by_id["c-42"],
                "(erased)"
            );
            assert_eq!(place.files_with(ANN).0, [""; 0]);
        } else if known(&ann.name) == ANN {
            // It was killed before it had begun, so nothing is lost.
            store.forget("customer:42").await.unwrap();
        }
        let bob = customer(&store, "c-7").await;
        assert_eq!(known(&bob.name), BOB);
        store.shutdown().await.unwrap();
        drop(store);
        assert_eq!(place.files_with(ANN).0, [""; 0]);
        let report = AggregateStore::verify(place.data()).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
    println!("of 40 processes {begun} were killed while they forgot, and {done} were done");
}
