//! A small bank over HTTP, which the tests ask.

mod bank;
mod gate;
mod service;

pub use bank::{Account, AccountError, Change, Deposit, Open, Total, Withdraw};
pub use gate::Gate;
pub use service::{LARGEST_BODY, service};
