//! Bodies.

use super::*;
use crate::limits::{
    CHUNK_DIGITS_MAX, CHUNK_OVERHEAD_FREE_BYTES, CHUNK_OVERHEAD_RATIO_MAX, TRAILER_BYTES_MAX,
};

/// The body of `bytes` is `data`, and `rest` is not its own.
#[track_caller]
fn reads(bytes: &str, length: BodyLength, data: &str, rest: &str) {
    properties::cut_body(bytes.as_bytes(), length);
    let (found, outcome) = properties::read_body(&[bytes.as_bytes()], length);
    assert_eq!(found.escape_ascii().to_string(), data, "{bytes:?}");
    assert_eq!(outcome, Ok((bytes.len() - rest.len(), true)), "{bytes:?}");
}

/// A chunked body is refused after `data`.
#[track_caller]
fn refuses(bytes: &str, data: &str, error: Error) {
    properties::cut_body(bytes.as_bytes(), BodyLength::Chunked);
    let outcome = properties::read_body(&[bytes.as_bytes()], BodyLength::Chunked);
    assert_eq!(outcome, (data.into(), Err(error)), "{bytes:?}");
}

#[test]
fn known_lengths() {
    reads("abcGET", BodyLength::Known(3), "abc", "GET");
    reads("GET", BodyLength::Known(0), "", "GET");
    reads("GET", BodyLength::None, "", "GET");
    reads("a\r\n0\r\n\r\n", BodyLength::Known(7), "a\\r\\n0\\r\\n\\r", "\n");
}

#[test]
fn chunks() {
    for (bytes, data, rest) in [
        ("0\r\n\r\n", "", ""),
        ("0\r\n\r\nGET", "", "GET"),
        ("3\r\nabc\r\n0\r\n\r\n", "abc", ""),
        ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n\r\n", "abc", "\r\n"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
        ("003\r\nabc\r\n000\r\n\r\n", "abc", ""),
        ("0000000000000003\r\nabc\r\n0000000000000000\r\n\r\n", "abc", ""),
        ("5\r\n\r\n0\r\n\r\n0\r\n\r\n", "\\r\\n0\\r\\n", ""),
    ] {
        reads(bytes, BodyLength::Chunked, data, rest);
    }
}

#[test]
fn sizes_are_plain_hexadecimal_digits() {
    for bytes in [
        "\r\n",
        "g\r\n",
        "+3\r\nabc",
        "-1\r\n",
        "0x3\r\nabc",
        " 3\r\nabc",
        "3 \r\nabc",
        "3\t\r\nabc",
        "3\0\r\n",
        ";a\r\n",
        "3\nabc",
        "\n",
        "3\rabc",
        "3\r\r\n",
        "3,3\r\n",
        "3.0\r\n",
        "٣\r\n",
        "3_0\r\n",
        "0\n\r\n",
        "0\r\r\n",
    ] {
        refuses(bytes, "", Error::BadChunkSize);
    }
    for bytes in ["3;\r\nabc", "3;a\r\nabc", "3;a=b\r\nabc", "0;a\r\n\r\n", "3;\nabc", "3;a\"\r\n\"\r\n"] {
        refuses(bytes, "", Error::ChunkExtension);
    }
    refuses("3 ;a\r\nabc", "", Error::BadChunkSize);
    let too_long = Error::ChunkSizeTooLong { max: CHUNK_DIGITS_MAX };
    for bytes in ["00000000000000003\r\nabc", "10000000000000000\r\n", "fffffffffffffffff\r\n"] {
        refuses(bytes, "", too_long);
    }
    let mut decoder = BodyDecoder::new(BodyLength::Chunked);
    let piece = decoder.decode(b"ffffffffffffffff\r\nabc").unwrap();
    assert_eq!(piece, Piece { consumed: 21, data: b"abc", done: false });
    assert_eq!(decoder.at_eof(), Err(Error::Cut));
}

#[test]
fn chunks_end_where_they_said() {
    for bytes in [
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\r0\r\n",
        "3\r\nabc\r\r\n",
        "3\r\nabc \r\n",
    ] {
        refuses(bytes, "abc", Error::BadChunkEnd);
    }
}

#[test]
fn trailers_are_checked_and_dropped() {
    for bytes in [
        "0\r\nA: b\r\n\r\n",
        "0\r\nA:\r\nB-C: d\te\r\n\r\n",
        "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n",
        "0\r\nA: é\r\n\r\n",
    ] {
        reads(bytes, BodyLength::Chunked, "", "");
    }
    for bytes in [
        "0\r\n\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\r\n\n",
        "0\r\nA: b\r\r\n",
        "0\r\nA: b\rc\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\nA: \0\r\n\r\n",
        "0\r\nA: \x7f\r\n\r\n",
        "0\r\nÉ: b\r\n\r\n",
        "0\r\n\rX",
        "0\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        refuses(bytes, "", Error::BadTrailer);
    }
    let max = TRAILER_BYTES_MAX as usize;
    let mut decoder = BodyDecoder::new(BodyLength::Chunked);
    let fits = format!("0\r\nA:{}\r\n\r\n", "b".repeat(max - 6));
    assert!(decoder.decode(fits.as_bytes()).unwrap().done);
    let mut decoder = BodyDecoder::new(BodyLength::Chunked);
    let outgrows = format!("0\r\nA:{}\r\n\r\n", "b".repeat(max - 5));
    assert_eq!(decoder.decode(outgrows.as_bytes()), Err(Error::TrailerTooLong { max: TRAILER_BYTES_MAX }));
}

/// Chunks of `chunk` over and over, as far as the decoder goes.
#[track_caller]
fn check_overhead(chunk: &str, count: usize, passes: bool) {
    let bytes = chunk.repeat(count) + "0\r\n\r\n";
    let (_, outcome) = properties::read_body(&[bytes.as_bytes()], BodyLength::Chunked);
    let refused = Err(Error::ChunkOverhead { max: CHUNK_OVERHEAD_RATIO_MAX });
    assert_eq!(outcome, if passes { Ok((bytes.len(), true)) } else { refused }, "{chunk:?} x {count}");
}

#[test]
fn framing_does_not_outweigh_data() {
    let free = CHUNK_OVERHEAD_FREE_BYTES as usize;
    check_overhead("1\r\na\r\n", 100_000, true);
    check_overhead("0001\r\na\r\n", 100_000, true);
    check_overhead("00001\r\na\r\n", free / 9, true);
    check_overhead("00001\r\na\r\n", free / 9 + 2, false);
    check_overhead("0000000000000001\r\na\r\n", free / 20 + 3, false);
    check_overhead("0000000000000003\r\nabc\r\n", 100_000, true);
}

#[test]
fn a_body_cut_short_is_no_body() {
    #[track_caller]
    fn check(bytes: &[u8], length: BodyLength, expected: Result<(), Error>) {
        let mut decoder = BodyDecoder::new(length);
        let mut rest = bytes;
        loop {
            let piece = decoder.decode(rest).unwrap();
            rest = &rest[piece.consumed..];
            if piece.consumed == 0 {
                break;
            }
        }
        assert_eq!(decoder.at_eof(), expected, "{}", bytes.escape_ascii());
        assert_eq!(decoder.is_done(), expected.is_ok());
    }
    check(b"", BodyLength::None, Ok(()));
    check(b"", BodyLength::Known(0), Ok(()));
    check(b"ab", BodyLength::Known(2), Ok(()));
    check(b"ab", BodyLength::Known(3), Err(Error::Cut));
    check(b"", BodyLength::UntilClose, Ok(()));
    check(b"ab", BodyLength::UntilClose, Ok(()));
    let chunked = b"2\r\nab\r\n0\r\nA: b\r\n\r\n";
    for cut in 0..chunked.len() {
        check(&chunked[..cut], BodyLength::Chunked, Err(Error::Cut));
    }
    check(chunked, BodyLength::Chunked, Ok(()));
}

#[test]
fn what_follows_a_body_is_not_touched() {
    let mut decoder = BodyDecoder::new(BodyLength::Known(2));
    assert_eq!(decoder.decode(b"").unwrap(), Piece { consumed: 0, data: b"", done: false });
    assert_eq!(decoder.decode(b"abGET").unwrap(), Piece { consumed: 2, data: b"ab", done: true });
    assert_eq!(decoder.decode(b"GET").unwrap(), Piece { consumed: 0, data: b"", done: true });
    let mut decoder = BodyDecoder::new(BodyLength::UntilClose);
    assert_eq!(decoder.decode(b"ab").unwrap(), Piece { consumed: 2, data: b"ab", done: false });
}
