//! What a path and a document may be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| template::properties::any_path(bytes));
