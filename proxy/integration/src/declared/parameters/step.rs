//! One mapping: `append:header.x` ← `$request.path.id`, `overwrite:path` ← `/v2/${request.path.rest}`.

use message::{context::Variable, octets};
use template::Path;

use crate::declared::{
    settings::Settings,
    source::{Known, Source},
    uri::variable,
};

/// What of a message is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header(Box<str>),
    Query(Box<str>),
    /// The whole path of a request.
    Path,
    /// The status of an answer.
    StatusCode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Append,
    Overwrite,
    Remove,
}

/// Whose parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// A compiled mapping.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) place: Place,
    pub(super) action: Action,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    /// All values of one name, with commas between them.
    Source(Source),
    /// The path that was asked for, without its stage.
    RequestPath,
}

/// Fields that can't be mapped, and beginnings of such (row 123).
const RESERVED: [&str; 17] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "forwarded",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "via",
    "trailer",
    "host",
];
const RESERVED_BEGINNINGS: [&str; 5] = ["access-control-", "apigw-", "x-amz-", "x-amzn-", "x-forwarded-"];

impl Step {
    /// Reads destination and value.
    pub(super) fn parse(to: &str, value: &str, side: Side, settings: &Settings) -> Result<Self, String> {
        let (action, place) = to.split_once(':').unwrap_or(("", to));
        let action = match action {
            "append" => Action::Append,
            "overwrite" => Action::Overwrite,
            "remove" => Action::Remove,
            _ => return Err(unknown(side)),
        };
        let place = match (place.split_once('.'), place, side) {
            (Some(("header", name)), ..) => Place::Header(header(name)?),
            (Some(("querystring", name)), _, Side::Request) if !name.is_empty() => Place::Query(name.into()),
            (None, "path", Side::Request) if action == Action::Overwrite => Place::Path,
            (None, "statuscode", Side::Response) if action == Action::Overwrite => Place::StatusCode,
            _ => return Err(unknown(side)),
        };
        if action == Action::Remove {
            return match value.trim() {
                "" | "''" => Ok(Self { place, action, pieces: Vec::new() }),
                _ => Err("what is removed has no value: write `''`".into()),
            };
        }
        Ok(Self { place, action, pieces: pieces(value, side, settings)? })
    }

    /// What it comes to, in place of what `value` has; false if all that it names is not there. `one` is memory to work in.
    pub(super) fn value(&self, known: &Known<'_>, one: &mut Vec<u8>, value: &mut String) -> bool {
        value.clear();
        let mut has_any = self.pieces.is_empty();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    value.push_str(text);
                    has_any |= self.pieces.len() == 1 || !text.is_empty();
                }
                Piece::RequestPath => {
                    value.push_str(known.target.map_or("", |target| target.path()));
                    has_any = true;
                }
                Piece::Source(source) => {
                    let mut is_first = true;
                    // A body that is no JSON has no such value.
                    let _no_value = source.read(known, one, &mut |one| {
                        if !std::mem::take(&mut is_first) {
                            value.push(',');
                        }
                        value.push_str(one);
                        has_any = true;
                    });
                }
            }
        }
        has_any && self.action != Action::Remove
    }

    pub(super) fn reads_body(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Source(source) if source.reads_body()))
    }

    pub(super) fn asks_for_context(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Source(Source::Context(_))))
    }
}

fn unknown(side: Side) -> String {
    match side {
        Side::Request => {
            "write `append:header.X`, `append:querystring.X` (or `overwrite`, `remove`), or `overwrite:path`"
                .into()
        }
        Side::Response => {
            "write `append:header.X` (or `overwrite`, `remove`), or `overwrite:statuscode`".into()
        }
    }
}

fn header(name: &str) -> Result<Box<str>, String> {
    if !octets::is_token(name.as_bytes()) {
        return Err(format!("`{name}` is no name of a header"));
    }
    let lower = name.to_ascii_lowercase();
    let is_reserved =
        RESERVED.contains(&&*lower) || RESERVED_BEGINNINGS.iter().any(|it| lower.starts_with(it));
    if is_reserved {
        Err(format!("the header `{name}` is reserved: it can't be mapped"))
    } else {
        Ok(name.into())
    }
}

/// A value: text with `${…}` in it, one `$…`, or text.
fn pieces(value: &str, side: Side, settings: &Settings) -> Result<Vec<Piece>, String> {
    if let Some(name) = value.strip_prefix('$').filter(|rest| !rest.starts_with('{')) {
        return Ok(vec![piece(name, side, settings)?]);
    }
    let (mut pieces, mut rest) = (Vec::new(), value);
    while let Some(at) = rest.find("${") {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].into()));
        }
        let Some((name, after)) = rest[at + 2..].split_once('}') else {
            return Err(format!("`{}` is not closed with `}}`", &rest[at..]));
        };
        pieces.push(piece(name, side, settings)?);
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

fn piece(name: &str, side: Side, settings: &Settings) -> Result<Piece, String> {
    if let Some(name) = name.strip_prefix("stageVariables.") {
        return Ok(Piece::Text(variable(&settings.stage_variables, name).into()));
    }
    if let Some(name) = name.strip_prefix("context.") {
        let variable = Variable::named(name).filter(|variable| !variable.is_for_logs());
        let variable = variable.ok_or_else(|| {
            let near =
                Variable::nearest(name).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            format!("there is no `$context.{name}` that a message has{near}")
        })?;
        return Ok(Piece::Source(Source::Context(variable)));
    }
    let prefix = if side == Side::Request { "request." } else { "response." };
    let rest = name.strip_prefix(prefix).ok_or_else(|| {
        format!("`${name}` is no value here: write ${prefix}header.X, $context.X or $stageVariables.X")
    })?;
    let source = match (rest.split_once('.'), side) {
        (None, Side::Request) if rest == "path" => return Ok(Piece::RequestPath),
        (Some(("path", name)), Side::Request) => {
            let place = settings.variables.iter().position(|variable| variable == name);
            Source::Path(place.ok_or_else(|| format!("`$request.path.{name}` is no variable of the route"))?)
        }
        (Some(("querystring", name)), Side::Request) => Source::Query { name: name.into(), all: true },
        (Some(("header", name)), _) => Source::Header { name: name.into(), all: true },
        _ if rest.starts_with("body.") || rest.starts_with("body[") => {
            let path = &rest["body".len()..];
            if path.contains("..") || path.contains("?(") {
                return Err(format!("`${name}`: a JSONPath of a mapping neither searches nor filters"));
            }
            Source::BodyPath(Path::compile(&format!("${path}")).map_err(|mistake| mistake.to_string())?)
        }
        _ => return Err(format!("`${name}` is no value of a mapping")),
    };
    Ok(Piece::Source(source))
}
