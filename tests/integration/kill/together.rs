//! `kill -9` at any moment while groups, decisions, and a process manager that sends both are under
//! way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use eventfold_es::prelude::*;
use eventfold_es::{ExecuteError, Query};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::support::{builder, child, fast_temp_dir, in_time, random};

/// How often a process is killed, unless the environment says otherwise.
const ROUNDS: u64 = 30;
const PURSES: u64 = 4;
const EACH: i64 = 1_000;
const SEATS: usize = 5;

/// What is in it, and the numbers of the payments, which are stored beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Pay), events(Paid))]
struct Purse {
    coins: i64,
    payments: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pay {
    coins: i64,
    payment: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Paid {
    coins: i64,
    payment: String,
}

impl Decide<Pay> for Purse {
    fn decide(&self, Pay { coins, payment }: Pay) -> Decision<Self> {
        Ok(events![Paid { coins, payment }])
    }
}

impl Evolve<Paid> for Purse {
    fn evolve(&mut self, paid: &Paid) {
        self.coins += paid.coins;
        self.payments.push(paid.payment.clone());
    }
}

/// A seat in a course was taken. Two such events are stored by each decision.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Seated {
    #[tag]
    course: String,
    guest: String,
    /// 0 or 1.
    part: u8,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "course", events(Seated))]
struct Taken {
    seats: usize,
}

impl Evolve<Seated> for Taken {
    fn evolve(&mut self, seated: &Seated) {
        self.seats += usize::from(seated.part == 0);
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sit {
    course: String,
    guest: String,
}

#[derive(Debug, thiserror::Error)]
#[error("no seat is left")]
struct Full;

#[derive(Decision)]
#[decision(command = Sit, events(Seated), error = Full)]
struct Sitting {
    #[model(course)]
    taken: Taken,
}

impl Decide<Sit> for Sitting {
    fn decide(&self, Sit { course, guest }: Sit) -> Decision<Self> {
        if self.taken.seats >= SEATS {
            return Err(Full);
        }
        let seated = |part| Seated {
            course: course.clone(),
            guest: guest.clone(),
            part,
        };
        Ok(events![seated(0), seated(1)])
    }
}

/// Pays from one purse to another for each guest of the courses `c-..`, and gives the guest a seat in
/// the course `own-..` too.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "host", events(Seated), dispatches(Purse), decides(Sitting))]
struct Host;

impl ReactTo<Seated> for Host {
    fn react_to_event(&mut self, seated: &Seated, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        let Some(course) = seated.course.strip_prefix("c-") else {
            return;
        };
        if seated.part == 1 {
            return;
        }
        let Seated { guest, .. } = seated;
        let (from, to) = purses(guest.len() as u64);
        let payment = format!("for {guest}");
        out.together(|group| {
            let group = group.send::<Purse>(from, pay(-1, &payment));
            group.send::<Purse>(to, pay(1, &payment))
        });
        let course = format!("own-{course}");
        let guest = guest.clone();
        out.decide::<Sitting>(Sit { course, guest });
    }
}

fn pay(coins: i64, payment: &str) -> Pay {
    let payment = payment.to_owned();
    Pay { coins, payment }
}

fn purse(number: u64) -> String {
    format!("p-{}", number % PURSES)
}

/// Two different purses.
fn purses(number: u64) -> (String, String) {
    let other = number + 1 + number / PURSES % (PURSES - 1);
    (purse(number), purse(other))
}

async fn open(dir: &Path) -> AggregateStore {
    let builder = builder(dir).process_manager::<Host>().snapshot_every(20);
    builder.open().await.unwrap()
}

/// Pays and seats guests, lets the process manager follow, and says what was answered.
pub(crate) async fn work_together_until_killed(dir: &Path) {
    let store = open(dir).await;
    fill(&store).await;
    // The names of earlier rounds come from other positions.
    let start = store.head();
    let mut tasks = JoinSet::new();
    for task in 0..3_u64 {
        let store = store.clone();
        tasks.spawn(async move {
            for n in 0.. {
                let payment = format!("{start}-{task}-{n}");
                let (from, to) = purses(n + task);
                let from = store.get::<Purse>(&from).await.unwrap();
                let to = store.get::<Purse>(&to).await.unwrap();
                let group = store.together().send(&from, pay(-3, &payment));
                group.send(&to, pay(3, &payment)).commit().await.unwrap();
                child::say(format!("paid {payment}"));
            }
        });
    }
    for task in 0..3_u64 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut course = 0;
            for n in 0.. {
                let guest = format!("{start}-{task}-{n}");
                let sit = Sit {
                    course: format!("c-{course}"),
                    guest: guest.clone(),
                };
                match store.decide::<Sitting>(sit).await {
                    Ok(_) => child::say(format!("seated {guest}")),
                    Err(ExecuteError::Domain(Full)) => course += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.spawn(async move {
        loop {
            let report = store.run_process_managers().await.unwrap();
            assert_eq!(report.dead_lettered, 0);
            tokio::task::yield_now().await;
        }
    });
    tasks.join_all().await;
}

/// Fills all purses, unless that was done before.
async fn fill(store: &AggregateStore) {
    let first = store.get::<Purse>(&purse(0)).await.unwrap();
    if u64::from(first.version().await.unwrap()) > 0 {
        return;
    }
    let mut group = store.together();
    for number in 0..PURSES {
        let purse = store.get::<Purse>(&purse(number)).await.unwrap();
        group = group.send(&purse, pay(EACH, "the first"));
    }
    group.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_store_no_group_and_no_decision_in_part_and_keep_the_rules_across_aggregates() {
    let rounds = std::env::var("EVENTFOLD_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut random = random(13);
    let mut dir = fast_temp_dir();
    let mut answers = 0;
    for round in 0..rounds {
        if round % 5 == 0 {
            dir = fast_temp_dir();
        }
        let mut worker = child::start("work together until killed", dir.path());
        let enough = random() % 80;
        let mut answered = Vec::new();
        worker.hear_until_killed(enough, |line| answered.push(line));
        answers += answered.len() as u64;
        let store = open(dir.path()).await;
        let looked = look(&store, &answered);
        in_time("a look", looked).await;
        // Whatever the process manager was about to do takes effect, once.
        while store.run_process_managers().await.unwrap().dispatched > 0 {}
        let (payments, guests) = in_time("a look", look(&store, &answered)).await;
        for (course, guest) in guests.iter().filter(|(course, _)| course.starts_with("c-")) {
            assert!(
                payments.contains_key(&format!("for {guest}")),
                "round {round}: {guest}"
            );
            let own = (course.replace("c-", "own-"), guest.clone());
            assert!(guests.contains(&own), "round {round}: {own:?}");
        }
        assert_eq!(store.read_side().process_managers[0].dead_letters, Some(0));
        store.shutdown().await.unwrap();
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(report.is_clean(), "round {round}: {report}");
    }
    assert!(answers > rounds * 10, "only {answers} answers");
}

/// The payments, with how many purses have each; the guests, each with its course.
type Found = (BTreeMap<String, usize>, BTreeSet<(String, String)>);

/// Checks that all that is there is whole and keeps the rules, and that what was answered is there.
async fn look(store: &AggregateStore, answered: &[String]) -> Found {
    let (mut sum, mut payments) = (0, BTreeMap::new());
    for number in 0..PURSES {
        let purse = store.get::<Purse>(&purse(number)).await.unwrap();
        let purse = purse.state().await.unwrap();
        sum += purse.coins;
        for payment in purse.payments {
            *payments.entry(payment).or_default() += 1;
        }
    }
    let purses = usize::try_from(PURSES).unwrap();
    if let Some(first) = payments.remove("the first") {
        assert_eq!(
            (first, sum),
            (purses, EACH * i64::try_from(PURSES).unwrap())
        );
    } else {
        assert_eq!((sum, payments.len()), (0, 0));
    }
    for (payment, count) in &payments {
        assert_eq!(*count, 2, "payment {payment} is there in part, or again");
    }
    let all = store.query(Query::all()).read().await.unwrap().events;
    let seated = all.iter().filter(|event| event.name() == "Seated");
    let seated: Vec<Seated> = seated
        .map(|event| serde_json::from_str(event.data()).unwrap())
        .collect();
    let (mut courses, mut guests) = (BTreeMap::<&str, usize>::new(), BTreeSet::new());
    for both in seated.chunks(2) {
        let [first, second] = both else {
            panic!("a decision in part: {both:?}");
        };
        let of = |seated: &Seated| (seated.course.clone(), seated.guest.clone());
        assert_eq!((of(first), 0, 1), (of(second), first.part, second.part));
        let taken = courses.entry(&first.course).or_default();
        *taken += 1;
        assert!(*taken <= SEATS, "more guests than seats: {first:?}");
        assert!(guests.insert(of(first)), "{first:?} took effect twice");
    }
    for line in answered {
        let is_there = match line.split_once(' ').unwrap() {
            ("paid", payment) => payments.contains_key(payment),
            (_, guest) => guests.iter().any(|(_, other)| other == guest),
        };
        assert!(is_there, "answered and lost: {line}");
    }
    (payments, guests)
}
