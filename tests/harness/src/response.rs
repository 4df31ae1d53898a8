//! A response, and how HTTP/1's is read strictly: what is not exactly HTTP/1.1 is an error and not guessed. Written without the product's
//! own parser, so that both would have to be wrong in the same way.

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`.
    pub version: String,
    /// Its fields in order.
    pub fields: Vec<(String, String)>,
    /// Its body without framing.
    pub body: Vec<u8>,
    /// Its trailers in order; none over HTTP/1, where they are refused.
    pub trailers: Vec<(String, String)>,
    /// The code with which its stream was reset; never over HTTP/1.
    pub reset: Option<u32>,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    /// With the connection.
    Close,
}

impl Response {
    /// A field by name, any case; `None` if it is not there, a panic if it is there twice.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times: {:?}", all.len(), self.fields);
        all.first().copied()
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let problem = |error| panic!("no JSON ({error}): {:?}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(problem)
    }

    /// Its `message`, or `Message`, as gateways' errors have it.
    #[track_caller]
    pub fn message(&self) -> String {
        let json = self.json();
        let message = json.get("message").or_else(|| json.get("Message"));
        message
            .and_then(|text| text.as_str())
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("no message: {json}"))
    }

    /// Reads a head without its empty line.
    pub(crate) fn read_head(head: &[u8]) -> Result<Self, String> {
        Self::read_head_of(&["HTTP/1.1", "HTTP/1.0"], head)
    }

    /// The same as curl shows it, who writes HTTP/2's in lines as well.
    pub(crate) fn read_shown_head(head: &[u8]) -> Result<Self, String> {
        Self::read_head_of(&["HTTP/1.1", "HTTP/1.0", "HTTP/2"], head)
    }

    fn read_head_of(versions: &[&str], head: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(head).map_err(|error| format!("head is not text: {error}"))?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut parts = first.splitn(3, ' ');
        let (version, status) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if !versions.contains(&version) || status.len() != 3 || parts.next().is_none() {
            return Err(format!("bad status line {first:?}"));
        }
        let status = status.parse().map_err(|_| format!("bad status line {first:?}"))?;
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("bad field line {line:?}"))?;
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty()
                || !name.bytes().all(token)
                || value.bytes().any(|byte| byte < b' ' && byte != b'\t')
            {
                return Err(format!("bad field line {line:?}"));
            }
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        let version = version.to_owned();
        Ok(Self { status, version, fields, body: Vec::new(), trailers: Vec::new(), reset: None })
    }

    /// RFC 9112 section 6.3, from the client's side.
    pub(crate) fn framing(&self, method: &str) -> Result<Framing, String> {
        let (lengths, codings) = (self.all("content-length"), self.all("transfer-encoding"));
        let bodiless = method == "HEAD" || self.status < 200 || self.status == 204 || self.status == 304;
        match (&lengths[..], &codings[..]) {
            (_, []) | ([], _) if bodiless => Ok(Framing::Length(0)),
            ([length], []) => {
                length.parse().map(Framing::Length).map_err(|_| format!("bad length {length:?}"))
            }
            ([], ["chunked"]) => Ok(Framing::Chunked),
            ([], []) => Ok(Framing::Close),
            _ => Err(format!("bad framing: {:?}", self.fields)),
        }
    }
}

/// Reads a chunked body; `None` while it is not whole. Gives the data and how many bytes it took.
pub(crate) fn read_chunked(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&input[at..], b"\r\n") else { return Ok(None) };
        let size_line = String::from_utf8_lossy(&input[at..at + end]).into_owned();
        let size =
            usize::from_str_radix(&size_line, 16).map_err(|_| format!("bad chunk size {size_line:?}"))?;
        at += end + 2;
        if input.len() < at + size + 2 {
            return Ok(None);
        }
        data.extend_from_slice(&input[at..at + size]);
        if &input[at + size..at + size + 2] != b"\r\n" {
            return Err(format!("chunk of {size} bytes does not end with an empty line"));
        }
        at += size + 2;
        if size == 0 {
            return Ok(Some((data, at)));
        }
    }
}

pub(crate) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::{Framing, Response, read_chunked};

    #[track_caller]
    fn check(head: &str, method: &str, expected: Result<Framing, &str>) {
        let framing = Response::read_head(head.as_bytes()).and_then(|response| response.framing(method));
        match (framing, expected) {
            (Ok(framing), Ok(expected)) => assert_eq!(framing, expected),
            (Err(problem), Err(expected)) => assert!(problem.contains(expected), "{problem}"),
            (framing, expected) => panic!("{framing:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn framing_follows_the_rules() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 5", "GET", Ok(Framing::Length(5)));
        check("HTTP/1.1 200 OK\r\ncontent-length: 5", "HEAD", Ok(Framing::Length(0)));
        check("HTTP/1.1 304 Not Modified\r\ncontent-length: 5", "GET", Ok(Framing::Length(0)));
        check("HTTP/1.1 200 \r\nTransfer-Encoding: chunked", "GET", Ok(Framing::Chunked));
        check("HTTP/1.0 200 OK\r\nx: y", "GET", Ok(Framing::Close));
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked",
            "GET",
            Err("bad framing"),
        );
        check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5", "GET", Err("bad framing"));
        check("HTTP/1.1 200", "GET", Err("bad status line"));
        check("HTTP/2 200 OK", "GET", Err("bad status line"));
        check("HTTP/1.1 200 OK\r\nx y", "GET", Err("bad field line"));
        check("HTTP/1.1 200 OK\r\nx : y", "GET", Err("bad field line"));
    }

    #[test]
    fn chunks() {
        assert_eq!(read_chunked(b"3\r\nabc\r\n0\r\n\r\nnext"), Ok(Some((b"abc".to_vec(), 13))));
        assert_eq!(read_chunked(b"3\r\nabc\r\n0\r\n"), Ok(None));
        assert_eq!(read_chunked(b"3\r\nab"), Ok(None));
        assert!(read_chunked(b"3\r\nabcd\r\n").is_err());
        assert!(read_chunked(b"x\r\nabc\r\n").is_err());
    }
}
