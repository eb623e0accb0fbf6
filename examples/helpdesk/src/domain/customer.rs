//! Customers: each has an e-mail address that no other customer has.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Register {
    pub(crate) customer: String,
    pub(crate) name: String,
    pub(crate) email: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct CustomerRegistered {
    #[tag]
    pub(crate) customer: String,
    pub(crate) name: String,
    #[tag]
    pub(crate) email: String,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "email", events(CustomerRegistered))]
struct Address {
    is_taken: bool,
}

impl Evolve<CustomerRegistered> for Address {
    fn evolve(&mut self, _: &CustomerRegistered) {
        self.is_taken = true;
    }
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "customer", events(CustomerRegistered))]
struct Known {
    is_known: bool,
}

impl Evolve<CustomerRegistered> for Known {
    fn evolve(&mut self, _: &CustomerRegistered) {
        self.is_known = true;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum CustomerError {
    #[error("this e-mail address belongs to a customer")]
    AddressTaken,
    #[error("there is a customer with this id")]
    AlreadyRegistered,
    #[error("a customer has a name and an e-mail address")]
    Incomplete,
}

#[derive(Decision)]
#[decision(command = Register, events(CustomerRegistered), error = CustomerError)]
pub(crate) struct Registering {
    #[model(customer)]
    known: Known,
    #[model(email)]
    address: Address,
}

impl Decide<Register> for Registering {
    fn decide(&self, command: Register) -> Decision<Self> {
        let Register {
            customer,
            name,
            email,
        } = command;
        if self.known.is_known {
            return Err(CustomerError::AlreadyRegistered);
        }
        if self.address.is_taken {
            return Err(CustomerError::AddressTaken);
        }
        if name.trim().is_empty() || !email.contains('@') {
            return Err(CustomerError::Incomplete);
        }
        let registered = CustomerRegistered {
            customer,
            name,
            email,
        };
        Ok(events![registered])
    }
}

impl Register {
    /// An address is the same address however it is typed.
    pub(crate) fn new(customer: String, name: String, email: &str) -> Self {
        let email = email.trim().to_lowercase();
        Self {
            customer,
            name,
            email,
        }
    }
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::decision;

    use super::*;

    fn register(customer: &str, email: &str) -> Register {
        Register::new(customer.to_owned(), "Ann".to_owned(), email)
    }

    fn registered(customer: &str, email: &str) -> CustomerRegistered {
        CustomerRegistered {
            customer: customer.to_owned(),
            name: "Ann".to_owned(),
            email: email.to_owned(),
        }
    }

    #[test]
    fn an_address_belongs_to_one_customer_however_it_is_typed() {
        decision::<Registering>()
            .given(registered("c-1", "ann@example.com"))
            .when(register("c-2", "ben@example.com"))
            .then(events![registered("c-2", "ben@example.com")])
            .when(register("c-3", " Ann@Example.com"))
            .then_error(|error| *error == CustomerError::AddressTaken);
    }

    #[test]
    fn a_customer_is_registered_once_and_has_an_address() {
        decision::<Registering>()
            .given(registered("c-1", "ann@example.com"))
            .when(register("c-1", "anna@example.com"))
            .then_error(|error| *error == CustomerError::AlreadyRegistered)
            .when(register("c-2", "example.com"))
            .then_error(|error| *error == CustomerError::Incomplete);
    }
}
