//! The behaviour of stores in memory: tests of those in directories, run on a store in memory.

use std::process::Command;

use crate::support::STORAGE;

/// The tests that are run. Others look into files, open a directory again by its path, or count on
/// positions without gaps.
const TESTS: &[&str] = &[
    "closing::a_directory_is_released_even_while_a_process_is_being_started",
    "closing::a_dropped_store_can_be_opened_again_at_once",
    "commands::a_caller_that_goes_away_does_not_stop_its_command",
    "commands::a_panic_in_inspect_fails_only_its_caller",
    "commands::the_answer_to_a_repeated_command_leaves_out_events_that_are_no_longer_known",
    "commands::an_event_that_could_not_be_read_again_is_refused_and_stores_nothing",
    "commands::correlation_causation_actor_and_metadata_are_stored_with_every_event",
    "concurrency::a_handle_works_after_its_aggregate_was_passivated",
    "concurrency::an_actor_is_spawned_with_and_without_a_runtime",
    "concurrency::an_aggregate_without_handles_is_not_passivated_before_it_is_idle",
    "concurrency::an_id_is_in_use_as_one_rust_type_at_a_time",
    "concurrency::concurrent_gets_of_one_id_share_one_activation",
    "conditions::a_rejected_or_empty_command_is_decided_again_under_its_key",
    "conditions::a_stream_remembers_its_last_thousand_keys",
    "conditions::the_key_is_looked_up_before_the_expected_version",
    "dead_letters::a_command_in_json_is_executed_or_fails_with_the_cause",
    "dead_letters::a_command_refused_as_often_as_configured_becomes_a_dead_letter_and_blocks_nobody",
    "dead_letters::a_command_for_an_unregistered_aggregate_becomes_a_dead_letter_at_once",
    "dead_letters::a_replay_interrupted_by_a_shutdown_keeps_the_dead_letter",
    "dead_letters::replaying_a_dead_letter_works_and_removes_it",
    "derive::a_command_enum_is_adjacently_tagged_with_its_wire_names",
    "derive::a_command_is_decided_and_its_events_change_the_state",
    "derive::a_command_is_read_from_every_form_that_serde_reads",
    "derive::a_derived_aggregate_plugs_into_an_eventfold_view",
    "derive::absent_options_have_safe_defaults",
    "derive::an_alias_is_read_and_never_written",
    "derive::an_event_enum_has_the_names_of_all_its_types_in_order",
    "derive::an_event_enum_is_serialised_as_it_is_stored",
    "derive::an_event_is_stored_under_its_name_and_comes_back",
    "derive::an_event_that_json_cannot_hold_is_refused",
    "derive::an_unknown_name_and_a_wrong_payload_are_different_errors",
    "derive::own_enums_go_to_decide_and_evolve_whole",
    "derive::rename_all_names_events_as_serde_names_variants",
    "derive::the_given_options_become_the_aggregates_constants",
    "layers::a_call_on_a_closed_store_is_told_to_the_layers_as_failed",
    "layers::a_command_that_a_layer_refuses_does_not_reach_its_aggregate_and_the_error_is_the_layers",
    "layers::a_layer_learns_that_a_caller_went_away",
    "layers::a_layer_sees_how_each_command_ended",
    "layers::a_layer_sees_what_a_command_stored_and_the_aggregates_error",
    "layers::a_layer_that_panics_is_an_error_before_the_command_and_changes_nothing_after_it",
    "layers::a_process_managers_command_that_a_layer_refuses_is_a_dead_letter_after_one_attempt",
    "layers::a_process_managers_command_that_is_refused_for_now_is_tried_again",
    "layers::an_injected_event_passes_no_layer",
    "layers::commands_of_a_bus_pass_the_layers_and_the_refusal_needs_no_type_of_aggregate",
    "layers::the_layer_that_was_added_first_is_the_outermost",
    "layers::what_a_layer_adds_to_the_context_is_stored_with_the_events",
    "passing_over::an_unreadable_event_and_a_panic_are_different_errors",
    "positions::a_position_that_is_ahead_of_the_newest_event_is_refused",
    "positions::reading_backwards_can_be_narrowed_down_as_a_subscription_can",
    "positions::reading_backwards_delivers_what_was_there_at_its_first_read",
    "positions::reading_backwards_does_not_keep_the_store_open_and_ends_with_it",
    "positions::reading_backwards_goes_on_from_a_position_and_ends_at_the_beginning",
    "positions::the_newest_events_come_first_however_many_are_asked_for",
    "process_managers::a_process_manager_that_sends_an_empty_idempotency_key_stops_and_sends_nothing",
    "process_managers::an_injected_event_runs_process_managers_if_asked",
    "process_managers::correlation_and_causation_travel_through_a_process_manager",
    "projection_versions::a_read_includes_every_command_that_was_answered_and_copies_nothing",
    "projection_versions::waiting_for_a_position_ends_when_the_projection_includes_it",
    "projections::a_projection_includes_every_command_that_was_answered",
    "projections::a_projection_that_is_not_registered_is_an_error",
    "projections::an_injected_event_is_stored_once_and_unchanged_even_after_a_restart",
    "projections::an_injected_event_that_the_aggregate_could_not_load_is_refused",
    "reentrance::a_process_manager_that_runs_process_managers_while_it_reacts_gets_an_error",
    "reentrance::a_projection_that_uses_itself_while_it_applies_an_event_gets_an_error",
    "reentrance::using_a_projection_within_its_own_read_is_an_error_that_names_it",
    "reentrance::a_rebuild_that_would_end_within_a_read_of_its_projection_is_an_error",
    "reentrance::calling_an_aggregate_from_its_own_code_is_an_error",
    "reentrance::inside_a_read_other_projections_can_be_read_and_one_of_two_crossed_reads_fails",
    "stream_ids::a_directory_that_is_no_encoded_id_is_no_stream",
    "stream_ids::a_stream_id_is_displayed_with_control_and_direction_characters_escaped",
    "stream_ids::an_id_that_cannot_be_a_stream_is_refused_by_name",
    "stream_ids::no_id_or_aggregate_type_leads_out_of_the_directory",
    "subscriptions::a_slow_subscription_slows_no_writer_and_loses_nothing",
    "subscriptions::a_subscription_does_not_keep_the_store_open",
    "subscriptions::a_subscription_says_why_it_ended_once_everything_is_delivered",
    "timers::a_cancelled_timer_whose_command_was_refused_is_not_retried",
    "timers::a_cancelled_timer_never_fires",
    "timers::a_timer_counts_from_the_time_of_its_event",
    "timers::a_timer_fires_when_it_is_due_and_not_before",
    "timers::a_timer_replaces_an_earlier_one_under_the_same_key",
    "typed_read_side::a_typed_projection_applies_events_of_eventfold_too",
    "typed_read_side::an_unknown_event_of_an_aggregate_that_rejects_them_stops_the_projection",
    "typed_read_side::correlation_and_causation_travel_through_a_process_manager_and_explicit_ones_win",
    "under_way::a_command_whose_run_is_dropped_completes_and_is_not_sent_again",
    "under_way::a_run_of_a_live_store_does_not_wait_for_later_commands",
    "under_way::commands_that_wait_for_a_replay_are_sent_if_it_fails",
    "under_way::commands_that_a_shutdown_leaves_unsent_in_a_replay_are_sent_once_by_the_next_run",
    "versions::a_repeated_command_is_answered_with_todays_events",
    "versions::a_stream_of_many_programs_loads_as_if_the_newest_had_written_it",
    "versions::a_version_of_a_newer_program_is_never_read_as_something_else",
    "versions::a_view_and_from_eventfold_upcast_too",
    "versions::an_aggregate_written_by_hand_keeps_its_own_metadata",
    "versions::decode_errors_can_be_distinguished",
    "versions::an_injected_event_is_read_in_its_version",
    "versions::each_event_of_a_command_has_its_own_version",
    "versions::everywhere::projections_process_managers_and_subscriptions_see_todays_events",
    "versions::an_upcast_chain_from_every_version_gives_the_newest_event",
    "versions::the_read_side_gets_every_older_event_in_todays_form",
    "finding::a_command_is_executed_although_its_aggregate_has_no_events_and_no_handle_any_more",
    "finding::an_aggregate_without_events_stays_in_memory_only_as_long_as_its_handle",
    "finding::find_gives_a_handle_to_an_aggregate_with_events_and_none_without",
    "finding::find_refuses_what_get_refuses",
    "finding::finding_what_is_not_there_stores_nothing_and_brings_nothing_into_memory",
    "previews::a_preview_fails_as_the_command_would",
    "previews::a_preview_has_what_the_command_then_leads_to",
    "previews::a_preview_stores_nothing_and_leaves_the_aggregate_as_it_was",
    "previews::a_preview_under_a_used_key_is_the_answer_of_the_first_command",
    "previews::a_preview_within_the_aggregates_own_code_is_an_error",
    "previews::an_injected_event_is_stored_once_although_commands_were_previewed_between",
    "previews::layers_refuse_a_preview_as_they_refuse_the_command_and_can_tell_them_apart",
];

#[test]
fn a_store_in_memory_behaves_as_one_in_a_directory() {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.env(STORAGE, "memory").arg("--exact").args(TESTS);
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.lines().filter(|line| line.ends_with(" ... ok"));
    // One that was renamed would not be run.
    assert_eq!(passed.count(), TESTS.len(), "{text}");
    assert!(output.status.success(), "{text}");
}

#[tokio::test]
async fn the_positions_of_a_store_in_memory_have_gaps_and_those_of_a_directory_have_none() {
    use crate::support::{Ledger, LedgerCommand};

    let positions = async |store: eventfold_es::AggregateStore| {
        let ledger = store.get::<Ledger>("a").await.unwrap();
        let mut positions = Vec::new();
        for amount in 1..=4 {
            let done = ledger.send(LedgerCommand::Add(amount)).await.unwrap();
            positions.push(done.position.to_string().parse::<u64>().unwrap());
        }
        positions
    };
    let dir = crate::support::temp_dir();
    let in_directory = eventfold_es::AggregateStore::open(dir.path())
        .await
        .unwrap();
    assert_eq!(positions(in_directory).await, [1, 2, 3, 4]);
    let in_memory = eventfold_es::AggregateStore::in_memory();
    let in_memory = positions(in_memory.open().await.unwrap()).await;
    assert!(in_memory.is_sorted() && in_memory[3] > 4, "{in_memory:?}");
}

#[tokio::test]
async fn a_memory_has_one_open_store_at_a_time_and_keeps_what_it_stored() {
    use crate::support::{Ledger, LedgerCommand};

    let memory = eventfold_es::Memory::default();
    let open = || {
        eventfold_es::AggregateStore::in_memory()
            .keep_in(&memory)
            .open()
    };
    let store = open().await.unwrap();
    let busy = open().await.unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(LedgerCommand::Add(1)).await.unwrap();
    // It is waited for.
    drop((ledger, store));
    let store = open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    store.shutdown().await.unwrap();
    let closed = ledger.send(LedgerCommand::Add(2)).await.unwrap_err();
    assert!(matches!(closed, eventfold_es::ExecuteError::Closed));
    let store = open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
}
