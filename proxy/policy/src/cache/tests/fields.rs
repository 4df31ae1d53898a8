//! Fields about caching: whatever they hold, the property of them holds.

use std::path::Path;

use proptest::prelude::*;

use crate::cache::properties::any_fields;

#[test]
fn the_corpus_holds_its_property() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/cache_fields");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    files.iter().for_each(|file| any_fields(&std::fs::read(file).unwrap()));
}

/// Pieces of which fields about caching are made, whole and broken.
const PIECES: [&str; 24] = [
    "max-age",
    "s-maxage",
    "=",
    "\"",
    ",",
    " ",
    "60",
    "0",
    "-1",
    "99999999999999999999",
    "no-store",
    "private",
    "public",
    "no-cache",
    "must-understand",
    "stale-if-error",
    "\\",
    ";",
    "?1",
    "*",
    "W/",
    "bytes=",
    "-",
    "x",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_hold_the_property(
        lines in proptest::collection::vec((0..8usize, proptest::collection::vec(0..PIECES.len(), 0..12)), 0..6),
    ) {
        const NAMES: [&str; 8] =
            ["Cache-Control", "CDN-Cache-Control", "Age", "Expires", "Vary", "Range", "If-None-Match", "Date"];
        let line = |(name, pieces): &(usize, Vec<usize>)| {
            let value: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
            format!("{}: {value}\n", NAMES[*name])
        };
        any_fields(lines.iter().map(line).collect::<String>().as_bytes());
    }

    #[test]
    fn any_bytes_hold_the_property(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        any_fields(&bytes);
        any_fields(&[b"Cache-Control: ", &bytes[..]].concat());
    }
}
