//! What a model and a body may be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schema::properties::any_model(bytes));
