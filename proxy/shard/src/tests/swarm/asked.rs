//! What clients ask for: the path says what kind of request it is, whose, and thereby all that is sent and answered.

use crate::tests::harness::Field;

/// A kind of request, and what its backend does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Get,
    Head,
    /// Answered in chunks.
    Chunked,
    /// The same, asked for by a client of HTTP/1.0, for whom the body ends with the connection.
    Old,
    /// Answered by a body that ends with the backend's connection.
    UntilClose,
    /// Answered with `103` and then with `204`.
    Hints,
    Post,
    PostChunked,
    /// Answered before its body has come.
    Early,
    /// Its body waits for `100 Continue`.
    Expecting,
    Upgrade,
    Cached,
    Once,
    /// Answered by the node.
    Mock,
}

const KINDS: [(Kind, &str); 14] = [
    (Kind::Get, "get"),
    (Kind::Head, "head"),
    (Kind::Chunked, "chunked"),
    (Kind::Old, "old"),
    (Kind::UntilClose, "until-close"),
    (Kind::Hints, "hints"),
    (Kind::Post, "post"),
    (Kind::PostChunked, "post-chunked"),
    (Kind::Early, "early"),
    (Kind::Expecting, "expecting"),
    (Kind::Upgrade, "upgrade"),
    (Kind::Cached, "cached"),
    (Kind::Once, "once"),
    (Kind::Mock, "mock"),
];

/// Keys of the cache that all clients ask for.
const CACHED: u64 = 3;

/// Bytes in a chunk of a client's body.
const CHUNK_BYTES: usize = 700;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) path: String,
}

impl Asked {
    /// Something of the kind that was drawn, by this client, with this number.
    pub(super) fn new(drawn: u64, client: u64, number: u64) -> Self {
        let (kind, name) = KINDS[usize::try_from(drawn).unwrap() % KINDS.len()];
        let path = match kind {
            Kind::Cached => format!("/{name}/{}", number % CACHED),
            Kind::Once | Kind::Mock => format!("/{name}"),
            _ => format!("/{name}/{client}/{number}"),
        };
        Self { kind, path }
    }

    /// What a path asks for.
    pub(super) fn of(path: &str) -> Option<Self> {
        let name = path.split('/').nth(1)?;
        let (kind, _) = KINDS.iter().find(|(_, own)| *own == name)?;
        Some(Self { kind: *kind, path: path.to_owned() })
    }

    fn method(&self) -> &'static str {
        match self.kind {
            Kind::Head => "HEAD",
            Kind::Post | Kind::PostChunked | Kind::Early | Kind::Expecting => "POST",
            _ => "GET",
        }
    }

    /// Whether a backend may get it twice.
    pub(super) fn may_be_repeated(&self) -> bool {
        self.method() != "POST"
    }

    /// Whether others may be sent behind it before it is answered.
    pub(super) fn may_be_followed(&self) -> bool {
        !matches!(self.kind, Kind::Old | Kind::Expecting | Kind::Upgrade)
    }

    /// The body that is sent with it.
    pub(super) fn upload(&self) -> String {
        if self.method() == "POST" { text(&self.path, 7) } else { String::new() }
    }

    /// The body that it is answered with.
    pub(super) fn body(&self) -> String {
        if self.kind == Kind::Hints { String::new() } else { text(&self.path, 3) }
    }

    /// What passes through a tunnel.
    pub(super) fn ping(&self) -> String {
        text(&self.path, 5)
    }

    /// The status that its backend answers with.
    pub(super) fn status(&self) -> &'static str {
        match self.kind {
            Kind::Early => "403",
            Kind::Hints => "204",
            Kind::Upgrade => "101",
            _ => "200",
        }
    }

    /// What a client sends: the head, and the body.
    pub(super) fn sent(&self) -> (String, String) {
        let Self { path, .. } = self;
        let (version, field) = match self.kind {
            Kind::Old => ("1.0", String::new()),
            Kind::Upgrade => ("1.1", "Connection: upgrade\r\nUpgrade: x\r\n".into()),
            Kind::PostChunked => ("1.1", "Transfer-Encoding: chunked\r\n".into()),
            Kind::Post | Kind::Early => ("1.1", format!("Content-Length: {}\r\n", self.upload().len())),
            Kind::Expecting => {
                ("1.1", format!("Content-Length: {}\r\nExpect: 100-continue\r\n", self.upload().len()))
            }
            _ => ("1.1", String::new()),
        };
        let head = format!("{} {path} HTTP/{version}\r\nHost: h\r\n{field}\r\n", self.method());
        let body = if self.kind == Kind::PostChunked { chunked(&self.upload()) } else { self.upload() };
        (head, body)
    }

    /// The head that a client of HTTP/2 sends.
    pub(super) fn sent_fields(&self) -> Vec<Field> {
        let mut fields = vec![
            (":method", self.method().to_owned()),
            (":scheme", "http".to_owned()),
            (":authority", "h".to_owned()),
            (":path", self.path.clone()),
        ];
        if matches!(self.kind, Kind::Post | Kind::Early | Kind::Expecting) {
            fields.push(("content-length", self.upload().len().to_string()));
        }
        if self.kind == Kind::Expecting {
            fields.push(("expect", "100-continue".to_owned()));
        }
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The head with which a backend of HTTP/2 answers.
    pub(super) fn answer_fields(&self) -> Vec<Field> {
        let mut fields = vec![(":status".to_owned(), self.status().to_owned())];
        if !matches!(self.kind, Kind::Chunked | Kind::Old | Kind::UntilClose | Kind::Hints) {
            fields.push(("content-length".to_owned(), self.body().len().to_string()));
        }
        fields
    }

    /// What stands behind the answer's body, where there is a place for it.
    pub(super) fn trailers(&self) -> Option<Field> {
        (self.kind == Kind::Chunked).then(|| ("x-sum".to_owned(), self.body().len().to_string()))
    }

    /// What its backend gets, in the line of a test.
    pub(super) fn got(&self) -> String {
        let upload = self.upload();
        let framing = match self.kind {
            Kind::PostChunked => " chunked",
            Kind::Upgrade => " upgrade=x",
            _ => "",
        };
        let gap = if upload.is_empty() { "" } else { " " };
        format!("{} {}{framing}{gap}{upload}", self.method(), self.path)
    }

    /// What its backend answers; `close` says that it ends the connection.
    pub(super) fn answer(&self, close: bool) -> String {
        let body = self.body();
        let close = if close { "Connection: close\r\n" } else { "" };
        let start = format!("HTTP/1.1 {} So\r\n{close}", self.status());
        match self.kind {
            Kind::Chunked | Kind::Old => {
                format!("{start}Transfer-Encoding: chunked\r\n\r\n{}", chunked(&body))
            }
            Kind::UntilClose => format!("{start}\r\n{body}"),
            Kind::Hints => format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{start}\r\n"),
            Kind::Upgrade => format!("{start}Connection: upgrade\r\nUpgrade: x\r\n\r\n"),
            Kind::Head => format!("{start}Content-Length: {}\r\n\r\n", body.len()),
            _ => format!("{start}Content-Length: {}\r\n\r\n{body}", body.len()),
        }
    }
}

/// A text that says whose it is in every part of it; short mostly.
fn text(path: &str, salt: u64) -> String {
    let drawn = path.bytes().fold(salt, |drawn, byte| drawn * 31 % 1_000_003 + u64::from(byte));
    let times = if drawn % 7 == 0 { 20 + drawn % 1_500 } else { 1 + drawn % 5 };
    (0..times).map(|index| format!("{path}:{salt}:{index};")).collect()
}

fn chunked(body: &str) -> String {
    let chunks = body.as_bytes().chunks(CHUNK_BYTES);
    let mut chunked: String = chunks
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
        .collect();
    chunked.push_str("0\r\n\r\n");
    chunked
}
