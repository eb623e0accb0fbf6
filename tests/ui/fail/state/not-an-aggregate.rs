use eventfold_es::prelude::*;

struct Account;

fn store<A: Aggregate>(_: A) {}

fn main() {
    store(Account);
}
