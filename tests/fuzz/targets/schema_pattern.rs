//! What a regular expression of a model may be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schema::properties::any_pattern(bytes));
