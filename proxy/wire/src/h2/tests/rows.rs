//! How the tables of `tests/conformance` write frames.

use crate::h2::frames::{flag, kind};
use crate::h2::properties::raw::{block, frame, literal};

const FRAME_BYTES_MAX: usize = 16_384;

/// A frame as the rows have it.
pub(super) fn frame_of(parts: &[&str]) -> Vec<u8> {
    let (letters, parts) = parts.split_first().unwrap();
    let has = |letter| letters.contains(letter);
    let mut payload = match &letters[..1] {
        "D" => bytes_of(parts.concat().as_str()),
        "X" => digits(&expand(parts[0])),
        "R" => number_of(parts[0]),
        "G" => parts.iter().flat_map(|part| number_of(part)).collect(),
        "P" => [number_of("2"), block_of(parts)].concat(),
        "E" => return Vec::new(),
        _ => block_of(parts),
    };
    let mut flags = if has('+') { flag::END_STREAM } else { 0 };
    if has('p') {
        flags |= flag::PADDED;
        payload = [&[3][..], &payload, &[0; 3]].concat();
    }
    if has('d') {
        flags |= 0x20;
        payload = [&[0, 0, 0, 1, 9][..], &payload].concat();
    }
    match &letters[..1] {
        "D" => frame(kind::DATA, flags, 1, &payload),
        "C" => frame(kind::CONTINUATION, flags | flag::END_HEADERS, 1, &payload),
        "h" => frame(kind::HEADERS, flags, 1, &payload),
        "R" => frame(kind::RST_STREAM, 0, 1, &payload),
        "G" => frame(kind::GOAWAY, 0, 0, &payload),
        "P" => frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &payload),
        "O" => frame(kind::HEADERS, flags | flag::END_HEADERS, 3, &payload),
        _ => {
            // What a frame has no room for goes on in others.
            let mut parts: Vec<_> = payload.chunks(FRAME_BYTES_MAX).collect();
            let last = parts.pop().unwrap_or_default();
            let mut bytes = Vec::new();
            for (number, part) in parts.iter().chain([&last]).enumerate() {
                let kind = if number == 0 { kind::HEADERS } else { kind::CONTINUATION };
                let of_first = if number == 0 { flags } else { 0 };
                let end = if number == parts.len() { flag::END_HEADERS } else { 0 };
                bytes.extend(frame(kind, of_first | end, 1, part));
            }
            bytes
        }
    }
}

fn block_of(parts: &[&str]) -> Vec<u8> {
    let Some((first, rest)) = parts.split_first() else { return Vec::new() };
    let (method, rest) = match *first {
        "*get" => ("GET", rest),
        "*post" => ("POST", rest),
        _ => ("", parts),
    };
    let mut bytes = Vec::new();
    if !method.is_empty() {
        bytes =
            block(&[(":method", method), (":scheme", "https"), (":path", "/"), (":authority", "a.example")]);
    }
    for pair in rest.chunks(2) {
        let value = bytes_of(pair[1]);
        match pair[0].split_once('*').map(|(name, count)| (name, count.parse::<usize>())) {
            Some((name, Ok(count))) => {
                for number in 0..count {
                    let name = name.replace('N', &number.to_string());
                    bytes.extend(literal(name.as_bytes(), &value));
                }
            }
            _ => bytes.extend(literal(&bytes_of(pair[0]), &value)),
        }
    }
    bytes
}

/// One character a byte.
fn bytes_of(text: &str) -> Vec<u8> {
    expand(text).chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn number_of(text: &str) -> Vec<u8> {
    text.parse::<u32>().unwrap().to_be_bytes().to_vec()
}

fn digits(text: &str) -> Vec<u8> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(pair).collect()
}

pub(super) fn expand(text: &str) -> String {
    let mut expanded = String::new();
    for part in text.split_inclusive('}') {
        let repeated = part.rsplit_once('{').and_then(|(before, inside)| {
            let (characters, count) = inside.strip_suffix('}')?.rsplit_once('*')?;
            Some(format!("{before}{}", characters.repeat(count.parse().ok()?)))
        });
        expanded.push_str(repeated.as_deref().unwrap_or(part));
    }
    expanded
}
