//! Code that the store runs calls the store: that works, or is an error, and never hangs.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use eventfold_es::{
    AggregateStore, CommandEnvelope, ExecuteError, InjectOptions, ProcessManager, Projection,
    StateError,
};
use serde::{Deserialize, Serialize};

use crate::support::{DEADLINE, Door, Ledger, LedgerCommand as Do, notes, temp_dir};

/// Waits on this thread, also where a runtime does not allow it.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Runs a test that may hang on a thread of its own, where it can wait for the store.
fn in_time<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = channel();
    let test = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let result = test();
        done.send(()).unwrap();
        result
    });
    match is_done.recv_timeout(DEADLINE) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => test.join().unwrap(),
    }
}

/// What a call came to: nothing, or the kind and the text of its error.
type Outcome = Result<(), (io::ErrorKind, String)>;

fn outcome<T>(result: io::Result<T>) -> Outcome {
    result
        .map(drop)
        .map_err(|error| (error.kind(), error.to_string()))
}

#[track_caller]
fn assert_refused(outcome: &Outcome, by: &str) {
    let (kind, text) = outcome.as_ref().expect_err("it is refused");
    assert_eq!(*kind, io::ErrorKind::Deadlock, "{text}");
    assert!(text.contains(by), "{text}");
}

/// Defines a projection that counts.
macro_rules! counts {
    ($projection:ident, $name:literal) => {
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        struct $projection(u64);

        impl Projection for $projection {
            const NAME: &'static str = $name;

            fn subscriptions(&self) -> &'static [&'static str] {
                &["ledger"]
            }

            fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
                self.0 += 1;
            }
        }
    };
}

counts!(Count, "count");
counts!(Other, "other");

fn with_counts(dir: impl AsRef<Path>) -> AggregateStore {
    let builder = crate::support::builder(dir);
    wait(builder.projection::<Count>().projection::<Other>().open()).unwrap()
}

fn add(store: &AggregateStore) {
    let ledger = wait(store.get::<Ledger>("a")).unwrap();
    wait(ledger.send(Do::Add(1))).unwrap();
}

#[test]
fn using_a_projection_within_its_own_read_is_an_error_that_names_it() {
    let dir = temp_dir();
    let store = with_counts(&dir);
    let outcomes = in_time(move || {
        add(&store);
        let head = store.head();
        let calls: [&dyn Fn() -> Outcome; 6] = [
            &|| outcome(store.projection::<Count>()),
            &|| outcome(wait(store.read(|count: &Count| count.0))),
            &|| outcome(store.rebuild_projection::<Count>()),
            &|| outcome(wait(async { store.rebuild::<Count>().await })),
            &|| {
                // Something new, so that it must be caught up.
                add(&store);
                outcome(wait(store.read(|count: &Count| count.0)))
            },
            &|| outcome(wait(store.shutdown())),
        ];
        let outcomes = calls.map(|call| wait(store.read(|_: &Count| call())).unwrap());
        // What is already there needs no waiting, and another projection is free.
        wait(store.read(|_: &Count| wait(store.wait_for::<Other>(head))))
            .unwrap()
            .unwrap();
        assert_eq!(wait(store.read(|count: &Count| count.0)).unwrap(), 2);
        outcomes
    });
    for outcome in &outcomes[..5] {
        assert_refused(outcome, "projection `count` is in use");
    }
    assert_refused(&outcomes[5], "`shutdown` cannot be called");
}

#[test]
fn a_rebuild_that_would_end_within_a_read_of_its_projection_is_an_error() {
    let dir = temp_dir();
    let store = with_counts(&dir);
    in_time(move || {
        add(&store);
        let mut rebuild = store.rebuild::<Count>();
        let within = wait(store.read(|_: &Count| wait(rebuild.next()))).unwrap();
        assert_refused(&outcome(within.unwrap()), "projection `count`");
        wait(async { store.rebuild::<Count>().await }).unwrap();
    });
}

#[test]
fn inside_a_read_other_projections_can_be_read_and_one_of_two_crossed_reads_fails() {
    let dir = temp_dir();
    let store = with_counts(&dir);
    let refused = in_time(move || {
        add(&store);
        let inner = wait(store.read(|_: &Count| store.projection::<Other>().unwrap().0));
        assert_eq!(inner.unwrap(), 1);
        let both = Barrier::new(2);
        let runtime = tokio::runtime::Handle::current();
        std::thread::scope(|scope| {
            let one = scope.spawn(|| {
                let _inside = runtime.enter();
                wait(store.read(|_: &Count| {
                    both.wait();
                    outcome(store.projection::<Other>())
                }))
            });
            let other = wait(store.read(|_: &Other| {
                both.wait();
                outcome(wait(store.read(|_: &Count| ())))
            }));
            [one.join().unwrap().unwrap(), other.unwrap()]
        })
    });
    let errors: Vec<_> = refused.iter().filter(|outcome| outcome.is_err()).collect();
    assert_eq!(errors.len(), 1, "{refused:?}");
    assert_refused(errors[0], "use one after the other");
}

/// What a test has its projection or process manager do.
type Task = Box<dyn Fn() -> Vec<Outcome> + Send>;
type Tasks = Mutex<Option<Task>>;

fn run_once(task: &Tasks) -> Option<Vec<Outcome>> {
    let task = task.lock().unwrap().take();
    task.map(|task| task())
}

static WHEN_PROJECTED: Tasks = Mutex::new(None);
static PROJECTED: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Curious;

impl Projection for Curious {
    const NAME: &'static str = "curious";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        PROJECTED
            .lock()
            .unwrap()
            .extend(run_once(&WHEN_PROJECTED).into_iter().flatten());
    }
}

#[test]
fn a_projection_that_uses_itself_while_it_applies_an_event_gets_an_error() {
    let dir = temp_dir();
    in_time(move || {
        let builder = crate::support::builder(&dir).projection::<Curious>();
        let store = wait(builder.projection::<Count>().open()).unwrap();
        add(&store);
        let inner = store.clone();
        *WHEN_PROJECTED.lock().unwrap() = Some(Box::new(move || {
            let event = eventfold::Event::new("Added", serde_json::json!({ "amount": 1 }));
            let injected = inner.inject_event::<Ledger>("b", event, InjectOptions::default());
            vec![
                outcome(inner.projection::<Curious>()),
                outcome(wait(inner.read(|_: &Curious| ()))),
                outcome(wait(inner.run_process_managers())),
                // Events that are stored meanwhile are for later.
                outcome(wait(injected)),
                outcome(inner.projection::<Count>()),
            ]
        }));
        store.projection::<Curious>().unwrap();
        let outcomes = std::mem::take(&mut *PROJECTED.lock().unwrap());
        assert_refused(&outcomes[0], "projection `curious`");
        assert_refused(&outcomes[1], "projection `curious`");
        assert_refused(&outcomes[2], "`run_process_managers`");
        assert_eq!(outcomes[3..], [Ok(()), Ok(())]);
        wait(store.read(|_: &Curious| ())).unwrap();
        wait(store.shutdown()).unwrap();
    });
}

static WHEN_REACTING: Tasks = Mutex::new(None);
static REACTED: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Busy;

impl ProcessManager for Busy {
    const NAME: &'static str = "busy";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        REACTED
            .lock()
            .unwrap()
            .extend(run_once(&WHEN_REACTING).into_iter().flatten());
        Vec::new()
    }
}

#[test]
fn a_process_manager_that_runs_process_managers_while_it_reacts_gets_an_error() {
    let dir = temp_dir();
    in_time(move || {
        let builder = crate::support::builder(&dir).process_manager::<Busy>();
        let store = wait(builder.projection::<Count>().open()).unwrap();
        add(&store);
        let inner = store.clone();
        *WHEN_REACTING.lock().unwrap() = Some(Box::new(move || {
            let letters = inner.dead_letters("busy").unwrap();
            let status = inner.read_side().process_managers.remove(0);
            assert_eq!((status.outgoing, status.dead_letters), (0, Some(0)));
            vec![
                outcome(wait(inner.run_process_managers())),
                outcome(wait(inner.shutdown())),
                outcome(wait(letters.list())),
                outcome(wait(letters.replay_all()).map(drop)),
                outcome(wait(letters.discard("1"))),
                outcome(inner.projection::<Count>()),
            ]
        }));
        wait(store.run_process_managers()).unwrap();
        let outcomes = std::mem::take(&mut *REACTED.lock().unwrap());
        assert_refused(&outcomes[0], "`run_process_managers` cannot be called");
        assert_refused(&outcomes[1], "`shutdown` cannot be called");
        for outcome in &outcomes[2..5] {
            assert_refused(outcome, "process manager `busy` is in use");
        }
        assert_eq!(outcomes[5], Ok(()));
        wait(store.run_process_managers()).unwrap();
        wait(store.shutdown()).unwrap();
    });
}

fn state_outcome<T>(result: Result<T, StateError>) -> Outcome {
    match result {
        Ok(_) => Ok(()),
        Err(StateError::Io(error)) => outcome::<()>(Err(error)),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn calling_an_aggregate_from_its_own_code_is_an_error() {
    let dir = temp_dir();
    in_time(move || {
        let store = with_counts(&dir);
        let ledger = wait(store.get::<Ledger>("a")).unwrap();
        let (sink, outcomes): (_, Receiver<Vec<Outcome>>) = notes();
        let calls = |sink: std::sync::mpsc::Sender<Vec<Outcome>>| {
            let (store, own) = (store.clone(), ledger.clone());
            move || {
                let sent = match wait(own.send(Do::Add(1))) {
                    Err(ExecuteError::Io(error)) => outcome::<()>(Err(error)),
                    sent => panic!("{sent:?}"),
                };
                let event = eventfold::Event::new("Added", serde_json::json!({ "amount": 1 }));
                let options = InjectOptions::default();
                sink.send(vec![
                    sent,
                    state_outcome(wait(own.state())),
                    state_outcome(wait(own.inspect(|_| ()))),
                    outcome(wait(store.inject_event::<Ledger>("a", event, options))),
                    outcome(wait(store.run_process_managers())),
                    outcome(wait(store.shutdown())),
                    // What is not its own is free.
                    outcome(store.projection::<Count>()),
                    outcome(wait(store.read_events("ledger", "a"))),
                ])
                .unwrap();
            }
        };
        let look = calls(sink.clone());
        wait(ledger.inspect(move |_| look())).unwrap();
        let decide = calls(sink);
        wait(ledger.send(Do::decide(move |_| {
            decide();
            Ok(Vec::new())
        })))
        .unwrap();
        for _ in 0..2 {
            let outcomes = outcomes.recv().unwrap();
            for outcome in &outcomes[..4] {
                assert_refused(outcome, "ledger/a is called by its own code");
            }
            assert_refused(&outcomes[4], "`run_process_managers`");
            assert_refused(&outcomes[5], "`shutdown`");
            assert_eq!(outcomes[6..], [Ok(()), Ok(())]);
        }
        // From a task of its own it has its turn later.
        let (done, own) = (Door::default(), ledger.clone());
        let is_done = done.clone();
        wait(ledger.inspect(move |_| {
            tokio::spawn(async move {
                own.send(Do::Add(1)).await.unwrap();
                done.open();
            });
        }))
        .unwrap();
        is_done.pass();
        assert_eq!(wait(ledger.version()).unwrap(), 1);
    });
}
