//! A full disk under the tables: the store goes on, and the tables too once there is room again.
//!
//! The disk is a small file system in memory. A process may mount one in a user namespace of its own
//! without being root, where the system allows it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use eventfold_es::{Running, SqlError};

use crate::shop::{Orders, by_plain_sql, note, open_live, orders, place, rows};

const DIR: &str = "EVENTFOLD_ES_FULL_DISK_DIR";

#[test]
#[ignore = "started by the test below, in a process of its own"]
fn works_on_a_small_disk() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    let filler = dir.join("projections/orders/filler");
    std::fs::write(&filler, vec![0; 20 << 20]).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open_live(dir).await;
        let text = "x".repeat(20_000);
        for number in 0..200 {
            let id = format!("o-{number}");
            place(&store, &id, 1).await;
            note(&store, &id, &text).await;
        }
        // Commands do not need the tables; whoever reads them hears what is wrong.
        let sql = store.sql::<Orders>().await.unwrap();
        let Err(SqlError::Follow(error)) = sql.query(|db| rows(db)).await else {
            panic!("there is no room for the tables");
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
        let text = error.to_string();
        assert!(text.contains("read model `orders`: "), "{text}");
        assert!(
            text.contains("v1.sqlite: database or disk is full"),
            "{text}"
        );
        let status = store.read_side().projections.remove(0);
        assert_eq!(status.running, Running::Live);
        assert_eq!(status.skipped_count, 0);

        std::fs::remove_file(&filler).unwrap();
        // A try is made each second.
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while store.read_side().projections[0].lag > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("the tables go on");
        assert_eq!(orders(&store).await, by_plain_sql(&store).await);
        store.shutdown().await.unwrap();
    });
    println!("it went on");
}

#[test]
fn a_full_disk_is_told_and_the_tables_go_on_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("projections/orders")).unwrap();
    let in_namespace = |command: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", command]);
        unshare
    };
    let allowed = in_namespace("mount -t tmpfs none /mnt").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no file system can be mounted in a user namespace");
        return;
    }
    let mount = "mount -t tmpfs -o size=24m none \"$EVENTFOLD_ES_FULL_DISK_DIR/projections/orders\" \
                 && exec \"$0\" \"$@\"";
    let output = in_namespace(mount)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::works_on_a_small_disk"])
        .args(["--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let (told, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("it went on"), "{told}\n{errors}");
}
