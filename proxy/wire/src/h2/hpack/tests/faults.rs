//! Blocks that are wrong, and those that are just right.

use super::{bytes, fields, shown};
use crate::h2::hpack::{Broken, Decoder, Field, name_is_sound, value_is_sound};

/// A block to a new decoder, and its fields as `name: value` each on a line.
#[track_caller]
fn check(block: &str, expected: Result<&str, Broken>) {
    let found = fields(&mut Decoder::new(4096), &bytes(block)).map(|fields| shown(&fields));
    assert_eq!(found.as_deref(), expected.as_ref().map(|text| *text), "{block}");
}

#[test]
fn indices() {
    check("", Ok(""));
    check("80", Err(Broken));
    check("bd", Ok("www-authenticate: \n"));
    check("be", Err(Broken));
    check("ff00", Err(Broken));
    // Names of fields of no table.
    check("7e 00", Err(Broken));
    check("0f2f 00", Err(Broken));
    check("0f2e 00", Ok("www-authenticate: \n"));
    // The entry that a field becomes is there behind it, not for itself.
    check("4001610162 be", Ok("a: b\na: b\n"));
    check("4001610162 bf", Err(Broken));
    check("7e00 4001610162", Err(Broken));
}

#[test]
fn integers() {
    check("ff", Err(Broken));
    check("ff80", Err(Broken));
    check("ffff ffff 7f", Err(Broken));
    // One by five bytes, and by six: of no use but to wear us out.
    check("7f 8280 8000", Err(Broken));
    check("0f80 8080 00 00", Ok("accept-charset: \n"));
    check("0f80 8080 8000 00", Err(Broken));
    check("0f80 8080 8080 8080 8080 00 00", Err(Broken));
    check("ffff ffff ffff ffff ffff ff7f", Err(Broken));
}

#[test]
fn strings() {
    check("00", Err(Broken));
    check("0001", Err(Broken));
    check("0001 61", Err(Broken));
    check("0001 61 01", Err(Broken));
    check("0001 61 02 62", Err(Broken));
    check("0001 61 01 62", Ok("a: b\n"));
    check("0000 00", Ok(": \n"));
    check("0001 61 7f", Err(Broken));
    check("0001 61 7fff ffff 7f", Err(Broken));
    // In Huffman's code: a name, a value, both, none; without its end, with wrong padding, with the end's code.
    check("0081 1f 01 62", Ok("a: b\n"));
    check("0001 61 81 8f", Ok("a: b\n"));
    check("0081 1f 81 8f", Ok("a: b\n"));
    check("0080 80", Ok(": \n"));
    check("0082 1f", Err(Broken));
    check("0081 18 00", Err(Broken));
    check("0082 1fff 00", Err(Broken));
    check("0084 ffff ffff 00", Err(Broken));
    check("0001 61 84 ffff ffff", Err(Broken));
}

#[test]
fn updates_of_the_size() {
    check("20", Ok(""));
    check("3fe1 1f", Ok(""));
    check("3fe2 1f", Err(Broken));
    check("3fff ffff 7f", Err(Broken));
    check("3f", Err(Broken));
    check("20 3fe1 1f 82", Ok(":method: GET\n"));
    check("20 20 20", Err(Broken));
    check("82 20", Err(Broken));
    check("82 20 82", Err(Broken));
    check("4001610162 3fe11f", Err(Broken));
    // A table of no bytes takes nothing.
    check("20 4001610162 be", Err(Broken));
    check("20 4001610162 82", Ok("a: b\n:method: GET\n"));
}

/// Our settings reach the peer when it has sent already: until it says otherwise, its table has 4096 bytes.
#[test]
fn a_smaller_limit_holds_from_the_first_update() {
    let mut decoder = Decoder::new(64);
    assert_eq!(fields(&mut decoder, &bytes("4001610162 4001630164 bf")).map(|found| found.len()), Ok(3));
    assert_eq!(fields(&mut decoder, &bytes("3f22")), Err(Broken));
    let mut decoder = Decoder::new(64);
    assert_eq!(fields(&mut decoder, &bytes("3f21 4001610162 4001630164 be")).map(|found| found.len()), Ok(3));
    assert_eq!(fields(&mut decoder, &bytes("bf")), Err(Broken));
}

/// What is said of a field is the same wherever it comes from: as it is written out, and from the table.
#[test]
fn soundness() {
    for (name, is_sound) in [
        ("a", true),
        ("x-own_1!", true),
        (":path", true),
        (":x", true),
        ("", false),
        (":", false),
        ("::a", false),
        ("a:", false),
        ("A", false),
        (":Path", false),
        ("a b", false),
        ("a\0", false),
        ("\u{e4}", false),
    ] {
        assert_eq!(name_is_sound(name.as_bytes()), is_sound, "{name:?}");
        check_kept(name, "", (is_sound, true));
    }
    for (value, is_sound) in [
        ("", true),
        ("a b\tc", true),
        ("\u{e4}", true),
        (" a", false),
        ("a ", false),
        ("\ta", false),
        ("a\t", false),
        (" ", false),
        ("a\rb", false),
        ("a\nb", false),
        ("a\0b", false),
        ("a\x7fb", false),
        ("a\x1fb", false),
    ] {
        assert_eq!(value_is_sound(value.as_bytes()), is_sound, "{value:?}");
        check_kept("a", value, (true, is_sound));
    }
}

#[track_caller]
fn check_kept(name: &str, value: &str, expected: (bool, bool)) {
    let mut block = vec![0x40, name.len() as u8];
    block.extend_from_slice(name.as_bytes());
    block.push(value.len() as u8);
    block.extend_from_slice(value.as_bytes());
    // From the table, its name from the table with a value of its own, and from there again.
    block.extend_from_slice(b"\xbe\x7e\x01v\xbe\xbf");
    let mut found = Vec::new();
    let each = |field: Field<'_>, _| found.push((field.name_is_sound, field.value_is_sound));
    assert_eq!(Decoder::new(4096).decode(&block, each), Ok(()));
    let (name_is_sound, _) = expected;
    let other = (name_is_sound, true);
    assert_eq!(found, [expected, expected, other, other, expected], "{name:?}: {value:?}");
}
