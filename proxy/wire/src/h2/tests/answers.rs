//! The rows of `tests/conformance/http2_answers.toml` against the client side: whole and cut at every byte, each has one
//! verdict.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use message::{Body, Method, Response};
use toml::{Table, Value};

use super::requests::{fields_of, read_body};
use super::rows::{expand, frame_of};
use crate::Limits;
use crate::h2::frames::{flag, kind};
use crate::h2::properties::backend::Backend;
use crate::h2::properties::raw::*;
use crate::h2::*;

const ROWS: &str = include_str!("../../../../../tests/conformance/http2_answers.toml");

/// A row: id, method, verdict, bytes, and whether the connection ends behind them.
type Row = (String, Method, String, Vec<u8>, bool);

fn rows() -> Vec<Row> {
    let row = |row: &Value| {
        let text = |column: usize| row[column].as_str().unwrap().to_owned();
        let (mut bytes, mut ends) = (Vec::new(), false);
        for frame in row[4].as_array().unwrap() {
            let parts = frame.as_array().unwrap().iter();
            let parts: Vec<_> = parts.map(|part| part.as_str().unwrap()).collect();
            bytes.extend(frame_of(&parts));
            ends |= parts == ["E"];
        }
        (text(0), Method::from_token(text(1)), text(2), bytes, ends)
    };
    ROWS.parse::<Table>().unwrap()["answers"].as_array().unwrap().iter().map(row).collect()
}

/// What becomes of an answer that comes in these parts.
fn verdict(method: &Method, parts: &[&[u8]], ends: bool) -> String {
    let mut backend = Backend::new();
    let (mut awaited, _sender) = backend.call(method, true).unwrap();
    backend.run();
    for part in parts {
        backend.send(part);
        backend.run();
    }
    if ends {
        backend.finish();
        backend.run();
    }
    let mut cx = Context::from_waker(Waker::noop());
    let mut response = Response::default();
    let mut heads = Vec::new();
    loop {
        let head = awaited.poll_head(&mut cx, &Limits::UPSTREAM, method, &mut response);
        let mut text = response.status.to_string();
        if !response.headers.is_empty() {
            text += &format!("|{}", fields_of(&response.headers, "|"));
        }
        match head {
            Poll::Pending => text = "waits".into(),
            Poll::Ready(Err(fault)) => {
                text = match fault {
                    AnswerFault::Malformed(error) => format!("malformed {}", error.as_str()),
                    AnswerFault::Refused => "refused".into(),
                    AnswerFault::Reset(code) => format!("reset {}", code.as_str()),
                    AnswerFault::Gone => "gone".into(),
                }
            }
            Poll::Ready(Ok(AnswerHead::Interim)) => {
                heads.push(text);
                continue;
            }
            Poll::Ready(Ok(AnswerHead::Final(mut receiver))) => {
                if response.body == Body::Empty {
                    text += if receiver.is_ended() { "" } else { " none=" };
                } else {
                    text = match read_body(&mut receiver) {
                        Ok(body) => text + &body,
                        Err(code) => format!("cut {}", code.as_str()),
                    };
                }
            }
        }
        heads.push(text);
        return heads.join(" ");
    }
}

#[test]
fn every_row_has_its_verdict_at_every_cut() {
    let rows = rows();
    assert!(rows.len() >= 40);
    let mut wrong = Vec::new();
    for (id, method, expected, bytes, ends) in &rows {
        let whole = verdict(method, &[bytes], *ends);
        if whole != expand(expected) {
            wrong.push(format!("{id}: {whole}, not {expected}"));
        }
        // What is long is long by repetition.
        for at in (1..bytes.len()).step_by(bytes.len().div_ceil(256).max(1)) {
            let cut = verdict(method, &[&bytes[..at], &bytes[at..]], *ends);
            if cut != whole {
                wrong.push(format!("{id} cut at {at}: {cut}, not {whole}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// What is odd counts on this side too.
#[test]
fn a_backend_that_floods_is_left() {
    let floods: [fn(u32) -> Vec<u8>; 4] = [
        |_| frame(kind::PING, 0, 0, &[0; 8]),
        |_| settings(&[]),
        |_| frame(kind::DATA, 0, 1, b""),
        |_| window_update(0, 1),
    ];
    for flood in floods {
        let mut backend = Backend::new();
        let _call = backend.call(&Method::Get, true).unwrap();
        backend.run();
        backend.send(&headers(0, 1, &block(&[(":status", "200")])));
        backend.run();
        assert_eq!((backend.client.oddities().points(), backend.ended), (0, None));
        for number in 0..1_000 {
            backend.send(&flood(number));
        }
        backend.run();
        assert_eq!(backend.ended, Some(Err(Fault::Flooded)));
    }
}

/// One that serves calls, measures the way and grants what it has read does not come near.
#[test]
fn a_backend_that_means_well_is_at_home() {
    let mut backend = Backend::new();
    for number in 0..1_000 {
        let id = 2 * number + 1;
        let (_awaited, mut sender) = backend.call(&Method::Get, false).unwrap();
        let room = sender.room(500);
        sender.send(Bytes::from(vec![7; room]), true).unwrap();
        backend.run();
        backend.send(&window_update(0, 500));
        backend.send(&frame(kind::PING, 0, 0, &[0; 8]));
        backend.send(&headers(0, id, &block(&[(":status", "200")])));
        backend.send(&data(0, id, &[7; 20]));
        backend.send(&headers(flag::END_STREAM, id, &block(&[("grpc-status", "0")])));
        backend.run();
        assert_eq!((backend.client.oddities().points(), backend.ended), (0, None), "call {number}");
    }
}
