//! What a process manager does about commands that fail: retries, `or_send`, `on_dead_letter`.

use std::collections::BTreeSet;
use std::path::Path;

use eventfold_es::{
    AggregateStore, Backoff, DeadLetter, FailureKind, ManualClock, OnFailure, Retry, Running,
};

use crate::support::scripted::{
    Gate, GateCommand, Scripted, builder as scripted_builder, clock, command, open_live,
    open_on_demand, passed, run, seconds, tell,
};
use crate::support::{TempDir, child, copy, eventually, fast_temp_dir, temp_dir, verify};

/// A store in which no command is tried again.
async fn open_hasty(dir: impl AsRef<Path>, clock: &ManualClock, is_live: bool) -> AggregateStore {
    let builder = crate::support::builder(dir)
        .clock(clock.clone())
        .process_manager_with::<Scripted>(OnFailure::Stop, Retry::none())
        .aggregate_type::<Gate>();
    let builder = if is_live { builder.live() } else { builder };
    builder.open().await.unwrap()
}

async fn open_with(dir: &TempDir, clock: &ManualClock, retry: Retry) -> AggregateStore {
    crate::support::builder(dir)
        .clock(clock.clone())
        .process_manager_with::<Scripted>(OnFailure::Stop, retry)
        .aggregate_type::<Gate>()
        .live()
        .open()
        .await
        .unwrap()
}

async fn letters(store: &AggregateStore) -> Vec<DeadLetter> {
    store
        .dead_letters("scripted")
        .unwrap()
        .list()
        .await
        .unwrap()
}

async fn shut(store: &AggregateStore, gates: &[&str]) {
    for gate in gates {
        command(store, gate, GateCommand::Shut).await;
    }
}

fn outgoing(store: &AggregateStore) -> usize {
    store.read_side().process_managers[0].outgoing
}

/// How many texts the process manager has in its state.
async fn texts(store: &AggregateStore) -> u64 {
    tell(store, "count").await;
    run(store).await;
    *passed(store, "count").await.last().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_is_not_tried_again_by_default_and_commands_behind_it_do_not_wait() {
    let dir = temp_dir();
    // The clock stands still, so a second attempt would never come.
    let store = open_with(&dir, &clock(), Retry::default()).await;
    shut(&store, &["g"]).await;
    tell(&store, "send g 1").await;
    tell(&store, "open g").await;
    tell(&store, "send g 2").await;
    eventually("the commands behind it are sent", || outgoing(&store) == 0).await;
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [2]);
    let letters = letters(&store).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].kind, Some(FailureKind::Refusal));
    assert_eq!(letters[0].attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_is_tried_again_if_retry_says_so() {
    let dir = temp_dir();
    let clock = clock();
    let backoff = Backoff::attempts(2).first(seconds(1));
    let store = open_with(&dir, &clock, Retry::none().on_refusal(backoff)).await;
    shut(&store, &["g"]).await;
    tell(&store, "send g 1").await;
    run(&store).await;
    assert_eq!(outgoing(&store), 1);
    command(&store, "g", GateCommand::Open).await;
    clock.advance(seconds(1));
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [1]);
    assert!(letters(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_behind_one_that_is_tried_again_wait_and_then_take_effect_in_order() {
    let dir = temp_dir();
    let clock = clock();
    let backoff = Backoff::attempts(9).first(seconds(1));
    let store = open_hasty(&dir, &clock, false).await;
    shut(&store, &["g"]).await;
    let numbers: Vec<u64> = (1..=40).collect();
    for number in &numbers {
        tell(&store, &format!("send g {number}")).await;
    }
    tell(&store, "send h 1").await;
    store.shutdown().await.unwrap();
    drop(store);

    let store = open_with(&dir, &clock, Retry::none().on_refusal(backoff)).await;
    run(&store).await;
    assert_eq!(passed(&store, "h").await, [1]);
    assert_eq!(outgoing(&store), 40);
    // Each of them would be let through now, but the first one waits for its time.
    command(&store, "g", GateCommand::Open).await;
    run(&store).await;
    assert_eq!(outgoing(&store), 40);
    clock.advance(seconds(1));
    run(&store).await;
    eventually("all are sent", || outgoing(&store) == 0).await;
    assert_eq!(passed(&store, "g").await, numbers);
    assert!(letters(&store).await.is_empty());
    let retried = &store.read_side().process_managers[0];
    assert_eq!(retried.retried, 1, "{retried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_is_replaced_by_its_or_send_and_leaves_no_dead_letter() {
    for is_live in [false, true] {
        let dir = temp_dir();
        let clock = clock();
        let store = open_hasty(&dir, &clock, is_live).await;
        shut(&store, &["shut"]).await;
        for script in ["either shut 1 g 2", "either g 3 h 4"] {
            tell(&store, script).await;
            run(&store).await;
            eventually("it has come to rest", || outgoing(&store) == 0).await;
        }
        assert_eq!(passed(&store, "g").await, [2, 3]);
        // That of a command that succeeds is not sent.
        assert!(passed(&store, "h").await.is_empty());
        assert!(letters(&store).await.is_empty());
        let event = store.read_events("gate", "g").await.unwrap().remove(0);
        assert_eq!(event.meta.unwrap()["correlation_id"], "r-1");

        // The first one can take effect no more, however the store goes on.
        command(&store, "shut", GateCommand::Open).await;
        store.shutdown().await.unwrap();
        drop(store);
        let store = open_hasty(&dir, &clock, is_live).await;
        assert_eq!(run(&store).await, (0, 0));
        assert!(passed(&store, "shut").await.is_empty());
        store.shutdown().await.unwrap();
        verify(dir.path());
    }
}

/// Keeps what the checkpoint has when a command to the gate is sent.
struct Saved {
    gate: &'static str,
    file: std::path::PathBuf,
    then: std::sync::Arc<std::sync::Mutex<Option<String>>>,
}

impl eventfold_es::Layer for Saved {
    fn before(&self, call: &mut eventfold_es::Call<'_>) -> Result<(), eventfold_es::Refused> {
        if call.id() == self.gate && call.process_manager().is_some() {
            *self.then.lock().unwrap() = Some(std::fs::read_to_string(&self.file)?);
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_a_failure_is_saved_in_place_of_the_failed_command_before_it_is_sent() {
    for (script, failing, gate) in [
        ("either shut 1 g 2", "shut", "g"),
        ("send answered-1 1", "answered-1", "answers"),
    ] {
        let dir = temp_dir();
        let then = std::sync::Arc::default();
        let layer = Saved {
            gate,
            file: dir
                .path()
                .join("process_managers/scripted/journal_checkpoint.json"),
            then: std::sync::Arc::clone(&then),
        };
        let builder = scripted_builder(&dir, &clock(), OnFailure::Stop);
        let store = builder.layer(layer).open().await.unwrap();
        shut(&store, &[failing]).await;
        tell(&store, script).await;
        assert_eq!(run(&store).await, (1, 0));
        let saved = then.lock().unwrap().take().unwrap();
        let has = |gate: &str| saved.contains(&format!("\"instance_id\":\"{gate}\""));
        assert!(has(gate) && !has(failing), "{script}: {saved}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_or_send_is_sent_after_the_last_attempt_and_not_before() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    shut(&store, &["shut"]).await;
    tell(&store, "either shut 1 g 2").await;
    for _ in 1..3 {
        run(&store).await;
        assert_eq!(outgoing(&store), 1);
        assert!(passed(&store, "g").await.is_empty());
        clock.advance(seconds(1));
    }
    eventually("it is given up", || outgoing(&store) == 0).await;
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [2]);
    assert!(letters(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_or_sends_the_first_that_succeeds_is_the_last_that_is_sent() {
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    shut(&store, &["a", "b"]).await;
    tell(&store, "either a 1 b 2 c 3 d 4").await;
    assert_eq!(run(&store).await, (1, 0));
    assert_eq!(passed(&store, "c").await, [3]);
    assert!(passed(&store, "d").await.is_empty());
    assert!(letters(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_or_send_that_fails_is_a_dead_letter_that_can_be_replayed() {
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    shut(&store, &["a", "b"]).await;
    tell(&store, "either a 1 b 2").await;
    assert_eq!(run(&store).await, (0, 1));
    let letter = letters(&store).await.remove(0);
    assert_eq!(letter.envelope.instance_id, "b");
    assert_eq!(letter.attempts, 1);
    for gate in ["a", "b"] {
        command(&store, gate, GateCommand::Open).await;
    }
    let replayed = store.dead_letters("scripted").unwrap().replay_all().await;
    assert_eq!(replayed.unwrap().dispatched, 1);
    assert_eq!(passed(&store, "b").await, [2]);
    assert!(passed(&store, "a").await.is_empty());
    assert!(letters(&store).await.is_empty());
    store.shutdown().await.unwrap();
    verify(dir.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_command_that_fails_is_replaced_and_a_cancelled_one_takes_both_with_it() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    shut(&store, &["shut"]).await;
    tell(&store, "later-either 60 a shut 1 g 2").await;
    tell(&store, "later-either 60 b shut 3 g 4").await;
    tell(&store, "cancel b").await;
    assert_eq!(run(&store).await, (0, 0));
    store.shutdown().await.unwrap();
    drop(store);
    let store = open_on_demand(&dir, &clock).await;
    clock.advance(seconds(60));
    assert_eq!(run(&store).await, (1, 0));
    assert_eq!(passed(&store, "g").await, [2]);
    assert!(letters(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_timer_takes_back_an_or_send_that_is_not_under_way() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    shut(&store, &["a", "b"]).await;
    tell(&store, "later-either 0 key a 1 b 2").await;
    // `b` is given up after its second attempt at the earliest.
    for _ in 0..3 {
        run(&store).await;
        clock.advance(seconds(1));
    }
    run(&store).await;
    tell(&store, "cancel key").await;
    run(&store).await;
    for gate in ["a", "b"] {
        command(&store, gate, GateCommand::Open).await;
    }
    clock.advance(seconds(10));
    run(&store).await;
    assert_eq!(outgoing(&store), 0);
    assert!(passed(&store, "a").await.is_empty());
    assert!(passed(&store, "b").await.is_empty());
    assert!(letters(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_dead_letter_answers_a_failure_once_and_no_dead_letter_is_left() {
    for is_live in [false, true] {
        let dir = temp_dir();
        let clock = clock();
        let store = open_hasty(&dir, &clock, is_live).await;
        shut(&store, &["answered-1"]).await;
        tell(&store, "send answered-1 1").await;
        run(&store).await;
        eventually("it is answered", || outgoing(&store) == 0).await;
        run(&store).await;
        assert_eq!(passed(&store, "answers").await, [1]);
        assert!(letters(&store).await.is_empty());
        let event = store
            .read_events("gate", "answers")
            .await
            .unwrap()
            .remove(0);
        let meta = event.meta.unwrap();
        assert_eq!(meta["correlation_id"], "r-1");
        assert!(meta["causation_id"].is_string());

        command(&store, "answered-1", GateCommand::Open).await;
        store.shutdown().await.unwrap();
        drop(store);
        let store = open_hasty(&dir, &clock, is_live).await;
        assert_eq!(run(&store).await, (0, 0));
        assert!(passed(&store, "answered-1").await.is_empty());
        assert_eq!(passed(&store, "answers").await, [1]);
        store.shutdown().await.unwrap();
        verify(dir.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_dead_letter_comes_after_the_last_or_send() {
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    shut(&store, &["answered-a", "answered-b"]).await;
    tell(&store, "either answered-a 1 answered-b 2").await;
    assert_eq!(run(&store).await, (1, 0));
    assert_eq!(passed(&store, "answers").await, [2]);
    assert!(letters(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_is_a_dead_letter_and_not_answered_again() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    shut(&store, &["twice-1", "put-off"]).await;
    tell(&store, "send twice-1 1").await;
    tell(&store, "send put-off 2").await;
    assert_eq!(run(&store).await, (0, 1));
    clock.advance(seconds(60));
    assert_eq!(run(&store).await, (0, 1));
    let letters = letters(&store).await;
    let gates: Vec<&str> = letters.iter().map(|l| &*l.envelope.instance_id).collect();
    assert_eq!(gates, ["twice-1", "put-off"]);
    assert_eq!(store.read_side().process_managers[0].timers, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_in_the_answer_the_dead_letter_and_the_changed_state_are_both_saved() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    shut(&store, &["noted-1", "free-1"]).await;
    tell(&store, "later 60 key g 9").await;
    tell(&store, "send noted-1 1").await;
    tell(&store, "send free-1 2").await;
    assert_eq!(run(&store).await, (0, 2));
    // It was told what kind of failure it was.
    let file = "process_managers/scripted/journal_checkpoint.json";
    let saved = std::fs::read_to_string(dir.path().join(file)).unwrap();
    assert!(saved.contains("noted-1 failed: Some(Refusal)"), "{saved}");
    // As it is found after a crash: nothing else is saved.
    let dir = copy(dir.path());
    drop(store);
    let store = open_on_demand(&dir, &clock).await;
    assert_eq!(letters(&store).await.len(), 2);
    assert_eq!(store.read_side().process_managers[0].timers, 0);
    // Three of the script, the note, and this one.
    assert_eq!(texts(&store).await, 5);
    // What is replayed is not answered again.
    let replayed = store.dead_letters("scripted").unwrap().replay_all().await;
    assert_eq!(replayed.unwrap().dead_lettered, 2);
    assert_eq!(texts(&store).await, 6);
    command(&store, "noted-1", GateCommand::Open).await;
    let replayed = store.dead_letters("scripted").unwrap().replay_all().await;
    assert_eq!(replayed.unwrap().dispatched, 1);
    assert_eq!(passed(&store, "noted-1").await, [1]);
    store.shutdown().await.unwrap();
    verify(dir.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_on_dead_letter_that_panics_changes_nothing_and_the_command_is_a_dead_letter() {
    for is_live in [false, true] {
        let dir = temp_dir();
        let store = open_hasty(&dir, &clock(), is_live).await;
        shut(&store, &["torn-1"]).await;
        tell(&store, "send torn-1 1").await;
        run(&store).await;
        eventually("it is given up", || outgoing(&store) == 0).await;
        assert_eq!(letters(&store).await.len(), 1);
        assert!(passed(&store, "answers").await.is_empty());
        let status = store.read_side().process_managers.remove(0).follower;
        assert_ne!(status.running, Running::Stopped);
        assert_eq!(
            status.last_error.unwrap(),
            "`on_dead_letter` of `scripted` for dead letter `0` panicked: told to panic"
        );
        assert_eq!(texts(&store).await, 2);
    }
}

/// As after a restore of the checkpoint alone, from a backup.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_from_before_an_answer_that_took_effect_is_refused() {
    for script in ["either shut 1 g 2", "send answered-1 1"] {
        let dir = temp_dir();
        let clock = clock();
        let store = open_live(&dir, &clock).await;
        shut(&store, &["shut", "answered-1"]).await;
        tell(&store, script).await;
        run(&store).await;
        assert_eq!(outgoing(&store), 1);
        let file = "process_managers/scripted/journal_checkpoint.json";
        let before = std::fs::read(dir.path().join(file)).unwrap();
        while outgoing(&store) > 0 {
            clock.advance(seconds(1));
            run(&store).await;
        }
        run(&store).await;
        assert!(letters(&store).await.is_empty());
        store.shutdown().await.unwrap();
        drop(store);
        verify(dir.path());

        // It would send the command again, beside its answer.
        std::fs::write(dir.path().join(file), before).unwrap();
        let builder = crate::support::builder(&dir).clock(clock.clone());
        let builder = builder.process_manager::<Scripted>();
        let refused = builder.aggregate_type::<Gate>().open().await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
        let cause = "has command 0 to send, but the journal shows that its failure was answered";
        assert!(refused.to_string().contains(cause), "{refused}");
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(report.to_string().contains(cause), "{report}");
    }
}

/// Sends commands of which every other is refused, until it is killed.
pub(crate) async fn answer_until_killed(dir: &Path) {
    let store = open_hasty(dir, &clock(), true).await;
    shut(&store, &["shut", "answered-1"]).await;
    for number in 0.. {
        let text = match number % 3 {
            0 => format!("either shut {number} g {number}"),
            1 => format!("send answered-1 {number}"),
            _ => format!("either g {number} h {number}"),
        };
        tell(&store, &text).await;
        child::say(number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_killed_amid_failures_leaves_one_effect_of_each_command_and_its_answers()
{
    for told in [20, 60, 150] {
        let dir = fast_temp_dir();
        let mut child = child::start("answer failures", dir.path());
        for number in 0..told {
            assert_eq!(child.hear(), Some(number.to_string()));
        }
        child.kill();
        let store = open_hasty(&dir, &clock(), false).await;
        // What was refused could pass now.
        for gate in ["shut", "answered-1"] {
            command(&store, gate, GateCommand::Open).await;
        }
        run(&store).await;
        let replayed = store.dead_letters("scripted").unwrap().replay_all().await;
        assert_eq!(replayed.unwrap().dead_lettered, 0);
        run(&store).await;
        let mut all = Vec::new();
        for gate in ["shut", "g", "h", "answered-1", "answers"] {
            all.extend(passed(&store, gate).await);
        }
        let once: BTreeSet<u64> = all.iter().copied().collect();
        assert_eq!(
            once.len(),
            all.len(),
            "something took effect twice: {all:?}"
        );
        let told = u64::try_from(told).unwrap();
        assert!(once.iter().copied().take_while(|n| *n < told).eq(0..told));
        assert!(passed(&store, "h").await.is_empty());
        store.shutdown().await.unwrap();
        verify(dir.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_says_what_kind_of_failure_it_met() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .process_manager::<Scripted>()
        .open()
        .await
        .unwrap();
    tell(&store, "send g 1").await;
    run(&store).await;
    let kind = letters(&store).await.remove(0).kind;
    assert_eq!(kind, Some(FailureKind::Undeliverable));
}
