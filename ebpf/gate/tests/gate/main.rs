//! The gate on the host: tables of cases, and properties.

mod answers;
mod frames;
mod limits;
mod memory;
mod packets;
mod properties;
mod verdicts;

use proptest::prelude::{ProptestConfig, any, proptest};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// X1 on the host; the kernel's programs are asked the same (`proxy/l4`).
    #[test]
    fn nobody_is_locked_out(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        properties::never_locks_out(&bytes);
    }

    #[test]
    fn any_bytes_are_decided_about(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        properties::any_frame(&bytes);
    }

    /// Frames that mostly are some.
    #[test]
    fn any_frame_is_decided_about(bytes in proptest::collection::vec(any::<u8>(), 240)) {
        let (seed, rest) = bytes.split_at(200);
        properties::any_frame(&[seed, &frames::Chance(rest).frame()].concat());
    }
}

/// What a fuzzer begins with, and what it once found.
#[test]
fn the_corpus_holds() {
    for (folder, property) in
        [("gate_lockout", properties::never_locks_out as fn(&[u8])), ("gate_frame", properties::any_frame)]
    {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(folder);
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            property(&std::fs::read(file).unwrap());
        }
    }
}
