#[aggregate_impl]
struct BankAccount;

// Expands to:

::core::compile_error! {
    "`#[aggregate_impl]` is for the impl block with the methods of an aggregate; write it above `impl Type {`"
}
struct BankAccount;
