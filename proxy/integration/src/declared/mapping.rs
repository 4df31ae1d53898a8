//! Request parameter mappings (row 118) and what templates put over them (row 119): what becomes of them for one request.

use message::{Headers, Reason, octets};
use template::{NamedValues, Overrides, Values};

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
#[derive(Debug, Default)]
pub(super) struct Mapped {
    headers: NamedValues,
    pub(super) query: NamedValues,
    path: NamedValues,
}

/// Fields that nobody may map: who does is answered with 500, as AWS does (row 118).
const RESERVED: [&str; 3] = ["content-length", "transfer-encoding", "x-amzn-trace-id"];

/// Fields of the hop: a message says them by its framing.
const OF_THE_HOP: [&str; 7] =
    ["connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"];

/// No field of a message, but whom it is for.
const HOST: &str = "host";

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
        if is_host(name) && matches!(source, Source::Static(_)) {
            // A literal, or a stage variable, is the upstream's affair.
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

    /// What a request brings, and what a template has put over it: into `mapped`, in place of what it has. `value` is memory to
    /// work in.
    pub(super) fn apply(
        &self,
        known: &Known<'_>,
        overrides: Option<&Overrides>,
        mapped: &mut Mapped,
        value: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        mapped.clear();
        let Mapped { headers, query, path } = mapped;
        read(&self.headers, known, headers, value)?;
        read(&self.query, known, query, value)?;
        let of_others = self.path.iter().filter(|(_, source)| !matches!(source, Source::Path(_)));
        read(of_others, known, path, value)?;
        if let Some(overrides) = overrides {
            let is_same = |a: &str, b: &str| a == b;
            put_over(headers, &overrides.request_headers, str::eq_ignore_ascii_case);
            put_over(query, &overrides.request_query, is_same);
            put_over(path, &overrides.request_path, is_same);
        }
        let is_reserved = |name: &str| RESERVED.iter().any(|known| known.eq_ignore_ascii_case(name));
        if headers.iter().any(|(name, _)| is_reserved(name)) {
            return Err(Reason::ApiConfiguration);
        }
        Ok(())
    }
}

impl Mapped {
    fn clear(&mut self) {
        let Self { headers, query, path } = self;
        [headers, query, path].into_iter().for_each(NamedValues::clear);
    }

    /// The memory that it keeps, in bytes.
    pub(super) fn kept_bytes(&self) -> usize {
        let Self { headers, query, path } = self;
        [headers, query, path].into_iter().map(NamedValues::kept_bytes).sum()
    }

    /// What a backend is told in place of its own name; empty where nothing is mapped or there is no value. What is more than one is
    /// no host.
    pub(super) fn host(&self) -> Result<&str, Reason> {
        let mut hosts = self.headers.get(HOST, str::eq_ignore_ascii_case).into_iter().flatten();
        match (hosts.next(), hosts.next()) {
            (host, None) => Ok(host.unwrap_or_default()),
            (_, Some(_)) => Err(Reason::BadRequest),
        }
    }

    /// What is put in the place of a variable of the URI.
    pub(super) fn of_path(&self, name: &str) -> Option<Values<'_>> {
        self.path.get(name, |known, name| known == name)
    }

    /// Puts what is mapped into fields, in the place of others of the same names. Several values of one name are one list.
    pub(super) fn set_headers(&self, headers: &mut Headers) {
        for (name, values) in self.headers.iter() {
            let is_of_the_hop = OF_THE_HOP.iter().any(|known| known.eq_ignore_ascii_case(name));
            if is_of_the_hop || is_host(name) || !octets::is_token(name.as_bytes()) {
                continue;
            }
            headers.remove(name);
            headers.push_with(name, |out| {
                for (number, value) in values.enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    out.extend(field_value(value));
                }
            });
        }
    }
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case(HOST)
}

/// Looks the sources of mappings up; what has no value is not mapped.
pub(super) fn read<'m>(
    mappings: impl IntoIterator<Item = &'m (Box<str>, Source)>,
    known: &Known<'_>,
    mapped: &mut NamedValues,
    value: &mut Vec<u8>,
) -> Result<(), Reason> {
    for (name, source) in mappings {
        let (mut has_any, mut written) = (false, mapped.add(name));
        let outcome = source.read(known, value, &mut |value| {
            has_any = true;
            written.value(value);
        });
        if !has_any {
            mapped.pop();
        }
        outcome?;
    }
    Ok(())
}

/// Puts a template's values in the place of others.
pub(super) fn put_over(mapped: &mut NamedValues, overrides: &NamedValues, is_same: fn(&str, &str) -> bool) {
    for (name, values) in overrides.iter() {
        let mut written = mapped.set(name, is_same);
        values.for_each(|value| written.value(value));
    }
}

/// A value as a field may have it: control characters, line ends first of all, become blanks.
pub(super) fn field_value(value: &str) -> impl Iterator<Item = u8> {
    value.bytes().map(|byte| if octets::is_value_byte(byte) { byte } else { b' ' })
}
