//! Frame by frame: the rules of `tests/conformance/http2.toml` at the gateway, and at nghttpd and nginx, which show that the
//! table asks for what HTTP/2 is. Where those differ from it, the table says how.

use std::{collections::BTreeSet, fmt, net::SocketAddr};

use harness::{
    Act, Broken, Gateway, Nghttpd, Nginx, Origin, PATIENCE, Recorded, conformance, free_port,
    h2::{self, Block, Frame, Sent, TABLE_BYTES, code_name, flag, hpack, kind},
};
use toml::Value;

use crate::everything;

const TABLES: [&str; 9] =
    ["beginnings", "settings", "lengths", "padding", "streams", "blocks", "controls", "hpack", "messages"];

const FOLLOW_UP: &str = "/follow-up";

/// A row.
struct Case {
    id: String,
    /// The alternatives.
    expected: Vec<String>,
    lines: Vec<String>,
    /// It says the preface itself.
    bare: bool,
}

/// What became of a case.
struct Seen {
    /// The connection ended, with the last GOAWAY's code if there was one.
    ended: Option<Option<u32>>,
    /// Streams that were to be answered, each with its status (0: none) and how it was reset.
    streams: Vec<(u32, u16, Option<u32>)>,
    /// Streams that the backend holds or that were given up; those may be over or not.
    others: Vec<(u32, u16, Option<u32>)>,
    /// The stream of the last frame.
    last: u32,
}

fn cases() -> Vec<Case> {
    let text =
        |value: &Value| value.as_str().map(str::to_owned).unwrap_or_else(|| panic!("no text: {value}"));
    let case = |row: &[Value], bare| {
        let [id, _rule, expected, Value::Array(lines)] = row else {
            panic!("not `[id, rule, expected, [line]]`: {row:?}");
        };
        let expected = text(expected).split(" | ").map(str::to_owned).collect();
        Case { id: text(id), expected, lines: lines.iter().map(text).collect(), bare }
    };
    let of_table = |table: &str| -> Vec<Case> {
        conformance("http2", table).iter().map(|row| case(row, table == "beginnings")).collect()
    };
    TABLES.iter().flat_map(|table| of_table(table)).collect()
}

impl Case {
    /// Plays it, with a request behind it that shows whether the connection goes on.
    fn play(&self, address: SocketAddr) -> Result<Seen, String> {
        let mut connection = match self.bare {
            true => h2::Connection::bare(address, h2::Options::default()),
            false => h2::Connection::open(address),
        };
        let (mut opened, mut given_up, mut last) = (BTreeSet::new(), BTreeSet::new(), 0);
        for line in &self.lines {
            let mut words = line.split(' ');
            match (words.next(), words.next().and_then(|word| word.parse().ok())) {
                (Some("sync"), _) => connection.round_trip().map_err(|broken| format!("{broken:?}"))?,
                (Some("wait"), Some(stream)) => {
                    connection.outcome(stream).map_err(|broken| format!("{broken:?}"))?;
                }
                _ => {
                    let sent = Sent::read(line);
                    if let Sent::Frame(frame) = &sent {
                        last = frame.stream & h2::WINDOW_BYTES_MAX;
                        match frame.kind {
                            kind::HEADERS => drop(opened.insert(last)),
                            kind::RST_STREAM if !connection.is_over(last) => drop(given_up.insert(last)),
                            _ => {}
                        }
                        if line.contains("/hold") {
                            given_up.insert(last);
                        }
                        // What is wrong may have ended the connection already; what it said is read below.
                        let _sent = connection.try_frame(frame);
                    } else {
                        let _sent = connection.try_send(sent.bytes());
                    }
                }
            }
        }
        let goes_on = !self.lines.iter().any(|line| line.starts_with("GOAWAY"));
        let mut waited: Vec<u32> = opened.difference(&given_up).copied().collect();
        let next = connection.next_stream().max(1);
        if goes_on && next < h2::WINDOW_BYTES_MAX {
            let block = Block::of(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", FOLLOW_UP),
                (":authority", "a"),
            ]);
            let flags = flag::END_HEADERS | flag::END_STREAM;
            let _sent = connection.try_frame(&Frame::headers(next, flags, block));
            waited.push(next);
        }
        let all_over =
            connection.wait_until(|connection| waited.iter().all(|&stream| connection.is_over(stream)));
        let ended = match all_over {
            // Streams that it has not seen are over with its last word, and where none is left only the end can tell.
            Ok(())
                if waited.is_empty()
                    || connection.gone().last().is_some_and(|gone| goes_on || gone.code != 0) =>
            {
                connection.ends_within(PATIENCE).ok_or("it stays")?;
                Some(connection.gone().last().map(|gone| gone.code))
            }
            Ok(()) => None,
            Err(Broken::Ended(_)) => Some(connection.gone().last().map(|gone| gone.code)),
            Err(broken) if self.bare => return Err(format!("{broken:?}")),
            Err(broken) => return Err(format!("{broken:?}, {:?}", connection.frames())),
        };
        let states = |streams: &mut dyn Iterator<Item = u32>| {
            let state = |stream| {
                let response = connection.so_far(stream);
                (stream, response.status, response.reset)
            };
            streams.filter(|&stream| connection.knows(stream)).map(state).collect()
        };
        let streams = states(&mut waited.iter().copied());
        // A frame may have been on a stream that was left out.
        given_up.extend((!opened.contains(&last) && !waited.contains(&last)).then_some(last));
        let others = states(&mut given_up.iter().copied());
        Ok(Seen { ended, streams, others, last })
    }

    fn is_met_by(&self, seen: &Seen) -> bool {
        self.expected.iter().any(|expected| {
            let (what, codes) = expected.split_once(' ').unwrap_or((expected, ""));
            let is_code = |code: u32| codes.split('/').any(|name| name == code_name(code));
            let state = |stream: u32| {
                let both = seen.streams.iter().chain(&seen.others);
                both.clone().find(|(known, ..)| *known == stream).copied().unwrap_or((stream, 0, None))
            };
            match what {
                "answer" => {
                    let status = codes.parse().unwrap_or(200);
                    let is_whole = |&(_, seen, reset): &(u32, u16, Option<u32>)| {
                        seen == status && reset.is_none_or(|code| code == h2::code::NO_ERROR)
                    };
                    let is_held = |stream: u32| !self.lines.contains(&format!("RST_STREAM {stream} 8"));
                    let mut held = seen.others.iter().filter(|(stream, ..)| is_held(*stream));
                    let untouched = held.all(|(_, status, reset)| *status == 0 && reset.is_none());
                    (seen.ended.is_none() || self.lines.iter().any(|line| line.starts_with("GOAWAY")))
                        && seen.streams.iter().all(is_whole)
                        && untouched
                }
                "malformed" => {
                    let (_, status, reset) = state(seen.last);
                    let refused = (400..=501).contains(&status) && reset.is_none_or(|code| code <= 1);
                    let reset = status == 0 && reset == Some(h2::code::PROTOCOL_ERROR);
                    seen.ended.is_none() && (refused || reset) && self.follow_up_is_good(seen)
                }
                "stream" => {
                    let (_, _, reset) = state(seen.last);
                    seen.ended.is_none() && reset.is_some_and(is_code) && self.follow_up_is_good(seen)
                }
                "connection" => seen.ended.flatten().is_some_and(is_code),
                "closed" => seen.ended.is_some(),
                _ => panic!("{}: no expectation: {expected:?}", self.id),
            }
        })
    }

    fn follow_up_is_good(&self, seen: &Seen) -> bool {
        seen.streams.last().is_some_and(|(_, status, reset)| *status == 200 && reset.is_none())
    }

    /// A backend must not have got a whole request out of a malformed one.
    fn check_backend(&self, requests: &[Recorded]) -> Result<(), String> {
        if self.expected != ["malformed"] {
            return Ok(());
        }
        let cut_short = |request: &Recorded| {
            let framed = [request.all("content-length"), request.all("transfer-encoding")].concat();
            request.body.is_empty() && !framed.is_empty()
        };
        let whole = requests.iter().find(|request| request.target() != FOLLOW_UP && !cut_short(request));
        whole.map_or(Ok(()), |request| Err(format!("forwarded: {request:?}")))
    }
}

/// How the table of a peer's own ways says it.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ended {
            Some(Some(code)) => return write!(f, "connection {}", code_name(code)),
            Some(None) => return write!(f, "closed"),
            None => {}
        }
        let mut states = self.streams.iter().chain(&self.others);
        let telling = states.clone().find(|(stream, ..)| *stream == self.last).or_else(|| states.next());
        match telling {
            Some((_, 0, Some(code))) => write!(f, "stream {}", code_name(*code)),
            Some((_, status, Some(code))) => write!(f, "answer {status}, stream {}", code_name(*code)),
            Some((_, status, None)) => write!(f, "answer {status}"),
            None => write!(f, "nothing"),
        }
    }
}

/// How often a peer other than the gateway may take back what it has said.
const RESETS_MAX: usize = 5;

/// Plays all that `fits` and says which went wrong; those of `own_ways`, if there are any, must go as is said there.
#[track_caller]
fn check_all(address: SocketAddr, own_ways: Option<&str>, fits: fn(&Case) -> bool, origin: Option<&Origin>) {
    let own_way = |row: Vec<Value>| match &row[..] {
        [Value::String(id), Value::String(seen), ..] => (id.clone(), seen.clone()),
        _ => panic!("not `[id, seen]`: {row:?}"),
    };
    let own_ways = own_ways.map_or_else(Vec::new, |table| conformance("http2", table));
    let own_ways: Vec<(String, String)> = own_ways.into_iter().map(own_way).collect();
    let (mut wrong, mut played) = (Vec::new(), 0);
    let only = std::env::var("FLOODGATE_CASE").unwrap_or_default();
    for case in cases().iter().filter(|case| fits(case) && case.id.contains(&only)) {
        let own_way = own_ways.iter().find(|(id, _)| *id == case.id);
        // It waits for what never comes, and so would we.
        if own_way.is_some_and(|(_, way)| way == "silence") {
            continue;
        }
        played += 1;
        let before = origin.map_or(0, |origin| origin.requests().len());
        let is_right = |seen: &Seen| match own_way {
            Some((_, way)) => *way == seen.to_string(),
            None => case.is_met_by(seen),
        };
        let mut played_on = case.play(address);
        // A peer that closes with bytes unread resets what it has sent, its GOAWAY perhaps: that says nothing of its rules.
        for _ in 0..if origin.is_none() { RESETS_MAX } else { 0 } {
            if played_on.as_ref().is_ok_and(|seen| seen.ended == Some(None) && !is_right(seen)) {
                played_on = case.play(address);
            }
        }
        let seen = match played_on {
            Ok(seen) => seen,
            Err(problem) => {
                wrong.push(format!("{}: {problem}", case.id));
                continue;
            }
        };
        let requests = origin.map(|origin| origin.requests_from(before)).unwrap_or_default();
        let right = is_right(&seen);
        if !right {
            let all = seen.streams.iter().chain(&seen.others).collect::<Vec<_>>();
            wrong.push(format!("{}: {seen}, {all:?}; expected {:?}", case.id, case.expected));
        } else if let Err(problem) =
            case.check_backend(&requests).map_err(|problem| format!("{}: {problem}", case.id))
            && own_way.is_none()
        {
            wrong.push(problem);
        }
    }
    assert!(wrong.is_empty(), "{} of {played} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(played >= 120 || !only.is_empty(), "{played} cases");
}

fn backend() -> Origin {
    Origin::start(|request| match request.target() {
        "/hold" => vec![Act::Stall],
        _ if request.line().starts_with("HEAD ") => vec![Act::answer(200, &[], "")],
        _ => vec![Act::ReadBody, Act::answer(200, &[], "ok")],
    })
}

#[test]
fn nghttpd_keeps_the_rules() {
    let server = Nghttpd::start();
    server.put("index.html", "ok");
    server.put("follow-up", "ok");
    check_all(
        server.address(),
        Some("nghttpd"),
        |case| !case.lines.iter().any(|line| line.contains("/hold")),
        None,
    );
}

#[test]
fn nginx_keeps_the_rules() {
    let origin = backend();
    let port = free_port();
    let _nginx = Nginx::start_with(&format!(
        "listen 127.0.0.1:{port} http2; location / {{ proxy_pass {}; proxy_http_version 1.1; }}",
        origin.url()
    ));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    check_all(address, Some("nginx"), |_| true, None);
}

#[test]
fn the_gateway_keeps_the_rules() {
    let origin = backend();
    let gateway = Gateway::start(&everything(&origin.url()));
    check_all(gateway.address(), None, |_| true, Some(&origin));
    let mut connection = gateway.connect_h2();
    assert_eq!(connection.ask("GET /last").response().text(), "ok", "it goes on");
}

/// The fields of the HEADERS frames of one direction, as `name=value`, and `!` before those that are never to be indexed.
fn marked(frames: &[Frame]) -> Vec<String> {
    let mut decoder = hpack::Decoder::new(TABLE_BYTES as usize);
    let blocks = frames.iter().filter(|frame| frame.kind == kind::HEADERS);
    let fields = blocks.flat_map(|frame| decoder.decode_marked(frame.content().unwrap()).unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mark = |never_indexed| if never_indexed { "!" } else { "" };
    fields.map(|((name, value), never)| format!("{}{}={}", mark(never), text(&name), text(&value))).collect()
}

/// What a field's sender says of tables the other side is told, through the gateway in either direction, each time, and
/// out of its cache as well.
#[test]
fn the_gateway_says_again_what_no_table_may_have() {
    let mut wrong = Vec::new();
    for (cache, asked) in [("", 3), ("cache = \"60s\"\n", 1)] {
        for row in conformance("http2", "relayed") {
            let [Value::String(id), _rule, Value::Array(fields)] = &row[..] else {
                panic!("no row: {row:?}")
            };
            let fields: Vec<_> = fields.iter().map(|field| field.as_str().unwrap().to_owned()).collect();
            let (at_backend, at_client) = relayed(&fields, cache);
            for field in fields.iter().map(|field| field.trim_start_matches('^')) {
                for (side, seen, times) in [("backend", &at_backend, asked), ("client", &at_client, 3)] {
                    let count = seen.iter().filter(|seen| *seen == field).count();
                    wrong.extend(
                        (count != times).then(|| format!("{id}: {side}, {cache}: {count} times {field}")),
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a backend of HTTP/2 and its client see of three exchanges with these fields in both heads.
fn relayed(fields: &[String], cache: &str) -> (Vec<String>, Vec<String>) {
    let block = |head: &str| {
        let line = format!("HEADERS 1 {head} {}", fields.join(" "));
        let Sent::Frame(frame) = Sent::read(&line) else { panic!("no frame: {line}") };
        frame.content().unwrap().to_vec()
    };
    let ends = flag::END_HEADERS | flag::END_STREAM;
    let answer = block("#8");
    let origin = h2::Origin::start(move |_| vec![h2::Act::OnStream(Frame::headers(0, ends, answer.clone()))]);
    let config = super::everything_over_http2(&origin.url(), "").replace("$default", "GET /");
    let gateway = Gateway::start(&(config + cache));
    let mut client = gateway.connect_h2();
    for stream in [1, 3, 5] {
        client.frame(&Frame::headers(stream, ends, block("get")));
        client.outcome(stream).unwrap();
    }
    (marked(&origin.frames(0)), marked(client.frames()))
}
