// Sixty commands and sixty events.
macro_rules! aggregate {
    ($($command:ident => $event:ident),* $(,)?) => {
        use eventfold_es::prelude::*;
        use serde::{Deserialize, Serialize};

        #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
        #[aggregate(commands($($command),*), events($($event),*))]
        struct Account {
            count: u64,
        }

        $(
            #[derive(Debug, Clone, Serialize, Deserialize)]
            struct $command;

            #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
            struct $event;

            impl Decide<$command> for Account {
                fn decide(&self, _: $command) -> Decision<Self> {
                    Ok(events![$event])
                }
            }

            impl Evolve<$event> for Account {
                fn evolve(&mut self, _: &$event) {
                    self.count += 1;
                }
            }
        )*

        pub(super) fn main() {
            let mut account = Account::default();
            $(
                for event in account.handle($command.into()).unwrap() {
                    account = account.apply(&event);
                }
            )*
            assert_eq!(account.count, 60);
        }
    };
}

aggregate! {
    C0 => E0, C1 => E1, C2 => E2, C3 => E3, C4 => E4,
    C5 => E5, C6 => E6, C7 => E7, C8 => E8, C9 => E9,
    C10 => E10, C11 => E11, C12 => E12, C13 => E13, C14 => E14,
    C15 => E15, C16 => E16, C17 => E17, C18 => E18, C19 => E19,
    C20 => E20, C21 => E21, C22 => E22, C23 => E23, C24 => E24,
    C25 => E25, C26 => E26, C27 => E27, C28 => E28, C29 => E29,
    C30 => E30, C31 => E31, C32 => E32, C33 => E33, C34 => E34,
    C35 => E35, C36 => E36, C37 => E37, C38 => E38, C39 => E39,
    C40 => E40, C41 => E41, C42 => E42, C43 => E43, C44 => E44,
    C45 => E45, C46 => E46, C47 => E47, C48 => E48, C49 => E49,
    C50 => E50, C51 => E51, C52 => E52, C53 => E53, C54 => E54,
    C55 => E55, C56 => E56, C57 => E57, C58 => E58, C59 => E59,
}
