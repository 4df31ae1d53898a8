//! Blocks that nobody has thought of.

use std::{fs, path::Path};

use proptest::prelude::*;

use crate::h2::hpack::properties::{Owned, any_header_blocks, comes_back};
use crate::h2::hpack::{Decoder, Encoder};

/// Fields of few names and values, so that many are sent again.
fn field() -> impl Strategy<Value = Owned> {
    let name = prop_oneof![
        4 => prop::sample::select(vec![
            ":authority", ":status", ":path", ":method", ":scheme", "accept-encoding", "content-type", "Server",
            "vary", "etag", "set-cookie", "cookie", "x-forwarded-host", "X-Own", "x-other", "date", "location",
            "proxy-authorization", "strict-transport-security", "x-request-id",
        ]).prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => "[a-z-]{1,40}".prop_map(String::into_bytes),
    ];
    let value = prop_oneof![
        4 => prop::sample::select(vec![
            "", "/", "/index.html", "/a?b", "GET", "POST", "PUT", "200", "201", "404", "http", "https", "ftp",
            "gzip, deflate", "a", "text/plain", "application/json",
        ]).prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => "[ -~]{0,300}".prop_map(String::into_bytes),
        1 => (0..5_000_usize).prop_map(|bytes| vec![b'a'; bytes]),
    ];
    (name, value)
}

/// A block, and what the reader's settings said before it.
fn block() -> impl Strategy<Value = (Vec<u32>, Vec<(Owned, bool)>)> {
    let size = prop_oneof![0..5_000_u32, Just(4096), Just(0), Just(65_536)];
    let sizes = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(size, 1..4)];
    (sizes, prop::collection::vec((field(), prop::bool::weighted(0.1)), 0..12))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read_again(blocks in prop::collection::vec(block(), 1..24)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        for (sizes, fields) in blocks {
            for size in sizes {
                encoder.set_table_bytes_max(size);
            }
            comes_back(&mut encoder, &mut decoder, &fields);
        }
    }

    #[test]
    fn any_bytes_are_read_well(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        any_header_blocks(&bytes);
    }
}

#[test]
fn the_corpus_holds_its_property() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/h2_hpack");
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        any_header_blocks(&fs::read(file).unwrap());
    }
}
