//! What a server may say before our handshake is done.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tls::properties::any_server(bytes));
