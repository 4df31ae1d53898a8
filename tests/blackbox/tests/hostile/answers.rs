//! What backends get wrong (`tests/conformance/http1_answers.toml`): sent in one piece and in two, cut at every byte. A
//! client never gets a wrong answer that looks complete, and a connection that went wrong carries no other request.

use std::{sync::Arc, thread};

use harness::{Act, Broken, Connection, Gateway, Origin, conformance, latin1};
use toml::Value;

use super::{CUTS_MAX, LANES};
use crate::everything;

/// A row `[id, verdict, end, rule, bytes]`.
struct Fault {
    id: String,
    verdict: String,
    end: Act,
    bytes: Vec<u8>,
}

/// What a client saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The gateway's own answer.
    Refused,
    /// An answer that is plainly not whole.
    Cut,
    Whole(String),
}

/// Said by the backend itself where nothing is wrong.
const GOOD: &str = "good";

#[track_caller]
fn fault(row: &[Value]) -> Fault {
    let text = |column: usize| row[column].as_str().unwrap_or_else(|| panic!("no text: {row:?}")).to_owned();
    let end = match text(2).as_str() {
        "stay" => Act::Stall,
        "close" => Act::Close,
        "reset" => Act::Reset,
        other => panic!("no end: {other}"),
    };
    Fault { id: text(0), verdict: text(1), end, bytes: latin1(&text(4)) }
}

impl Fault {
    /// As the backend plays it when its first piece has so many bytes.
    fn acts(&self, cut: usize) -> Vec<Act> {
        let (first, second) = self.bytes.split_at(cut.min(self.bytes.len()));
        let mut acts = vec![Act::Send(first.to_vec()), Act::Send(second.to_vec())];
        // Where the connection is to go on, so does the backend.
        acts.extend((!self.verdict.starts_with("whole")).then(|| self.end.clone()));
        acts
    }

    fn expected(&self) -> Seen {
        match self.verdict.split_once(':') {
            Some((_, body)) => Seen::Whole(body.to_owned()),
            None if self.verdict == "cut" => Seen::Cut,
            None => Seen::Refused,
        }
    }
}

fn ask(connection: &mut Connection, target: &str) -> Result<(Seen, bool), String> {
    if !connection.try_send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")) {
        return Err("the client's connection is gone".to_owned());
    }
    loop {
        match connection.try_response("GET") {
            Ok(response) if response.status < 200 && response.status != 101 => {}
            Ok(response) => {
                let closes = response.field("connection") == Some("close");
                let text = response.text();
                let own = response.status == 502 && text.contains("Bad Gateway");
                return Ok((if own { Seen::Refused } else { Seen::Whole(text) }, closes));
            }
            // A head and a part of a body, then the end.
            Err(Broken::Ended(_)) => return Ok((Seen::Cut, true)),
            Err(broken) => return Err(format!("{broken:?}")),
        }
    }
}

#[test]
fn no_answer_looks_complete_that_is_not() {
    let rows = conformance("http1_answers", "answers");
    let wrong: Vec<String> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let faults: Vec<_> = rows.iter().skip(lane).step_by(LANES).map(|row| fault(row)).collect();
                scope.spawn(move || play(faults))
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// Plays each fault at each cut; `/index/cut` names it to the backend.
fn play(faults: Vec<Fault>) -> Vec<String> {
    let faults = Arc::new(faults);
    let script = Arc::clone(&faults);
    let origin = Origin::start(move |request| {
        let numbers: Vec<_> = request.target().split('/').filter_map(|part| part.parse().ok()).collect();
        match numbers[..] {
            [index, cut] => script.get::<usize>(index).map_or(vec![Act::Close], |fault| fault.acts(cut)),
            _ => vec![Act::answer(200, &[], GOOD)],
        }
    });
    let gateway = Gateway::start(&everything(&origin.url()));
    let (mut wrong, mut before) = (Vec::new(), 0);
    for (index, fault) in faults.iter().enumerate() {
        // An answer that ends with the first piece cannot be told from a right one when the next request comes first.
        let last = match fault.verdict.starts_with("spoilt") {
            true => fault.bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or_default() + 4,
            false => fault.bytes.len(),
        };
        let step = last.div_ceil(CUTS_MAX).max(1);
        let cuts = [fault.bytes.len()].into_iter().chain((1..last).step_by(step));
        let problem = cuts.into_iter().find_map(|cut| {
            let outcome = play_one(&gateway, &origin, fault, &format!("/{index}/{cut}"), &mut before);
            outcome.err().map(|problem| format!("{} cut at {cut}: {problem}", fault.id))
        });
        wrong.extend(problem);
    }
    wrong
}

fn play_one(
    gateway: &Gateway,
    origin: &Origin,
    fault: &Fault,
    target: &str,
    before: &mut usize,
) -> Result<(), String> {
    let mut connection = gateway.connect();
    let (seen, closes) = ask(&mut connection, target)?;
    if seen != fault.expected() {
        return Err(format!("the client saw {seen:?}"));
    }
    // Whoever comes next, on the same connection or on another, is answered as if nothing had been.
    if closes {
        connection = gateway.connect();
    }
    match ask(&mut connection, "/good")? {
        (Seen::Whole(text), _) if text == GOOD => {}
        other => return Err(format!("the next request got {other:?}")),
    }
    let requests = origin.requests_from(*before);
    *before += requests.len();
    let (good, faulty): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.target() == "/good");
    let again = good.iter().any(|good| faulty.iter().any(|faulty| faulty.connection == good.connection));
    match (good.len(), faulty.len(), fault.verdict.starts_with("whole")) {
        // A request that a connection from the pool did not answer at all is asked once more on a new one.
        (1, 1 | 2, whole) if again == whole => Ok(()),
        (1, 1 | 2, true) => Err("a good connection was thrown away".to_owned()),
        (1, 1 | 2, false) => Err("the connection was used again".to_owned()),
        counts => Err(format!("requests at the backend: {counts:?}")),
    }
}
