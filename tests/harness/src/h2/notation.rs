//! Frames written as text, for tables: `HEADERS 1 +es +eh get x-name=value`.
//!
//! A kind (its name, or `0x2a`), a stream, flags, and what it carries:
//!
//! * flags: `+es`, `+eh`, `+ack`, `+0x20`; `+pad=5` pads with so many bytes, `+prio=3` puts RFC 7540's priority before a
//!   block, depending on that stream
//! * `len=7`: the length that is said, whatever it is
//! * anywhere: `x:00ff` for bytes in hex
//! * in a header block: `get`, `post/path`, `head` for the four pseudo-headers; `name=value`, `%0d` for a byte; before it `~`
//!   to index it, `!` to never index it, `^` for Huffman; `#2` for an index, `#4=value` for its name only; `@4096` for a
//!   size update
//! * in SETTINGS: `4:65535`; in WINDOW_UPDATE, RST_STREAM, GOAWAY, PRIORITY, before a promise's block: numbers of four
//!   bytes; `w:15` for one of one
//! * elsewhere: text
//!
//! What begins with `bytes` is no frame: the rest is text.

use super::{
    Block, Frame, PREFACE,
    frame::{flag, kind},
    hpack::Indexing,
};

const KINDS: [(&str, u8); 11] = [
    ("DATA", kind::DATA),
    ("HEADERS", kind::HEADERS),
    ("PRIORITY", kind::PRIORITY),
    ("RST_STREAM", kind::RST_STREAM),
    ("SETTINGS", kind::SETTINGS),
    ("PUSH_PROMISE", kind::PUSH_PROMISE),
    ("PING", kind::PING),
    ("GOAWAY", kind::GOAWAY),
    ("WINDOW_UPDATE", kind::WINDOW_UPDATE),
    ("CONTINUATION", kind::CONTINUATION),
    ("PRIORITY_UPDATE", kind::PRIORITY_UPDATE),
];

/// What a line of a table sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A frame.
    Frame(Frame),
    /// Bytes that are no frame, or one that lies about its length.
    Bytes(Vec<u8>),
}

impl Sent {
    /// Reads a line; panics where it is not one, since tables are ours.
    #[track_caller]
    pub fn read(line: &str) -> Self {
        read(line).unwrap_or_else(|problem| panic!("{line:?}: {problem}"))
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Frame(frame) => frame.bytes(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

fn read(line: &str) -> Result<Sent, String> {
    if line == "preface" {
        return Ok(Sent::Bytes(PREFACE.to_vec()));
    }
    if let Some(text) = line.strip_prefix("bytes ") {
        return Ok(Sent::Bytes(unescaped(text)?));
    }
    let mut words = line.split(' ');
    let kind = read_kind(words.next().unwrap_or_default())?;
    let stream = words.next().unwrap_or_default();
    let stream = stream.parse().map_err(|_| format!("no stream: {stream:?}"))?;
    let (mut flags, mut padding, mut priority, mut length) = (0, None, None, None);
    let (mut payload, mut block) = (Vec::new(), Block::new());
    for word in words {
        if let Some(flag) = word.strip_prefix('+') {
            match flag.split_once('=') {
                Some(("pad", bytes)) => padding = Some(number(bytes)?),
                Some(("prio", stream)) => priority = Some(number::<u32>(stream)?),
                _ => flags |= read_flag(flag)?,
            }
        } else if let Some(bytes) = word.strip_prefix("len=") {
            length = Some(number(bytes)?);
        } else if let Some(hex) = word.strip_prefix("x:") {
            block = block.raw(read_hex(hex)?);
        } else if let (Some(byte), true) = (word.strip_prefix("w:"), kind == kind::PRIORITY) {
            block = block.raw([number::<u8>(byte)?]);
        } else {
            block = match kind {
                kind::PUSH_PROMISE if block == Block::new() => block.raw(number::<u32>(word)?.to_be_bytes()),
                kind::HEADERS | kind::CONTINUATION | kind::PUSH_PROMISE => read_field(block, word)?,
                kind::SETTINGS => {
                    let (name, value) = word.split_once(':').ok_or("a setting is `name:value`")?;
                    let value = number::<u32>(value)?.to_be_bytes();
                    block.raw(number::<u16>(name)?.to_be_bytes()).raw(value)
                }
                kind::WINDOW_UPDATE | kind::RST_STREAM | kind::GOAWAY | kind::PRIORITY => {
                    block.raw(number::<u32>(word)?.to_be_bytes())
                }
                _ => block.raw(unescaped(word)?),
            };
        }
    }
    if let Some(stream) = priority {
        flags |= flag::PRIORITY;
        payload = [&stream.to_be_bytes()[..], &[15]].concat();
    }
    payload.extend(block.bytes());
    let frame = Frame::new(kind, flags, stream, payload);
    let frame = padding.map_or(frame.clone(), |padding| frame.padded(padding));
    Ok(length.map_or(Sent::Frame(frame.clone()), |length| Sent::Bytes(frame.bytes_claiming(length))))
}

fn read_kind(word: &str) -> Result<u8, String> {
    if let Some(hex) = word.strip_prefix("0x") {
        return u8::from_str_radix(hex, 16).map_err(|_| format!("no kind: {word:?}"));
    }
    let known = KINDS.iter().find(|(name, _)| *name == word);
    known.map(|(_, kind)| *kind).ok_or_else(|| format!("no kind: {word:?}"))
}

fn read_flag(word: &str) -> Result<u8, String> {
    match word {
        "es" => Ok(flag::END_STREAM),
        "eh" => Ok(flag::END_HEADERS),
        "ack" => Ok(flag::ACK),
        _ => {
            let hex = word.strip_prefix("0x").and_then(|hex| u8::from_str_radix(hex, 16).ok());
            hex.ok_or_else(|| format!("no flag: {word:?}"))
        }
    }
}

fn read_field(block: Block, word: &str) -> Result<Block, String> {
    for method in ["get", "post", "head"] {
        if let Some(path) = word.strip_prefix(method).filter(|path| path.is_empty() || path.starts_with('/'))
        {
            let path = if path.is_empty() { "/" } else { path };
            let method = method.to_ascii_uppercase();
            let pseudo =
                [(":method", method.as_str()), (":scheme", "http"), (":path", path), (":authority", "a")];
            return Ok(block.then(&Block::of(&pseudo)));
        }
    }
    if let Some(bytes) = word.strip_prefix('@') {
        return Ok(block.size_update(number(bytes)?));
    }
    let (mut field, mut indexing, mut huffman) = (word, Indexing::Without, false);
    loop {
        match field.as_bytes().first() {
            Some(b'~') => indexing = Indexing::Incremental,
            Some(b'!') => indexing = Indexing::Never,
            Some(b'^') => huffman = true,
            _ => break,
        }
        field = &field[1..];
    }
    match (field.strip_prefix('#'), field.split_once('=')) {
        (Some(index), None) => Ok(block.indexed(number(index)?)),
        (Some(_), Some((index, value))) => {
            Ok(block.named(indexing, number(&index[1..])?, unescaped(value)?, huffman))
        }
        (None, Some((name, value))) => {
            Ok(block.field(indexing, unescaped(name)?, unescaped(value)?, huffman))
        }
        (None, None) => Err(format!("no field: {word:?}")),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("no number: {word:?}"))
}

fn read_hex(digits: &str) -> Result<Vec<u8>, String> {
    let bad = || format!("no bytes in hex: {digits:?}");
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| bad()))
        .collect()
}

/// `%41` is a byte.
fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let hex = part.get(..2).ok_or_else(|| format!("no byte: %{part:?}"))?;
        bytes.extend(read_hex(hex)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Sent, read};
    use crate::h2::{Block, Frame, flag};

    #[track_caller]
    fn check(line: &str, expected: Frame) {
        assert_eq!(Sent::read(line), Sent::Frame(expected));
    }

    #[test]
    fn frames_are_read() {
        check("PING 0 +ack 12345678", Frame::ping_ack(*b"12345678"));
        check("SETTINGS 0 4:65536 3:0", Frame::settings(&[(4, 65_536), (3, 0)]));
        check("GOAWAY 0 5 1 x:6869", Frame::go_away(5, 1, b"hi"));
        check("PRIORITY 3 3 w:15", Frame::priority(3, 3, 15));
        check("PUSH_PROMISE 1 +eh 2 #2", Frame::push_promise(1, flag::END_HEADERS, 2, [0x82]));
        check("DATA 1 +es +pad=2 a%20b", Frame::data(1, flag::END_STREAM, "a b").padded(2));
        let get = Block::of(&[(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "a")]);
        let block = get.then(&Block::of(&[("te", "trailers")]));
        check("HEADERS 1 +es +eh get/x te=trailers", Frame::headers(1, 5, block));
        check("HEADERS 1 +eh +prio=3 @0 #2", Frame::headers(1, 0x24, [0, 0, 0, 3, 15, 0x20, 0x82]));
        check("HEADERS 1 ~#4=a !^x=", Frame::headers(1, 0, *b"\x44\x01a\x10\x81\xf3\x80"));
        check("0x2a 9 +0xff x:0102", Frame::new(0x2a, 0xff, 9, [1, 2]));
        assert_eq!(Sent::read("PING 0 len=7").bytes(), b"\0\0\x07\x06\0\0\0\0\0");
        assert_eq!(Sent::read("bytes a%00").bytes(), b"a\0");
    }

    #[test]
    fn what_is_none_is_refused() {
        for line in ["", "PONG 0", "PING", "PING x", "HEADERS 1 x", "SETTINGS 0 4", "DATA 1 +ex", "DATA 1 %2"]
        {
            assert!(read(line).is_err(), "{line:?}");
        }
    }
}
