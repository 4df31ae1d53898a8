//! What gives way in a table, and what memory it has.

use super::{Owned, fields, shown, table};
use crate::h2::hpack::{Decoder, Encoder, integer, table::Table};

/// What is put into a table: fields as `name=value`, where a name that is a number is the index of one; `=5` sets the
/// table's size.
fn block(steps: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in steps.split_whitespace().filter_map(|step| step.split_once('=')) {
        match (name.parse(), value.parse()) {
            (_, Ok(size)) if name.is_empty() => integer::write(0x20, 0x1f, size, &mut block),
            (Ok(index), _) => {
                integer::write(0x40, 0x3f, index, &mut block);
                text(value, &mut block);
            }
            _ => {
                block.push(0x40);
                text(name, &mut block);
                text(value, &mut block);
            }
        }
    }
    block
}

/// A string; `x*5` stands for `xxxxx`.
fn text(text: &str, block: &mut Vec<u8>) {
    let bytes = match text.split_once('*') {
        Some((byte, count)) => byte.repeat(count.parse().unwrap()),
        None => text.to_owned(),
    };
    integer::write(0, 0x7f, bytes.len(), block);
    block.extend_from_slice(bytes.as_bytes());
}

/// What is in the table after blocks, the newest first, without values.
#[track_caller]
fn check(blocks: &[&str], expected: &str) {
    let mut decoder = Decoder::new(4096);
    for steps in blocks {
        fields(&mut decoder, &block(steps)).unwrap_or_else(|broken| panic!("{steps}: {broken:?}"));
    }
    let entries = table(&mut decoder);
    let names: Vec<_> = entries.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    assert_eq!(names.join(" "), expected, "{blocks:?}");
}

#[test]
fn the_oldest_gives_way() {
    // Each takes 34 bytes.
    check(&["=102 a=1 b=2 c=3"], "c b a");
    check(&["=101 a=1 b=2 c=3"], "c b");
    check(&["=102 a=1 b=2 c=3 d=4"], "d c b");
    // One that takes the place of two.
    check(&["=102 a=1 b=2 c=3 d=x*2"], "d c");
    check(&["=102 a=1 b=2 c=3 d=x*35"], "d c");
    check(&["=102 a=1 b=2 c=3 d=x*36"], "d");
}

#[test]
fn what_is_too_large_leaves_nothing() {
    check(&["=102 a=1 b=2 c=x*69"], "c");
    check(&["=102 a=1 b=2 c=x*70"], "");
    check(&["=102 a=1 b=2 c=x*70 d=4"], "d");
    check(&["a=x*4063"], "a");
    check(&["a=x*4064"], "");
    check(&["=31 a=1"], "");
    check(&["=0 a=1"], "");
}

#[test]
fn updates_of_the_size_take_entries() {
    check(&["a=1 b=2 c=3", "=102"], "c b a");
    check(&["a=1 b=2 c=3", "=101"], "c b");
    check(&["a=1 b=2 c=3", "=0 =4096"], "");
    check(&["a=1 b=2 c=3", "=34 =4096", "d=4"], "d c");
}

/// The entry that lends its name may be the first to give way (RFC 7541 §4.4).
#[test]
fn a_name_outlives_its_entry() {
    check(&["=102 a=1 b=2 c=3 64=4"], "a c b");
    check(&["=102 a=1 b=2 c=3 64=x*69"], "a");
    check(&["=102 a=1 b=2 c=3 64=x*70"], "");
    check(&["=34 a=1 62=2 62=3"], "a");
    // Over and over, so that what lies in memory moves.
    let names = ["=4096 a=x*1000 b=x*1000 c=x*1000", &"64=x*1001 ".repeat(50)];
    check(&names, "b a c");
}

/// Fields of all lengths over and over: all that is in the table is as it came, and nothing more is taken after the first rounds.
#[test]
fn memory_is_used_again() {
    for size_max in [64, 100, 1000, 4096, 20_000] {
        let mut kept = Table::new(size_max);
        let mut expected: Vec<Owned> = Vec::new();
        let mut held_bytes = 0;
        for round in 0..2_000_usize {
            let name = format!("name-{}", round % 7).into_bytes();
            let value = vec![round as u8; round * 37 % 300];
            kept.insert(crate::h2::hpack::Field::new(&name, &value));
            expected.insert(0, (name, value));
            let mut left = size_max;
            let mut fits = |(name, value): &Owned| {
                left = left.wrapping_sub(name.len() + value.len() + 32);
                left <= size_max
            };
            let count = expected.iter().take_while(|entry| fits(entry)).count();
            expected.truncate(count);
            let found = |age| kept.get(age).map(|field| (field.name.to_vec(), field.value.to_vec()));
            let found: Vec<_> = (0..).map_while(found).collect();
            assert_eq!(shown(&found), shown(&expected), "{size_max}, {round}");
            if round == 1_000 {
                held_bytes = kept.held_bytes();
            }
        }
        assert_eq!(kept.held_bytes(), held_bytes, "{size_max}");
        assert!(held_bytes <= size_max.max(256) + (size_max / 32).next_power_of_two() * 16, "{held_bytes}");
    }
}

/// What is not used takes nothing, and a connection of a few short messages little.
#[test]
fn little_is_held() {
    let (mut decoder, mut encoder) = (Decoder::new(4096), Encoder::new());
    assert_eq!((decoder.held_bytes(), encoder.held_bytes()), (0, 0));
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.status(200, &mut out);
    encoder.field(message::Name::ContentLength, b"content-length", b"12", &mut out);
    assert_eq!(fields(&mut decoder, &out).map(|found| found.len()), Ok(2));
    assert_eq!((decoder.held_bytes(), encoder.held_bytes()), (0, 0));
    // Two indexed fields, one of them in Huffman's code.
    let block = b"\x41\x09localhost\x7a\x86\x25\xb6\x50\xc3\xcb\xbf";
    assert_eq!(fields(&mut decoder, block).map(|found| found.len()), Ok(2));
    assert_eq!(decoder.held_bytes(), 512);
    // What a long string took is given back, and a table of no size has nothing.
    let mut long = vec![0x00, 0x81, 0x1f, 0xff, 0xc1, 0x3d];
    // Eight times `a` are five bytes.
    long.extend_from_slice(&b"\x18\xc6\x31\x8c\x63".repeat(1_600));
    let found = fields(&mut decoder, &long);
    assert_eq!(found.map(|found| found.len()), Ok(1));
    assert_eq!(decoder.held_bytes(), 384);
    assert_eq!(fields(&mut decoder, b"\x20"), Ok(Vec::new()));
    assert_eq!(decoder.held_bytes(), 0);
}

/// Both are parts of every connection.
#[test]
fn both_sides_are_small() {
    assert!(
        size_of::<Encoder>() <= 248 && size_of::<Decoder>() <= 120,
        "{} {}",
        size_of::<Encoder>(),
        size_of::<Decoder>()
    );
}
