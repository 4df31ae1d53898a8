//! Request parameter mappings (row 118) and what templates put over them (row 119): what becomes of them for one request.

use std::borrow::Cow;

use message::{Reason, octets};
use template::{Override, Overrides};

use super::{
    settings::{Found, Settings},
    source::{Known, OfRequest, Scope, Source},
};

/// Compiled mappings, by destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Mappings {
    headers: Vec<(Box<str>, Source)>,
    query: Vec<(Box<str>, Source)>,
    /// What a variable of the URI is taken from. One of the route's own is not read: it stays as it came.
    pub(super) path: Vec<(Box<str>, Source)>,
}

/// What is put into one request: names, and one value or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mapped {
    pub(super) headers: Vec<(String, Vec<String>)>,
    pub(super) query: Vec<(String, Vec<String>)>,
    pub(super) path: Vec<(String, Vec<String>)>,
}

/// Fields that nobody may map: who does is answered with 500, as AWS does (row 118).
const RESERVED: [&str; 3] = ["content-length", "transfer-encoding", "x-amzn-trace-id"];

/// Fields of the hop: a message says them by its framing.
const OF_THE_HOP: [&str; 7] =
    ["connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"];

impl Mappings {
    pub(super) fn compile(settings: &Settings, found: &mut Found) -> Self {
        let mut mappings = Self::default();
        let scope = Scope {
            stage_variables: &settings.stage_variables,
            request: Some(OfRequest { variables: &settings.variables, declared: &settings.declared }),
        };
        for (destination, source) in &settings.request_parameters {
            let key = format!("request_parameters.{destination}");
            let source = match Source::parse(source, &scope) {
                Ok(source) => source,
                Err(why) => {
                    found.mistake(key, why);
                    continue;
                }
            };
            let place =
                destination.strip_prefix("integration.request.").and_then(|rest| rest.split_once('.'));
            match place {
                Some(("path", name)) if !name.is_empty() => mappings.path.push((name.into(), source)),
                Some(("querystring", name)) if !name.is_empty() => mappings.query.push((name.into(), source)),
                Some(("header", name)) if octets::is_token(name.as_bytes()) => {
                    mappings.header(name, source, key, found);
                }
                _ => found.mistake(
                    key,
                    "the destination of a mapping is integration.request.header.X, integration.request.querystring.X or integration.request.path.X",
                ),
            }
        }
        mappings
    }

    fn header(&mut self, name: &str, source: Source, key: String, found: &mut Found) {
        let is_one_of = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if name.eq_ignore_ascii_case("host") {
            // A literal is the upstream's affair.
            if !matches!(source, Source::Static(_)) {
                found.mistake(key, "`Host` can be mapped from a literal or a stage variable alone");
            }
            return;
        }
        if is_one_of(&OF_THE_HOP) {
            found.warn(key, format!("`{name}` belongs to a connection and is not sent on"));
            return;
        }
        if is_one_of(&RESERVED) {
            found.warn(
                key,
                format!(
                    "`{name}` can't be mapped: requests for which there is a value are answered with 500"
                ),
            );
        }
        self.headers.push((name.into(), source));
    }

    /// Whether there is neither a header nor a query parameter among the destinations.
    pub(super) fn maps_only_path(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty()
    }

    pub(super) fn reads_body(&self) -> bool {
        [&self.headers, &self.query, &self.path].into_iter().flatten().any(|(_, source)| source.reads_body())
    }

    /// What a request brings, and what a template has put over it.
    pub(super) fn apply(&self, known: &Known<'_>, overrides: &Overrides) -> Result<Mapped, Reason> {
        let is_same = |a: &str, b: &str| a == b;
        let mut mapped = Mapped {
            headers: read(self.headers.iter(), known)?,
            query: read(self.query.iter(), known)?,
            path: read(self.path.iter().filter(|(_, source)| !matches!(source, Source::Path(_))), known)?,
        };
        put_over(&mut mapped.headers, &overrides.request_headers, str::eq_ignore_ascii_case);
        put_over(&mut mapped.query, &overrides.request_query, is_same);
        put_over(&mut mapped.path, &overrides.request_path, is_same);
        mapped.headers.retain(|(name, _)| {
            octets::is_token(name.as_bytes())
                && !OF_THE_HOP.iter().any(|known| known.eq_ignore_ascii_case(name))
        });
        let is_reserved = |name: &str| RESERVED.iter().any(|known| known.eq_ignore_ascii_case(name));
        if mapped.headers.iter().any(|(name, _)| is_reserved(name)) {
            return Err(Reason::ApiConfiguration);
        }
        Ok(mapped)
    }
}

impl Mapped {
    /// What is put in the place of a variable of the URI.
    pub(super) fn of_path(&self, name: &str) -> Option<&[String]> {
        self.path.iter().find(|(known, _)| known == name).map(|(_, values)| &values[..])
    }
}

fn read<'m>(
    mappings: impl Iterator<Item = &'m (Box<str>, Source)>,
    known: &Known<'_>,
) -> Result<Vec<(String, Vec<String>)>, Reason> {
    let mut mapped = Vec::new();
    for (name, source) in mappings {
        let mut values = Vec::new();
        source.read(known, &mut |value| values.push(value.into_owned()))?;
        if !values.is_empty() {
            mapped.push((name.to_string(), values));
        }
    }
    Ok(mapped)
}

/// Puts a template's values in the place of others.
pub(super) fn put_over(
    mapped: &mut Vec<(String, Vec<String>)>,
    overrides: &[(String, Override)],
    is_same: fn(&str, &str) -> bool,
) {
    for (name, value) in overrides {
        let values = match value {
            Override::One(value) => vec![value.clone()],
            Override::Many(values) => values.clone(),
        };
        match mapped.iter_mut().find(|(known, _)| is_same(known, name)) {
            Some((_, known)) => *known = values,
            None => mapped.push((name.clone(), values)),
        }
    }
}

/// A value as a field may have it: control characters, line ends first of all, become blanks.
pub(super) fn field_value(value: &str) -> Cow<'_, str> {
    if octets::is_value(value.as_bytes()) {
        return Cow::Borrowed(value);
    }
    let sound = |c: char| if c.is_ascii() && !octets::is_value_byte(c as u8) { ' ' } else { c };
    Cow::Owned(value.chars().map(sound).collect())
}
