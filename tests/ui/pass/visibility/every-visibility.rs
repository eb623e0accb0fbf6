#![deny(private_interfaces, unreachable_pub)]
#![allow(dead_code)]

macro_rules! account {
    ($module:ident, $($vis:tt)*) => {
        mod $module {
            use eventfold_es::prelude::*;
            use serde::{Deserialize, Serialize};

            #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
            #[aggregate(commands(Open), events(Opened))]
            $($vis)* struct Account;

            #[derive(Debug, Clone, Serialize, Deserialize)]
            $($vis)* struct Open;

            #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
            $($vis)* struct Opened;

            impl Decide<Open> for Account {
                fn decide(&self, _: Open) -> Decision<Self> {
                    Ok(events![Opened])
                }
            }

            impl Evolve<Opened> for Account {
                fn evolve(&mut self, _: &Opened) {}
            }
        }
    };
}

mod outer {
    account!(in_outer, pub(in crate::visibility_every_visibility::outer));
    account!(in_super, pub(super));
    account!(private,);

    fn use_it() -> (in_outer::AccountCommand, in_super::AccountEvent) {
        (in_outer::Open.into(), in_super::Opened.into())
    }
}
account!(in_crate, pub(crate));

pub(super) fn main() {
    let _: in_crate::AccountCommand = in_crate::Open.into();
}
