//! One domain as five programs have it, each of which changed the shape of `Deposited`.

use eventfold_es::prelude::*;
use eventfold_es::{Decoded, Recorded};
use serde::{Deserialize, Serialize};

/// What a wallet holds, in every program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) cents: u64,
    pub(crate) deposits: u64,
    /// Tells the order.
    pub(crate) digest: u64,
}

impl Held {
    fn add(&mut self, cents: u64) {
        self.cents += cents;
        self.deposits += 1;
        self.digest = self.digest.wrapping_mul(31).wrapping_add(cents + 1);
    }

    pub(crate) fn of(dollars: impl IntoIterator<Item = u64>) -> Self {
        let mut held = Self::default();
        dollars
            .into_iter()
            .for_each(|dollars| held.add(dollars * 100));
        held
    }
}

/// Deposits so many dollars, an event for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deposit(pub(crate) Vec<u64>);

/// A program: its aggregate, whose state is a [`Held`], and its event.
pub(crate) trait Program:
    std::fmt::Debug + Aggregate<Command: From<Deposit>, DomainEvent: From<Self::Event>>
{
    type Event: DomainEvent + PartialEq + std::fmt::Debug;

    fn event(dollars: u64) -> Self::Event;
    fn held(&self) -> &Held;
}

macro_rules! program {
    ($wallet:ident, $deposited:ident, $dollars:ident => $event:expr, $of:ident => $cents:expr) => {
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
        #[aggregate(
            name = "wallet",
            commands(Deposit),
            events($deposited),
            snapshot(every = 3),
            event_enum(derive(Debug, Clone, PartialEq))
        )]
        pub(crate) struct $wallet(Held);

        impl Decide<Deposit> for $wallet {
            fn decide(&self, Deposit(dollars): Deposit) -> Decision<Self> {
                Ok(dollars
                    .into_iter()
                    .map(|dollars| Self::event(dollars).into())
                    .collect())
            }
        }

        impl Evolve<$deposited> for $wallet {
            fn evolve(&mut self, $of: &$deposited) {
                self.0.add($cents);
            }
        }

        impl Program for $wallet {
            type Event = $deposited;

            fn event($dollars: u64) -> $deposited {
                $event
            }

            fn held(&self) -> &Held {
                &self.0
            }
        }
    };
}

/// In the first program an amount was all there was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "Deposited")]
pub(crate) struct V1(u64);
program!(Wallet1, V1, dollars => V1(dollars), event => event.0 * 100);

/// The second gave it a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "Deposited", version = 2, upcast(1 = Self::named))]
pub(crate) struct V2 {
    dollars: u64,
}
program!(Wallet2, V2, dollars => V2 { dollars }, event => event.dollars * 100);

impl V2 {
    fn named(V1(dollars): V1) -> Self {
        Self { dollars }
    }
}

/// The third counts cents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "Deposited", version = 3, upcast(1 = V2::named, 2 = Self::in_cents))]
pub(crate) struct V3 {
    cents: u64,
}
program!(Wallet3, V3, dollars => V3 { cents: dollars * 100 }, event => event.cents);

#[derive(Debug, thiserror::Error)]
#[error("{0} dollars are too many")]
pub(crate) struct TooMany(u64);

impl V3 {
    fn in_cents(V2 { dollars }: V2) -> Result<Self, TooMany> {
        let cents = dollars.checked_mul(100).ok_or(TooMany(dollars))?;
        Ok(Self { cents })
    }
}

/// The fourth says whose wallet it is, and renames the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(
    name = "MoneyDeposited",
    alias = "Deposited",
    version = 4,
    upcast(1 = V2::named, 2 = V3::in_cents, 3 = Self::with_owner),
)]
pub(crate) struct V4 {
    cents: u64,
    owner: String,
}
program!(Wallet4, V4, dollars => V4 { cents: dollars * 100, owner: "a".to_owned() }, event => event.cents);

impl V4 {
    fn with_owner(V3 { cents }: V3, record: &Recorded<'_>) -> Self {
        let owner = record.id().to_owned();
        Self { cents, owner }
    }
}

/// The fifth has coins and notes, and an event for each kind that there is some of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(
    name = "MoneyDeposited",
    alias = "Deposited",
    version = 5,
    upcast(1 = V2::named, 2 = V3::in_cents, 3 = V4::with_owner, 4 = Self::as_money),
)]
pub(crate) struct V5 {
    money: Money,
    owner: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Money {
    Cents(u64),
}

program!(
    Wallet5, V5,
    dollars => V5 { money: Money::Cents(dollars * 100), owner: "a".to_owned() },
    event => { let Money::Cents(cents) = event.money; cents }
);

impl V5 {
    fn as_money(V4 { cents, owner }: V4) -> Decoded<Self> {
        let money = Money::Cents(cents);
        Decoded::one(Self { money, owner })
    }
}

/// The program after those: a deposit became two events, and one of them was given up again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "wallet",
    commands(Deposit),
    events(CoinsReceived, Thanked),
    retired(V5 = split, "Frozen", "Robbed" = robbed),
    snapshot(every = 3, version = 2),
    event_enum(derive(Debug, Clone, PartialEq)),
)]
pub(crate) struct Wallet6 {
    pub(crate) held: Held,
    pub(crate) thanked: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct CoinsReceived {
    pub(crate) cents: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Thanked;

impl Decide<Deposit> for Wallet6 {
    fn decide(&self, Deposit(dollars): Deposit) -> Decision<Self> {
        let received = |dollars| {
            CoinsReceived {
                cents: dollars * 100,
            }
            .into()
        };
        Ok(dollars.into_iter().map(received).collect())
    }
}

impl Evolve<CoinsReceived> for Wallet6 {
    fn evolve(&mut self, event: &CoinsReceived) {
        self.held.add(event.cents);
    }
}

impl Evolve<Thanked> for Wallet6 {
    fn evolve(&mut self, _: &Thanked) {
        self.thanked += 1;
    }
}

fn split(V5 { money, .. }: V5) -> Vec<Wallet6Event> {
    let Money::Cents(cents) = money;
    events![CoinsReceived { cents }, Thanked]
}

fn robbed(by: String) -> Result<Vec<Wallet6Event>, String> {
    Err(format!("{by} did not say how much"))
}
