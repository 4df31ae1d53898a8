//! The rows of `tests/conformance/http2_requests.toml` against the server side: whole and cut at every byte, each has one
//! verdict, and what comes out is clean.

use std::task::{Context, Poll, Waker};

use message::{Field, Headers, PathRules, Request};
use toml::{Table, Value};

use super::rows::{expand, frame_of};
use crate::Limits;
use crate::h2::frames::kind;
use crate::h2::properties::raw::Raw;
use crate::h2::properties::request_is_clean;
use crate::h2::*;

const ROWS: &str = include_str!("../../../../../tests/conformance/http2_requests.toml");
const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };

/// The rows of a table: id, verdict, bytes.
fn rows() -> Vec<(String, String, Vec<u8>)> {
    let row = |row: &Value| {
        let text = |column: usize| row[column].as_str().unwrap().to_owned();
        let frames = row[3].as_array().unwrap().iter();
        let bytes = frames.flat_map(|frame| {
            let parts = frame.as_array().unwrap().iter();
            frame_of(&parts.map(|part| part.as_str().unwrap()).collect::<Vec<_>>())
        });
        (text(0), text(1), bytes.collect())
    };
    ROWS.parse::<Table>().unwrap()["requests"].as_array().unwrap().iter().map(row).collect()
}

pub(super) fn fields_of(headers: &Headers, separator: &str) -> String {
    let field = |field: Field<'_>| format!("{}: {}", field.text.escape_ascii(), field.value.escape_ascii());
    headers.iter().map(field).collect::<Vec<_>>().join(separator)
}

/// What becomes of bytes that come in these parts.
fn verdict(parts: &[&[u8]]) -> String {
    let mut raw = Raw::new();
    let mut incoming = Vec::new();
    for part in parts {
        raw.send(part);
        incoming.extend(raw.run());
    }
    let mut request = Request::default();
    let read = incoming.pop().map(|mut incoming| {
        let head = incoming.read(&Limits::CLIENT, RULES, &mut request);
        (head, incoming.split())
    });
    assert!(incoming.is_empty(), "two requests");
    let outcome = match read {
        Some((Err(error), _)) => {
            let nothing = Request { version: request.version, ..Request::default() };
            assert_eq!(request, nothing, "{error:?} leaves something");
            format!("{} {}", error.status(), error.as_str())
        }
        Some((Ok(head), (mut receiver, _))) => {
            request_is_clean(&request);
            match read_body(&mut receiver) {
                Err(code) => format!("cut {}", code.as_str()),
                Ok(body) => format!("pass {}{body}", describe(&request, head)),
            }
        }
        None => "nothing".into(),
    };
    assert!(raw.got.iter().all(|(head, _)| head.kind != kind::HEADERS), "nobody has answered");
    match (raw.code(kind::GOAWAY, 0), raw.code(kind::RST_STREAM, 1)) {
        (Some(code), _) => format!("goaway {}", code.as_str()),
        (None, Some(code)) if outcome == "nothing" => format!("reset {}", code.as_str()),
        _ => outcome,
    }
}

fn describe(request: &Request, head: RequestHead) -> String {
    let mut text = format!("{} {}", request.method.as_str(), request.target.path());
    if let Some(query) = request.target.query() {
        text += &format!("?{query}");
    }
    text += &format!(" {}", request.authority.as_str());
    if !request.headers.is_empty() {
        text += &format!("|{}", fields_of(&request.headers, "|"));
    }
    text + if head.expect_continue { " expects" } else { "" }
}

pub(super) fn read_body(receiver: &mut Receiver) -> Result<String, Code> {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut text, mut has_body) = (String::new(), !receiver.is_ended());
    loop {
        let run = receiver.poll_receive(&mut cx, |bytes| (bytes.len(), bytes.escape_ascii().to_string()));
        match run {
            Poll::Ready(Ok(Some(run))) => text += &run,
            Poll::Ready(Ok(None)) => break,
            Poll::Ready(Err(code)) => return Err(code),
            Poll::Pending => return Ok(format!("={text}…")),
        }
        has_body = true;
    }
    let mut trailers = Headers::default();
    let has_trailers = match receiver.poll_trailers(&mut cx, &Limits::CLIENT, &mut trailers) {
        Poll::Ready(has_trailers) => has_trailers?,
        Poll::Pending => false,
    };
    let trailers = if has_trailers { format!("+{}", fields_of(&trailers, "|")) } else { String::new() };
    Ok(if has_body { format!("={text}{trailers}") } else { trailers })
}

#[test]
fn every_row_has_its_verdict_at_every_cut() {
    let rows = rows();
    assert!(rows.len() >= 120);
    let mut wrong = Vec::new();
    for (id, expected, bytes) in &rows {
        let whole = verdict(&[bytes]);
        if whole != expand(expected) {
            wrong.push(format!("{id}: {whole}, not {expected}"));
        }
        // What is long is long by repetition.
        for at in (1..bytes.len()).step_by(bytes.len().div_ceil(256)) {
            assert_eq!(verdict(&[&bytes[..at], &bytes[at..]]), whole, "{id} cut at {at}");
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
