//! Segments that somebody needs, and so are not dropped.

use serde::{Deserialize, Serialize};

use crate::storage::files::crash::dropped::{ANY_AGE, COMMANDS, make, open, open_plain, send};
use crate::storage::files::crash::{Everything, runtime, temp_dir};
use crate::{Aggregate, InvalidTag, Position, Tags, WhyKept};

/// An aggregate whose events have a tag.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Labelled;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Label {
    Put,
}

impl Aggregate for Labelled {
    const AGGREGATE_TYPE: &'static str = "labelled";
    const HAS_TAGS: bool = true;
    type Command = ();
    type DomainEvent = Label;
    type Error = std::convert::Infallible;

    fn handle(&self, (): ()) -> Result<Vec<Label>, Self::Error> {
        Ok(vec![Label::Put])
    }

    fn apply(self, _: &Label) -> Self {
        self
    }

    fn event_tags(_: &Label, tags: &mut Tags) -> Result<(), InvalidTag> {
        tags.add("label", "this")
    }
}

#[test]
fn what_somebody_needs_is_not_dropped() {
    runtime().block_on(async {
        // A projection that is not registered any more.
        let dir = temp_dir();
        let store = open(dir.path()).await.unwrap();
        send(&store, 0..1).await;
        let _: Everything = store.projection().unwrap();
        store.shutdown().await.unwrap();
        let store = open_plain(dir.path()).await;
        send(&store, 1..COMMANDS).await;
        store.shutdown().await.unwrap();
        let store = open_plain(dir.path()).await;
        let report = store.drop_old_journal(ANY_AGE).await.unwrap();
        let is_told = matches!(&report.kept[0].why, WhyKept::Follower { name, .. } if name == "projection `everything`");
        assert!(is_told && report.begins_after.get() <= 2, "{report:?}");
        store.shutdown().await.unwrap();

        // A decision that searches by a tag, or needs what no stream has.
        for is_of_aggregate in [true, false] {
            let dir = temp_dir();
            let store = open_plain(dir.path()).await;
            let position = Position::new(1);
            let expected = if is_of_aggregate {
                let labelled = store.get::<Labelled>("l").await.unwrap();
                labelled.send(()).await.unwrap();
                WhyKept::Tagged { position }
            } else {
                let event = crate::NewEvent::new("Noted", "").unwrap();
                store.append([event], None).await.unwrap();
                WhyKept::OfNoAggregate { position }
            };
            send(&store, 1..COMMANDS).await;
            store.shutdown().await.unwrap();
            let store = open_plain(dir.path()).await;
            let report = store.drop_old_journal(ANY_AGE).await.unwrap();
            assert_eq!((report.files, &report.kept[0].why), (0, &expected));
            store.shutdown().await.unwrap();
        }

        // Somebody reads.
        let dir = temp_dir();
        make(dir.path()).await;
        let store = open(dir.path()).await.unwrap();
        let reader = store.inner.storage.reader(1);
        let report = store.drop_old_journal(ANY_AGE).await.unwrap();
        let is_told = matches!(report.kept[0].why, WhyKept::Reader { position } if position == Position::new(1));
        assert!(is_told && report.files == 0, "{report:?}");
        drop(reader);
        assert!(store.drop_old_journal(ANY_AGE).await.unwrap().files > 0);
        store.shutdown().await.unwrap();
    });
}

/// A read model in SQLite that counts events.
#[cfg(feature = "sqlite")]
mod sql {
    use rusqlite::Transaction;

    use super::*;
    use crate::storage::files::crash::{Account, Event};
    use crate::{AggregateStore, JournalDropped, ProjectSql, Recorded, SqlProjection, SqlSchema};

    #[derive(SqlProjection)]
    #[projection(aggregates(Account), crate = crate)]
    struct Count;

    impl SqlSchema for Count {
        const SCHEMA: &'static str = "CREATE TABLE seen (id TEXT NOT NULL) STRICT";
    }

    impl ProjectSql<Account> for Count {
        fn project(
            &self,
            tx: &Transaction<'_>,
            _: &Event,
            record: &Recorded<'_>,
        ) -> rusqlite::Result<()> {
            tx.execute("INSERT INTO seen VALUES (?1)", [record.id()])
                .map(drop)
        }
    }

    async fn count(store: &AggregateStore) -> Result<u64, crate::SqlError> {
        let model = store.sql::<Count>().await.unwrap();
        let query = "SELECT count(*) FROM seen";
        let count = model.query(move |db| db.query_row(query, [], |row| row.get::<_, i64>(0)));
        Ok(count.await?.cast_unsigned())
    }

    #[test]
    fn a_read_model_keeps_what_its_tables_do_not_have_durably() {
        runtime().block_on(async {
            for is_elsewhere in [false, true] {
                let (dir, tables) = (temp_dir(), temp_dir());
                let builder = || {
                    let builder = AggregateStore::builder(dir.path()).compress_journal(false);
                    let builder = builder.sql(Count);
                    if is_elsewhere {
                        builder.sql_dir(tables.path())
                    } else {
                        builder
                    }
                };
                let store = builder().open().await.unwrap();
                send(&store, 0..1).await;
                let first = count(&store).await.unwrap();
                store.shutdown().await.unwrap();
                let store = open_plain(dir.path()).await;
                send(&store, 1..COMMANDS).await;
                store.shutdown().await.unwrap();

                if !is_elsewhere {
                    // It need not be registered.
                    let store = open_plain(dir.path()).await;
                    let report = store.drop_old_journal(ANY_AGE).await.unwrap();
                    let why = &report.kept[0].why;
                    let is_told = matches!(why, WhyKept::Follower { name, position } if name == "read model `count` in v1.sqlite" && *position == Position::new(first));
                    assert!(is_told && report.begins_after.get() <= first, "{report:?}");
                    store.shutdown().await.unwrap();
                }
                let store = builder().open().await.unwrap();
                let report = store.drop_old_journal(ANY_AGE).await.unwrap();
                let is_told = matches!(&report.kept[0].why, WhyKept::Follower { .. });
                assert!(is_told && report.begins_after.get() <= first, "{report:?}");
                let all = count(&store).await.unwrap();
                assert_eq!(all, store.head().get());
                let report = store.drop_old_journal(ANY_AGE).await.unwrap();
                assert!(report.files > 0, "{report:?}");
                // What cannot be built again is not removed, and not smaller.
                let rebuilt = store.sql::<Count>().await.unwrap().rebuild().await;
                assert!(JournalDropped::of(&rebuilt.unwrap_err()).is_some());
                assert_eq!(count(&store).await.unwrap(), all);
                send(&store, COMMANDS..COMMANDS + 1).await;
                assert_eq!(count(&store).await.unwrap(), store.head().get());
                store.shutdown().await.unwrap();
                let below = if is_elsewhere {
                    tables.path().to_owned()
                } else {
                    dir.path().join("projections")
                };
                let file = below.join("count/v1.sqlite");
                let connection = rusqlite::Connection::open(&file).unwrap();
                let other = "UPDATE eventfold_position SET schema = '0000000000000001'";
                connection.execute(other, []).unwrap();
                drop(connection);
                let error = builder().open().await.unwrap_err();
                assert!(JournalDropped::of(&error).is_some(), "{error}");
                assert!(file.exists());
            }
        });
    }
}

/// A subject whose events were dropped.
#[cfg(feature = "personal")]
mod subjects {
    use super::*;
    use crate::personal::{MemoryKeys, Personal};
    use crate::prelude::*;
    use crate::{ForgetError, JournalDropped};

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    #[event(crate = crate)]
    struct Named {
        #[subject]
        person: u64,
        name: Personal<String>,
    }

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Name(u64, String);

    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(events(Named), commands(Name), snapshot(every = 1), crate = crate)]
    struct Person {
        name: String,
    }

    impl Decide<Name> for Person {
        fn decide(&self, Name(person, name): Name) -> Decision<Self> {
            let name = name.into();
            Ok(events![Named { person, name }])
        }
    }

    impl Evolve<Named> for Person {
        fn evolve(&mut self, event: &Named) {
            self.name = event.name.known().map_or("", String::as_str).to_owned();
        }
    }

    #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
    #[projection(aggregates(Person), crate = crate)]
    struct Names {
        all: Vec<String>,
    }

    impl Project<Person> for Names {
        fn project(&mut self, PersonEvent::Named(event): &PersonEvent, _: &Recorded<'_>) {
            let name = event.name.known().map_or("", String::as_str);
            self.all.push(name.to_owned());
        }
    }

    async fn name(store: &AggregateStore, person: u64) -> String {
        let person = store.get::<Person>(&person.to_string()).await.unwrap();
        person.state().await.unwrap().name.clone()
    }

    #[test]
    fn a_subject_is_forgotten_unless_a_projection_could_not_be_built_again() {
        runtime().block_on(async {
            let (dir, keys) = (temp_dir(), MemoryKeys::new());
            let builder = || {
                let builder = AggregateStore::builder(dir.path()).compress_journal(false);
                builder.keys(keys.clone())
            };
            let store = builder().projection::<Names>().open().await.unwrap();
            for person in [1, 2] {
                let handle = store.get::<Person>(&person.to_string()).await.unwrap();
                handle
                    .send(Name(person, format!("name {person}")))
                    .await
                    .unwrap();
            }
            send(&store, 0..COMMANDS).await;
            assert_eq!(store.projection::<Names>().unwrap().all.len(), 2);
            store.shutdown().await.unwrap();
            let store = builder().projection::<Names>().open().await.unwrap();
            let report = store.drop_old_journal(ANY_AGE).await.unwrap();
            assert!(report.begins_after > Position::new(2), "{report:?}");

            let error = store.forget("person:1").await.unwrap_err();
            let ForgetError::Io(io) = &error else {
                panic!("{error}");
            };
            assert!(JournalDropped::of(io).is_some(), "{error}");
            assert!(error.to_string().contains("`names`"), "{error}");
            assert_eq!(name(&store, 1).await, "name 1");
            assert_eq!(store.projection::<Names>().unwrap().all.len(), 2);
            store.shutdown().await.unwrap();

            // Without the projection nothing has to be built again.
            std::fs::remove_dir_all(dir.path().join("projections")).unwrap();
            let store = builder().open().await.unwrap();
            let forgotten = store.forget("person:1").await.unwrap();
            assert_eq!(
                (forgotten.had_key, forgotten.events, forgotten.snapshots),
                (true, 1, 1)
            );
            assert_eq!(
                (name(&store, 1).await, name(&store, 2).await),
                (String::new(), "name 2".to_owned())
            );
            store.shutdown().await.unwrap();
        });
    }
}
