//! The file of dead letters when something is wrong with it: what is cut off and what is refused.

use std::io::ErrorKind;
use std::path::Path;

use eventfold_es::{AggregateStore, Severity};

use super::{file, waiting};
use crate::support::files::edit;
use crate::support::scripted::{GateCommand, clock, command, open_live, open_on_demand, run, tell};
use crate::support::{copy, temp_dir};

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_dead_letter_is_named_and_never_sent() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    command(&store, "g", GateCommand::Shut).await;
    tell(&store, "send g 123").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    let whole = std::fs::read(file(dir.path())).unwrap();
    for at in (0..whole.len()).step_by(7) {
        edit(&file(dir.path()), |bytes| bytes[at] ^= 1);
        let store = open_on_demand(&dir, &clock).await;
        let letters = store.dead_letters("scripted").unwrap();
        let error = letters.list().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let path = file(dir.path());
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(store.read_side().process_managers[0].dead_letters, None);
        letters.replay_all().await.unwrap_err();
        drop(letters);
        store.shutdown().await.unwrap();
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(
            report.findings.iter().any(|f| f.file == path),
            "{at}: {report}"
        );
        std::fs::write(&path, &whole).unwrap();
    }
}

/// What a power failure may leave of a line: sectors of anything, the line's end among them.
const TAILS: [&[u8]; 4] = [
    b"{\"envelope\":{\"aggre",
    b"{\"envelope\":\0\0\0",
    b"\0\0\0\0\n",
    b"\xf3\x07garb\nled\x80\",\"sum\":\"0123456789abcdef\"}\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn only_an_unfinished_line_is_cut_off() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    tell(&store, &format!("send {} 1", "x".repeat(10_000))).await;
    run(&store).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 2").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    assert!(file(dir.path()).exists());
    let whole = std::fs::read(file(dir.path())).unwrap();

    for tail in TAILS {
        let image = copy(dir.path());
        edit(&file(image.path()), |bytes| bytes.extend_from_slice(tail));
        let store = open_on_demand(&image, &clock).await;
        assert_eq!(waiting(&store), 1);
        assert_eq!(store.read_side().process_managers[0].dead_letters, Some(1));
        drop(store);
        assert_eq!(std::fs::read(file(image.path())).unwrap(), whole);
    }

    // One that was durable is damaged, others behind it are not.
    let image = copy(dir.path());
    edit(&file(image.path()), |bytes| {
        bytes.splice(0..0, *b"{\"envelope\":{\"aggre\0\n");
    });
    let store = open_on_demand(&image, &clock).await;
    let letters = store.dead_letters("scripted").unwrap();
    assert_eq!(
        letters.list().await.unwrap_err().kind(),
        ErrorKind::InvalidData
    );
    let kept = std::fs::read(file(image.path())).unwrap();
    assert!(kept.ends_with(&whole));
}

/// What `verify` finds in the file of dead letters.
async fn found_in_letters(dir: &Path) -> Vec<(Severity, u64)> {
    let report = AggregateStore::verify(dir).await.unwrap();
    let findings = report.findings.into_iter();
    findings
        .filter(|finding| finding.file == file(dir))
        .map(|finding| (finding.severity, finding.offset.unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_reports_the_dead_letters_that_opening_cuts_off_or_refuses() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    tell(&store, &format!("send {} 1", "x".repeat(10_000))).await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    // Nothing is on its way, so the file was finished: nothing may be cut off.
    let idle = copy(dir.path());
    let store = open_live(&dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 2").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    let whole = std::fs::read(file(dir.path())).unwrap();
    let end = whole.len() as u64;

    for (from, is_cut_off) in [(dir.path(), true), (idle.path(), false)] {
        assert!(found_in_letters(from).await.is_empty());
        for tail in TAILS {
            let image = copy(from);
            edit(&file(image.path()), |bytes| bytes.extend_from_slice(tail));
            let found = found_in_letters(image.path()).await;
            let store = open_on_demand(&image, &clock).await;
            let letters = store.dead_letters("scripted").unwrap();
            let listed = letters.list().await;
            if is_cut_off {
                assert_eq!(found, [(Severity::Harmless, end)], "{tail:?}");
                assert_eq!(listed.unwrap().len(), 1);
                assert_eq!(std::fs::read(file(image.path())).unwrap(), whole);
            } else {
                assert_eq!(found[0], (Severity::Lost, end), "{tail:?}");
                assert!(
                    found
                        .iter()
                        .all(|(severity, _)| *severity == Severity::Lost)
                );
                let error = listed.unwrap_err().to_string();
                assert!(error.contains(&format!("at byte {end}")), "{error}");
            }
        }
    }

    // Each damaged line is found, those with readable ones behind them too; the end is cut off.
    edit(&file(dir.path()), |bytes| {
        bytes.splice(0..0, *b"{\"envelope\":{\"aggre\0\nnonsense\n");
        bytes.extend_from_slice(TAILS[0]);
    });
    let damaged = [(Severity::Lost, 0), (Severity::Lost, 21)];
    let mut found = found_in_letters(dir.path()).await;
    assert_eq!(
        found.pop().map(|(severity, _)| severity),
        Some(Severity::Harmless)
    );
    assert_eq!(found, damaged);
    drop(open_on_demand(&dir, &clock).await);
    assert!(!std::fs::read(file(dir.path())).unwrap().ends_with(TAILS[0]));
}
