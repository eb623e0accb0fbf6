#[aggregate_impl]
impl BankAccount {
    #[helper]
    fn check_open(&self) {}
}

// Expands to:

impl BankAccount {
    fn check_open(&self) {}
}
