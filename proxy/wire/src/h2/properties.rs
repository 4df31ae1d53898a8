//! What must hold for any bytes whatever, and how bytes come to a [`Server`] without a socket.

pub(in crate::h2) mod backend;
pub(in crate::h2) mod calls;
pub(in crate::h2) mod memory;
pub(in crate::h2) mod raw;
pub(in crate::h2) mod reader;
pub(in crate::h2) mod session;

pub use crate::h2::hpack::properties::HeaderBlocks;

use message::{Body, Headers, Length, Method, Name, PathRules, Request, Response, Version};

use self::calls::Calls;
use self::session::{Script, Session};
use crate::h1::{self, BodyLength, ResponseBody, ResponseOptions};
use crate::h2::{Settings, hpack};
use crate::{HEADERS_CAP, Limits};

const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };

/// What came out of HTTP/2 is the same request to any reader of HTTP/1.1: written and read again nothing of it has changed,
/// and nothing is left for a second request.
pub fn request_is_clean(request: &Request) {
    let length = match request.body {
        Body::Stream(Length::Known(bytes)) => BodyLength::Known(bytes),
        Body::Stream(Length::Unknown) => BodyLength::Chunked,
        Body::Empty | Body::Whole(_) => BodyLength::None,
    };
    let mut bytes = Vec::new();
    h1::encode_request(request, &request.authority, length, &mut bytes);
    h1::properties::head_is_clean(&bytes);
    let mut again = Request::default();
    let shown = bytes.escape_ascii();
    // The host, and how long the body is, were no fields.
    let limits = Limits { headers_max: HEADERS_CAP, ..Limits::CLIENT };
    let read = h1::decode_request(&bytes, &limits, RULES, &mut again)
        .unwrap_or_else(|error| panic!("{error:?}: {shown}"));
    assert_eq!(read.map(|(read, _)| read), Some(bytes.len()), "{shown}");
    assert_eq!(
        (&request.method, request.target.path(), request.target.query(), &request.authority),
        (&again.method, again.target.path(), again.target.query(), &again.authority),
        "{shown}"
    );
    assert_eq!(
        (shown_fields(&request.headers), &request.body),
        (shown_fields(&again.headers), &again.body),
        "{shown}"
    );
}

/// All that HTTP/1.1 says of fields.
fn shown_fields(headers: &Headers) -> Vec<(&[u8], &[u8])> {
    headers.iter().map(|field| (field.text, field.value)).collect()
}

/// The same for an answer without a body.
pub fn response_is_clean(response: &Response) {
    let body = ResponseBody::choose(&Method::Get, Version::Http11, response, BodyLength::None);
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    let options = ResponseOptions { version: Version::Http11, close: false, body, date };
    let mut bytes = Vec::new();
    h1::encode_response(response, &options, &mut bytes);
    h1::properties::head_is_clean(&bytes);
    let mut again = Response::default();
    let limits = Limits { headers_max: HEADERS_CAP, ..Limits::UPSTREAM };
    let read = h1::decode_response(&bytes, &limits, &Method::Get, &mut again)
        .unwrap_or_else(|error| panic!("{error:?}: {}", bytes.escape_ascii()));
    assert_eq!(read.map(|(read, _)| read), Some(bytes.len()), "{}", bytes.escape_ascii());
    // The encoder adds these two, and leaves out what the backend said of the one.
    again.headers.retain(|field| field.name != Name::ContentLength);
    let is_dated = response.headers.get(Name::Date).is_some();
    again.headers.retain(|field| is_dated || field.name != Name::Date);
    let mut own = response.headers.clone();
    own.retain(|field| field.name != Name::ContentLength);
    assert_eq!((again.status, shown_fields(&again.headers)), (response.status, shown_fields(&own)));
}

/// What a head may have where it is to be little: less than a plain request.
const SHORT_HEAD_BYTES: u32 = 64;

/// All that must hold for what a client sends after the preface.
pub fn any_frames(bytes: &[u8]) {
    // Of the few bytes that are tried many are more than a head may have.
    let short = Settings { head_list_bytes_max: SHORT_HEAD_BYTES, ..Settings::CLIENTS };
    let (all, third) = (bytes.len().max(1), 1 + bytes.len() / 3);
    for (piece_bytes, settings) in
        [(all, &Settings::CLIENTS), (third, &Settings::CLIENTS), (all, &short), (third, &short)]
    {
        let mut session = Session::with(settings);
        for piece in bytes.chunks(piece_bytes) {
            session.raw.send(piece);
            session.run_freely();
        }
        let points = session.raw.server.oddities();
        assert!(!points.is_hard() || session.raw.ended.is_some(), "a flood goes on");
        session.finish();
    }
}

/// All that must hold for header blocks of any bytes, each behind a byte with its length.
pub fn any_header_blocks(bytes: &[u8]) {
    hpack::properties::any_header_blocks(bytes);
}

/// All that must hold for a session of any steps, on either side: nobody panics, nobody sends more than it was granted,
/// and what comes out is clean.
pub fn any_session(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut session = Session::new();
    while !script.is_over() && session.raw.ended.is_none() {
        session.step(&mut script);
    }
    session.finish();
    let mut script = Script(bytes);
    let mut calls = Calls::new();
    while !script.is_over() && calls.backend.ended.is_none() {
        calls.step(&mut script);
    }
}
