//! Gateway responses: what answers of the gateway's own look like where an operator says so (rows 126, 127). Of a kind its own
//! words hold, else those for all of its class, else the built-in ones, which are not known here.
//! Templates are plain substitution, not VTL: `$context.x`, `$stageVariables.x`, `$method.request.header.x`.

use message::{
    Bodies, Body, Request, Response, ResponseType,
    context::{Values, Variable},
};
use smallvec::SmallVec;

/// The longest template, in bytes: that of mapping templates.
const TEMPLATE_BYTES_MAX: usize = 300 << 10;
/// The longest body that a template may come to, in bytes; beyond it the built-in answer stays.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Ranges of `Accept` that are looked at.
const RANGES_MAX: usize = 32;

/// One response as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Which.
    pub kind: ResponseType,
    /// `None`: that of the reason.
    pub status: Option<u16>,
    /// `gatewayresponse.header.X` and what it is taken from.
    pub parameters: &'a [(String, String)],
    /// Bodies by media type.
    pub templates: &'a [(String, String)],
}

/// Why a response can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two of one kind.
    #[error("`{}` is said twice", kind.as_str())]
    Twice {
        /// Which.
        kind: ResponseType,
    },
    /// A status that is none of an answer.
    #[error("`{status}` is no status of an answer: write 200 to 599")]
    BadStatus {
        /// As it was written.
        status: u16,
    },
    /// Something other than `gatewayresponse.header.` and a name.
    #[error(
        "`{target}` can't be set: write `gatewayresponse.header.` and a field's name that is not the connection's"
    )]
    BadTarget {
        /// As it was written.
        target: String,
    },
    /// Something that a field can't be taken from.
    #[error(
        "`{source_text}` is no source: write `'text'`, `context.`, `stageVariables.` or `method.request.header.` and a name"
    )]
    BadSource {
        /// As it was written.
        source_text: String,
    },
    /// A field is taken from a variable of `$context` that there is not.
    #[error("{0}")]
    UnknownVariable(UnknownVariable),
    /// A template that is too long.
    #[error("a template has at most {max} bytes, not {bytes}")]
    TemplateTooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A template's content type that is none.
    #[error("`{media_type}` is no media type")]
    BadMediaType {
        /// As it was written.
        media_type: String,
    },
}

/// A variable of `$context` that there is not. In a template it comes to nothing, as on AWS, where templates of gateway
/// responses are not looked into before they are used; a field's source is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown variable `$context.{name}`")]
pub struct UnknownVariable {
    /// As it was written.
    pub name: String,
    /// What was probably meant.
    pub nearest: Option<&'static str>,
}

/// All that an operator says of a stage's gateway responses.
#[derive(Clone, Debug, Default)]
pub struct GatewayResponses {
    responses: Vec<GatewayResponse>,
    /// What they take from requests. Integrations rewrite those, so it is put by before.
    asks: Vec<Ask>,
}

/// What answers of one kind look like.
#[derive(Clone, Debug)]
pub struct GatewayResponse {
    kind: ResponseType,
    status: Option<u16>,
    fields: Vec<(Box<str>, Source)>,
    templates: Vec<(Box<str>, Vec<Piece>)>,
    /// Where `Accept` was put by, if there is a choice.
    accept: Option<usize>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    Value(Source),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Text(Box<str>),
    Context(Variable),
    StageVariable(Box<str>),
    /// What was put by in this place.
    Asked(usize),
}

/// What is put by of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    Header(Box<str>),
    Query(Box<str>),
    Path(Box<str>),
    Method,
    /// The path as it was sent, base path and stage with it.
    WholePath,
}

/// What was put by of a request, in its client's words. Short values cost no memory.
#[derive(Debug, Default)]
pub struct Asked {
    bytes: SmallVec<[u8; 128]>,
    spans: SmallVec<[Option<(usize, usize)>; 4]>,
}

/// What an answer is filled from.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// `$context`.
    pub values: &'a Values<'a>,
    /// `$stageVariables`.
    pub stage_variables: &'a [(String, String)],
    /// What was put by of the request.
    pub asked: &'a Asked,
}

impl GatewayResponses {
    /// Adds one; what its templates name in vain.
    pub fn add(&mut self, settings: &Settings<'_>) -> Result<Vec<UnknownVariable>, Error> {
        let Settings { kind, status, parameters, templates } = *settings;
        if self.of(kind).is_some() {
            return Err(Error::Twice { kind });
        }
        if let Some(status) = status.filter(|status| !(200..=599).contains(status)) {
            return Err(Error::BadStatus { status });
        }
        // What is refused leaves nothing behind.
        let mut asks = self.asks.clone();
        let mut unknown = Vec::new();
        let fields =
            parameters.iter().map(|(target, source)| Ok((target_of(target)?, source_of(source, &mut asks)?)));
        let fields = fields.collect::<Result<_, _>>()?;
        let templates = templates.iter().map(|(media_type, text)| {
            let (bytes, max) = (text.len(), TEMPLATE_BYTES_MAX);
            if !is_media_type(media_type) {
                return Err(Error::BadMediaType { media_type: media_type.clone() });
            } else if bytes > max {
                return Err(Error::TemplateTooLong { bytes, max });
            }
            Ok((media_type.as_str().into(), pieces(text, &mut asks, &mut unknown)))
        });
        let templates = templates.collect::<Result<Vec<_>, _>>()?;
        let accept = (templates.len() > 1).then(|| place(&mut asks, Ask::Header("accept".into())));
        self.responses.push(GatewayResponse { kind, status, fields, templates, accept });
        self.asks = asks;
        Ok(unknown)
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.responses.is_empty()
    }

    /// What an answer of this kind and status looks like, if it is said: by itself, else by what is said of its class.
    pub fn find(&self, kind: ResponseType, status: u16) -> Option<&GatewayResponse> {
        if kind == ResponseType::RequestTooLarge {
            // It can't be changed (row 126).
            return None;
        }
        let class = if status < 500 { ResponseType::Default4xx } else { ResponseType::Default5xx };
        self.of(kind).or_else(|| self.of(class))
    }

    /// Puts by what the answers take from a request, whose route has path variables of these names, and these values: byte
    /// ranges of `request.target.path()`. In place of what was put by of another.
    pub fn ask(&self, request: &Request, names: &[String], params: &[(u32, u32)], asked: &mut Asked) {
        asked.bytes.clear();
        asked.spans.clear();
        for ask in &self.asks {
            let value = match ask {
                Ask::Header(name) => request.headers.find(name),
                Ask::Query(name) => request.target.query_values(name).next().map(str::as_bytes),
                Ask::Path(name) => {
                    names.iter().position(|own| **own == **name).and_then(|at| params.get(at)).and_then(
                        |(from, to)| request.target.path().as_bytes().get(*from as usize..*to as usize),
                    )
                }
                Ask::Method => Some(request.method.as_str().as_bytes()),
                Ask::WholePath => request.target.raw().split('?').next().map(str::as_bytes),
            };
            let span = value.map(|value| {
                let from = asked.bytes.len();
                asked.bytes.extend_from_slice(value);
                (from, asked.bytes.len())
            });
            asked.spans.push(span);
        }
    }

    fn of(&self, kind: ResponseType) -> Option<&GatewayResponse> {
        self.responses.iter().find(|response| response.kind == kind)
    }
}

impl GatewayResponse {
    /// Puts what is said of an answer over the built-in one. `value` is memory to work in.
    pub fn write(
        &self,
        material: &Material<'_>,
        response: &mut Response,
        (value, bodies): (&mut Vec<u8>, &mut Bodies),
    ) {
        if let Some(status) = self.status {
            response.status = status;
        }
        if let Some((media_type, pieces)) = self.template(material.asked)
            && render(pieces, material, value)
        {
            response.headers.set("Content-Type", media_type.as_bytes());
            response.body = Body::Whole(bodies.body(value));
        }
        for (name, source) in &self.fields {
            value.clear();
            if source.write(material, value) {
                // What a client sent is a value of one field, and no more.
                value.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b' ');
                response.headers.set(name, value.trim_ascii());
            }
        }
    }

    /// The template that the client likes best; without a word of it the one for JSON, else the first.
    fn template(&self, asked: &Asked) -> Option<&(Box<str>, Vec<Piece>)> {
        let fallback = || {
            let is_json = |it: &&(Box<str>, Vec<Piece>)| it.0.eq_ignore_ascii_case("application/json");
            self.templates.iter().find(is_json).or(self.templates.first())
        };
        let accept = self.accept.and_then(|at| asked.get(at)).and_then(|it| std::str::from_utf8(it).ok());
        let Some(accept) = accept else { return fallback() };
        let mut ranges: Vec<(u16, &str)> = accept.split(',').take(RANGES_MAX).map(range).collect();
        ranges.retain(|(quality, _)| *quality > 0);
        ranges.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
        let liked = ranges.iter().find_map(|(_, range)| {
            // Whoever takes anything gets what who says nothing gets.
            if *range == "*/*" { fallback() } else { self.templates.iter().find(|it| covers(range, &it.0)) }
        });
        liked.or_else(fallback)
    }
}

impl Source {
    /// Appends the value; says whether there is one.
    fn write(&self, material: &Material<'_>, out: &mut Vec<u8>) -> bool {
        let Material { values, stage_variables, asked } = *material;
        let found: Option<&[u8]> = match self {
            Self::Context(variable) => return values.write(*variable, out),
            Self::Text(text) => Some(text.as_bytes()),
            Self::StageVariable(name) => {
                stage_variables.iter().find(|(own, _)| **own == **name).map(|(_, value)| value.as_bytes())
            }
            Self::Asked(at) => asked.get(*at),
        };
        found.inspect(|value| out.extend_from_slice(value)).is_some()
    }
}

impl Asked {
    /// The memory that it keeps beyond its own, in bytes.
    pub fn kept_bytes(&self) -> usize {
        let spilled = |is_spilled, bytes| if is_spilled { bytes } else { 0 };
        let Self { bytes, spans } = self;
        spilled(bytes.spilled(), bytes.capacity()) + spilled(spans.spilled(), size_of_val(&spans[..]))
    }

    fn get(&self, at: usize) -> Option<&[u8]> {
        let (from, to) = (*self.spans.get(at)?)?;
        self.bytes.get(from..to)
    }
}

/// The place of an ask among those there are, with it.
fn place(asks: &mut Vec<Ask>, ask: Ask) -> usize {
    asks.iter().position(|own| *own == ask).unwrap_or_else(|| {
        asks.push(ask);
        asks.len() - 1
    })
}

/// Into `out`, in place of what it has; false: it is too long.
fn render(pieces: &[Piece], material: &Material<'_>, out: &mut Vec<u8>) -> bool {
    out.clear();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Value(source) => {
                source.write(material, out);
            }
        }
        if out.len() > BODY_BYTES_MAX {
            return false;
        }
    }
    true
}

/// A range of `Accept` and its quality, in thousandths.
fn range(text: &str) -> (u16, &str) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = quality.and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0);
    // Saturates, and a NaN is 0.
    ((quality * 1_000.0) as u16, range)
}

fn covers(range: &str, media_type: &str) -> bool {
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    match range.strip_suffix("/*") {
        Some(kind) => media_type.split('/').next().is_some_and(|own| own.eq_ignore_ascii_case(kind)),
        None => range.eq_ignore_ascii_case(media_type),
    }
}

fn target_of(text: &str) -> Result<Box<str>, Error> {
    const CONNECTION: [&str; 6] =
        ["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade", "trailer"];
    let name = text.strip_prefix("gatewayresponse.header.").filter(|name| is_token(name));
    let name = name.filter(|name| !CONNECTION.iter().any(|own| own.eq_ignore_ascii_case(name)));
    name.map(Box::from).ok_or_else(|| Error::BadTarget { target: text.to_owned() })
}

fn source_of(text: &str, asks: &mut Vec<Ask>) -> Result<Source, Error> {
    let bad = || Error::BadSource { source_text: text.to_owned() };
    if let Some(text) = text.strip_prefix('\'') {
        let text = text.strip_suffix('\'').ok_or_else(bad)?;
        return if text.chars().any(char::is_control) { Err(bad()) } else { Ok(Source::Text(text.into())) };
    }
    match named(text, asks) {
        Some((Named::Source(source), bytes)) if bytes == text.len() => Ok(source),
        Some((Named::Unknown(unknown), bytes)) if bytes == text.len() => Err(Error::UnknownVariable(unknown)),
        _ => Err(bad()),
    }
}

/// What a name leads to.
enum Named {
    Source(Source),
    Unknown(UnknownVariable),
}

/// What the name that a text begins with leads to, and how long that name is.
fn named(text: &str, asks: &mut Vec<Ask>) -> Option<(Named, usize)> {
    let name_at = |prefix: &str| {
        let rest = text.strip_prefix(prefix)?;
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(rest.len());
        // A dot or dash at the end is the sentence's.
        Some(rest[..end].trim_end_matches(['.', '-'])).filter(|name| !name.is_empty())
    };
    if let Some(name) = name_at("context.") {
        let named = match Variable::named(name) {
            Some(Variable::HttpMethod) => Named::Source(Source::Asked(place(asks, Ask::Method))),
            Some(Variable::Path) => Named::Source(Source::Asked(place(asks, Ask::WholePath))),
            Some(Variable::IdentityUserAgent) => {
                Named::Source(Source::Asked(place(asks, Ask::Header("user-agent".into()))))
            }
            Some(other) => Named::Source(Source::Context(other)),
            None => {
                Named::Unknown(UnknownVariable { name: name.to_owned(), nearest: Variable::nearest(name) })
            }
        };
        return Some((named, "context.".len() + name.len()));
    }
    if let Some(name) = name_at("stageVariables.") {
        let source = Source::StageVariable(name.into());
        return Some((Named::Source(source), "stageVariables.".len() + name.len()));
    }
    type Kind = fn(Box<str>) -> Ask;
    let kinds: [(&str, Kind); 3] = [
        ("method.request.header.", Ask::Header),
        ("method.request.querystring.", Ask::Query),
        ("method.request.path.", Ask::Path),
    ];
    let found = kinds
        .iter()
        .find_map(|(prefix, ask)| name_at(prefix).map(|name| (ask(name.into()), prefix.len() + name.len())));
    found.map(|(ask, bytes)| (Named::Source(Source::Asked(place(asks, ask))), bytes))
}

fn pieces(text: &str, asks: &mut Vec<Ask>, unknown: &mut Vec<UnknownVariable>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        let behind = &behind[1..];
        // `$name` or `${name}`.
        let found = match behind.strip_prefix('{') {
            Some(inner) => named(inner, asks)
                .filter(|(_, bytes)| inner[*bytes..].starts_with('}'))
                .map(|(named, bytes)| (named, bytes + 2)),
            None => named(behind, asks),
        };
        match found {
            Some((Named::Unknown(variable), bytes)) => {
                unknown.push(variable);
                rest = &behind[bytes..];
            }
            Some((Named::Source(source), bytes)) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                }
                pieces.push(Piece::Value(source));
                rest = &behind[bytes..];
            }
            None => {
                plain.push('$');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into()));
    }
    pieces
}

fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let sound = |part: &str| is_token(part);
    essence.split_once('/').is_some_and(|(kind, sub)| sound(kind) && sound(sub))
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests;
