//! Other tools open the file while the store writes to it.

use std::path::Path;
use std::process::Command;

use crate::shop::{Orders, by_plain_sql, open_live, orders, place};

/// What the shell of SQLite answers.
fn sqlite3(file: &Path, sql: &str) -> String {
    let output = Command::new("sqlite3")
        .args(["-readonly", "-bail", "-cmd", ".timeout 5000"])
        .arg(file)
        .arg(sql)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_of_sqlite_reads_the_file_meanwhile() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `sqlite3`");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open_live(&dir).await;
    let path = store.sql::<Orders>().await.unwrap().path();
    let mut tasks = Vec::new();
    for writer in 0..4 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            for price in 0..300 {
                place(&store, &format!("o-{}", (price + writer) % 17), price).await;
            }
        }));
    }
    let shell = tokio::task::spawn_blocking(move || {
        let mut last = 0;
        for _ in 0..15 {
            assert_eq!(sqlite3(&path, "PRAGMA integrity_check"), "ok");
            // Rows and position are from one moment.
            let counts = sqlite3(
                &path,
                "SELECT coalesce(sum(items), 0), (SELECT position FROM eventfold_position) FROM orders",
            );
            let (items, position) = counts.split_once('|').unwrap();
            assert_eq!(items, position);
            let items: u64 = items.parse().unwrap();
            assert!(items >= last);
            last = items;
        }
    });
    for task in tasks {
        task.await.unwrap();
    }
    shell.await.unwrap();
    assert_eq!(orders(&store).await, by_plain_sql(&store).await);
    let error = store.read_side().projections[0].last_error.clone();
    assert_eq!(error, None);
}
