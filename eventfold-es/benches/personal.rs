//! What personal data costs: a command whose event has two encrypted fields, the same command in clear, and the
//! cipher alone.
//!
//! ```sh
//! cargo bench -p eventfold-es --features personal --bench personal
//! ```
//!
//! The store is in memory, so that nothing waits for a disk. Each event is sealed once and opened once: a
//! store reads what it writes before it stores it. All three take turns, and the medians of the turns are shown.

use std::hint::black_box;
use std::time::Instant;

use chacha20poly1305::aead::{AeadInOut as _, Generate as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use eventfold_es::AggregateHandle;
use eventfold_es::personal::{MemoryKeys, Personal};
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

const NAME: &str = "Ann Everywhere";
const EMAIL: &str = "ann.everywhere@example.com";
/// How many commands a turn has.
const COMMANDS: u32 = 500;
const TURNS: usize = 41;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct InClear {
    customer: u64,
    name: String,
    email: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Encrypted {
    #[subject]
    customer: u64,
    name: Personal<String>,
    email: Personal<String>,
}

/// Registers a customer, with encrypted data or not.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Register {
    is_encrypted: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Register), events(InClear, Encrypted))]
struct Customer {
    events: u64,
}

impl Decide<Register> for Customer {
    fn decide(&self, command: Register) -> Decision<Self> {
        let (customer, name, email) = (42, NAME.to_owned(), EMAIL.to_owned());
        Ok(if command.is_encrypted {
            let (name, email) = (name.into(), email.into());
            events![Encrypted {
                customer,
                name,
                email
            }]
        } else {
            events![InClear {
                customer,
                name,
                email
            }]
        })
    }
}

impl Evolve<InClear> for Customer {
    fn evolve(&mut self, _: &InClear) {
        self.events += 1;
    }
}

impl Evolve<Encrypted> for Customer {
    fn evolve(&mut self, _: &Encrypted) {
        self.events += 1;
    }
}

/// Nanoseconds a command.
async fn commands(customer: &AggregateHandle<Customer>, is_encrypted: bool) -> f64 {
    let start = Instant::now();
    for _ in 0..COMMANDS {
        let done = customer.send(Register { is_encrypted }).await;
        done.expect("an answer");
    }
    nanos(start)
}

/// Nanoseconds for sealing and opening the data of one event, each under a new nonce.
fn cipher_alone(key: &Key, bound: &[u8]) -> f64 {
    let start = Instant::now();
    for _ in 0..COMMANDS {
        for text in [NAME, EMAIL] {
            let cipher = XChaCha20Poly1305::new(key);
            let nonce = XNonce::generate();
            let mut bytes = text.as_bytes().to_vec();
            let tag = cipher.encrypt_inout_detached(&nonce, bound, bytes.as_mut_slice().into());
            let tag = tag.expect("a tag");
            let cipher = XChaCha20Poly1305::new(black_box(key));
            let opened =
                cipher.decrypt_inout_detached(&nonce, bound, bytes.as_mut_slice().into(), &tag);
            opened.expect("the same text");
            black_box(bytes);
        }
    }
    nanos(start)
}

fn nanos(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / f64::from(COMMANDS)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let store = AggregateStore::in_memory().keys(MemoryKeys::new());
    let store = store
        .snapshot_every(u64::MAX)
        .open()
        .await
        .expect("a store");
    let customer = store.get::<Customer>("c").await.expect("a customer");
    // About as long as what a store binds a value to.
    let (key, bound) = (Key::generate(), [7; 32 + 11 + 32 + 36 + 6]);
    let (mut clear, mut encrypted, mut cipher) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        clear.push(commands(&customer, false).await);
        encrypted.push(commands(&customer, true).await);
        cipher.push(cipher_alone(&key, &bound));
    }
    let (clear, encrypted, cipher) = (median(clear), median(encrypted), median(cipher));
    println!("a command in clear            {clear:8.0} ns");
    println!("with two encrypted fields     {encrypted:8.0} ns");
    println!("the cipher alone              {cipher:8.0} ns");
    let over = encrypted / (clear + cipher) * 100.0 - 100.0;
    println!("over both                     {over:8.1} %");
}
