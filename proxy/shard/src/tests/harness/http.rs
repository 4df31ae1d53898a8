//! Reads what a gateway sends as a strict stranger would, and says it in one line. It shares no code with the gateway's
//! codec, so that a mistake there is not made twice.
//!
//! A response is `200 hello`, a request `POST /path hello`; between come, if they are so, `chunked` or `until-close`
//! for the framing, then `close`, `keep-alive`, `upgrade=…`. A body of many `x` is `{12345}`, our own error answers are
//! their message. What ends too early ends in `!fin` or `!reset`.

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Reset,
}

impl End {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Reset => "reset",
        }
    }
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    /// Bytes that it took.
    pub(super) bytes: usize,
    /// In one line.
    pub(super) line: String,
    /// Its fields, in order.
    pub(super) fields: Vec<(String, String)>,
}

/// How a body is told from what follows.
enum Framing {
    None,
    Known(usize),
    Chunked,
    UntilClose,
}

/// The message at the front of `input`, `None` while more must come. `end` is what comes behind the input; `head_only`
/// leaves the body where it is.
pub(super) fn read(input: &[u8], end: Option<End>, head_only: bool) -> Option<Message> {
    let Some(at) = find(input, b"\r\n\r\n") else {
        let rest = String::from_utf8_lossy(input).replace("\r\n", "|");
        return end.map(|end| Message {
            bytes: input.len(),
            line: if rest.is_empty() { end.as_str().into() } else { format!("{rest}!{}", end.as_str()) },
            fields: Vec::new(),
        });
    };
    let head = std::str::from_utf8(&input[..at]).expect("a head of ASCII");
    let (start, fields) = split(head);
    let (mut line, has_body) = describe_start(start);
    let framing = describe_fields(&fields, has_body, start.starts_with("HTTP/"), &mut line);
    let body_at = at + 4;
    if head_only {
        return Some(Message { bytes: body_at, line, fields });
    }
    let (bytes, body, whole) = match framing {
        Framing::None => (0, Vec::new(), true),
        Framing::Known(length) => {
            let have = length.min(input.len() - body_at);
            (have, input[body_at..body_at + have].to_vec(), have == length)
        }
        Framing::Chunked => unchunk(&input[body_at..]),
        Framing::UntilClose => {
            (input.len() - body_at, input[body_at..].to_vec(), end.is_some_and(|end| end == End::Fin))
        }
    };
    if !whole && end.is_none() {
        return None;
    }
    let body = describe_body(&body);
    if !body.is_empty() {
        line.push(' ');
        line.push_str(&body);
    }
    if let Some(end) = end.filter(|_| !whole) {
        line.push('!');
        line.push_str(end.as_str());
    }
    Some(Message { bytes: body_at + bytes, line, fields })
}

pub(super) fn find(input: &[u8], what: &[u8]) -> Option<usize> {
    input.windows(what.len()).position(|window| window == what)
}

fn split(head: &str) -> (&str, Vec<(String, String)>) {
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "a bare CR or LF in {head:?}");
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
        (name.to_ascii_lowercase(), value.to_owned())
    };
    (start, lines.map(field).collect())
}

/// The start of the line, and whether such a message may have a body.
fn describe_start(start: &str) -> (String, bool) {
    if let Some(rest) = start.strip_prefix("HTTP/1.1 ") {
        let status = &rest[..3];
        let has_body = !(status.starts_with('1') || status == "204" || status == "304");
        return (status.to_owned(), has_body);
    }
    let request =
        start.strip_suffix(" HTTP/1.1").unwrap_or_else(|| panic!("no start of a message: {start:?}"));
    (request.to_owned(), true)
}

fn describe_fields(
    fields: &[(String, String)],
    has_body: bool,
    is_response: bool,
    line: &mut String,
) -> Framing {
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    };
    let framing = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) if is_response && has_body => {
            line.push_str(" until-close");
            Framing::UntilClose
        }
        ([], []) => Framing::None,
        ([_], []) if !has_body => Framing::None,
        ([length], []) => Framing::Known(length.parse().expect("a length in digits")),
        ([], ["chunked"]) if has_body => {
            line.push_str(" chunked");
            Framing::Chunked
        }
        other => panic!("framing that can be read in two ways: {other:?}"),
    };
    for connection in all("connection") {
        if !connection.eq_ignore_ascii_case("upgrade") {
            line.push(' ');
            line.push_str(connection);
        }
    }
    for protocol in all("upgrade") {
        line.push_str(" upgrade=");
        line.push_str(protocol);
    }
    framing
}

/// Bytes taken, the data, and whether the last chunk was among them.
fn unchunk(input: &[u8]) -> (usize, Vec<u8>, bool) {
    let (mut at, mut data) = (0, Vec::new());
    loop {
        let Some(line) = find(&input[at..], b"\r\n") else { return (at, data, false) };
        let digits = std::str::from_utf8(&input[at..at + line]).expect("a size in digits");
        let size = usize::from_str_radix(digits, 16).expect("a size in digits");
        let from = at + line + 2;
        let Some(chunk) = input.get(from..from + size + 2) else {
            data.extend_from_slice(&input[from..(from + size).min(input.len())]);
            return (input.len(), data, false);
        };
        assert!(chunk.ends_with(b"\r\n"), "a chunk without its end");
        data.extend_from_slice(&chunk[..size]);
        at = from + size + 2;
        if size == 0 {
            return (at, data, true);
        }
    }
}

pub(super) fn describe_body(body: &[u8]) -> String {
    if body.len() > 20 && body.iter().all(|byte| *byte == b'x') {
        return format!("{{{}}}", body.len());
    }
    let text = String::from_utf8_lossy(body);
    match text.strip_prefix("{\"message\":\"").and_then(|rest| rest.strip_suffix("\"}")) {
        Some(message) => message.to_owned(),
        None => text.replace("\r\n", "|"),
    }
}
