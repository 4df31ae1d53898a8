//! The properties, over messages made up by proptest: well-formed ones, almost well-formed ones, and noise.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Za-z][A-Za-z0-9-]{0,12}".prop_map(|name| format!("x{name}")),
        1 => prop::sample::select(vec!["Accept", "cookie", "Authorization", "X-Forwarded-For", "ETag"]).prop_map(String::from),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => 0x21u8..0x7f, 1 => 0x80u8..=0xff, 1 => Just(b' '), 1 => Just(b'\t')];
    prop::collection::vec(byte, 0..24).prop_map(|value| value.trim_ascii().to_vec())
}

fn headers() -> impl Strategy<Value = message::Headers> {
    prop::collection::vec((name(), value()), 0..40)
        .prop_map(|fields| fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect())
}

prop_compose! {
    fn request()(
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("HEAD"), Just("OPTIONS"), Just("BREW")],
        target in "(/[a-z0-9;,=~-]{0,6}){1,4}(\\?[a-z0-9&=%20|]{0,8})?".prop_filter("escapes", |text| !text.contains('%')),
        host in "[a-z0-9-]{1,10}(\\.[a-z]{2,4})?(:[1-9][0-9]{0,3})?",
        headers in headers(),
        upgrade in prop::option::of(Just("websocket")),
        length in prop_oneof![
            Just(BodyLength::None),
            any::<u32>().prop_map(|bytes| BodyLength::Known(bytes.into())),
            Just(BodyLength::Chunked)
        ],
    ) -> (Request, BodyLength) {
        let mut request = Request { method: Method::from_token(method), headers, ..Request::default() };
        request.target.read(target.as_bytes(), RULES).unwrap();
        request.authority.read(host.as_bytes()).unwrap();
        request.body = length.to_body();
        if request.method == Method::Get && request.body == Body::Empty {
            upgrade.map(Box::from).into_iter().for_each(|protocol| request.set_upgrade(protocol));
        }
        (request, length)
    }
}

prop_compose! {
    fn response()(
        status in 200u16..600,
        headers in headers(),
        length in prop_oneof![
            any::<u32>().prop_map(|bytes| BodyLength::Known(bytes.into())),
            Just(BodyLength::Chunked),
            Just(BodyLength::UntilClose)
        ],
        keep_alive: bool,
    ) -> (Response, ResponseFraming) {
        let bodiless = matches!(status, 204 | 304);
        let body = if bodiless { BodyLength::None } else { length };
        let keep_alive = keep_alive && body != BodyLength::UntilClose;
        let response = Response { status, headers, body: body.to_body() };
        (response, ResponseFraming { body, keep_alive, kind: ResponseKind::Final, upgrade: None })
    }
}

/// Pieces that heads and bodies are made of, put together in any order.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /a?b HTTP/1.1\r\n", "GET http://a/ HTTP/1.0\r\n", "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 101 x\r\n", "HTTP/1.0 304\r\n", "HTTP/1.1 103 \r\n", "Host: a\r\n", "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n", "Connection: upgrade, x-a\r\n", "Connection: close\r\n",
            "Upgrade: websocket\r\n", "Expect: 100-continue\r\n", "X-A: b\r\n", "X_A: b\r\n", "Date: d\r\n", "\r\n",
            "3\r\nabc\r\n", "0\r\n\r\n", "0\r\nA: b\r\n\r\n", "1\r\n", "a", "\r", "\n", " ", ":", "0", ";", "\0",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

fn all(bytes: &[u8]) {
    properties::any_request(bytes);
    properties::any_response(bytes);
    properties::any_body(bytes);
}

proptest! {
    #[test]
    fn requests_survive((request, length) in request()) {
        properties::request_survives(&request, length);
        let mut bytes = Vec::new();
        encode_request(&request, &request.authority, length, &mut bytes);
        properties::any_request(&bytes);
    }

    #[test]
    fn responses_survive((response, framing) in response()) {
        properties::response_survives(&response, &framing, &Method::Get);
    }

    #[test]
    fn chunks_survive(data in prop::collection::vec(any::<u8>(), 0..200), chunk_bytes in 1usize..50) {
        properties::chunks_survive(&data, chunk_bytes);
    }

    #[test]
    fn almost_messages(bytes in almost()) {
        all(&bytes);
    }

    /// A good request with one byte changed, taken out or put in.
    #[test]
    fn mutated_requests((request, length) in request(), at: prop::sample::Index, byte: u8, how in 0..3) {
        let mut bytes = Vec::new();
        encode_request(&request, &request.authority, length, &mut bytes);
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => { bytes.remove(at); }
            _ => bytes.insert(at, byte),
        }
        properties::any_request(&bytes);
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        all(&bytes);
    }
}

#[test]
fn known_messages_hold_all_properties() {
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?a=b HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
        b"3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    ] {
        all(bytes);
    }
}

/// Every file of a fuzz target's corpus holds its property.
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
fn corpora_hold_all_properties() {
    check_corpus("h1_request", properties::any_request);
    check_corpus("h1_response", properties::any_response);
    check_corpus("h1_body", properties::any_body);
}
