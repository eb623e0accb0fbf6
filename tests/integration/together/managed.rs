//! Process managers whose commands take effect together.

use eventfold_es::DeadLetter;

use crate::support::scripted::{
    GateCommand, clock, command, open_live, open_on_demand, passed, run, seconds, tell,
};
use crate::support::temp_dir;

#[tokio::test]
async fn commands_that_a_process_manager_sends_together_take_effect_together_once() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    tell(&store, "together one 1 two 2 one 3").await;
    assert_eq!(run(&store).await, (1, 0));
    assert_eq!(passed(&store, "one").await, [1, 3]);
    assert_eq!(passed(&store, "two").await, [2]);
    let mut keys = Vec::new();
    for id in ["one", "two"] {
        for event in store.read_events("gate", id).await.unwrap() {
            keys.push(event.meta.unwrap()["correlation_id"].clone());
        }
    }
    assert_eq!(keys, ["r-1", "r-1", "r-1"]);
    store.shutdown().await.unwrap();
    let store = open_on_demand(&dir, &clock).await;
    assert_eq!(run(&store).await, (0, 0));
    assert_eq!(passed(&store, "one").await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_tried_again_whole_in_the_order_of_all_its_targets() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "together open 1 shut 1").await;
    // These wait for the group, which is before them at their targets.
    tell(&store, "send shut 2").await;
    tell(&store, "send open 2").await;
    tell(&store, "send other 2").await;
    run(&store).await;
    assert!(passed(&store, "open").await.is_empty());
    assert_eq!(passed(&store, "other").await, [2]);
    command(&store, "shut", GateCommand::Open).await;
    clock.advance(seconds(1));
    run(&store).await;
    assert_eq!(passed(&store, "shut").await, [1, 2]);
    assert_eq!(passed(&store, "open").await, [1, 2]);
}

#[tokio::test]
async fn a_group_that_is_given_up_is_one_dead_letter_which_is_sent_again_whole() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "together open 1 shut 2").await;
    assert_eq!(run(&store).await, (0, 1));
    assert!(passed(&store, "open").await.is_empty());
    store.shutdown().await.unwrap();

    let store = open_on_demand(&dir, &clock).await;
    let letters: Vec<DeadLetter> = store
        .dead_letters("scripted")
        .unwrap()
        .list()
        .await
        .unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter.envelope.instance_id, "open");
    assert_eq!(letter.together.len(), 1);
    assert_eq!(letter.together[0].instance_id, "shut");
    assert!(
        letter.error.contains("command 1, to gate/shut"),
        "{}",
        letter.error
    );
    command(&store, "shut", GateCommand::Open).await;
    let dead_letters = store.dead_letters("scripted").unwrap();
    dead_letters.replay(&letter.id).await.unwrap();
    assert_eq!(passed(&store, "open").await, [1]);
    assert_eq!(passed(&store, "shut").await, [2]);
    assert!(dead_letters.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_to_be_sent_instead_of_a_group_is_sent_if_the_group_fails() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "together-or open 1 shut 2 instead 3").await;
    tell(&store, "together-or open 4 other 5 instead 6").await;
    run(&store).await;
    run(&store).await;
    assert_eq!(passed(&store, "instead").await, [3]);
    assert_eq!(passed(&store, "open").await, [4]);
    assert_eq!(passed(&store, "other").await, [5]);
}
