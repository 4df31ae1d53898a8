//! Hostile bytes: the vectors of `tests/conformance/http1.toml`, sent whole, with a request behind them, and in two
//! pieces cut at every byte. What is refused never reaches the backend as a request, nothing becomes two requests, and
//! the connection is closed; what is accepted reaches it as one clean request, however it was cut.

use std::{thread, time::Duration};

use harness::{Act, Connection, Gateway, Origin, Watch, conformance, h2, latin1};
use toml::Value;

use crate::everything;

mod answers;
mod modes;
pub(crate) mod nonces;
mod paths;
mod trust;

/// A row `[id, status, rule, bytes]` or `[id, status, rule, bytes, forwarded]`.
struct Vector {
    id: String,
    status: u16,
    bytes: Vec<u8>,
    /// `method target body` as the backend gets it; what is refused has none.
    forwarded: String,
}

/// Sent behind a vector; the connection ends with it if it is read at all.
const FOLLOW_UP: &[u8] = b"GET /follow-up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Up to this length a vector is cut at every byte; of a longer one, so many cuts are taken.
const CUTS_MAX: usize = 256;

/// At one of so many cuts the second piece comes late.
const PAUSE_EVERY: usize = 11;

/// Gateways that work the table off beside each other.
const LANES: usize = 3;

#[track_caller]
fn vectors(table: &str) -> Vec<Vector> {
    conformance("http1", table).iter().map(|row| vector(row)).collect()
}

#[track_caller]
fn vector(row: &[Value]) -> Vector {
    let (Value::String(id), Value::Integer(status), Value::String(_rule), Value::String(bytes)) =
        (&row[0], &row[1], &row[2], &row[3])
    else {
        panic!("not `[id, status, rule, bytes]`: {row:?}");
    };
    let forwarded = row.get(4).and_then(Value::as_str).unwrap_or_default().to_owned();
    Vector { id: id.clone(), status: u16::try_from(*status).unwrap(), bytes: latin1(bytes), forwarded }
}

impl Vector {
    /// How it is sent: in one piece, with a request behind it, and in two pieces.
    fn sendings(&self) -> Vec<[Vec<u8>; 2]> {
        let whole = [self.bytes.clone(), Vec::new()];
        let coalesced = [[&self.bytes[..], FOLLOW_UP].concat(), Vec::new()];
        let step = self.bytes.len().div_ceil(CUTS_MAX).max(1);
        let cut = |at| {
            let (first, second) = self.bytes.split_at(at);
            [first.to_vec(), second.to_vec()]
        };
        [whole, coalesced].into_iter().chain((1..self.bytes.len()).step_by(step).map(cut)).collect()
    }

    fn method(&self) -> &str {
        let start = self.bytes.strip_prefix(b"\r\n").unwrap_or(&self.bytes);
        let end = start.iter().position(|&byte| byte == b' ').unwrap_or_default();
        std::str::from_utf8(&start[..end]).unwrap_or_default()
    }
}

/// A backend that reads what it is sent and answers.
fn backend() -> Origin {
    Origin::start(|request| {
        let body = if request.line().starts_with("HEAD ") { "" } else { "ok" };
        vec![Act::ReadBody, Act::answer(200, &[], body)]
    })
}

/// Deals the vectors out to lanes, each with a gateway and a backend of its own; says all that went wrong.
#[track_caller]
fn check_all(table: &str, check: fn(&Vector, &Gateway, &mut Watch<'_>) -> Result<(), String>) {
    let vectors = vectors(table);
    let lane = |lane: usize| {
        let origin = backend();
        // One of the vectors is how HTTP/2 begins.
        let gateway = Gateway::with(&everything(&origin.url())).listener("http2 = false").start();
        let mut watch = Watch::new(&origin);
        let mut wrong = Vec::new();
        for vector in vectors.iter().skip(lane).step_by(LANES) {
            if let Err(problem) = check(vector, &gateway, &mut watch) {
                wrong.push(format!("{}: {problem}", vector.id));
            }
        }
        assert_eq!(gateway.ask("GET /last").text(), "ok", "it goes on");
        match watch.requests() {
            Ok(last) if last.len() == 1 && last[0].start == "GET /last" => {}
            other => wrong.push(format!("at the end the backend has {other:?}")),
        }
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// Sends both pieces. Without a pause the gateway may find them together, so that some cuts have one.
fn send(connection: &mut Connection, first: &[u8], second: &[u8]) {
    connection.try_send(first);
    if first.len().is_multiple_of(PAUSE_EVERY) && !second.is_empty() {
        connection.quiet_for(Duration::from_millis(1));
    }
    connection.try_send(second);
}

#[test]
fn what_is_refused_ends_there() {
    check_all("refused", |vector, gateway, watch| {
        for [first, second] in vector.sendings() {
            let cut = first.len();
            let at = |problem: String| format!("cut at {cut}: {problem}");
            let mut connection = gateway.connect();
            send(&mut connection, &first, &second);
            let response = connection.try_response("GET").map_err(|broken| at(format!("{broken:?}")))?;
            if (response.status, response.field("connection")) != (vector.status, Some("close")) {
                return Err(at(format!("{} and close expected: {response:?}", vector.status)));
            }
            match connection.rest_within(Duration::from_secs(2)) {
                Some(rest) if rest.is_empty() => {}
                Some(rest) => return Err(at(format!("more than one answer: {}", rest.escape_ascii()))),
                None => return Err(at("the connection stays open".to_owned())),
            }
        }
        match watch.requests()? {
            none if none.is_empty() => Ok(()),
            forwarded => Err(format!("reached the backend: {forwarded:?}")),
        }
    });
}

/// What looks odd and is right passes: strictness that refuses good clients would be a fault too.
#[test]
fn what_is_right_passes_once() {
    check_all("accepted", |vector, gateway, watch| {
        let expected: Vec<_> = match vector.forwarded.as_str() {
            "" => vec!["GET /follow-up "],
            forwarded => vec![forwarded, "GET /follow-up "],
        };
        let declined = 2 - expected.len();
        for (number, [first, mut second]) in vector.sendings().into_iter().enumerate() {
            let cut = first.len();
            let at = |problem: String| format!("cut at {cut}: {problem}");
            if number > 1 {
                second.extend_from_slice(FOLLOW_UP);
            }
            let mut connection = gateway.connect();
            send(&mut connection, &first, &second);
            let mut statuses = Vec::new();
            let mut closes = false;
            while statuses.len() < if number == 0 { 1 } else { 2 } && !closes {
                let method = if statuses.is_empty() { vector.method() } else { "GET" };
                let response = connection.try_response(method).map_err(|broken| at(format!("{broken:?}")))?;
                if response.status != 100 {
                    statuses.push(response.status);
                    closes = response.field("connection") == Some("close");
                }
            }
            if statuses[0] != vector.status || statuses[1..].iter().any(|&status| status != 200) {
                return Err(at(format!("answered {statuses:?}")));
            }
            if closes {
                match connection.rest_within(Duration::from_secs(2)) {
                    Some(rest) if rest.is_empty() => {}
                    other => return Err(at(format!("after the last answer: {other:?}"))),
                }
            }
            let seen: Vec<_> = watch.requests()?.iter().map(line).collect();
            if seen != expected[..statuses.len() - declined] {
                return Err(at(format!("the backend got {seen:?} instead of {expected:?}")));
            }
        }
        Ok(())
    });
}

/// `method target body`, one character a byte.
fn line(request: &harness::Judged) -> String {
    let body: String = request.body.iter().map(|&byte| char::from(byte)).collect();
    format!("{} {body}", request.start)
}

/// A head that does not come to its end is cut, however it trickles.
#[test]
fn a_slow_head_is_answered_408() {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&format!("[timeouts]\nhead = \"300ms\"\n{}", everything(&origin.url())));
    let mut connection = gateway.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let response = connection.response();
    assert_eq!((response.status, response.field("connection")), (408, Some("close")));
    assert_eq!(connection.rest(), b"");
    assert!(origin.requests().is_empty());
}

/// The status of a request of these very bytes over HTTP/2. A stream that ends with PROTOCOL_ERROR is refused as well (RFC 9113,
/// section 8.1.1).
fn ask_h2(gateway: &Gateway, path: Vec<u8>, fields: &[(&str, &str)]) -> Result<u16, String> {
    let mut connection = gateway.connect_h2();
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "a")];
    let block = pseudo.iter().fold(h2::Block::new(), |block, (name, value)| block.literal(name, value));
    let block = block.literal(":path", path);
    let block = fields.iter().fold(block, |block, (name, value)| block.literal(name, value));
    connection.frame(&h2::Frame::headers(1, h2::flag::END_STREAM | h2::flag::END_HEADERS, block.bytes()));
    match connection.outcome(1).map(|outcome| (outcome.status, outcome.reset)) {
        Ok((status, None | Some(h2::code::NO_ERROR))) => Ok(status),
        Ok((0, Some(h2::code::PROTOCOL_ERROR))) => Ok(400),
        // What is no UTF-8, and some names, the codec takes for a fault of the connection.
        Ok((0, _)) if connection.gone().iter().any(|gone| gone.code == h2::code::PROTOCOL_ERROR) => Ok(400),
        other => Err(format!("{other:?}, {:?}", connection.gone())),
    }
}
