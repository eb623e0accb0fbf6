#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfold_es::fuzzing::compressed(bytes));
