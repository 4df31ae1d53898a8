//! Heads in both directions, and targets. The heads are those of a browser, of a load generator and of an API's backend.

use message::{Method, PathRules, Request, Response, Target, Version};
use wire::{
    Limits,
    h1::{
        self, BodyLength, ResponseBody, ResponseOptions, decode_request as decode,
        decode_response as decode_answer,
    },
};

use crate::Case;

const BROWSER: &[u8] = b"GET /orders/4711/items?page=2&sort=name HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example.com/orders/4711\r\n\
    Origin: https://shop.example.com\r\n\
    Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI0NzExIn0.c2lnbmF0dXJl\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\
    X-Request-Id: 6f1c0e5a-4d0b-4c0e-9a43-1b8f0a2c7d11\r\n\
    Sec-Fetch-Mode: cors\r\n\r\n";

const LEAST: &[u8] = b"GET /p/1k HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    ETag: \"5f3c-9a1b2c3d\"\r\n\
    Cache-Control: private, max-age=0\r\n\
    Vary: Accept-Encoding\r\n\
    X-Request-Id: 6f1c0e5a-4d0b-4c0e-9a43-1b8f0a2c7d11\r\n\r\n";

pub(crate) fn decode_request() -> Case {
    decoded_request("decode_request", BROWSER)
}

pub(crate) fn decode_least_request() -> Case {
    decoded_request("decode_least_request", LEAST)
}

fn decoded_request(name: &'static str, head: &'static [u8]) -> Case {
    let mut request = Request::default();
    Case::new(name, move || {
        let read = decode(head, &Limits::CLIENT, PathRules::default(), &mut request);
        matches!(read, Ok(Some((bytes, framing))) if bytes == head.len() && framing.body == BodyLength::None)
    })
}

pub(crate) fn encode_request() -> Case {
    let mut request = Request::default();
    let read = decode(BROWSER, &Limits::CLIENT, PathRules::default(), &mut request);
    debug_assert!(matches!(read, Ok(Some(_))));
    let mut out = Vec::new();
    Case::new("encode_request", move || {
        out.clear();
        h1::encode_request(&request, &request.authority, BodyLength::None, &mut out);
        out.len() > BROWSER.len() / 2 && out.ends_with(b"\r\n\r\n")
    })
}

pub(crate) fn decode_response() -> Case {
    let mut response = Response::default();
    Case::new("decode_response", move || {
        let read = decode_answer(ANSWER, &Limits::UPSTREAM, &Method::Get, &mut response);
        matches!(read, Ok(Some((bytes, framing)))
            if bytes == ANSWER.len() && framing.body == BodyLength::Known(1024) && response.status == 200)
    })
}

pub(crate) fn encode_response() -> Case {
    let mut response = Response::default();
    let read = decode_answer(ANSWER, &Limits::UPSTREAM, &Method::Get, &mut response);
    debug_assert!(matches!(read, Ok(Some(_))));
    let date = h1::imf_fixdate(784_111_777);
    let mut out = Vec::new();
    Case::new("encode_response", move || {
        out.clear();
        let body = ResponseBody::choose(&Method::Get, Version::Http11, &response, BodyLength::Known(1024));
        let options = ResponseOptions { version: Version::Http11, close: false, body, date: &date };
        h1::encode_response(&response, &options, &mut out);
        out.len() > ANSWER.len() / 2 && out.ends_with(b"\r\n\r\n")
    })
}

pub(crate) fn read_plain_target() -> Case {
    read_target("read_plain_target", b"/orders/4711/items?page=2&sort=name", "/orders/4711/items")
}

/// Escapes of unreserved bytes, others that stay, dot segments.
pub(crate) fn read_escaped_target() -> Case {
    read_target(
        "read_escaped_target",
        b"/a/./b%2dc/%c3%a4pfel/../%7Eorders/x%20y?page=2",
        "/a/b-c/~orders/x%20y",
    )
}

fn read_target(name: &'static str, raw: &'static [u8], path: &'static str) -> Case {
    let mut target = Target::default();
    Case::new(name, move || target.read(raw, PathRules::default()).is_ok() && target.path() == path)
}
