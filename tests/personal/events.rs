//! How personal data is stored in events: encrypted, in its place, and readable after changes of the event.

use eventfold_es::personal::{MemoryKeys, Personal};
use eventfold_es::prelude::*;
use eventfold_es::{AggregateStore, NewEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Customer, Letters, Registered, Write, known};
use crate::support::{ANN, MAIL, Place, customer, recommend, registered};

#[tokio::test]
async fn an_event_has_the_place_beside_the_ciphertext() {
    let place = Place::new();
    let store = place.open().await;
    registered(&store, 42, ANN)
        .await
        .send(recommend((42, ANN), (7, MAIL)))
        .await
        .unwrap();
    let events = store.read_events("customer", "c-42").await.unwrap();
    let place = |value: &Value| {
        let text = |name: &str| {
            value[name]
                .as_str()
                .unwrap_or_else(|| panic!("{value}"))
                .to_owned()
        };
        assert!(text("sealed").len() > 50 && text("keys").len() == 32);
        (text("$personal"), text("event"), text("field"))
    };
    let id = |number: usize| events[number].id.clone().unwrap();
    let at =
        |subject: &str, number, field: &str| (subject.to_owned(), id(number), field.to_owned());
    let (first, second) = (&events[0].data, &events[1].data);
    assert_eq!(place(&first["name"]), at("customer:42", 0, "/name"));
    assert_eq!(place(&first["email"]), at("customer:42", 0, "/email"));
    assert_eq!(place(&second["by_name"]), at("customer:42", 1, "/by_name"));
    assert_eq!(
        place(&second["friend_names"][0]),
        at("customer:7", 1, "/friend_names/0")
    );
    assert_ne!(first["name"]["sealed"], second["by_name"]["sealed"]);
}

/// The same event after years: other names, another shape.
mod later {
    use super::{Deserialize, DomainEvent, Personal, Serialize};

    #[derive(Debug, Serialize, Deserialize, DomainEvent)]
    #[event(alias = "Registered", version = 2, upcast(1 = split))]
    pub(super) struct CustomerJoined {
        #[subject("customer")]
        pub(super) id: u64,
        pub(super) contact: Contact,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Contact {
        pub(super) full_name: Personal<String>,
        pub(super) mail: Personal<String>,
    }

    fn split(mut old: serde_json::Value) -> Result<CustomerJoined, serde_json::Error> {
        let contact =
            serde_json::json!({ "full_name": old["name"].take(), "mail": old["email"].take() });
        Ok(CustomerJoined {
            id: serde_json::from_value(old["customer"].take())?,
            contact: serde_json::from_value(contact)?,
        })
    }
}

#[tokio::test]
async fn renamed_and_upcast_events_are_still_decrypted() {
    let place = Place::new();
    let store = place.open().await;
    let _ = registered(&store, 42, ANN).await;
    let event = &store.read_events("customer", "c-42").await.unwrap()[0];
    let joined = later::CustomerJoined::from_eventfold(event).unwrap();
    let [joined] = joined.as_slice() else {
        panic!("one event")
    };
    assert_eq!(joined.id, 42);
    assert_eq!(
        (
            known(&joined.contact.full_name),
            known(&joined.contact.mail)
        ),
        (ANN, MAIL)
    );
}

/// The field was plain text once.
#[tokio::test]
async fn what_was_stored_in_clear_is_read_and_stays_in_clear() {
    let store = AggregateStore::in_memory()
        .keys(MemoryKeys::new())
        .open()
        .await
        .unwrap();
    let old = serde_json::json!({ "customer": 42, "name": ANN, "email": MAIL });
    let event = eventfold::Event::new("Registered", old);
    store
        .inject_event::<Customer>("c-42", event, eventfold_es::InjectOptions::default())
        .await
        .unwrap();
    store.forget("customer:42").await.unwrap();
    let state = customer(&store, "c-42").await;
    assert_eq!(
        known(&state.name),
        ANN,
        "only what is encrypted can be erased"
    );
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Odd {
    #[event(name = "Nested")]
    Nested {
        #[subject]
        owner: u64,
        inner: Inner,
        anything: Value,
    },
    /// The derive does not see through an alias.
    NoSubject(Secret),
    Counted(#[subject("owner")] u64, Personal<Numbers>),
}

type Secret = Personal<String>;
type Numbers = Vec<(i8, Option<f64>)>;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Inner {
    #[serde(rename = "a/b")]
    list: Vec<Option<Secret>>,
    #[serde(flatten)]
    flat: Flat,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Flat {
    flat: Secret,
    of_another: Secret,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Store(Odd);

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(event = Odd, commands(Store))]
struct Oddity {
    last: Option<OddState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OddState(Vec<Secret>, Option<Personal<Numbers>>);

impl Decide<Store> for Oddity {
    fn decide(&self, Store(event): Store) -> eventfold_es::Decision<Self> {
        Ok(vec![event])
    }
}

impl Evolve<Odd> for Oddity {
    fn evolve(&mut self, event: &Odd) {
        self.last = Some(match event {
            Odd::Nested { inner, .. } => {
                let mut all: Vec<_> = inner.list.iter().flatten().cloned().collect();
                all.extend([inner.flat.flat.clone(), inner.flat.of_another.clone()]);
                OddState(all, None)
            }
            Odd::NoSubject(secret) => OddState(vec![secret.clone()], None),
            Odd::Counted(_, numbers) => OddState(Vec::new(), Some(numbers.clone())),
        });
    }
}

async fn odd() -> (AggregateStore, eventfold_es::AggregateHandle<Oddity>) {
    let store = AggregateStore::in_memory()
        .keys(MemoryKeys::new())
        .open()
        .await
        .unwrap();
    let odd = store.get::<Oddity>("o").await.unwrap();
    (store, odd)
}

fn nested(anything: Value) -> Store {
    Store(Odd::Nested {
        owner: 1,
        inner: Inner {
            list: vec![
                None,
                Some("one".to_owned().into()),
                Some("two".to_owned().into()),
            ],
            flat: Flat {
                flat: "three".to_owned().into(),
                of_another: Personal::of("owner:2", "four".to_owned()),
            },
        },
        anything,
    })
}

#[tokio::test]
async fn values_in_lists_flattened_structs_and_of_other_subjects_are_sealed_where_they_are() {
    let (store, odd) = odd().await;
    odd.send(nested(
        serde_json::json!({ "personal": "$personal", "list": [{ "sealed": 1 }] }),
    ))
    .await
    .unwrap();
    let data = &store.read_events("oddity", "o").await.unwrap()[0].data;
    assert_eq!(data["inner"]["a/b"][1]["field"], "/inner/a~1b/1");
    assert_eq!(data["inner"]["flat"]["field"], "/inner/flat");
    assert_eq!(data["inner"]["of_another"]["$personal"], "owner:2");
    let all = || async { odd.state().await.unwrap().last.unwrap().0 };
    let known_ones =
        |all: Vec<Secret>| all.iter().map(known).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(known_ones(all().await), ["one", "two", "three", "four"]);
    store.forget("owner:2").await.unwrap();
    assert_eq!(known_ones(all().await), ["one", "two", "three", "(erased)"]);
    let numbers = vec![(-1, Some(0.1)), (2, None)];
    odd.send(Store(Odd::Counted(1, numbers.clone().into())))
        .await
        .unwrap();
    let read = odd.state().await.unwrap().last.unwrap().1.unwrap();
    assert_eq!(read.known(), Some(&numbers));
}

#[tokio::test]
async fn personal_data_without_a_subject_or_that_looks_like_ours_is_refused_before_it_is_stored() {
    let (store, odd) = odd().await;
    let refused = odd
        .send(Store(Odd::NoSubject("one".to_owned().into())))
        .await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("nothing says whose it is"), "{refused}");
    for anything in [
        serde_json::json!({ "$personal": 0 }),
        serde_json::json!([{ "$personal": 3 }]),
        serde_json::json!({ "$personal": "owner:1", "keys": "k", "event": "e", "field": "/f", "sealed": "AAAA" }),
    ] {
        let refused = odd.send(nested(anything)).await.unwrap_err().to_string();
        assert!(refused.contains("personal"), "{refused}");
    }
    assert!(
        store.list::<Oddity>().await.unwrap().is_empty(),
        "nothing is stored"
    );
    odd.send(Store(Odd::NoSubject(Personal::of(
        "owner:3",
        "one".to_owned(),
    ))))
    .await
    .unwrap();
}

#[tokio::test]
async fn a_new_value_is_written_nowhere_but_in_an_event_of_a_store_with_keys() {
    let new = Personal::new(ANN.to_owned());
    let refused = serde_json::to_string(&new).unwrap_err().to_string();
    assert!(
        refused.contains("written in an event of its subject and nowhere else"),
        "{refused}"
    );
    let event = Registered {
        customer: 42,
        name: new,
        email: MAIL.to_owned().into(),
    };
    assert!(NewEvent::of(&event).is_err());
    assert!(event.encode(&mut Vec::new()).is_err());
    let store = AggregateStore::in_memory().open().await.unwrap();
    let customer = store.get::<Customer>("c-42").await.unwrap();
    let refused = customer
        .send(recommend((42, ANN), (7, MAIL)))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("the store was opened without keys"),
        "{refused}"
    );
    // Without personal data it needs none.
    customer.send(crate::domain::Visit).await.unwrap();
}

#[test]
fn a_request_is_read_as_a_new_value_and_debug_shows_nothing() {
    #[derive(Debug, Deserialize)]
    struct Request {
        name: Personal<String>,
        age: Personal<Option<u8>>,
        home: Personal<Value>,
    }
    let text = r#"{"name":"Ann Everywhere","age":null,"home":{"x":[1]}}"#;
    let request: Request = serde_json::from_str(text).unwrap();
    assert_eq!(known(&request.name), ANN);
    assert_eq!(request.age.known(), Some(&None));
    assert_eq!(request.home.known(), Some(&serde_json::json!({ "x": [1] })));
    assert_eq!(
        format!("{request:?}"),
        "Request { name: Personal(..), age: Personal(..), home: Personal(..) }"
    );
    assert!(serde_json::from_str::<Personal<u8>>("\"x\"").is_err());
}

/// A fingerprint is stored in clear, so whoever guesses the data could check the guess.
#[test]
fn the_fingerprint_of_a_command_has_no_personal_data() {
    let write = |name: &str| Write {
        to: name.to_owned().into(),
    };
    let of = |command| Letters::fingerprint(&command).unwrap();
    assert_eq!(of(write("Ann").into()), of(write("Bob").into()));
    let plain =
        |name: &str| Customer::fingerprint(&recommend((42, name), (7, MAIL)).into()).unwrap();
    assert_ne!(plain("Ann"), plain("Bob"), "of plain text it has some");
}
