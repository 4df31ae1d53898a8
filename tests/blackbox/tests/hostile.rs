//! Hostile bytes: the vectors of `tests/conformance/http1.toml`, sent whole, cut into pieces and with a request behind
//! them. What is refused never reaches the backend, nothing becomes two requests, and the connection is closed.

use std::{fs, time::Duration};

use harness::{Connection, Gateway, Origin};
use toml::{Table, Value};

use crate::everything;

/// `[id, status, rule, bytes]`.
struct Vector {
    id: String,
    status: u16,
    bytes: Vec<u8>,
}

/// Behind a refused request nothing is read.
const FOLLOW_UP: &[u8] = b"GET /follow-up HTTP/1.1\r\nHost: a\r\n\r\n";

fn vectors() -> Vec<Vector> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/http1.toml");
    let table: Table = fs::read_to_string(file).unwrap().parse().unwrap();
    let rows = table["refused"].as_array().unwrap();
    rows.iter().map(vector).collect()
}

#[track_caller]
fn vector(row: &Value) -> Vector {
    let Some([Value::String(id), Value::Integer(status), Value::String(_rule), Value::String(text)]) =
        row.as_array().map(Vec::as_slice)
    else {
        panic!("not `[id, status, rule, bytes]`: {row}");
    };
    // One character a byte, so that bytes beyond ASCII can be written.
    let bytes = expand(text).chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
    Vector { id: id.clone(), status: u16::try_from(*status).unwrap(), bytes }
}

/// `{a*200}` is two hundred times `a`.
fn expand(text: &str) -> String {
    let mut expanded = String::new();
    for part in text.split_inclusive('}') {
        let repeated = part.rsplit_once('{').and_then(|(before, inside)| {
            let (character, count) = inside.strip_suffix('}')?.split_once('*')?;
            Some(format!("{before}{}", character.repeat(count.parse().ok()?)))
        });
        expanded.push_str(repeated.as_deref().unwrap_or(part));
    }
    expanded
}

/// Every vector, sent by `send`; says all that went wrong.
#[track_caller]
fn check_all(send: impl Fn(&mut Connection, &[u8])) {
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut wrong = Vec::new();
    for vector in vectors() {
        let mut connection = gateway.connect();
        send(&mut connection, &vector.bytes);
        match connection.try_response("GET") {
            Ok(response) if response.status == vector.status => {
                if response.field("connection") != Some("close") {
                    wrong.push(format!("{}: does not say that it closes", vector.id));
                }
                match connection.rest_within(Duration::from_secs(2)) {
                    Some(rest) if rest.is_empty() => {}
                    Some(rest) => {
                        let more = String::from_utf8_lossy(&rest).into_owned();
                        wrong.push(format!("{}: more than one answer: {more:?}", vector.id));
                    }
                    None => wrong.push(format!("{}: the connection stays open", vector.id)),
                }
            }
            other => wrong.push(format!("{}: {} expected, {other:?}", vector.id, vector.status)),
        }
    }
    for request in origin.requests() {
        wrong.push(format!("reached the backend: {:?}", request.head));
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(gateway.ask("GET /").text(), "ok", "it goes on");
}

#[test]
fn whole() {
    check_all(|connection, bytes| {
        connection.try_send(bytes);
    });
}

#[test]
fn with_a_request_behind() {
    check_all(|connection, bytes| {
        connection.try_send([bytes, FOLLOW_UP].concat());
    });
}

#[test]
fn in_two_pieces() {
    check_all(|connection, bytes| {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        connection.try_send(first);
        connection.quiet_for(Duration::from_millis(2));
        connection.try_send(second);
    });
}

/// What looks odd and is right passes: strictness that refuses good clients would be a fault too.
#[test]
fn what_is_right_passes() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/http1.toml");
    let table: Table = fs::read_to_string(file).unwrap().parse().unwrap();
    let origin = Origin::fixed("ok");
    let gateway = Gateway::start(&everything(&origin.url()));
    for row in table["accepted"].as_array().unwrap() {
        let vector = vector(row);
        let mut connection = gateway.connect();
        connection.send(&vector.bytes);
        let response =
            connection.try_response(if vector.bytes.starts_with(b"HEAD") { "HEAD" } else { "GET" });
        assert_eq!(response.map(|response| response.status), Ok(vector.status), "{}", vector.id);
    }
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

#[test]
fn a_slow_body_is_cut() {
    let origin = Origin::fixed("ok");
    let gateway =
        Gateway::start(&format!("[timeouts]\nbody_idle = \"300ms\"\n{}", everything(&origin.url())));
    let mut connection = gateway.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let rest = String::from_utf8_lossy(&connection.rest()).into_owned();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{rest}");
}

/// A connection on which nothing is asked is closed without a word.
#[test]
fn an_idle_connection_is_closed() {
    let origin = Origin::fixed("ok");
    let gateway =
        Gateway::start(&format!("[timeouts]\nkeep_alive = \"200ms\"\n{}", everything(&origin.url())));
    let mut connection = gateway.connect();
    assert_eq!(connection.ask("GET /").response().status, 200);
    assert_eq!(connection.rest(), b"");
}

/// Each client gets its own answer: a number goes in and must come back, on many connections at once, with faults
/// between.
#[test]
fn answers_are_not_crossed() {
    let origin = Origin::start(|request| {
        let nonce = request.field("x-nonce").unwrap_or_default().to_owned();
        match nonce.parse::<u32>() {
            Ok(number) if number % 13 == 0 => vec![harness::Act::Close],
            Ok(number) if number % 17 == 0 => vec![
                harness::Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf".to_vec()),
                harness::Act::Reset,
            ],
            _ => vec![harness::Act::answer(200, &[], &nonce)],
        }
    });
    let gateway = Gateway::with(&everything(&origin.url())).workers(2).start();
    let address = gateway.address();
    let clients: Vec<_> = (0..8_u32)
        .map(|client| {
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                for number in (client * 1000)..(client * 1000 + 400) {
                    connection.ask(&format!("GET /\nx-nonce: {number}"));
                    match connection.try_response("GET") {
                        Ok(response) if response.status == 200 => {
                            assert_eq!(response.text(), number.to_string())
                        }
                        Ok(response) => assert_eq!(response.status, 502),
                        Err(_) => connection = Connection::open(address),
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}
