//! What a client may say before its handshake is done.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tls::properties::any_client(bytes));
