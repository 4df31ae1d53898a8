//! Access log lines from `$context` templates (rows 166 and 167): parsed once, rendered once a request.
//! It knows how to keep a value inside its line; names are `$context`'s, values come from the caller.

mod escape;
pub mod properties;

use message::context::Variable;

use crate::Error;

/// The longest template there may be (row 166: 3 KB).
pub const TEMPLATE_BYTES_MAX: usize = 3 * 1024;

/// What an empty or unavailable value is written as.
const NOTHING: &str = "-";

/// One JSON object a line; every value is a string, as in AWS's example, so that `-` stays valid.
const JSON: &str = concat!(
    r#"{"requestId":"$context.requestId","time":"$context.requestTime","ip":"$context.identity.sourceIp","#,
    r#""method":"$context.httpMethod","path":"$context.path","protocol":"$context.protocol","#,
    r#""api":"$context.apiId","stage":"$context.stage","route":"$context.routeKey","status":"$context.status","#,
    r#""bytes":"$context.responseLength","latency":"$context.responseLatency","#,
    r#""integrationLatency":"$context.integrationLatency","integrationStatus":"$context.integrationStatus","#,
    r#""error":"$context.error.responseType","userAgent":"$context.identity.userAgent"}"#
);

/// The Common Log Format, with the request's id behind it as AWS has it.
const CLF: &str = concat!(
    r#"$context.identity.sourceIp - $context.identity.user [$context.requestTime] "#,
    r#""$context.httpMethod $context.path $context.protocol" $context.status $context.responseLength "#,
    r#"$context.requestId"#
);

/// A template, ready to be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Value(Variable),
}

impl Template {
    /// Reads a template, or one of the names `json`, `clf` and `common`.
    ///
    /// `$context.` and a name is a variable; anything else stands for itself. A variable that has no value is written `-`.
    ///
    /// # Errors
    /// A name that exists nowhere, a line break, more than [`TEMPLATE_BYTES_MAX`], no request id.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = match text {
            "json" => JSON,
            "clf" | "common" => CLF,
            other => other,
        };
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(Error::TooLong { bytes: text.len(), max_bytes: TEMPLATE_BYTES_MAX });
        }
        if let Some(at) = text.find(['\n', '\r']) {
            return Err(Error::NotOneLine { at });
        }
        let template = Self { pieces: pieces(text)? };
        let named = |variable| template.pieces.contains(&Piece::Value(variable));
        if named(Variable::RequestId) || named(Variable::ExtendedRequestId) {
            Ok(template)
        } else {
            Err(Error::NoRequestId)
        }
    }

    /// Appends one line, without its line break. `value` appends a variable's raw value, or nothing if it has none;
    /// whatever it appends is escaped, so that no value can end the line or leave the quotes around it.
    /// Allocates only where `out` is too short.
    pub fn render(&self, out: &mut Vec<u8>, value: &dyn Fn(Variable, &mut Vec<u8>)) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value(variable) => {
                    let start = out.len();
                    value(*variable, out);
                    if out.len() <= start {
                        out.truncate(start);
                        out.extend_from_slice(NOTHING.as_bytes());
                    } else {
                        escape::from(out, start);
                    }
                }
            }
        }
    }

    /// The variables that are asked for, so that what none asks for need not be kept.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(variable) => Some(*variable),
            Piece::Text(_) => None,
        })
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    const PREFIX: &str = "$context";
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(PREFIX) {
        let at = text.len() - rest.len() + start;
        plain.push_str(&rest[..start]);
        rest = &rest[start + PREFIX.len()..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(rest.len());
        // A dot or dash at the end is the sentence's, not the name's.
        let name = rest[..end].trim_end_matches(['.', '-']);
        rest = &rest[name.len()..];
        let name = name.strip_prefix('.').unwrap_or(name);
        let Some(variable) = Variable::named(name) else {
            let suggestion = Variable::nearest(name);
            return Err(Error::UnknownVariable { variable: name.into(), suggestion, at });
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        pieces.push(Piece::Value(variable));
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
