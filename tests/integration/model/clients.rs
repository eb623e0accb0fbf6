//! Several clients at once.

use std::collections::BTreeMap;

use eventfold_es::{AggregateHandle, AggregateStore, ExecuteError};
use tokio::task::JoinSet;

use super::operations::{Kind, Step};
use super::reference::{Answer, Call, Outcome, Sent, Stream, number};
use super::{Case, IDS};
use crate::support::{Ledger, LedgerError, in_time};

impl Case<'_> {
    /// Brings what concurrent clients were answered into order, and compares.
    pub(super) async fn concurrent(&mut self, clients: &[Vec<Step>]) {
        let before: Vec<u64> = self.model.streams.iter().map(Stream::version).collect();
        let head = self.model.head();
        let mut tasks = JoinSet::new();
        for (client, steps) in clients.iter().enumerate() {
            let mut work = Vec::new();
            for step in steps {
                work.push(match step {
                    Step::Send(send) => Work::Send(self.model.call(send)),
                    Step::Look(stream) => Work::Look(*stream),
                    Step::Yield => Work::Yield,
                });
            }
            let store = self.store().clone();
            tasks.spawn(async move { (client, play(store, work).await) });
        }
        let played = in_time("concurrent clients", tasks.join_all()).await;

        // The order is that of the positions.
        let mut stored: BTreeMap<u64, (&Call, Answer)> = BTreeMap::new();
        for (_, results) in &played {
            let mut last = head;
            for result in results {
                let Played::Sent(call, Ok(done)) = result else {
                    continue;
                };
                if done.events.is_empty() {
                    continue;
                }
                let answer = Answer::of(done.clone());
                if answer.position <= head {
                    let key = call.key.expect("only a key leads back");
                    assert_eq!(self.model.streams[call.stream].keys[&key], answer);
                    self.tally.borrow_mut().repeats += 1;
                } else if let Some((other, first)) = stored.get(&answer.position) {
                    assert_eq!((other.stream, other.key), (call.stream, call.key));
                    assert!(call.key.is_some());
                    assert_eq!(*first, answer);
                    self.tally.borrow_mut().repeats += 1;
                } else {
                    if call.key.is_none() {
                        assert!(answer.position > last, "a client's own order is not kept");
                        last = answer.position;
                    }
                    stored.insert(answer.position, (call, answer));
                }
            }
        }
        let commits: Vec<(Call, Answer)> = stored
            .into_values()
            .map(|(call, answer)| (call.clone(), answer))
            .collect();
        for (call, answer) in commits {
            // Which of those under one key came first is not known, only what it stored.
            if let (None, Outcome::Stored(events)) = (call.key, self.model.decide(&call)) {
                assert_eq!(events, answer.events);
            } else {
                assert!(call.key.is_some(), "{call:?} was answered {answer:?}");
            }
            let events = answer.events.clone();
            assert_eq!(self.model.store(call.stream, &events, call.key), answer);
        }
        assert_eq!(number(self.store().head()), self.model.head());
        for (_, results) in &played {
            self.check_client(results, &before);
        }
    }

    /// Whether what a client saw fits the order that is known now.
    fn check_client(&self, results: &[Played], before: &[u64]) {
        let mut tally = self.tally.borrow_mut();
        let mut least = before.to_vec();
        for result in results {
            tally.concurrent += 1;
            match result {
                Played::Looked(stream, ledger, version) => {
                    let model = &self.model.streams[*stream];
                    assert!((least[*stream]..=model.version()).contains(version));
                    // A state and a version that were asked for one after the other.
                    let mut versions = least[*stream]..=*version;
                    assert!(
                        versions.any(|version| model.state_at(version) == *ledger),
                        "{ledger:?} never was the state"
                    );
                    least[*stream] = *version;
                }
                Played::Sent(call, result) => {
                    let model = &self.model.streams[call.stream];
                    let least = &mut least[call.stream];
                    match result {
                        Ok(done) => {
                            let version = u64::from(done.version);
                            assert!(version <= model.version());
                            if done.events.is_empty() {
                                assert!(matches!(call.kind, Kind::Add(0)));
                                assert!(version >= *least);
                            }
                            *least = version.max(*least);
                        }
                        Err(ExecuteError::ExpectedVersion { .. }) => {
                            assert!(call.expected.is_some());
                            tally.conflicts += 1;
                        }
                        Err(ExecuteError::Domain(LedgerError::Refused { total })) => {
                            assert!(matches!(call.kind, Kind::Refuse));
                            let mut versions = *least..=model.version();
                            assert!(versions.any(|v| model.state_at(v).total == *total));
                        }
                        Err(ExecuteError::Panicked(_)) => {
                            assert!(matches!(call.kind, Kind::Panic | Kind::Explode));
                            tally.panics += 1;
                        }
                        Err(ExecuteError::Io(_)) => {
                            assert!(matches!(call.kind, Kind::Unencodable));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }
}

/// A step of a concurrent client.
enum Work {
    Send(Call),
    Look(usize),
    Yield,
}

enum Played {
    Sent(Call, Sent),
    Looked(usize, Ledger, u64),
}

async fn play(store: AggregateStore, work: Vec<Work>) -> Vec<Played> {
    let mut handles: BTreeMap<usize, AggregateHandle<Ledger>> = BTreeMap::new();
    let mut results = Vec::new();
    for work in work {
        let (stream, fresh) = match &work {
            Work::Send(call) => (call.stream, call.fresh),
            Work::Look(stream) => (*stream, false),
            Work::Yield => {
                tokio::task::yield_now().await;
                continue;
            }
        };
        if fresh || !handles.contains_key(&stream) {
            let handle = store.get::<Ledger>(IDS[stream]).await.unwrap();
            handles.insert(stream, handle);
        }
        let handle = &handles[&stream];
        results.push(if let Work::Send(call) = work {
            let sent = handle.send_with(call.command(), call.context()).await;
            Played::Sent(call, sent)
        } else {
            let ledger = handle.state().await.unwrap();
            Played::Looked(stream, ledger, handle.version().await.unwrap().into())
        });
    }
    results
}
