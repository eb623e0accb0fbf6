//! What a command would lead to, without executing it.

use eventfold_es::{CommandContext, ExecuteError, StateError};

use crate::support::{
    Door, Ledger, LedgerCommand as Do, LedgerError, LedgerEvent, abandon, eventually, in_time,
    open, poll_once, stall, temp_dir,
};

fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

fn keyed(key: &str) -> CommandContext {
    CommandContext::default().with_idempotency_key(key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_has_what_the_command_then_leads_to() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for (round, amounts) in [vec![1], vec![2, 3], vec![]].into_iter().enumerate() {
        let preview = ledger.preview(Do::AddAll(amounts.clone())).await.unwrap();
        let again = ledger.preview(Do::AddAll(amounts.clone())).await.unwrap();
        assert_eq!(
            (&again.events, again.version),
            (&preview.events, preview.version)
        );
        let done = ledger.send(Do::AddAll(amounts)).await.unwrap();
        assert_eq!(preview.events, done.events, "round {round}");
        assert_eq!(preview.version, done.version);
        assert_eq!(preview.state, ledger.state().await.unwrap());
        assert!(!preview.repeated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_stores_nothing_and_leaves_the_aggregate_as_it_was() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.preview(Do::Add(7)).await.unwrap();
    assert!(store.find::<Ledger>("a").await.unwrap().is_none());
    ledger.send(Do::Add(1)).await.unwrap();
    let before = (store.head(), ledger.load().await.unwrap());
    let previewed = ledger.preview(Do::AddAll(vec![2, 3])).await.unwrap();
    assert_eq!(previewed.version, 3);
    assert_eq!((store.head(), ledger.load().await.unwrap()), before);
    let done = ledger.send(Do::Add(4)).await.unwrap();
    assert_eq!(done.version, 2);
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_fails_as_the_command_would() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();

    let refused = ledger.preview(Do::Refuse).await.unwrap_err();
    assert!(matches!(
        refused,
        ExecuteError::Domain(LedgerError::Refused { total: 1 })
    ));
    let expecting = CommandContext::default().with_expected_version(0);
    let refused = ledger
        .preview_with(Do::Add(1), expecting)
        .await
        .unwrap_err();
    let ExecuteError::ExpectedVersion { expected, actual } = refused else {
        panic!("{refused}");
    };
    assert!(expected == 0 && actual == 1);
    let unencodable = Do::decide(|_| Ok(vec![added(1), LedgerEvent::unencodable()]));
    let refused = ledger.preview(unencodable).await.unwrap_err();
    let ExecuteError::Io(refused) = refused else {
        panic!("{refused}");
    };
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
    let refused = ledger
        .preview_with(Do::Add(1), keyed(""))
        .await
        .unwrap_err();
    assert!(matches!(refused, ExecuteError::Io(_)));

    // The state is what it was, after each of them.
    let panicked = ledger.preview(Do::Explode).await.unwrap_err();
    assert!(matches!(panicked, ExecuteError::Panicked(_)), "{panicked}");
    let panicked = ledger.preview(Do::decide(|_| panic!("on purpose"))).await;
    assert!(matches!(panicked, Err(ExecuteError::Panicked(_))));
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    assert_eq!(ledger.send(Do::Add(2)).await.unwrap().version, 2);

    store.shutdown().await.unwrap();
    let closed = ledger.preview(Do::Add(1)).await.unwrap_err();
    assert!(matches!(closed, ExecuteError::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_under_a_used_key_is_the_answer_of_the_first_command() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    // A preview does not use the key up.
    let preview = ledger.preview_with(Do::Add(1), keyed("k")).await.unwrap();
    assert!(!preview.repeated);
    let done = ledger.send_with(Do::Add(1), keyed("k")).await.unwrap();
    assert!(!done.repeated);
    ledger.send(Do::Add(2)).await.unwrap();

    let expecting = keyed("k").with_expected_version(0);
    let preview = ledger.preview_with(Do::Add(1), expecting).await.unwrap();
    assert!(preview.repeated);
    assert_eq!(
        (preview.events, preview.version),
        (done.events, done.version)
    );
    assert_eq!(preview.state, Ledger::of([1, 2]));
    assert_eq!(ledger.version().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_answered_once_the_state_that_it_is_made_from_is_durable() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 0);
    let stalled = stall(&store).await;
    abandon(ledger.send(Do::Add(1))).await;
    let is_decided = Door::default();
    let door = is_decided.clone();
    let command = Do::decide(move |_| {
        door.open();
        Ok(vec![added(2)])
    });
    let mut preview = Box::pin(ledger.preview(command));
    let mut refusal = Box::pin(ledger.preview(Do::Refuse));
    assert!(poll_once(&mut preview).await.is_none());
    assert!(poll_once(&mut refusal).await.is_none());
    eventually("it is decided", || is_decided.is_open()).await;
    assert!(poll_once(&mut preview).await.is_none());
    assert!(poll_once(&mut refusal).await.is_none());
    drop(stalled);
    let preview = in_time("a preview", preview).await.unwrap();
    assert_eq!(
        (preview.version.into(), preview.state),
        (2_u64, Ledger::of([1, 2]))
    );
    let refusal = in_time("a refusal", refusal).await.unwrap_err();
    let ExecuteError::Domain(LedgerError::Refused { total }) = refusal else {
        panic!("{refusal}");
    };
    assert_eq!(total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_event_is_stored_once_although_commands_were_previewed_between() {
    use eventfold_es::InjectOptions;

    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let event = eventfold::Event::new("Added", serde_json::json!({ "amount": 1 })).with_id("e-1");
    for _ in 0..2 {
        let options = InjectOptions::default();
        let injected = store.inject_event::<Ledger>("a", event.clone(), options);
        injected.await.unwrap();
        ledger.preview(Do::Add(5)).await.unwrap();
    }
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_aggregate_within_its_preview_is_an_error() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let inner = ledger.clone();
    let runtime = tokio::runtime::Handle::current();
    let command = Do::decide(move |_| {
        let state = tokio::task::block_in_place(|| runtime.block_on(inner.state()));
        let Err(StateError::Io(error)) = state else {
            panic!("{state:?}");
        };
        assert_eq!(error.kind(), std::io::ErrorKind::Deadlock);
        Ok(vec![added(1)])
    });
    let preview = in_time("a preview", ledger.preview(command)).await;
    assert_eq!(preview.unwrap().state, Ledger::of([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_within_the_aggregates_own_code_is_an_error() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let inner = ledger.clone();
    let runtime = tokio::runtime::Handle::current();
    let preview = ledger.inspect(move |_| {
        tokio::task::block_in_place(|| runtime.block_on(inner.preview(Do::Add(1)))).unwrap_err()
    });
    let refused = preview.await.unwrap();
    let ExecuteError::Io(refused) = refused else {
        panic!("{refused}");
    };
    assert_eq!(refused.kind(), std::io::ErrorKind::Deadlock);
    assert!(!matches!(ledger.state().await, Err(StateError::Closed)));
}

/// Refuses commands without an actor, and notes how each call ended.
#[derive(Debug, Clone, Default)]
struct Named(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl eventfold_es::Layer for Named {
    fn before(&self, call: &mut eventfold_es::Call<'_>) -> Result<(), eventfold_es::Refused> {
        if call.context().actor.is_none() {
            return Err(eventfold_es::Refused::new(std::fmt::Error));
        }
        Ok(())
    }

    fn after(&self, call: &eventfold_es::Call<'_>, outcome: eventfold_es::CallOutcome<'_>) {
        let text = format!("{outcome}, preview: {}", call.is_preview());
        self.0.lock().unwrap().push(text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_refuse_a_preview_as_they_refuse_the_command_and_can_tell_them_apart() {
    let dir = temp_dir();
    let layer = Named::default();
    let store = crate::support::builder(&dir).layer(layer.clone());
    let store = store.open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let refused = ledger.preview(Do::Add(1)).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Refused(_)), "{refused}");
    let ann = CommandContext::default().with_actor("ann");
    ledger.preview_with(Do::Add(1), ann.clone()).await.unwrap();
    ledger
        .preview_with(Do::Refuse, ann.clone())
        .await
        .unwrap_err();
    ledger.send_with(Do::Add(1), ann).await.unwrap();
    let noted = layer.0.lock().unwrap().clone();
    let expected = [
        "previewed, preview: true",
        "refused: refused at a total of 0, preview: true",
        "succeeded, preview: false",
    ];
    assert_eq!(noted, expected);
}
