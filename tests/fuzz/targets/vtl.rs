//! What a template and a body may be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| template::properties::any_template(bytes));
