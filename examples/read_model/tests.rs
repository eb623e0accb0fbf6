//! The table is what the accounts themselves say.

use crate::accounts::{Account, Accounts, richest};
use crate::bank::BankAccount;
use crate::{open, send};

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_what_the_accounts_say_and_goes_on_with_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..2 {
        let store = open(dir.path()).await.unwrap();
        for number in run * 50..run * 50 + 50 {
            send(&store, number).await.unwrap();
        }
        let mut expected = Vec::new();
        for id in store.list::<BankAccount>().await.unwrap() {
            let account = store.get::<BankAccount>(&id).await.unwrap();
            let balance = account.state().await.unwrap().balance;
            let events: u64 = account.version().await.unwrap().into();
            expected.push(Account {
                id,
                balance: balance.cast_signed(),
                events: events.cast_signed(),
            });
        }
        let accounts = store.sql::<Accounts>().await.unwrap();
        let mut found = accounts.query(|db| richest(db)).await.unwrap();
        assert!(found.is_sorted_by_key(|account| -account.balance));
        found.sort_by(|one, other| one.id.cmp(&other.id));
        assert_eq!(found, expected);
        store.shutdown().await.unwrap();
    }
}
