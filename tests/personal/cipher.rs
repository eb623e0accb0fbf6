//! The cipher: the vectors of Wycheproof for XChaCha20-Poly1305.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

#[test]
fn the_cipher_agrees_with_wycheproof() {
    let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in set.test_groups {
        for test in group.tests {
            let Ok(nonce) = <[u8; 24]>::try_from(&test.nonce[..]) else {
                // A nonce of another length cannot be given to the cipher at all.
                assert_eq!(test.result, TestResult::Invalid);
                continue;
            };
            let (cipher, nonce) = (
                XChaCha20Poly1305::new_from_slice(&test.key).unwrap(),
                XNonce::from(nonce),
            );
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let opened = cipher.decrypt(
                &nonce,
                Payload {
                    msg: &sealed,
                    aad: &test.aad,
                },
            );
            if test.result.must_fail() {
                invalid += 1;
                assert!(opened.is_err(), "{test:?}");
            } else {
                valid += 1;
                assert_eq!(opened.unwrap(), &test.pt[..], "{test:?}");
                let again = cipher.encrypt(
                    &nonce,
                    Payload {
                        msg: &test.pt,
                        aad: &test.aad,
                    },
                );
                assert_eq!(again.unwrap(), sealed, "{test:?}");
            }
        }
    }
    assert!(
        valid > 100 && invalid > 50,
        "{valid} valid and {invalid} invalid ones"
    );
}
