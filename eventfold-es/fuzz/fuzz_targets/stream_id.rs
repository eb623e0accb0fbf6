#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eventfold_es::fuzzing::stream_id(text));
