//! A strict judge of what reached a backend: reads a connection's bytes as a sequence of requests by the narrowest rules
//! there are, with a reader of its own. What two programs could read in two ways is a finding, even where the RFC lets
//! it pass.

use crate::{oracle::Judged, origin::Origin, response::find};

/// Fields that speak of one hop only (RFC 9110 section 7.6.1), and `Proxy`, which CGI takes for a setting.
const HOP_FIELDS: [&str; 7] =
    ["keep-alive", "proxy-connection", "te", "trailer", "proxy", "expect", "http2-settings"];

/// Reads requests one after another. Gives those that are whole and how many bytes they took; what follows is the
/// beginning of another one.
pub fn judge_strictly(bytes: &[u8]) -> Result<(Vec<Judged>, usize), String> {
    let (mut requests, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let Some(end) = find(&bytes[at..], b"\r\n\r\n") else {
            // What is not whole must be a good beginning at least.
            return match bytes[at..].split(|&byte| byte == b' ').next() {
                Some(method) if is_token(method) => Ok((requests, at)),
                _ => Err(format!("does not begin like a request: {}", bytes[at..].escape_ascii())),
            };
        };
        let head = &bytes[at..at + end + 2];
        let mut request = read_head(head).map_err(|problem| format!("{problem}: {}", head.escape_ascii()))?;
        let body_at = at + end + 4;
        match read_body(&request, &bytes[body_at..])
            .map_err(|problem| format!("{problem}: {}", bytes[at..].escape_ascii()))?
        {
            Some((body, length)) => {
                request.body = body;
                at = body_at + length;
            }
            None => return Ok((requests, at)),
        }
        requests.push(request);
    }
    Ok((requests, at))
}

/// A backend under watch: each request is handed out once, judged.
#[derive(Debug)]
pub struct Watch<'a> {
    origin: &'a Origin,
    /// Bytes of each connection that are dealt with.
    judged: Vec<usize>,
}

impl<'a> Watch<'a> {
    /// From now on.
    pub fn new(origin: &'a Origin) -> Self {
        Self { origin, judged: Vec::new() }
    }

    /// The whole requests that have come since the last call.
    pub fn requests(&mut self) -> Result<Vec<Judged>, String> {
        self.judged.resize(self.origin.connections(), 0);
        let mut all = Vec::new();
        for (connection, judged) in self.judged.iter_mut().enumerate() {
            let new = self.origin.raw_from(connection, *judged);
            let (requests, bytes) = judge_strictly(&new)?;
            *judged += bytes;
            all.extend(requests);
        }
        Ok(all)
    }
}

impl Judged {
    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.fields.iter().filter(|(field, _)| field == name);
        same.map(|(_, value)| value.as_str()).collect()
    }
}

/// A head without its empty line; every line has its end.
fn read_head(head: &[u8]) -> Result<Judged, String> {
    let mut lines = head.split_inclusive(|&byte| byte == b'\n').map(|line| match line {
        [line @ .., b'\r', b'\n'] if !line.contains(&b'\r') => Ok(line),
        _ => Err("a line does not end in CRLF".to_owned()),
    });
    let line = lines.next().ok_or("no request line")??;
    let parts: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, b"HTTP/1.1"] = parts[..] else { return Err("not a request line".to_owned()) };
    if !is_token(method) {
        return Err("the method is no token".to_owned());
    }
    check_target(target)?;
    let mut fields = Vec::new();
    for line in lines {
        let line = line?;
        let colon = line.iter().position(|&byte| byte == b':').ok_or("a field without a colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) || name.contains(&b'_') {
            return Err("a field's name is no token or has an underscore".to_owned());
        }
        if value.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
            return Err("a control character in a value".to_owned());
        }
        fields.push((text(name).to_ascii_lowercase(), text(value).trim_matches([' ', '\t']).to_owned()));
    }
    let request = Judged { start: format!("{} {}", text(method), text(target)), fields, body: Vec::new() };
    check_fields(&request)?;
    Ok(request)
}

/// In origin form, normalised: nothing is left that a program behind could resolve once more.
fn check_target(target: &[u8]) -> Result<(), String> {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    if !target.starts_with(b"/") || !target.iter().all(|byte| (0x21..0x7f).contains(byte) && *byte != b'#') {
        return Err("the target has bytes that it may not have".to_owned());
    }
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = path.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or("a bad escape")?;
        let needless = decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded);
        if needless || digits != Some(&format!("{decoded:02X}")) || [0, b'/', b'\\'].contains(&decoded) {
            return Err("an escape that is not normal".to_owned());
        }
    }
    let dots = |segment: &[u8]| {
        let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    };
    if path.split(|&byte| byte == b'/').any(dots) || path.contains(&b'\\') {
        return Err("the path is not resolved".to_owned());
    }
    Ok(())
}

fn check_fields(request: &Judged) -> Result<(), String> {
    let host = request.all("host");
    if host.len() != 1
        || !host[0].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte))
    {
        return Err("not one good host".to_owned());
    }
    match (&request.all("content-length")[..], &request.all("transfer-encoding")[..]) {
        ([], [] | ["chunked"]) => {}
        ([length], []) if length.parse::<u64>().is_ok_and(|bytes| bytes.to_string() == **length) => {}
        _ => return Err("not one plain framing".to_owned()),
    }
    if let Some(name) = HOP_FIELDS.iter().find(|name| !request.all(name).is_empty()) {
        return Err(format!("a field of the hop, {name}"));
    }
    match (&request.all("connection")[..], &request.all("upgrade")[..]) {
        ([] | ["keep-alive" | "close"], []) | (["upgrade" | "Upgrade"], [_]) => Ok(()),
        _ => Err("connection and upgrade".to_owned()),
    }
}

/// A body and how many bytes it took; `None` while it is not whole.
fn read_body(request: &Judged, bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    if let [length] = request.all("content-length")[..] {
        let length = length.parse().map_err(|_| "a length beyond memory")?;
        return Ok(bytes.get(..length).map(|body| (body.to_vec(), length)));
    }
    if request.all("transfer-encoding").is_empty() {
        return Ok(Some((Vec::new(), 0)));
    }
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = text(&bytes[at..at + digits]);
        at += digits;
        match bytes.get(at..at + 2) {
            Some(b"\r\n") => at += 2,
            None => return Ok(None),
            Some(_) => return Err("a chunk's size is not digits and CRLF".to_owned()),
        }
        let size = usize::from_str_radix(&size, 16).map_err(|_| "a chunk without a size")?;
        let Some(data) = bytes.get(at..at + size) else { return Ok(None) };
        body.extend_from_slice(data);
        at += size;
        match bytes.get(at..at + 2) {
            Some(b"\r\n") => at += 2,
            None => return Ok(None),
            Some(_) => return Err("no CRLF after a chunk, or a trailer".to_owned()),
        }
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// One character a byte.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::judge_strictly;

    #[track_caller]
    fn check(bytes: &str, expected: Result<(&[&str], usize), &str>) {
        match (judge_strictly(bytes.as_bytes()), expected) {
            (Ok((requests, took)), Ok((starts, bytes))) => {
                let seen: Vec<_> = requests
                    .iter()
                    .map(|request| format!("{} {}", request.start, String::from_utf8_lossy(&request.body)))
                    .collect();
                assert_eq!((seen, took), (starts.iter().map(|&start| start.to_owned()).collect(), bytes));
            }
            (Err(problem), Err(expected)) => assert!(problem.starts_with(expected), "{problem}"),
            (seen, expected) => panic!("{seen:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn whole_requests_are_told_apart() {
        let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        check(get, Ok((&["GET /a "], 28)));
        check(&get.repeat(2), Ok((&["GET /a ", "GET /a "], 56)));
        check(&format!("{get}GET /b HT"), Ok((&["GET /a "], 28)));
        check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabG", Ok((&["POST / ab"], 49)));
        check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", Ok((&[], 0)));
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        check(chunked, Ok((&["POST / a"], chunked.len())));
        for cut in 1..12 {
            check(&chunked[..chunked.len() - cut], Ok((&[], 0)));
        }
    }

    #[test]
    fn what_could_be_read_twice_is_a_finding() {
        let with = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
        for (fields, problem) in [
            ("Content-Length: 1\r\nContent-Length: 1", "not one plain framing"),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked", "not one plain framing"),
            ("Content-Length: +1", "not one plain framing"),
            ("Transfer-Encoding: gzip", "not one plain framing"),
            ("Host: a", "not one good host"),
            ("X_Y: a", "a field's name"),
            ("X : a", "a field's name"),
            ("X: a\nY: b", "a line does not end"),
            ("X: a\rY: b", "a line does not end"),
            ("X: \u{1}", "a control character"),
            ("TE: trailers", "a field of the hop"),
            ("Connection: x-a", "connection and upgrade"),
            ("Upgrade: h2c", "connection and upgrade"),
        ] {
            check(&with(fields, ""), Err(problem));
        }
        for body in ["1;x\r\na\r\n0\r\n\r\n", "1\na\r\n0\r\n\r\n", "0\r\nx: y\r\n\r\n", "1\r\nab\r\n"] {
            assert!(judge_strictly(with("Transfer-Encoding: chunked", body).as_bytes()).is_err(), "{body:?}");
        }
        for target in [
            "a", "/a b", "/a\\b", "/../a", "/a/..;x", "/%61", "/%2f", "/%2e", "/%c3", "/%0", "/a#b",
            "/\u{e9}",
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(judge_strictly(request.as_bytes()).is_err(), "{target:?}");
        }
        check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err("not a request line"));
        check("\0\0", Err("does not begin"));
    }
}
