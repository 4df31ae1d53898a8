//! What a `Host` may say.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| message::properties::any_authority(bytes));
