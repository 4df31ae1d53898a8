//! What the codec takes, compared with what another reader of heads makes of it: the corpora of the fuzz targets, heads
//! that are nearly right, and right ones with one byte changed.

#![expect(clippy::unwrap_used, reason = "a test")]

mod property;

use std::{fs, path::Path};

use proptest::prelude::*;

#[track_caller]
fn check_corpus(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        property(&fs::read(file).unwrap());
    }
}

#[test]
fn corpora_are_read_alike() {
    check_corpus("h1_request", property::request);
    check_corpus("h1_response", property::response);
}

/// Each byte of a right head, replaced by each other byte.
#[test]
fn heads_with_one_byte_changed_are_read_alike() {
    let fields = b"Host: a.example\r\nUser-Agent:\tx\r\nAccept:  */* \r\nX-Own:\r\nConnection: x-own, close\r\nContent-Length: 0\r\n\r\n";
    for start in [&b"GET /a?b HTTP/1.1\r\n"[..], b"HTTP/1.1 200 OK\r\n"] {
        let head = [start, fields].concat();
        for at in 0..head.len() {
            for byte in 0..=255 {
                let mut changed = head.clone();
                changed[at] = byte;
                property::request(&changed);
                property::response(&changed);
            }
        }
    }
}

/// A field that is nearly one: names and values of any bytes, with all kinds of white space and ends.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        6 => "[A-Za-z][A-Za-z0-9-]{0,12}".prop_map(String::into_bytes),
        4 => prop::sample::select(vec!["Host", "Accept", "TE", "Via", "Age", "Keep-Alive", "Connection", "Expect", "Proxy",
            "X-Forwarded-For", "If-Modified-Since", "Content-Length", "Transfer-Encoding"]).prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let colon =
        prop_oneof![8 => Just(": "), 2 => Just(":"), 1 => Just(":\t "), 1 => Just(" :"), 1 => Just("")];
    let value = prop_oneof![
        8 => "[ -~]{0,24}".prop_map(String::into_bytes),
        2 => Just(b"0".to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..16),
    ];
    let end = prop_oneof![12 => Just("\r\n"), 2 => Just(" \r\n"), 1 => Just("\t\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("")];
    (name, colon, value, end)
        .prop_map(|(name, colon, value, end)| [&name, colon.as_bytes(), &value, end.as_bytes()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn heads_that_are_nearly_right_are_read_alike(
        target in "(/[a-z0-9;,=~-]{0,6}){1,4}(\\?[a-z0-9&=|]{0,8})?",
        status in "HTTP/1.[01] [1-5][0-9][0-9]( [ -~]{0,8})?",
        fields in prop::collection::vec(field(), 0..6),
    ) {
        let fields = fields.concat();
        property::request(&[b"GET ", target.as_bytes(), b" HTTP/1.1\r\nHost: a\r\n", &fields, b"\r\n"].concat());
        property::response(&[status.as_bytes(), b"\r\n", &fields, b"\r\n"].concat());
    }
}
