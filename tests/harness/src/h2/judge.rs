//! What the other side sends, judged: a stream from its first field to its last byte. What RFC 9113 does not allow is an
//! error with its section.

use super::{Field, frame::code};
use crate::response::Response;

/// Fields of HTTP/1.1's connections (RFC 9113, section 8.2.2).
const CONNECTION_FIELDS: [&str; 5] =
    ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];

/// An answer on its way in.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    method: String,
    pub(super) interim: Vec<Response>,
    pub(super) response: Response,
    pub(super) ended: bool,
}

impl Answer {
    /// To a request of this method; empty if it is not known.
    pub(super) fn to(method: &str) -> Self {
        let response = Response {
            status: 0,
            version: "HTTP/2".to_owned(),
            fields: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            reset: None,
        };
        Self { method: method.to_owned(), interim: Vec::new(), response, ended: false }
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.response.reset.is_some()
    }

    pub(super) fn take_fields(&mut self, fields: Vec<Field>, ends: bool) -> Result<(), String> {
        self.goes_on()?;
        check_names(&fields)?;
        if self.response.status == 0 {
            let (status, fields) = read_status(fields)?;
            if status < 200 {
                if ends || status == 101 {
                    return Err(format!("{status} ends a stream, or is 101 (RFC 9113, 8.1 and 8.6)"));
                }
                let interim = Response { status, fields, ..Self::to(&self.method).response };
                self.interim.push(interim);
                return Ok(());
            }
            (self.response.status, self.response.fields) = (status, fields);
        } else {
            if !ends {
                return Err("trailers that do not end the stream (RFC 9113, 8.1)".to_owned());
            }
            if fields.iter().any(|(name, _)| name.starts_with(':')) {
                return Err(format!("a pseudo-header in trailers (RFC 9113, 8.1): {fields:?}"));
            }
            self.response.trailers = fields;
        }
        if ends { self.end() } else { Ok(()) }
    }

    pub(super) fn take_data(&mut self, bytes: &[u8], ends: bool) -> Result<(), String> {
        self.goes_on()?;
        if self.response.status == 0 {
            return Err("DATA before HEADERS (RFC 9113, 8.1)".to_owned());
        }
        self.response.body.extend_from_slice(bytes);
        if !bytes.is_empty() && self.is_bodiless() {
            return Err(format!("a body to {} with {} (RFC 9110, 6.4.1)", self.method, self.response.status));
        }
        if ends { self.end() } else { Ok(()) }
    }

    pub(super) fn take_reset(&mut self, code: u32) -> Result<(), String> {
        // "Do not send the rest of your request" is allowed behind a whole answer (RFC 9113, 8.1).
        if self.ended && code != code::NO_ERROR && code != code::CANCEL && code != code::STREAM_CLOSED {
            return Err(format!("a whole answer is reset with {}", super::code_name(code)));
        }
        self.response.reset = Some(code);
        Ok(())
    }

    fn goes_on(&self) -> Result<(), String> {
        if self.is_over() {
            return Err(format!("a frame on a stream that is over (RFC 9113, 5.1): {:?}", self.response));
        }
        Ok(())
    }

    fn is_bodiless(&self) -> bool {
        self.method == "HEAD" || [204, 304].contains(&self.response.status)
    }

    /// RFC 9113, section 8.1.1.
    fn end(&mut self) -> Result<(), String> {
        self.ended = true;
        let length = match &self.response.all("content-length")[..] {
            [] => return Ok(()),
            [length] => length.parse::<usize>().map_err(|_| format!("a content-length of {length:?}"))?,
            several => return Err(format!("several lengths: {several:?}")),
        };
        // An answer whose method is not known may be one to HEAD.
        let unknown = self.method.is_empty() && self.response.body.is_empty();
        if !self.is_bodiless() && !unknown && length != self.response.body.len() {
            return Err(format!(
                "{} bytes where {length} were said (RFC 9113, 8.1.1)",
                self.response.body.len()
            ));
        }
        Ok(())
    }
}

fn read_status(mut fields: Vec<Field>) -> Result<(u16, Vec<Field>), String> {
    let pseudo = fields.iter().filter(|(name, _)| name.starts_with(':')).count();
    match fields.first() {
        Some((name, value)) if name == ":status" && value.len() == 3 && pseudo == 1 => {
            let status = value.parse::<u16>().map_err(|_| format!("a status of {value:?}"))?;
            fields.remove(0);
            Ok((status, fields))
        }
        _ => Err(format!("not one :status and first (RFC 9113, 8.3): {fields:?}")),
    }
}

/// RFC 9113, section 8.2.
fn check_names(fields: &[Field]) -> Result<(), String> {
    for (name, value) in fields {
        let plain = name.strip_prefix(':').unwrap_or(name);
        let token = |byte: u8| {
            byte.is_ascii_alphanumeric() && !byte.is_ascii_uppercase() || b"!#$%&'*+-.^_`|~".contains(&byte)
        };
        if plain.is_empty() || !plain.bytes().all(token) {
            return Err(format!("a field's name {name:?} (RFC 9113, 8.2.1)"));
        }
        let blank = |byte: Option<u8>| byte.is_some_and(|byte| byte == b' ' || byte == b'\t');
        let bytes = value.as_bytes();
        if blank(bytes.first().copied())
            || blank(bytes.last().copied())
            || bytes.iter().any(|byte| [0, b'\r', b'\n'].contains(byte))
        {
            return Err(format!("a field's value {value:?} (RFC 9113, 8.2.1)"));
        }
        if CONNECTION_FIELDS.contains(&plain) {
            return Err(format!("a field of HTTP/1.1's connections, {name} (RFC 9113, 8.2.2)"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use crate::h2::Field;

    fn fields(text: &str) -> Vec<Field> {
        let field =
            |line: &str| line.rsplit_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.split('\n').filter_map(field).collect()
    }

    /// `H` and `h` stand for fields, the small one ends the stream; `D` and `d` for data.
    #[track_caller]
    fn check(steps: &[(char, &str)], expected: Result<(), &str>) {
        let mut answer = Answer::to("GET");
        let mut steps = steps.iter().map(|&(step, text)| match step {
            'H' | 'h' => answer.take_fields(fields(text), step == 'h'),
            _ => answer.take_data(text.as_bytes(), step == 'd'),
        });
        match (steps.find_map(Result::err), expected) {
            (None, Ok(())) => {}
            (Some(problem), Err(expected)) => assert!(problem.contains(expected), "{problem}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn answers_are_judged() {
        check(&[('H', ":status: 200\ncontent-length: 2"), ('D', "a"), ('d', "b")], Ok(()));
        check(&[('H', ":status: 103"), ('H', ":status: 200"), ('D', "a"), ('h', "x: y")], Ok(()));
        check(&[('h', ":status: 204")], Ok(()));
        check(&[('H', ":status: 200\ncontent-length: 2"), ('d', "a")], Err("8.1.1"));
        check(&[('h', ":status: 100")], Err("ends a stream"));
        check(&[('H', ":status: 101")], Err("101"));
        check(&[('H', "x: y")], Err(":status"));
        check(&[('H', ":status: 200\n:status: 200")], Err(":status"));
        check(&[('H', ":status: 200\nX: y")], Err("8.2.1"));
        check(&[('H', ":status: 200\nconnection: close")], Err("8.2.2"));
        check(&[('D', "a")], Err("DATA before"));
        check(&[('h', ":status: 200"), ('D', "a")], Err("is over"));
        check(&[('H', ":status: 200"), ('H', "x: y")], Err("trailers"));
        check(&[('H', ":status: 204"), ('D', "a")], Err("a body"));
    }
}
