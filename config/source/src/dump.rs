//! `floodgate dump`: what a configuration comes to, as one file: includes joined, what was left out written down where
//! it has a default. References stay references, so that no secret is shown. What it writes can be run: it means what
//! the files mean. It does not know what is chosen at the start, such as how many cores serve.

use std::{fmt::Write, path::Path};

use model::Origin;
use toml_edit::{Array, InlineTable};

use crate::{
    Environment, Form, Key, ROOT, Refused, Section, api,
    document::{self, Document},
    format, listener, policy,
    reader::{Table, Value},
};

/// The effective configuration as TOML. With `origins` each line says where it was said: `# file:line`, or
/// `# default`.
pub fn dump(path: &Path, environment: &impl Environment, origins: bool) -> Result<String, Refused> {
    let (text, diagnostics, sources) = document::read(path, environment, |document| {
        // Mistakes are looked for as always; only what is right is written.
        document.model();
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut dump = Dump { document, directory, origins, text: String::new() };
        dump.root();
        dump.text
    });
    // What is written here is laid out in one way, and long arrays on lines of their own.
    match text {
        Some(text) => format::format("dump", &text),
        None => Err(Refused { diagnostics, sources }),
    }
}

struct Dump<'d, 'a> {
    document: &'d Document<'a>,
    /// Where the operator's file is: paths of others are written from there.
    directory: &'d Path,
    origins: bool,
    text: String,
}

/// What was written of a section.
enum Said<'s, 'a> {
    Nothing,
    Table(&'s Table<'a>),
    /// In short: the section's first key alone, or the one that is a choice of that word.
    First(&'s Value<'a>),
}

impl<'a> Said<'_, 'a> {
    fn get(&self, section: &Section, name: &str) -> Option<Value<'a>> {
        match self {
            Said::Nothing => None,
            Said::Table(table) => table.get(name),
            Said::First(value) => {
                let is_word = |key: &&Key| matches!(key.form, Form::Choice(words) if value.is_one_of(words));
                let key = section.keys.iter().find(is_word).or(section.keys.first());
                key.filter(|key| key.name == name).map(|_| (*value).clone())
            }
        }
    }
}

impl<'a> Dump<'_, 'a> {
    fn root(&mut self) {
        for key in ROOT.keys {
            match key.form {
                Form::Table(section) => match self.document.single(key.name) {
                    Some(table) => self.table(key.name, false, section, &table),
                    None if key.default.is_some() => {
                        self.header(key.name, false, None);
                        self.section(key.name, section, &Said::Nothing);
                    }
                    None => {}
                },
                Form::Tables(section) => {
                    let tables = self.document.tables(key.name);
                    tables.iter().for_each(|table| self.table(key.name, true, section, table));
                    if tables.is_empty() && key.name == "listener" {
                        self.default_listener();
                    }
                }
                Form::Named(_) => {
                    let values: Vec<_> = self.document.values(key.name).collect();
                    values.iter().for_each(|value| self.below(key.name, key, value));
                }
                // `include`: what it names is here.
                _ => {}
            }
        }
    }

    /// The listener of a configuration that names none.
    fn default_listener(&mut self) {
        let listener = listener::default();
        self.header("listener", true, None);
        self.line("name", &listener.name.as_str().into(), None);
        self.line("address", &listener.address.to_string().into(), None);
        self.section("listener", &listener::LISTENER, &Said::Nothing);
    }

    fn table(&mut self, path: &str, is_item: bool, section: &'static Section, table: &Table<'a>) {
        self.header(path, is_item, Some(&table.origin()));
        self.section(path, section, &Said::Table(table));
    }

    /// The keys of a section, those that have tables behind the others.
    fn section(&mut self, path: &str, section: &'static Section, said: &Said<'_, 'a>) {
        // A word or a path in place of a table is a value like any other.
        let is_word = |key: &&Key| {
            let said = || said.get(section, key.name).is_some_and(|value| !value.is_table());
            matches!(key.form, Form::WordOrTable(..) | Form::PathOrTable(_)) && said()
        };
        let (below, plain): (Vec<_>, Vec<_>) =
            section.keys.iter().partition(|key| key.section().is_some() && !is_word(key));
        for key in plain {
            if let Some(value) = said.get(section, key.name).or_else(|| self.inherited(path, section, key)) {
                let written = self.written(section, key, &value);
                self.line(key.name, &written, Some(&value.origin()));
            } else if let Some(default) = key.default.filter(|_| applies(section, key, said)) {
                self.line(key.name, &literal(default), None);
            }
        }
        for key in below {
            if let Some(value) = said.get(section, key.name) {
                self.below(&format!("{path}.{}", key.name), key, &value);
            }
        }
    }

    /// What stands under a key that has tables.
    fn below(&mut self, path: &str, key: &'static Key, value: &Value<'a>) {
        match key.form {
            Form::Tables(section) | Form::TableOrTables(section) => {
                value.tables().iter().for_each(|table| self.table(path, true, section, table));
            }
            Form::Named(section) => {
                for named in value.named() {
                    let path = format!("{path}.{}", toml_edit::Key::new(&named.name));
                    self.header(&path, false, Some(&named.origin));
                    self.section(&path, section, &Said::Table(&named.table));
                }
            }
            Form::DurationOrTable(section, _) if !value.is_table() => {
                self.header(path, false, Some(&value.origin()));
                self.section(path, section, &Said::First(value));
            }
            _ => {
                if let (Some(section), Some(table)) = (key.section(), value.table()) {
                    self.table(path, false, section, &table);
                }
            }
        }
    }

    /// A limit that a route leaves out is the node's.
    fn inherited(&self, path: &str, section: &'static Section, key: &Key) -> Option<Value<'a>> {
        let is_route = std::ptr::eq(section, &raw const policy::LIMITS) && path.contains('.');
        self.document.single("limits").filter(|_| is_route).and_then(|limits| limits.get(key.name))
    }

    fn header(&mut self, path: &str, is_item: bool, origin: Option<&Origin>) {
        let (open, close) = if is_item { ("[[", "]]") } else { ("[", "]") };
        let comment = self.comment(origin);
        let _infallible = writeln!(self.text, "{open}{path}{close}{comment}");
    }

    fn line(&mut self, name: &str, value: &toml_edit::Value, origin: Option<&Origin>) {
        let comment = self.comment(origin);
        let _infallible = writeln!(self.text, "{name} = {value}{comment}");
    }

    fn comment(&self, origin: Option<&Origin>) -> String {
        match origin {
            _ if !self.origins => String::new(),
            None => " # default".into(),
            // A file's name may hold anything.
            Some(origin) => {
                let file = origin.file.replace(char::is_control, "\u{fffd}");
                format!(" # {file}:{}", origin.line)
            }
        }
    }

    /// A value as it was written, for where it is written now.
    fn written(&self, section: &Section, key: &Key, value: &Value<'a>) -> toml_edit::Value {
        match key.form {
            Form::Texts(_) | Form::Counts(..) => {
                value.items().iter().map(|item| self.scalar(false, item)).collect::<Array>().into()
            }
            Form::Pairs => self.pairs(value),
            Form::TextOrPairs(_) if value.is_table() => self.pairs(value),
            Form::NamedPairs => {
                let tables = value.pairs().unwrap_or_default();
                let tables = tables.iter().map(|(name, value)| (name.as_str(), self.pairs(value)));
                tables.collect::<InlineTable>().into()
            }
            _ => {
                let is_log = section.name == "access_log" && key.name == "target";
                let is_path = matches!(key.form, Form::Path | Form::PathOrTable(_))
                    || (is_log && value.string() != Some("stdout"));
                self.scalar(is_path, value)
            }
        }
    }

    fn pairs(&self, value: &Value<'a>) -> toml_edit::Value {
        let pairs = value.pairs().unwrap_or_default();
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), self.scalar(false, value)));
        pairs.collect::<InlineTable>().into()
    }

    fn scalar(&self, is_path: bool, value: &Value<'a>) -> toml_edit::Value {
        let directory = &value.file.directory;
        let directory = directory.strip_prefix(self.directory).unwrap_or(directory);
        match value.string() {
            Some(text) if !directory.as_os_str().is_empty() => {
                let is_relative = || value.text().is_some_and(|path| Path::new(&path).is_relative());
                let anchored = anchored_references(text, directory);
                if is_path && is_relative() { joined(directory, &anchored).into() } else { anchored.into() }
            }
            // As it stands in its file: `0x10`, `'c:\d'`.
            _ => literal(value.source()),
        }
    }
}

/// Whether a default means anything beside what was said: there it would be a mistake to write it.
fn applies(section: &'static Section, key: &Key, said: &Said<'_, '_>) -> bool {
    if section.name == policy::ROUTE_CACHE.name {
        let is_respecting =
            said.get(section, "mode").is_some_and(|mode| mode.is_one_of(&[policy::RESPECT_ORIGIN]));
        return !is_respecting || !policy::FIXED_ALONE.contains(&key.name);
    }
    let Said::Table(table) = said else { return true };
    match (section.name, key.name) {
        ("listener", "http2_streams_max") => table.or("http2", Value::boolean, true),
        ("listener", "names" | "security_policy") => !table.or("plain", Value::boolean, false),
        ("api", "base_path") => table.get("mapping").is_none(),
        ("api", key) if api::REST_ONLY.contains(&key) => api::kind(table) == model::Kind::Rest,
        ("api.route.integration", _) => {
            table.opt("type", Value::choice) == Some("mock") && !api::integration::is_full(table)
        }
        _ => true,
    }
}

/// The text with the paths of its `${file:path}` from another folder.
fn anchored_references(text: &str, directory: &Path) -> String {
    const FILE: &str = "${file:";
    let (mut anchored, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(FILE) {
        let is_escaped = rest[..at].ends_with('$');
        anchored.push_str(&rest[..at + FILE.len()]);
        rest = &rest[at + FILE.len()..];
        if !is_escaped && !rest.starts_with('/') {
            anchored.push_str(&joined(directory, ""));
        }
    }
    anchored + rest
}

fn joined(directory: &Path, path: &str) -> String {
    directory.join(path).to_string_lossy().into_owned()
}

/// A value from its text; text that is none is a string.
fn literal(text: &str) -> toml_edit::Value {
    text.parse().unwrap_or_else(|_| text.into())
}
