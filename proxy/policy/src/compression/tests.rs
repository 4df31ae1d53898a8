//! What is compressed for whom, and what comes back.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::{Compression as Level, read, write};
use message::{Body, Headers, Length, Method, Request, Response};
use proptest::prelude::*;

use super::{accept::preferred, *};

#[track_caller]
fn check_accepted(fields: &[&str], expected: Option<&str>, identity_refused: bool) {
    let headers: Headers = fields.iter().map(|value| ("Accept-Encoding", value.as_bytes())).collect();
    let accepted = preferred(&headers);
    assert_eq!(
        (accepted.coding.map(Coding::as_str), accepted.identity_refused),
        (expected, identity_refused),
        "{fields:?}"
    );
}

/// RFC 9110 §12.5.3, and row 125.
#[test]
fn the_coding_that_a_client_likes_best_is_taken() {
    check_accepted(&[], None, false);
    check_accepted(&[""], None, false);
    check_accepted(&["gzip"], Some("gzip"), false);
    check_accepted(&["x-gzip"], Some("gzip"), false);
    check_accepted(&["GZip, DEFLATE, br"], Some("gzip"), false);
    check_accepted(&["deflate"], Some("deflate"), false);
    check_accepted(&["deflate, gzip"], Some("gzip"), false);
    check_accepted(&["deflate;q=1.0, gzip;q=0.9"], Some("deflate"), false);
    check_accepted(&["gzip; q=0.001"], Some("gzip"), false);
    check_accepted(&["gzip;q=0"], None, false);
    check_accepted(&["gzip;q=0.000, deflate;q=0"], None, false);
    check_accepted(&["br, zstd"], None, false);
    check_accepted(&["*"], Some("gzip"), false);
    check_accepted(&["*;q=0.5, gzip;q=0"], Some("deflate"), false);
    check_accepted(&["*;q=0"], None, true);
    check_accepted(&["gzip, *;q=0"], Some("gzip"), true);
    check_accepted(&["identity;q=0"], None, true);
    check_accepted(&["deflate, identity;q=0"], Some("deflate"), true);
    check_accepted(&["identity, gzip;q=0.5"], None, false);
    check_accepted(&["identity;q=0.5, gzip;q=0.5"], Some("gzip"), false);
    check_accepted(&["identity;q=0.2, gzip;q=0.5, deflate;q=0.7"], Some("deflate"), false);
    check_accepted(&["br", "gzip;q=0.3", "deflate;q=0.4"], Some("deflate"), false);
    // What is no weight is none.
    for bad in ["gzip;q=2", "gzip;q=", "gzip;q=0.1234", "gzip;q=-1", "gzip;q=1.001", "gzip;q=a", "gzip;q=.5"]
    {
        check_accepted(&[bad], None, false);
    }
    check_accepted(&["gzip;level=9;q=0.5"], Some("gzip"), false);
    check_accepted(&[",, ,gzip,"], Some("gzip"), false);
}

fn response(status: u16, headers: &[(&str, &str)], body: Body) -> Response {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    Response { status, headers, body }
}

fn wanted(accepted: &str, minimum_bytes: u64) -> Wanted {
    let mut request = Request::default();
    request.headers.push("Accept-Encoding", accepted.as_bytes());
    Compression { minimum_bytes }.wanted(&request)
}

/// Whether a response is compressed for who accepts gzip, and whether it says that it depends on that; the minimum is 10 bytes.
#[track_caller]
fn check(mut response: Response, coded: bool, varies: bool) {
    let wanted = wanted("gzip", 10);
    assert_eq!(wanted.coding_of(&response).is_some(), coded, "{response:?}");
    wanted.mark(&mut response);
    assert_eq!(response.headers.find("vary").is_some(), varies, "{response:?}");
}

#[test]
fn what_is_long_enough_and_in_no_coding_is_compressed() {
    let body = |bytes: usize| Body::Whole(Bytes::from(vec![b'a'; bytes]));
    check(response(200, &[], body(9)), false, false);
    check(response(200, &[], body(10)), true, true);
    check(response(500, &[], body(10)), true, true);
    check(response(200, &[], Body::Empty), false, false);
    check(response(200, &[], Body::Stream(Length::Known(9))), false, false);
    check(response(200, &[], Body::Stream(Length::Known(10))), true, true);
    check(response(200, &[], Body::Stream(Length::Unknown)), true, true);
    check(response(200, &[], Body::Stream(Length::Known(BODY_BYTES_MAX + 1))), false, true);
    check(response(204, &[], Body::Empty), false, false);
    check(response(304, &[], Body::Empty), false, true);
    check(response(206, &[("Content-Range", "bytes 0-9/20")], body(10)), false, false);
    check(response(200, &[("Content-Encoding", "br")], body(10)), false, false);
    check(response(200, &[("Content-Encoding", "identity")], body(10)), true, true);
    check(response(200, &[("Cache-Control", "public, No-Transform")], body(10)), false, false);
    check(response(200, &[("Cache-Control", "max-age=1")], body(10)), true, true);
}

#[test]
fn who_accepts_no_coding_gets_none_but_hears_of_it() {
    for accepted in ["", "br", "identity", "gzip;q=0"] {
        let wanted = wanted(accepted, 1);
        let mut told = response(200, &[("Vary", "Origin")], Body::Whole("abc".into()));
        assert_eq!(wanted.coding_of(&told), None, "{accepted}");
        wanted.mark(&mut told);
        let varies: Vec<_> = told.headers.find_all("vary").collect();
        assert_eq!(varies, [&b"Origin"[..], b"Accept-Encoding"], "{accepted}");
    }
    for before in ["Accept-Encoding", "origin, accept-encoding", "*"] {
        let mut told = response(200, &[("Vary", before)], Body::Whole("abc".into()));
        wanted("gzip", 1).mark(&mut told);
        assert_eq!(told.headers.find_all("vary").count(), 1, "{before}");
    }
}

/// A client that refuses what is in no coding gets none of it, however short.
#[test]
fn who_refuses_identity_is_not_given_it() {
    let told = response(200, &[], Body::Whole("abc".into()));
    assert_eq!(wanted("gzip, identity;q=0", 100).coding_of(&told), Some(Coding::Gzip));
    assert_eq!(wanted("gzip", 100).coding_of(&told), None);
}

#[test]
fn heads_alone_and_events_are_not_waited_for() {
    let streams = |media_type| response(200, &[("Content-Type", media_type)], Body::Stream(Length::Unknown));
    assert!(wanted("gzip", 1).gathers(&streams("application/json")));
    assert!(!wanted("gzip", 1).gathers(&streams("Text/Event-Stream; charset=utf-8")));
    assert!(!wanted("br", 1).gathers(&streams("application/json")));
    let mut request = Request { method: Method::Head, ..Request::default() };
    request.headers.push("Accept-Encoding", b"gzip");
    assert!(!Compression { minimum_bytes: 0 }.wanted(&request).gathers(&streams("application/json")));
}

#[test]
fn what_tells_of_the_bytes_goes_with_them() {
    let fields = [
        ("ETag", "\"v1\""),
        ("Accept-Ranges", "bytes"),
        ("Content-MD5", "x"),
        ("Content-Type", "text/plain"),
        ("Repr-Digest", "sha-256=:x:"),
    ];
    let mut told = response(200, &fields, Body::Whole("abc".into()));
    replace(&mut told, Coding::Deflate, Bytes::from_static(b"coded"));
    let str = |text| std::str::from_utf8(text).unwrap();
    let left: Vec<_> = told.headers.iter().map(|field| (str(field.text), str(field.value))).collect();
    assert_eq!(left, [("Content-Type", "text/plain"), ("Content-Encoding", "deflate"), ("ETag", "W/\"v1\"")]);
    let mut weak = response(200, &[("ETag", "W/\"v1\"")], Body::Whole("abc".into()));
    replace(&mut weak, Coding::Gzip, Bytes::new());
    assert_eq!(weak.headers.find("etag"), Some(&b"W/\"v1\""[..]));
}

/// Does all of the work; says in how many steps.
fn run(mut coder: Coder, input: &[u8], spare: &mut Spare) -> Result<(Vec<u8>, usize), Error> {
    let mut steps = 1;
    while coder.step(input)? == Step::More {
        steps += 1;
        assert!(steps < 100_000, "it does not end");
    }
    Ok((coder.finish(spare), steps))
}

fn compressed(coding: Coding, input: &[u8], spare: &mut Spare) -> Vec<u8> {
    run(Coder::compress(coding, spare), input, spare).unwrap().0
}

fn decompressed(coding: Coding, input: &[u8], max: u64) -> Result<Vec<u8>, Error> {
    run(Coder::decompress(coding, max), input, &mut Spare::default()).map(|(out, _)| out)
}

/// By the other way of flate2's, which reads streams.
fn reference(coding: Coding, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        Coding::Gzip => read::GzDecoder::new(input).read_to_end(&mut out),
        Coding::Deflate => read::ZlibDecoder::new(input).read_to_end(&mut out),
    }
    .unwrap();
    out
}

/// Text that can be compressed, and noise that can't.
fn sample(bytes: usize, noise: bool) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..bytes)
        .map(|at| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if noise { state.to_le_bytes()[0] } else { b"{\"name\":\"value\"},"[at % 17] }
        })
        .collect()
}

#[test]
fn what_is_compressed_comes_back() {
    let mut spare = Spare::default();
    for coding in [Coding::Gzip, Coding::Deflate] {
        for bytes in [0, 1, 10, 1_000, 32_767, 32_768, 32_769, 65_536, 300_000, 2_000_000] {
            for noise in [false, true] {
                let input = sample(bytes, noise);
                let coded = compressed(coding, &input, &mut spare);
                assert_eq!(reference(coding, &coded), input, "{coding:?} {bytes}");
                assert_eq!(decompressed(coding, &coded, bytes as u64).unwrap(), input, "{coding:?} {bytes}");
                assert!(noise || bytes < 1_000 || coded.len() < bytes / 5, "{coding:?} {bytes}");
            }
        }
    }
}

/// A step is a part of the work that does not grow with the work.
#[test]
fn work_is_done_in_slices() {
    let mut spare = Spare::default();
    let input = sample(2_000_000, false);
    let (coded, steps) = run(Coder::compress(Coding::Gzip, &mut spare), &input, &mut spare).unwrap();
    assert_eq!(steps, input.len().div_ceil(32 << 10));
    let (_, steps) = run(Coder::decompress(Coding::Gzip, 2_000_000), &coded, &mut spare).unwrap();
    assert!(steps >= input.len() / (128 << 10), "{steps}");
    // A small body is one step and knows nothing of others.
    let (_, steps) = run(Coder::compress(Coding::Gzip, &mut spare), b"hello", &mut spare).unwrap();
    assert_eq!(steps, 1);
}

#[test]
fn what_can_be_used_again_is_kept_while_it_is_used() {
    let mut spare = Spare::default();
    assert!(!spare.trim());
    compressed(Coding::Gzip, b"hello", &mut spare);
    assert!(spare.trim());
    compressed(Coding::Gzip, b"hello", &mut spare);
    assert!(spare.trim());
    assert!(!spare.trim());
}

#[test]
fn formats_are_told_apart() {
    let text = b"hello, hello, hello";
    let mut raw = write::DeflateEncoder::new(Vec::new(), Level::default());
    raw.write_all(text).unwrap();
    // What some clients call deflate.
    assert_eq!(decompressed(Coding::Deflate, &raw.finish().unwrap(), 100).unwrap(), text);
    let spare = &mut Spare::default();
    let members = [compressed(Coding::Gzip, b"hello, ", spare), compressed(Coding::Gzip, b"world", spare)];
    assert_eq!(decompressed(Coding::Gzip, &members.concat(), 100).unwrap(), b"hello, world");
    let many = members[0].repeat(65);
    assert_eq!(decompressed(Coding::Gzip, &many, 10_000), Err(Error::Malformed));
    assert_eq!(decompressed(Coding::Gzip, &many[..members[0].len() * 64], 10_000).unwrap().len(), 64 * 7);
}

#[test]
fn what_is_not_what_it_says_is_refused() {
    let spare = &mut Spare::default();
    for coding in [Coding::Gzip, Coding::Deflate] {
        let coded = compressed(coding, &sample(1_000, false), spare);
        for cut in 0..coded.len() {
            assert_eq!(
                decompressed(coding, &coded[..cut], 10_000),
                Err(Error::Malformed),
                "{coding:?} {cut}"
            );
        }
        let followed = [&coded[..], b"x"].concat();
        assert_eq!(decompressed(coding, &followed, 10_000), Err(Error::Malformed), "{coding:?}");
        let mut wrong = coded.clone();
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        assert_eq!(decompressed(coding, &wrong, 10_000), Err(Error::Malformed), "{coding:?}");
        assert_eq!(
            decompressed(coding, b"{\"plain\":\"text\"}", 10_000),
            Err(Error::Malformed),
            "{coding:?}"
        );
    }
}

/// 10 MB of zeros are 10 KB, and 1 GB is 1 MB: nothing beyond the limit is ever made.
#[test]
fn a_bomb_comes_to_no_more_than_its_limit() {
    let spare = &mut Spare::default();
    let zeros = vec![0; 20 << 20];
    for coding in [Coding::Gzip, Coding::Deflate] {
        let bomb = compressed(coding, &zeros, spare);
        assert!(bomb.len() < 30_000);
        let max = BODY_BYTES_MAX;
        let mut coder = Coder::decompress(coding, max);
        let error = loop {
            match coder.step(&bomb) {
                Ok(Step::More) => {}
                ended => break ended,
            }
        };
        assert_eq!(error, Err(Error::TooLarge { max }));
        assert!(coder.out_bytes() as u64 <= max + (128 << 10), "{}", coder.out_bytes());
    }
}

proptest! {
    #[test]
    fn any_body_comes_back(input in prop::collection::vec(0..4_u8, 0..10_000), gzip: bool) {
        let coding = if gzip { Coding::Gzip } else { Coding::Deflate };
        let coded = compressed(coding, &input, &mut Spare::default());
        prop_assert_eq!(&reference(coding, &coded), &input);
        prop_assert_eq!(decompressed(coding, &coded, 100_000), Ok(input));
    }

    /// Whatever comes, it ends, and within its limit.
    #[test]
    fn any_bytes_are_decompressed_or_refused(
        input in prop::collection::vec(any::<u8>(), 0..2_000),
        begin in prop::sample::select(vec![&[][..], &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3], &[0x78, 0x9C]]),
        gzip: bool,
    ) {
        let coding = if gzip { Coding::Gzip } else { Coding::Deflate };
        let input = [begin, &input].concat();
        match decompressed(coding, &input, 50_000) {
            Ok(out) => prop_assert!(out.len() <= 50_000),
            Err(Error::TooLarge { max }) => prop_assert_eq!(max, 50_000),
            Err(Error::Malformed) => {}
        }
    }

    #[test]
    fn any_words_of_a_client_are_understood(value in "[a-z*;=,. 0-9]{0,60}") {
        let headers: Headers = [("Accept-Encoding", value.as_bytes())].into_iter().collect();
        let names = ["gzip", "deflate", "*"];
        let may_be = names.iter().any(|name| value.contains(name));
        prop_assert!(may_be || preferred(&headers).coding.is_none());
    }
}
