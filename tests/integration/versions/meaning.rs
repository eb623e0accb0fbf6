//! Events whose new version means something else: what was folded from the old one is folded anew.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::{TempDir, temp_dir};

/// Deposits so much.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Put(u64);

/// Today's program, in cents.
mod cents {
    use super::*;

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    #[event(version = 2, upcast(1 = from_dollars))]
    pub(super) struct Deposited {
        pub(super) amount: u64,
    }

    fn from_dollars(mut dollars: Deposited) -> Deposited {
        dollars.amount *= 100;
        dollars
    }

    super::program!();
}

/// The one before, in dollars.
mod dollars {
    use super::*;

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    pub(super) struct Deposited {
        pub(super) amount: u64,
    }

    super::program!();
}

macro_rules! program {
    () => {
        #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
        #[aggregate(name = "purse", commands(Put), events(Deposited), snapshot(every = 1))]
        pub(super) struct Purse(u64);

        impl Decide<Put> for Purse {
            fn decide(&self, Put(amount): Put) -> Decision<Self> {
                Ok(events![Deposited { amount }])
            }
        }

        impl Evolve<Deposited> for Purse {
            fn evolve(&mut self, deposited: &Deposited) {
                self.0 += deposited.amount;
            }
        }

        #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
        #[projection(name = "purses", aggregates(Purse))]
        pub(super) struct Purses(u64);

        impl Project<Purse> for Purses {
            fn project(&mut self, event: &PurseEvent, _: &eventfold_es::Recorded<'_>) {
                let PurseEvent::Deposited(deposited) = event;
                self.0 += deposited.amount;
            }
        }

        /// Deposits `amount` and says what the purse holds, and what all hold.
        pub(super) async fn put(dir: &TempDir, amount: u64) -> (u64, u64) {
            let builder = crate::support::builder(dir).projection::<Purses>();
            let store = builder.open().await.unwrap();
            let purse = store.get::<Purse>("a").await.unwrap();
            purse.send(Put(amount)).await.unwrap();
            let held = purse.state().await.unwrap().0;
            let all = store.projection::<Purses>().unwrap().0;
            store.shutdown().await.unwrap();
            (held, all)
        }
    };
}
use program;

#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_another_meaning_folds_states_again() {
    let dir = temp_dir();
    assert_eq!(dollars::put(&dir, 3).await, (3, 3));
    assert_eq!(dollars::put(&dir, 4).await, (7, 7));
    assert_eq!(cents::put(&dir, 50).await, (750, 750));
    // What that left is taken up again.
    let files = dir.on_disk().map(|base| {
        let checkpoint = base.join("projections/purses/journal_checkpoint.json");
        [
            checkpoint,
            base.join("streams/purse/a/views/state.snapshot.json"),
        ]
    });
    for file in files.into_iter().flatten() {
        let saved: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert!(saved["events"].is_u64(), "{saved}");
    }
    assert_eq!(cents::put(&dir, 50).await, (800, 800));
}
