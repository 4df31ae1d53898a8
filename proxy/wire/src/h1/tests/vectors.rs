//! The vectors of `tests/conformance/http1.toml` against the codec alone: cut at every byte, each has one verdict.

use toml::{Table, Value};

use super::*;

const VECTORS: &str = include_str!("../../../../../tests/conformance/http1.toml");

/// What of a vector the codec alone makes: where its first message ends and what its body is, or why it is refused.
type Verdict = Result<(usize, Vec<u8>), Error>;

/// Refused above the codec, by the limits of a configuration.
const BY_CONFIGURATION: [&str; 4] =
    ["body-long", "body-limit-plus-1", "body-limit-2-63-minus-1", "body-limit-expect"];

/// Id, status and bytes of each row. One character a byte, `{ab*20}` is twenty times `ab`.
fn vectors(table: &str) -> Vec<(String, u16, Vec<u8>)> {
    let rows = VECTORS.parse::<Table>().unwrap()[table].as_array().unwrap().clone();
    let row = |row: &Value| {
        let text = |column: usize| row[column].as_str().unwrap().to_owned();
        let byte = |character| u8::try_from(u32::from(character)).unwrap();
        let bytes = expand(&text(3)).chars().map(byte).collect();
        (text(0), u16::try_from(row[1].as_integer().unwrap()).unwrap(), bytes)
    };
    rows.iter().map(row).collect()
}

fn expand(text: &str) -> String {
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

/// Reads one request from two runs of bytes, as a connection does: the head is offered whole again, the body goes on.
fn read(first: &[u8], second: &[u8]) -> Verdict {
    let bytes = [first, second].concat();
    let mut request = Request::default();
    let mut decode = |bytes: &[u8]| decode_request(bytes, &Limits::CLIENT, RULES, &mut request);
    let (arrived, (head_bytes, framing)) = match decode(first)? {
        Some(decoded) => (first.len(), decoded),
        None => (bytes.len(), decode(&bytes)?.expect("a vector has a whole head")),
    };
    let mut body = BodyDecoder::new(framing.body);
    let (mut at, mut data) = (head_bytes, Vec::new());
    for end in [arrived, bytes.len()] {
        while !body.is_done() && at < end {
            let piece = body.decode(&bytes[at..end])?;
            at += piece.consumed;
            data.extend_from_slice(piece.data);
        }
    }
    Ok((at, data))
}

/// One verdict at every cut.
#[track_caller]
fn verdict(id: &str, bytes: &[u8]) -> Verdict {
    let whole = read(bytes, b"");
    // What is long is long by repetition.
    for at in (1..bytes.len()).step_by(bytes.len().div_ceil(512)) {
        assert_eq!(read(&bytes[..at], &bytes[at..]), whole, "{id} cut at {at}");
    }
    whole
}

#[test]
fn what_is_refused_is_refused_at_every_cut() {
    for (id, status, bytes) in vectors("refused") {
        match verdict(&id, &bytes) {
            // A head that has passed is answered with 400, whatever is wrong with its body.
            Err(Error::TrailerTooLong { .. }) => assert_eq!(status, 400, "{id}"),
            Err(error) => assert_eq!(error.status(), status, "{id}: {error:?}"),
            Ok(_) => assert!(BY_CONFIGURATION.contains(&id.as_str()), "{id} passes"),
        }
    }
}

#[test]
fn what_is_right_is_one_request_at_every_cut() {
    for (id, _, bytes) in vectors("accepted") {
        let (end, _) = verdict(&id, &bytes).unwrap_or_else(|error| panic!("{id}: {error:?}"));
        assert_eq!(end, bytes.len(), "{id}: something is left for a second request");
    }
}
