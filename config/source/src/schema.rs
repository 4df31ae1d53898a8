//! What may be written: sections and keys as data. The reader looks here which keys a table has, and what they may
//! hold; so do the documentation and the tests.

use std::time::Duration;

/// A table and its keys.
#[derive(Debug)]
pub struct Section {
    /// Its name, unique: `route`, `throttle`.
    pub name: &'static str,
    /// What it is for, one line.
    pub doc: &'static str,
    /// What may stand in it.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it may hold.
    pub form: Form,
    /// What it means to leave it out, as TOML; `None`: what [`Key::doc`] says.
    pub default: Option<&'static str>,
    /// Whether it may not be left out.
    pub required: bool,
    /// What it says, one line.
    pub doc: &'static str,
}

/// What a key may hold.
#[derive(Debug)]
pub enum Form {
    /// Any string. The example is a TOML string.
    Text(&'static str),
    /// `true` or `false`.
    Boolean,
    /// A whole number, from and to.
    Count(u64, u64),
    /// A number and a unit of time, from and to.
    Duration(Duration, Duration),
    /// A number and a unit of bytes, from and to.
    Size(u64, u64),
    /// A number of requests by a unit of time.
    Rate,
    /// An IP address and a port.
    Address,
    /// A path of a file, relative to the file that says it.
    Path,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// An array of strings. The example is a TOML array.
    Texts(&'static str),
    /// An array of whole numbers, each from and to. The example is a TOML array.
    Counts(u64, u64, &'static str),
    /// A table of strings under free names.
    Pairs,
    /// A string, which is for `application/json`, or a table of strings by media type. The example is a TOML string.
    TextOrPairs(&'static str),
    /// Tables of strings under free names.
    NamedPairs,
    /// A number with or without a fraction, from and to.
    Number(f64, f64),
    /// A table.
    Table(&'static Section),
    /// An array of tables.
    Tables(&'static Section),
    /// Tables under free names.
    Named(&'static Section),
    /// A duration, one of these strings, or a table that holds more.
    DurationOrTable(&'static Section, &'static [&'static str]),
    /// One of these strings, or a table.
    WordOrTable(&'static [&'static str], &'static Section),
    /// A path of a file, relative to the file that says it, or a table that holds more.
    PathOrTable(&'static Section),
    /// A table or an array of such.
    TableOrTables(&'static Section),
}

/// The file.
pub static ROOT: Section = Section {
    name: "file",
    doc: "A configuration file.",
    keys: &[
        Key::new(
            "include",
            Form::Texts(r#"["conf.d/*.toml"]"#),
            "More files, relative to this one; `*` and `?` in the last part; lexical order.",
        )
        .or("[]"),
        Key::new("node", Form::Table(&crate::node::NODE), "The process: threads, state, draining.").or("{}"),
        Key::new("admin", Form::Table(&crate::node::ADMIN), "Metrics, health, reload.").or("{}"),
        Key::new(
            "access_log",
            Form::Table(&crate::node::ACCESS_LOG),
            "One line a request. Left out: no access log.",
        ),
        Key::new("path", Form::Table(&crate::node::PATH), "How paths are normalised.").or("{}"),
        Key::new("endpoint", Form::Table(&crate::node::ENDPOINT), "Default endpoints of APIs.").or("{}"),
        Key::new("templates", Form::Table(&crate::node::TEMPLATES), "What mapping templates have.").or("{}"),
        Key::new("client", Form::Table(&crate::node::CLIENT), "Who the client is behind other proxies.")
            .or("{}"),
        Key::new("cache", Form::Table(&crate::node::CACHE), "The node's response cache.").or("{}"),
        Key::new("timeouts", Form::Table(&crate::node::TIMEOUTS), "Deadlines toward clients.").or("{}"),
        Key::new("limits", Form::Table(&crate::policy::LIMITS), "Limits of heads and bodies.").or("{}"),
        Key::new("quotas", Form::Table(&crate::quotas::QUOTAS), "How many of each thing an API may have.")
            .or("{}"),
        Key::new("throttle", Form::Table(&crate::policy::THROTTLE), "The bucket of all APIs together."),
        Key::new(
            "ebpf",
            Form::Table(&crate::ebpf::EBPF),
            "The kernel front line: limits before packets become connections. Left out: there is none.",
        ),
        Key::new("demo", Form::Table(&crate::node::DEMO), "A built-in backend to try the gateway with."),
        Key::new("listener", Form::Tables(&crate::listener::LISTENER), "Where clients connect."),
        Key::new("certificate", Form::Tables(&crate::listener::CERTIFICATE), "Certificates by host name."),
        Key::new("upstream", Form::Named(&crate::upstream::UPSTREAM), "Groups of backends by name."),
        Key::new("cors", Form::Table(&crate::cors::CORS), "Answers preflights for all `[[route]]`s."),
        Key::new("route", Form::Tables(&crate::route::ROUTE), "Routes of a plain gateway."),
        Key::new("api", Form::Tables(&crate::api::API), "APIs in AWS's shape."),
        Key::new("domain", Form::Tables(&crate::domain::DOMAIN), "Hosts: routing rules, health checks."),
    ],
};

impl Section {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

impl Key {
    /// A key that may be left out.
    pub const fn new(name: &'static str, form: Form, doc: &'static str) -> Self {
        Self { name, form, default: None, required: false, doc }
    }

    /// The same, with what it means to leave it out.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The same, never left out.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The section below it.
    pub fn section(&self) -> Option<&'static Section> {
        match self.form {
            Form::Table(section)
            | Form::Tables(section)
            | Form::Named(section)
            | Form::DurationOrTable(section, _)
            | Form::WordOrTable(_, section)
            | Form::PathOrTable(section)
            | Form::TableOrTables(section) => Some(section),
            _ => None,
        }
    }
}

impl Form {
    /// What is expected, for a message: "expected …".
    pub fn expected(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Boolean => "`true` or `false`",
            Self::Count(..) => "a whole number",
            Self::Duration(..) => "a duration with a unit",
            Self::Size(..) => "a size with a unit",
            Self::Rate => "a rate with a unit",
            Self::Address => "an IP address and a port",
            Self::Path => "a path",
            Self::Choice(_) => "one of some strings",
            Self::Texts(_) => "an array of strings",
            Self::Counts(..) => "an array of whole numbers",
            Self::Pairs => "a table of strings",
            Self::TextOrPairs(_) => "a string or a table of strings",
            Self::NamedPairs => "tables of strings",
            Self::Number(..) => "a number",
            Self::Table(_) => "a table",
            Self::Tables(_) => "an array of tables",
            Self::Named(_) => "tables with names",
            Self::DurationOrTable(..) => "a duration with a unit, or a table",
            Self::WordOrTable(..) => "one of some strings, or a table",
            Self::PathOrTable(_) => "a path, or a table",
            Self::TableOrTables(_) => "a table or an array of tables",
        }
    }

    /// A value as it could be written, in TOML.
    pub fn example(&self) -> String {
        match self {
            Self::Text(example)
            | Self::Texts(example)
            | Self::Counts(_, _, example)
            | Self::TextOrPairs(example) => (*example).to_owned(),
            Self::Boolean => "true".into(),
            Self::Count(min, _) => (*min).max(1).to_string(),
            Self::Duration(..) | Self::DurationOrTable(..) => r#""30s""#.into(),
            Self::Size(..) => r#""64KiB""#.into(),
            Self::Rate => r#""100/s""#.into(),
            Self::Address => r#""127.0.0.1:8443""#.into(),
            Self::Path | Self::PathOrTable(_) => r#""path/to/file""#.into(),
            Self::Choice(choices) | Self::WordOrTable(choices, _) => {
                format!("{:?}", choices.first().copied().unwrap_or_default())
            }
            Self::Pairs => r#"{ name = "value" }"#.into(),
            Self::NamedPairs => r#"{ name = { name = "value" } }"#.into(),
            Self::Number(min, max) => format!("{:?}", min.max(max / 10.0)),
            Self::Table(section) | Self::TableOrTables(section) => inline(section),
            Self::Tables(section) => format!("[{}]", inline(section)),
            Self::Named(section) => format!("{{ name = {} }}", inline(section)),
        }
    }
}

fn inline(section: &Section) -> String {
    let required = section.keys.iter().filter(|key| key.required);
    let keys: Vec<_> = required.map(|key| format!("{} = {}", key.name, key.form.example())).collect();
    if keys.is_empty() { "{ … }".into() } else { format!("{{ {} }}", keys.join(", ")) }
}
