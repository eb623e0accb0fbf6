//! Process managers in restored stores: each command takes effect once.

use super::*;
use crate::support::scripted::{Gate, GateCommand, command, open_live};
use eventfold_es::Continuation;

/// A store in which the process manager let 1 and 2 pass before the first backup, 3 and 4 before the
/// second, and 5 after it.
async fn with_two_backups(base: &Path, backup: &Path) -> [u64; 3] {
    let store = open_on_demand(base, &clock()).await;
    let mut positions = [0; 3];
    for (i, numbers) in [[1, 2], [3, 4], [5, 6]].into_iter().enumerate() {
        for number in numbers {
            tell(&store, &format!("send g {number}")).await;
        }
        run(&store).await;
        positions[i] = number(store.head());
        if i < 2 {
            store.backup(backup).await.unwrap();
        }
    }
    store.shutdown().await.unwrap();
    positions
}

async fn restored(backup: &Path, position: u64) -> (TempDir, Vec<(String, Continuation)>) {
    let dir = temp_dir();
    let restore = AggregateStore::restore(backup, dir.path());
    let report = restore.to(at(position)).await.unwrap();
    check(dir.path()).await;
    (dir, report.process_managers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_continues_from_the_newest_checkpoint_at_or_before_the_position() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let [first, second, _] = with_two_backups(dir.path(), backup.path()).await;
    for position in first..=second {
        let (dir, managers) = restored(backup.path(), position).await;
        let from = if position == second { second } else { first };
        let continuation = Continuation::Checkpoint(at(from));
        assert_eq!(managers, [("scripted".to_owned(), continuation)]);
        let told: Vec<u64> = commits(dir.path(), position)
            .iter()
            .flat_map(told)
            .collect();
        for _ in 0..2 {
            let store = open_on_demand(dir.path(), &clock()).await;
            run(&store).await;
            assert_eq!(passed(&store, "g").await, told, "at {position}");
            store.shutdown().await.unwrap();
            drop(store);
            check(dir.path()).await;
        }
        assert!(
            !dir.path()
                .join("process_managers/scripted/restored.json")
                .exists(),
            "it has caught up"
        );
        let store = open_on_demand(dir.path(), &clock()).await;
        tell(&store, "send g 77").await;
        run(&store).await;
        assert_eq!(passed(&store, "g").await.last(), Some(&77));
        store.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_checkpoint_a_restore_is_refused_or_begins_from_now_or_reacts_again() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let [first, ..] = with_two_backups(dir.path(), backup.path()).await;
    for position in 0..first {
        let to = temp_dir();
        let restore = || {
            let restore = AggregateStore::restore(backup.path(), to.path());
            restore.to(at(position))
        };
        let error = restore().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains("process manager `scripted`"),
            "{error}"
        );

        // The attempt that was refused is taken up.
        let again = restore().without_checkpoint(WithoutCheckpoint::ReactAgain);
        let report = again.await.unwrap();
        assert_eq!(report.process_managers[0].1, Continuation::ReactAgain);
        check(to.path()).await;
        let told: Vec<u64> = commits(to.path(), position).iter().flat_map(told).collect();
        let store = open_on_demand(to.path(), &clock()).await;
        run(&store).await;
        assert_eq!(passed(&store, "g").await, told, "at {position}");
        store.shutdown().await.unwrap();
        drop(store);
        check(to.path()).await;

        let to = temp_dir();
        let restore = AggregateStore::restore(backup.path(), to.path());
        let restore = restore.to(at(position));
        let from_now = restore.without_checkpoint(WithoutCheckpoint::FromNow);
        assert_eq!(
            from_now.await.unwrap().process_managers[0].1,
            Continuation::FromNow
        );
        check(to.path()).await;
        let store = open_on_demand(to.path(), &clock()).await;
        let before = passed(&store, "g").await;
        run(&store).await;
        assert_eq!(
            passed(&store, "g").await,
            before,
            "it reacts to nothing before"
        );
        tell(&store, "send g 9").await;
        run(&store).await;
        assert_eq!(passed(&store, "g").await, [before, vec![9]].concat());
        store.shutdown().await.unwrap();
        drop(store);
        check(to.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_dead_letters_and_waiting_commands_are_in_a_backup() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let (ours, theirs) = (clock(), clock());
    let store = open_on_demand(dir.path(), &ours).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 1").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    // Only a live store tries a command again.
    let store = open_live(dir.path(), &ours).await;
    tell(&store, "send shut 2").await;
    tell(&store, "later 60 key g 3").await;
    run(&store).await;
    let report = store.backup(backup.path()).await.unwrap();
    assert_eq!(report.process_managers, ["scripted"]);
    ours.advance(seconds(61));
    while passed(&store, "g").await.is_empty() {
        run(&store).await;
    }
    assert_eq!(passed(&store, "g").await, [3]);
    let later = store.backup(backup.path()).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);

    let (to, _) = restored(backup.path(), number(report.position)).await;
    let store = open_on_demand(to.path(), &theirs).await;
    let letters = store.dead_letters("scripted").unwrap();
    assert_eq!(letters.list().await.unwrap().len(), 1);
    let status = store.read_side();
    assert_eq!(status.process_managers[0].outgoing, 1);
    command(&store, "shut", GateCommand::Open).await;
    run(&store).await;
    theirs.advance(seconds(61));
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [3]);
    assert_eq!(passed(&store, "shut").await, [2]);
    store.shutdown().await.unwrap();
    drop((store, letters));
    check(to.path()).await;

    // The earlier checkpoint with the journal that has the timer's effect: it is not sent again.
    let newest = backup.path().join("backup/process_managers/scripted");
    let mut moments = files_below(&newest);
    std::fs::remove_file(moments.pop().unwrap()).unwrap();
    let (to, managers) = restored(backup.path(), number(later.position)).await;
    assert_eq!(managers[0].1, Continuation::Checkpoint(report.position));
    let store = open_on_demand(to.path(), &ours).await;
    for _ in 0..4 {
        run(&store).await;
        ours.advance(seconds(100));
    }
    assert_eq!(passed(&store, "g").await, [3]);
    store.shutdown().await.unwrap();
}

/// An aggregate remembers the keys of its last 1,000 commands.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_not_sent_again_however_many_commands_its_target_took_since() {
    let (dir, backup) = (fast_temp_dir(), temp_dir());
    let store = open_on_demand(dir.path(), &clock()).await;
    tell(&store, "send g 1").await;
    run(&store).await;
    store.backup(backup.path()).await.unwrap();
    tell(&store, "send g 2").await;
    run(&store).await;
    let gate = store.get::<Gate>("g").await.unwrap();
    for number in 0..=1_000 {
        let key = CommandContext::default().with_idempotency_key(format!("k-{number}"));
        gate.send_with(GateCommand::Open, key).await.unwrap();
    }
    let end = number(store.backup(backup.path()).await.unwrap().position);
    store.shutdown().await.unwrap();
    drop((store, gate));
    let kept = backup.path().join("backup/process_managers/scripted");
    std::fs::remove_file(files_below(&kept).pop().unwrap()).unwrap();
    let (to, _) = restored(backup.path(), end).await;
    let store = open_on_demand(to.path(), &clock()).await;
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [1, 2]);
    store.shutdown().await.unwrap();
}
