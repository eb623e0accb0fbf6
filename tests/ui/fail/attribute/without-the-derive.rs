use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(name = "account")]
struct Account;

fn main() {}
