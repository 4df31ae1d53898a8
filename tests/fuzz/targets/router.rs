//! Routes and requests, as text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| router::properties::any_table(bytes));
