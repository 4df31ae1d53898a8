//! How the encoder writes a field.

use message::Name;

use super::bytes;
use crate::h2::hpack::policy::{self, Policy};
use crate::h2::hpack::statics::{self, STATICS, STATICS_COUNT};
use crate::h2::hpack::{Encoder, Field};

/// Fields one after the other, as `name=value`, behind `!` one that is never to be indexed, and how each is written: `i` as an index, `+` written out and put into the
/// table, `-` written out, `!` written out and never to be put into a table.
#[track_caller]
fn check(fields: &str, expected: &str) {
    let mut encoder = Encoder::new();
    let mut found = String::new();
    for field in fields.split_whitespace() {
        let (name, value) = field.trim_start_matches('!').split_once('=').unwrap();
        let write = if field.starts_with('!') { Encoder::never_indexed } else { Encoder::field };
        let mut out = Vec::new();
        encoder.begin(&mut out);
        write(&mut encoder, Name::of(name.as_bytes()), name.as_bytes(), value.as_bytes(), &mut out);
        found.push(match out[0] {
            0x80.. => 'i',
            0x40.. => '+',
            0x10..0x20 => '!',
            0x00..0x10 => '-',
            _ => '?',
        });
    }
    assert_eq!(found, expected, "{fields}");
}

#[test]
fn what_repeats_is_indexed() {
    check("content-type=a content-type=a Content-Type=a", "+ii");
    // Between two values: the second way to find an entry.
    check("content-type=a content-type=b content-type=a content-type=b", "++ii");
    check("vary=a server=b via=c vary=a server=b via=c", "+++iii");
    // What may repeat is put in when it does, in any case.
    check("x-own=a x-own=a X-Own=a x-OWN=a", "-+ii");
    check("x-own=a x-other=b x-own=a x-other=b x-own=a x-other=b", "--++ii");
    check("date=a date=a date=a date=b date=b date=b", "-+i-+i");
    check("user-agent=a user-agent=b user-agent=a user-agent=a", "--+i");
}

#[test]
fn what_changes_is_written() {
    check("content-length=1 content-length=1 etag=a etag=a location=a location=a", "------");
    check("x-request-id=1 x-request-id=2 x-request-id=3", "---");
    check("set-cookie=0123456789abcdefghij set-cookie=0123456789abcdefghij", "--");
    // After four in vain a name has to show that a value repeats, until one does.
    check("vary=1 vary=2 vary=3 vary=4 vary=5 vary=6 vary=6 vary=6 vary=7", "++++--+i+");
    check("vary=1 vary=1 vary=2 vary=2 vary=3 vary=3 vary=4 vary=4 vary=5 vary=5", "+i+i+i+i+i");
}

#[test]
fn secrets_are_never_indexed() {
    check("authorization=a Authorization=a proxy-authorization=a Proxy-Authorization=a", "!!!!");
    check("cookie=a cookie=a x-api-key=a X-Api-Key=a x-amz-security-token=a", "!!!!!");
    check("set-cookie=0123456789abcdefghi", "!");
}

/// Whatever is in the table, and whatever our own rules are.
#[test]
fn what_was_never_indexed_stays_so() {
    check("vary=a vary=a !vary=a vary=a !x-own=a x-own=a x-own=a !x-own=a", "+i!i!-+!");
    check("!accept-encoding=gzip,deflate !etag=a !content-length=1 !date=a", "!!!!");
}

#[test]
fn large_values_are_written() {
    let field = |bytes: usize| format!("vary={} ", "x".repeat(bytes));
    check(&field(2048 - 36).repeat(2), "+i");
    check(&field(2048 - 35).repeat(3), "---");
}

/// How pseudo-fields and names are written; bytes in hexadecimal digits.
#[test]
fn bytes_are_the_shortest() {
    #[track_caller]
    fn check(write: impl Fn(&mut Encoder, &mut Vec<u8>), expected: &[&str]) {
        let mut encoder = Encoder::new();
        for expected in expected {
            let mut out = Vec::new();
            encoder.begin(&mut out);
            write(&mut encoder, &mut out);
            assert_eq!(out.escape_ascii().to_string(), bytes(expected).escape_ascii().to_string());
        }
    }
    for (status, hex) in
        [(200, "88"), (204, "89"), (206, "8a"), (304, "8b"), (400, "8c"), (404, "8d"), (500, "8e")]
    {
        check(|encoder, out| encoder.status(status, out), &[hex, hex]);
    }
    check(|encoder, out| encoder.status(503, out), &["08 03 353033", "08 03 353033"]);
    check(|encoder, out| encoder.status(103, out), &["08 03 313033"]);
    check(|encoder, out| encoder.method(b"GET", out), &["82"]);
    check(|encoder, out| encoder.method(b"POST", out), &["83"]);
    check(|encoder, out| encoder.method(b"PUT", out), &["02 03 505554"]);
    check(|encoder, out| encoder.scheme(false, out), &["86"]);
    check(|encoder, out| encoder.scheme(true, out), &["87"]);
    check(|encoder, out| encoder.path(b"/", None, false, out), &["84"]);
    check(|encoder, out| encoder.path(b"/index.html", None, false, out), &["85"]);
    check(|encoder, out| encoder.path(b"/a", None, false, out), &["04 02 2f61"]);
    check(|encoder, out| encoder.path(b"/", Some(b""), false, out), &["04 02 2f3f"]);
    check(|encoder, out| encoder.path(b"/a", Some(b"b=c"), false, out), &["04 06 2f61 3f62 3d63"]);
    check(|encoder, out| encoder.path(b"/", None, true, out), &["14 01 2f"]);
    check(|encoder, out| encoder.path(b"/a", Some(b"b=c"), true, out), &["14 06 2f61 3f62 3d63"]);
    check(|encoder, out| encoder.authority(b"a.b", true, out), &["11 03 612e62", "11 03 612e62"]);
    check(|encoder, out| encoder.authority(b"a.b", false, out), &["41 03 612e62", "be", "be"]);
    let field = |name: &'static str, value: &'static str| {
        move |encoder: &mut Encoder, out: &mut Vec<u8>| {
            encoder.field(Name::of(name.as_bytes()), name.as_bytes(), value.as_bytes(), out);
        }
    };
    check(field("Accept-Encoding", "gzip, deflate"), &["90"]);
    check(field("ETag", "a"), &["0f13 01 61", "0f13 01 61"]);
    check(field("Cookie", "a"), &["1f11 01 61"]);
    check(field("X-Own", "a"), &["00 05 782d 6f77 6e 01 61", "40 05 782d 6f77 6e 01 61", "be"]);
    // The name of an entry that has another value.
    let mut encoder = Encoder::new();
    let mut out = Vec::new();
    field("x-forwarded-port", "1")(&mut encoder, &mut out);
    out.clear();
    field("X-Forwarded-Port", "2")(&mut encoder, &mut out);
    assert_eq!(out, bytes("7e 01 32"));
}

/// What the peer's settings said since the last block, and what the next one begins with.
#[test]
fn updates_of_the_size() {
    #[track_caller]
    fn check(blocks: &[(&[u32], &str)]) {
        let mut encoder = Encoder::new();
        for (sizes, expected) in blocks {
            for size in *sizes {
                encoder.set_table_bytes_max(*size);
            }
            let mut out = Vec::new();
            encoder.begin(&mut out);
            assert_eq!(out, bytes(expected), "{blocks:?}");
        }
    }
    check(&[(&[], ""), (&[4096], ""), (&[65_536], ""), (&[u32::MAX], "")]);
    check(&[(&[0], "20"), (&[], ""), (&[0], "")]);
    check(&[(&[100], "3f45"), (&[4096], "3fe11f"), (&[], "")]);
    check(&[(&[0, 4096], "20 3fe11f")]);
    check(&[(&[100, 0, 30], "20 3e")]);
    check(&[(&[30], "3e"), (&[100, 30], ""), (&[20, 100], "34 3f45")]);
}

/// A table that the peer takes away and gives back is filled anew.
#[test]
fn a_table_comes_and_goes() {
    let mut encoder = Encoder::new();
    let mut write = |size: Option<u32>| {
        let mut out = Vec::new();
        if let Some(size) = size {
            encoder.set_table_bytes_max(size);
        }
        encoder.begin(&mut out);
        encoder.field(Name::Vary, b"vary", b"a", &mut out);
        out
    };
    assert_eq!(write(None), bytes("7b 01 61"));
    assert_eq!(write(None), bytes("be"));
    assert_eq!(write(Some(0)), bytes("20 0f2c 01 61"));
    assert_eq!(write(None), bytes("0f2c 01 61"));
    assert_eq!(write(Some(4096)), bytes("3fe11f 7b 01 61"));
    assert_eq!(write(None), bytes("be"));
}

/// The static table knows its names, and the rules know where names stand in it.
#[test]
fn statics_are_known() {
    for (at, entry) in STATICS.iter().enumerate() {
        let index = at + 1;
        assert_eq!(*entry, Field::new(entry.name, entry.value));
        assert_eq!(statics::get(index), Some(entry));
        if entry.name.starts_with(b":") {
            continue;
        }
        let value = &[b'a'; 40];
        let rule = policy::of(Name::of(entry.name), entry.name, value);
        assert_eq!(usize::from(rule.index), index, "{}", entry.name.escape_ascii());
        let upper = entry.name.to_ascii_uppercase();
        assert_eq!(policy::of(Name::of(entry.name), &upper, value), rule, "{}", upper.escape_ascii());
    }
    assert_eq!((statics::get(0), statics::get(STATICS_COUNT + 1)), (None, None));
    assert_eq!(policy::of(Name::Other, b"x-amz-security-token", b"").policy, Policy::Hide);
}
