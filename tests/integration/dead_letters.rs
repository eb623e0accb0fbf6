//! Commands of process managers that fail: tried again, given up, listed, replayed, dropped.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use eventfold_es::{
    AggregateStore, CommandBus, CommandContext, CommandEnvelope, DispatchError, ManualClock,
    ReplayError,
};
use serde_json::json;

use crate::support::scripted::{
    Gate, GateCommand, clock, command, open_live, open_on_demand, passed, run, seconds, tell,
};
use crate::support::{Door, TempDir, check, check_report, copy, temp_dir};

mod damage;

fn file(dir: &Path) -> PathBuf {
    dir.join("process_managers/scripted/dead_letters.jsonl")
}

async fn open_as(is_live: bool, dir: &TempDir, clock: &ManualClock) -> AggregateStore {
    if is_live {
        open_live(dir, clock).await
    } else {
        open_on_demand(dir, clock).await
    }
}

fn waiting(store: &AggregateStore) -> usize {
    store.read_side().process_managers[0].outgoing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_is_retried_before_later_ones_to_its_target_and_other_targets_go_on() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 1").await;
    tell(&store, "send shut 2").await;
    tell(&store, "send other 3").await;
    run(&store).await;
    assert_eq!(passed(&store, "other").await, [3]);
    assert_eq!(waiting(&store), 2);
    // The clock stands still, so it was tried once. The gate opens before the second time.
    command(&store, "shut", GateCommand::Open).await;
    run(&store).await;
    assert!(passed(&store, "shut").await.is_empty());
    clock.advance(seconds(1));
    run(&store).await;
    assert_eq!(passed(&store, "shut").await, [1, 2]);
    assert_eq!(waiting(&store), 0);
    assert_eq!(store.read_side().process_managers[0].dead_letters, Some(0));
    store.shutdown().await.unwrap();
    check(&dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_refused_as_often_as_configured_becomes_a_dead_letter_and_blocks_nobody() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 1").await;
    for attempt in 1..3 {
        assert_eq!(run(&store).await, (0, 0), "after attempt {attempt}");
        assert_eq!(waiting(&store), 1);
        clock.advance(seconds(1));
    }
    // What counts is that it is given up, not when the run that is asked for sees that.
    crate::support::eventually("it is given up", || waiting(&store) == 0).await;
    let letters = store.dead_letters("scripted").unwrap();
    let letter = letters.list().await.unwrap().remove(0);
    assert_eq!(letter.attempts, 3);
    assert_eq!(letter.time, clock.now());
    assert!(
        letter.error.contains("1 comes to a shut gate"),
        "{letter:?}"
    );
    assert_eq!(letter.envelope.instance_id, "shut");
    let context = &letter.envelope.context;
    assert_eq!(context.correlation_id.as_deref(), Some("r-1"));
    assert_eq!(letters.get(&letter.id).await.unwrap().unwrap().attempts, 3);
    assert_eq!(store.read_side().process_managers[0].dead_letters, Some(1));
    command(&store, "shut", GateCommand::Open).await;
    tell(&store, "send shut 2").await;
    run(&store).await;
    assert_eq!(passed(&store, "shut").await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_an_unregistered_aggregate_becomes_a_dead_letter_at_once() {
    let dir = temp_dir();
    let clock = clock();
    let builder = crate::support::builder(&dir)
        .clock(clock.clone())
        .process_manager::<crate::support::scripted::Scripted>()
        .live();
    let store = builder.open().await.unwrap();
    tell(&store, "send g 1").await;
    run(&store).await;
    let letters = store.dead_letters("scripted").unwrap().list().await;
    let letter = letters.unwrap().remove(0);
    assert!(letter.error.starts_with("unknown aggregate type: gate"));
    assert_eq!(letter.attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replaying_a_dead_letter_works_and_removes_it() {
    for is_live in [false, true] {
        let dir = temp_dir();
        let clock = clock();
        let store = open_on_demand(&dir, &clock).await;
        command(&store, "g", GateCommand::Shut).await;
        for number in 1..=3 {
            tell(&store, &format!("send g {number}")).await;
        }
        assert_eq!(run(&store).await, (0, 3));
        store.shutdown().await.unwrap();
        drop(store);

        let store = open_as(is_live, &dir, &clock).await;
        let letters = store.dead_letters("scripted").unwrap();
        let ids: Vec<String> = letters
            .list()
            .await
            .unwrap()
            .into_iter()
            .map(|l| l.id)
            .collect();
        assert_eq!(ids.len(), 3);
        // It fails again, and is what it was but for the error and the attempts.
        let failed = letters.replay(&ids[0]).await.unwrap_err();
        assert!(
            matches!(&failed, ReplayError::Failed(DispatchError::Execution(_))),
            "{failed:?}"
        );
        let again = letters.get(&ids[0]).await.unwrap().unwrap();
        assert_eq!(again.attempts, 2);

        command(&store, "g", GateCommand::Open).await;
        letters.replay(&ids[1]).await.unwrap();
        assert_eq!(passed(&store, "g").await, [2]);
        assert!(letters.get(&ids[1]).await.unwrap().is_none());
        let missing = letters.replay(&ids[1]).await.unwrap_err();
        assert!(matches!(missing, ReplayError::Io(e) if e.kind() == ErrorKind::NotFound));
        letters.discard(&ids[2]).await.unwrap();
        assert_eq!(
            letters.discard(&ids[2]).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let report = letters.replay_all().await.unwrap();
        assert_eq!((report.dispatched, report.dead_lettered), (1, 0));
        assert!(letters.list().await.unwrap().is_empty());
        assert_eq!(passed(&store, "g").await, [2, 1]);
        drop(letters);
        store.shutdown().await.unwrap();
        drop(store);

        let store = open_on_demand(&dir, &clock).await;
        assert_eq!(run(&store).await, (0, 0));
        assert_eq!(passed(&store, "g").await, [2, 1]);
        store.shutdown().await.unwrap();
        check_report(&dir).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replaying_all_sends_each_once_in_order_and_keeps_those_that_fail_again() {
    for is_live in [false, true] {
        let dir = temp_dir();
        let clock = clock();
        let store = open_on_demand(&dir, &clock).await;
        for gate in ["g", "h"] {
            command(&store, gate, GateCommand::Shut).await;
        }
        // More than are replayed together.
        for number in 0..300 {
            let gate = if number % 3 == 0 { "h" } else { "g" };
            tell(&store, &format!("send {gate} {number}")).await;
        }
        assert_eq!(run(&store).await, (0, 300));
        command(&store, "g", GateCommand::Open).await;
        store.shutdown().await.unwrap();
        drop(store);

        let store = open_as(is_live, &dir, &clock).await;
        let letters = store.dead_letters("scripted").unwrap();
        let before = letters.list().await.unwrap();
        let report = letters.replay_all().await.unwrap();
        assert_eq!((report.dispatched, report.dead_lettered), (200, 100));
        let (failing, others): (Vec<u64>, Vec<u64>) = (0..300).partition(|number| number % 3 == 0);
        assert_eq!(passed(&store, "g").await, others);
        assert_eq!(waiting(&store), 0);
        let after = letters.list().await.unwrap();
        let ids = after.iter().map(|letter| &letter.id);
        let failed = before.iter().filter(|l| l.envelope.instance_id == "h");
        assert!(ids.eq(failed.map(|letter| &letter.id)));
        assert!(after.iter().all(|letter| letter.attempts == 2));

        command(&store, "h", GateCommand::Open).await;
        let report = letters.replay_all().await.unwrap();
        assert_eq!((report.dispatched, report.dead_lettered), (100, 0));
        assert_eq!(passed(&store, "h").await, failing);
        drop(letters);
        store.shutdown().await.unwrap();
        drop(store);
        let store = open_on_demand(&dir, &clock).await;
        assert_eq!(run(&store).await, (0, 0));
        assert_eq!(store.read_side().process_managers[0].dead_letters, Some(0));
        store.shutdown().await.unwrap();
        check(&dir);
    }
}

/// The moments of a replay at which the program can end, each as it is found on disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_cut_short_takes_effect_once_however_many_commands_its_target_took_since() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    command(&store, "g", GateCommand::Shut).await;
    tell(&store, "send g 1").await;
    assert_eq!(run(&store).await, (0, 1));
    command(&store, "g", GateCommand::Open).await;
    let letters = store.dead_letters("scripted").unwrap();
    let id = letters.list().await.unwrap().remove(0).id;
    store.shutdown().await.unwrap();
    let before = copy(dir.path());
    drop((store, letters));

    // The command is in the outbox and about to be sent: its gate is another type by now.
    let builder = || {
        crate::support::builder(&dir)
            .clock(clock.clone())
            .process_manager::<crate::support::scripted::Scripted>()
            .aggregate_type::<Gate>()
    };
    let store = builder().open().await.unwrap();
    store
        .dead_letters("scripted")
        .unwrap()
        .replay(&id)
        .await
        .unwrap();
    let checkpoint = "process_managers/scripted/journal_checkpoint.json";
    // More commands under keys than the gate remembers.
    let gate = store.get::<Gate>("g").await.unwrap();
    for number in 10..1_110 {
        let context = CommandContext::default().with_idempotency_key(format!("k{number}"));
        gate.send_with(GateCommand::Pass(number), context)
            .await
            .unwrap();
    }
    store.shutdown().await.unwrap();
    drop((gate, store));

    // As it is if the program ended between the effect and the note of it.
    let with_letter = copy(before.path());
    let outbox = replayed_outbox(before.path(), &id);
    for entry in ["journal", "streams", "lock"] {
        let _ = std::fs::remove_dir_all(with_letter.path().join(entry));
        if dir.path().join(entry).is_dir() {
            crate::support::files::copy_into(
                &dir.path().join(entry),
                &with_letter.path().join(entry),
            );
        }
    }
    std::fs::write(with_letter.path().join(checkpoint), outbox).unwrap();
    std::fs::remove_file(file(with_letter.path())).unwrap();
    let store = open_on_demand(&with_letter, &clock).await;
    assert_eq!(waiting(&store), 0, "its effect was found");
    assert_eq!(run(&store).await, (0, 0));
    let passed = passed(&store, "g").await;
    assert_eq!(passed.iter().filter(|number| **number == 1).count(), 1);
    assert_eq!(passed.len(), 1_101);
}

/// The checkpoint that a replay of the dead letter `id` writes before it sends the command.
fn replayed_outbox(before: &Path, id: &str) -> Vec<u8> {
    let letter = std::fs::read_to_string(file(before)).unwrap();
    let letter: serde_json::Value = serde_json::from_str(letter.trim()).unwrap();
    let checkpoint = before.join("process_managers/scripted/journal_checkpoint.json");
    let checkpoint = std::fs::read_to_string(checkpoint).unwrap();
    let mut checkpoint: serde_json::Value = serde_json::from_str(&checkpoint).unwrap();
    let position = &checkpoint["position"];
    let mut journal = 0;
    for line in crate::support::journal(before) {
        journal = line.number("pos") + line.events().len() as u64 - 1;
    }
    assert!(position.as_u64().unwrap() <= journal);
    checkpoint["pending"]["outgoing"] = json!([{
        "number": 100,
        "letter": id,
        "attempts": 1,
        "since": journal,
        "envelope": letter["envelope"],
    }]);
    let pending = checkpoint["pending"].to_string();
    let (position, state) = (&checkpoint["position"], &checkpoint["state"]);
    let body = format!(r#"{{"position":{position},"pending":{pending},"state":{state}"#);
    let sum = xxhash_rust::xxh3::xxh3_64(body.as_bytes());
    format!(r#"{body},"sum":"{sum:016x}"}}"#).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_0_2_0_wrote_are_listed_and_replayed() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    store.shutdown().await.unwrap();
    drop(store);
    let letter = |number: u64| {
        json!({
            "envelope": {
                "aggregate_type": "gate",
                "instance_id": "g",
                "command": { "type": "Pass", "data": number },
                "context": { "actor": null, "correlation_id": "r-2", "metadata": null },
            },
            "error": "no",
            "ts": 1_700_000_000,
        })
    };
    let old = format!("{}\n{}\n{}\n", letter(1), letter(1), letter(2));
    std::fs::create_dir_all(file(dir.path()).parent().unwrap()).unwrap();
    std::fs::write(file(dir.path()), &old).unwrap();
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");

    let store = open_on_demand(&dir, &clock).await;
    let letters = store.dead_letters("scripted").unwrap();
    let all = letters.list().await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all[0].id != all[1].id && all[1].id != all[2].id);
    let since = all[0].time.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_700_000_000);
    letters.replay(&all[2].id).await.unwrap();
    letters.replay(&all[1].id).await.unwrap();
    assert_eq!(passed(&store, "g").await, [2, 1]);
    let event = store.read_events("gate", "g").await.unwrap().remove(0);
    assert_eq!(event.meta.unwrap()["correlation_id"], "r-2");
    // One that fails again is one of ours from then on.
    command(&store, "g", GateCommand::Shut).await;
    letters
        .replay(&letters.list().await.unwrap()[0].id)
        .await
        .unwrap_err();
    let left = letters.list().await.unwrap();
    assert_eq!((left.len(), left[0].attempts), (1, 2));
    assert_eq!(left[0].time, clock.now());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_json_is_executed_or_fails_with_the_cause() {
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    let bus = CommandBus::new(store.clone());
    let envelope = |aggregate_type: &str, id: &str, command| CommandEnvelope {
        aggregate_type: aggregate_type.to_owned(),
        instance_id: id.to_owned(),
        command,
        context: CommandContext::default().with_idempotency_key("k"),
    };
    let pass = json!({ "type": "Pass", "data": 5 });
    for _ in 0..2 {
        bus.dispatch_envelope(envelope("gate", "g", pass.clone()))
            .await
            .unwrap();
    }
    assert_eq!(passed(&store, "g").await, [5]);

    let unregistered = bus
        .dispatch_envelope(envelope("door", "g", pass.clone()))
        .await;
    assert!(matches!(unregistered, Err(DispatchError::UnknownAggregateType(t)) if t == "door"));
    let unknown = json!({ "type": "Fly" });
    let unknown = bus.dispatch_envelope(envelope("gate", "g", unknown)).await;
    assert!(matches!(unknown, Err(DispatchError::Deserialization(_))));
    let nowhere = bus
        .dispatch_envelope(envelope("gate", "", pass.clone()))
        .await;
    assert!(matches!(nowhere, Err(DispatchError::Io(e)) if e.kind() == ErrorKind::InvalidInput));
    command(&store, "h", GateCommand::Shut).await;
    let refused = bus.dispatch_envelope(envelope("gate", "h", pass)).await;
    assert!(matches!(refused, Err(DispatchError::Execution(_))));
}

/// One thread for blocking work, which is taken, holds a replay up until the store is shut down.
#[test]
fn a_replay_interrupted_by_a_shutdown_keeps_the_dead_letter() {
    let dir = temp_dir();
    let clock = clock();
    let runtime = |blocking| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(blocking)
            .enable_all()
            .build()
            .unwrap()
    };
    let (many, one) = (runtime(8), runtime(1));
    let store = many.block_on(async {
        let store = open_on_demand(&dir, &clock).await;
        command(&store, "g", GateCommand::Shut).await;
        tell(&store, "send g 1").await;
        assert_eq!(run(&store).await, (0, 1));
        command(&store, "g", GateCommand::Open).await;
        store
    });
    let letters = store.dead_letters("scripted").unwrap();
    let id = many.block_on(letters.list()).unwrap().remove(0).id;
    let door = Door::default();
    let closed = door.clone();
    one.spawn_blocking(move || closed.pass());
    let (begun, begins) = std::sync::mpsc::channel();
    let replay = {
        let letters = letters.clone();
        one.spawn(async move {
            let replay = letters.replay(&id);
            let mut replay = std::pin::pin!(replay);
            std::future::poll_fn(|context| {
                let polled = replay.as_mut().poll(context);
                let _ = begun.send(());
                polled
            })
            .await
        })
    };
    begins.recv().unwrap();
    many.block_on(store.shutdown()).unwrap();
    door.open();
    let error = many.block_on(replay).unwrap().unwrap_err();
    assert!(
        matches!(&error, ReplayError::Io(error) if error.kind() == ErrorKind::NotConnected),
        "{error:?}"
    );
    drop((letters, store));
    many.block_on(async {
        let store = open_on_demand(&dir, &clock).await;
        let letters = store.dead_letters("scripted").unwrap();
        assert_eq!(letters.list().await.unwrap().len(), 1);
        assert!(passed(&store, "g").await.is_empty());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_command_is_not_sent_after_a_crash() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    // No gate has such an id, so another attempt makes no sense.
    tell(&store, &format!("send {} 1", "x".repeat(10_000))).await;
    run(&store).await;
    let letters = store.dead_letters("scripted").unwrap();
    let id = letters.list().await.unwrap().remove(0).id;
    letters.discard(&id).await.unwrap();
    let image = copy(dir.path());
    let store = open_on_demand(&image, &clock).await;
    assert_eq!(waiting(&store), 0);
    assert_eq!(run(&store).await, (0, 0));
}
