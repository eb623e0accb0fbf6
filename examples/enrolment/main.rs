//! Rules across aggregates, of all three kinds: courses with seats, students with few courses, and
//! e-mail addresses that only one student may have.
//!
//! ```text
//! cargo run --example enrolment
//! ```
//!
//! * [`courses`]: a course has seats, and a student may take three courses. Such a rule is about many
//!   subscriptions and no aggregate could hold them all: it is decided over tagged events.
//! * [`fees`]: a student pays, and the school gets the money. Two aggregates change at once or not at
//!   all: their commands are sent together.
//! * [`addresses`]: a list from elsewhere is imported, each address once. Its events are appended
//!   without a type for them, under a condition.

use eventfold_es::prelude::*;

mod addresses;
mod courses;
mod fees;

use courses::{DefineCourse, Defining, Rolls, Subscribe, Subscribing};
use fees::{Account, Deposit, Withdraw};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let store = AggregateStore::builder(dir.path()).projection::<Rolls>();
    let store = store.open().await?;

    println!("Courses and students");
    let algebra = DefineCourse {
        course: "algebra".to_owned(),
        seats: 2,
    };
    store.decide::<Defining>(algebra).await?;
    for student in ["ann", "ben", "cid"] {
        let subscribe = Subscribe {
            course: "algebra".to_owned(),
            student: student.to_owned(),
        };
        match store.decide::<Subscribing>(subscribe).await {
            Ok(_) => println!("  {student} takes algebra"),
            Err(error) => println!("  {student} does not: {error}"),
        }
    }
    for (course, students) in &store.projection::<Rolls>()?.students {
        println!("  {course}: {}", students.join(", "));
    }

    println!("Fees");
    let ann = store.get::<Account>("ann").await?;
    let school = store.get::<Account>("school").await?;
    ann.send(Deposit(100)).await?;
    for fee in [80, 80] {
        let paid = store
            .together()
            .send(&ann, Withdraw(fee))
            .send(&school, Deposit(fee));
        match paid.commit().await {
            Ok(_) => println!("  ann pays {fee}"),
            Err(error) => println!("  ann does not pay {fee}: {error}"),
        }
    }
    let balances = (ann.state().await?.balance, school.state().await?.balance);
    println!("  ann has {}, the school has {}", balances.0, balances.1);

    println!("Addresses");
    for (student, address) in [("ann", "ann@example.com"), ("bob", "ann@example.com")] {
        if addresses::claim(&store, student, address).await? {
            println!("  {address} is {student}'s");
        } else {
            println!("  {address} is taken, {student} needs another one");
        }
    }
    store.shutdown().await?;
    Ok(())
}
