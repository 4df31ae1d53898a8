//! Sources of parameter mappings (rows 118, 121): parsed when they are deployed, looked up for each message.

use bytes::Bytes;
use message::{
    Headers, Reason, Target,
    context::{Values, Variable},
};
use template::{FindError, Path};

use super::{
    settings::Part,
    uri::{unescaped, variable},
};

/// Where a parameter's value is taken from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A variable of the route.
    Path(usize),
    /// A parameter of the query: the last of that name, or all.
    Query { name: Box<str>, all: bool },
    /// A field of the message's head: the last of that name, or all.
    Header { name: Box<str>, all: bool },
    /// The whole body.
    Body,
    /// A part of the body.
    BodyPath(Path),
    /// `$context`.
    Context(Variable),
    /// Always the same: a literal, or what the stage says.
    Static(Box<str>),
}

/// What a source may look at.
pub(super) struct Known<'a> {
    pub(super) target: Option<&'a Target>,
    pub(super) params: &'a [(u32, u32)],
    pub(super) headers: &'a Headers,
    /// What `Host` said, which is no field of its own; empty in an answer.
    pub(super) host: &'a str,
    pub(super) body: &'a Bytes,
    /// `None` where no source asks for them.
    pub(super) values: Option<&'a Values<'a>>,
}

/// Which sources there are.
pub(super) struct Scope<'a> {
    pub(super) stage_variables: &'a [(String, String)],
    /// `None`: sources speak of the backend's answer.
    pub(super) request: Option<OfRequest<'a>>,
}

/// What a request may have.
pub(super) struct OfRequest<'a> {
    /// The route's variables.
    pub(super) variables: &'a [String],
    /// The method's parameters.
    pub(super) declared: &'a [(Part, String)],
}

impl Source {
    /// Reads a source.
    pub(super) fn parse(text: &str, scope: &Scope<'_>) -> Result<Self, String> {
        if let Some(literal) = text.strip_prefix('\'') {
            let literal =
                literal.strip_suffix('\'').ok_or_else(|| format!("the literal {text} must end with `'`"))?;
            return Ok(Self::Static(literal.into()));
        }
        if let Some(name) = text.strip_prefix("stageVariables.") {
            return Ok(Self::Static(variable(scope.stage_variables, name).into()));
        }
        if let Some(name) = text.strip_prefix("context.") {
            let variable = Variable::named(name).filter(|variable| !variable.is_for_logs());
            return variable.map(Self::Context).ok_or_else(|| {
                let near = Variable::nearest(name)
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                format!("there is no `{text}` that a message has{near}")
            });
        }
        match &scope.request {
            Some(request) => match text.strip_prefix("method.request.") {
                Some(rest) => Self::of_request(text, rest, request),
                None => Err(unknown(
                    text,
                    "method.request.header.X, method.request.querystring.X, method.request.path.X",
                )),
            },
            None => match text.strip_prefix("integration.response.") {
                Some(rest) => Self::of_response(text, rest),
                None => Err(unknown(text, "integration.response.header.X, integration.response.body")),
            },
        }
    }

    fn of_request(text: &str, rest: &str, request: &OfRequest<'_>) -> Result<Self, String> {
        if let Some(body) = Self::body(rest)? {
            return Ok(body);
        }
        let (place, name) = rest.split_once('.').unwrap_or((rest, ""));
        let name = Some(name)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| format!("`{text}` must name a parameter"))?;
        let is_declared = |wanted: Part| {
            request.declared.iter().any(|(part, known)| {
                *part == wanted
                    && (known == name || wanted == Part::Header && known.eq_ignore_ascii_case(name))
            })
        };
        let (part, source) = match place {
            "path" => {
                let place = request.variables.iter().position(|variable| variable == name);
                let place = place.ok_or_else(|| format!("`{text}` is no variable of the resource's path"))?;
                return Ok(Self::Path(place));
            }
            "querystring" => (Part::Query, Self::Query { name: name.into(), all: false }),
            "multivaluequerystring" => (Part::Query, Self::Query { name: name.into(), all: true }),
            "header" => (Part::Header, Self::Header { name: name.into(), all: false }),
            "multivalueheader" => (Part::Header, Self::Header { name: name.into(), all: true }),
            _ => {
                return Err(unknown(
                    text,
                    "header, querystring, path, multivalueheader, multivaluequerystring, body",
                ));
            }
        };
        if is_declared(part) {
            return Ok(source);
        }
        Err(format!("`{text}` is not among the method's request parameters: declare it there"))
    }

    fn of_response(text: &str, rest: &str) -> Result<Self, String> {
        if let Some(body) = Self::body(rest)? {
            return Ok(body);
        }
        match rest.split_once('.') {
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header { name: name.into(), all: false }),
            Some(("multivalueheader", name)) if !name.is_empty() => {
                Ok(Self::Header { name: name.into(), all: true })
            }
            _ => Err(unknown(
                text,
                "integration.response.header.X, integration.response.multivalueheader.X, integration.response.body",
            )),
        }
    }

    fn body(rest: &str) -> Result<Option<Self>, String> {
        if rest == "body" {
            return Ok(Some(Self::Body));
        }
        let Some(path) = rest.strip_prefix("body").filter(|path| path.starts_with(['.', '['])) else {
            return Ok(None);
        };
        Path::compile(&format!("${path}"))
            .map(|path| Some(Self::BodyPath(path)))
            .map_err(|mistake| mistake.to_string())
    }

    /// Whether it looks at the body, which must be whole for that.
    pub(super) fn reads_body(&self) -> bool {
        matches!(self, Self::Body | Self::BodyPath(_))
    }

    /// Gives each value to `each`; none if there is none. `value` is memory to work in.
    pub(super) fn read(
        &self,
        known: &Known<'_>,
        value: &mut Vec<u8>,
        each: &mut dyn FnMut(&str),
    ) -> Result<(), Reason> {
        match self {
            Self::Static(text) if text.is_empty() => {}
            Self::Static(text) => each(text),
            Self::Path(place) => {
                let path = known.target.map_or("", Target::path);
                let range = known.params.get(*place).map(|(from, to)| *from as usize..*to as usize);
                if let Some(value) = range.and_then(|range| path.get(range)) {
                    unescaped(value, false, each);
                }
            }
            Self::Query { name, all } => {
                let pairs = pairs(known.target.and_then(Target::query).unwrap_or_default());
                let own = pairs.filter(|(key, _)| unescaped(key, true, |key| **name == *key));
                chosen(own, *all).for_each(|(_, value)| unescaped(value, true, &mut *each));
            }
            Self::Header { name, .. } if name.eq_ignore_ascii_case("host") => {
                if !known.host.is_empty() {
                    each(known.host);
                }
            }
            Self::Header { name, all } => {
                chosen(known.headers.find_all(name), *all)
                    .for_each(|value| each(&String::from_utf8_lossy(value)));
            }
            Self::Body if known.body.is_empty() => {}
            Self::Body => each(&String::from_utf8_lossy(known.body)),
            Self::BodyPath(_) if known.body.is_empty() => {}
            Self::BodyPath(path) => match path.find(known.body) {
                Ok(found) => found.into_text().into_iter().for_each(|text| each(&text)),
                Err(FindError::Malformed(_)) => return Err(Reason::InvalidJson),
                Err(FindError::Steps { .. }) => return Err(Reason::ApiConfiguration),
            },
            Self::Context(variable) => {
                value.clear();
                if known.values.is_some_and(|values| values.write(*variable, value)) {
                    each(&String::from_utf8_lossy(value));
                }
            }
        }
        Ok(())
    }
}

/// All of them, or the last.
fn chosen<T>(values: impl Iterator<Item = T>, all: bool) -> impl Iterator<Item = T> {
    let mut values = values;
    let last = if all { None } else { values.by_ref().last() };
    last.into_iter().chain(values)
}

/// Names and values of a query as they are written; `;` splits it, too (row 129).
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn unknown(text: &str, known: &str) -> String {
    format!("`{text}` is no source of a mapping: write {known}, stageVariables.X, context.X or 'a literal'")
}
