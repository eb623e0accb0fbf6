//! What the events were, and how each shape leads to the one after it. Nothing here changes any more:
//! a further version adds a shape and a step.

use eventfold_es::Recorded;
use eventfold_es::prelude::*;
use serde::Deserialize;

use super::domain::{Address, AddressChanged, Currency, FeePaid, MemberEvent, MemberJoined};

/// `Joined`, of the first program: whoever joined had paid.
#[derive(Deserialize)]
pub(crate) struct Joined {
    name: String,
    fee: u64,
}

/// Became two events in the second program, which wrote both.
pub(crate) fn joined_and_paid(old: Joined) -> Result<Vec<MemberEvent>, String> {
    let paid = in_dollars(in_cents(FeePaidV1 { dollars: old.fee })?);
    Ok(events![MemberJoined { name: old.name }, paid])
}

/// `FeePaid`, version 1.
#[derive(Deserialize)]
pub(crate) struct FeePaidV1 {
    dollars: u64,
}

/// `FeePaid`, version 2.
#[derive(Deserialize)]
pub(crate) struct FeePaidV2 {
    cents: u64,
}

pub(crate) fn in_cents(old: FeePaidV1) -> Result<FeePaidV2, String> {
    match old.dollars.checked_mul(100) {
        Some(cents) => Ok(FeePaidV2 { cents }),
        None => Err(format!("{} dollars are too many", old.dollars)),
    }
}

pub(crate) fn in_dollars(FeePaidV2 { cents }: FeePaidV2) -> FeePaid {
    let currency = Currency::Usd;
    FeePaid { cents, currency }
}

/// `Moved`, version 1, was a text: the street, and after a comma the city, if anybody wrote it.
pub(crate) fn as_address(text: String) -> Address {
    match text.split_once(", ") {
        Some((street, city)) => Address {
            street: street.to_owned(),
            city: Some(city.to_owned()),
        },
        None => Address {
            street: text,
            city: None,
        },
    }
}

/// `Moved`, version 2, was an address. The year is that of the event itself, near enough.
pub(crate) fn in_its_year(address: Address, record: &Recorded<'_>) -> AddressChanged {
    const YEAR: u64 = 31_556_952_000;
    let year = 1970 + record.unix_millis() / YEAR;
    AddressChanged { address, year }
}
