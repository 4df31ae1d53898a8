//! TOML as a tree that is written: short tables on a line, others under a header, values before both.

use crate::expand;

/// Longer tables have a header of their own.
const COLUMNS_MAX: usize = 96;

/// A table, its keys in the order of writing.
#[derive(Default)]
pub(super) struct Tree {
    entries: Vec<(String, Item)>,
}

enum Item {
    /// As TOML.
    Value(String),
    Table(Tree),
    Tables(Vec<Tree>),
}

impl Tree {
    /// A value that is TOML already.
    pub(super) fn raw(&mut self, name: &str, value: impl ToString) {
        self.entries.push((name.to_owned(), Item::Value(value.to_string())));
    }

    /// `true`, if it is.
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        if value {
            self.raw(name, true);
        }
    }

    /// A text in which references are replaced when it is read.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.raw(name, string(&expand::escaped(value)));
    }

    pub(super) fn opt_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A text that has `${…}` of its own.
    pub(super) fn own(&mut self, name: &str, value: &str) {
        self.raw(name, string(&expand::escaped_own(value)));
    }

    pub(super) fn opt_own(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.own(name, value);
        }
    }

    /// Texts, if there are any.
    pub(super) fn texts<T: AsRef<str>>(&mut self, name: &str, values: &[T]) {
        self.array(name, values, expand::escaped);
    }

    /// Texts that have `${…}` of their own, if there are any.
    pub(super) fn owns<T: AsRef<str>>(&mut self, name: &str, values: &[T]) {
        self.array(name, values, expand::escaped_own);
    }

    fn array<T: AsRef<str>>(&mut self, name: &str, values: &[T], escaped: impl Fn(&str) -> String) {
        if !values.is_empty() {
            let values: Vec<_> = values.iter().map(|value| string(&escaped(value.as_ref()))).collect();
            self.raw(name, format!("[{}]", values.join(", ")));
        }
    }

    /// Names and texts, if there are any.
    pub(super) fn pairs(&mut self, name: &str, pairs: &[(String, String)]) {
        if !pairs.is_empty() {
            self.table(
                name,
                pairs.iter().map(|(name, value)| (name.as_str(), expand::escaped(value))).collect(),
            );
        }
    }

    /// Names and texts that have `${…}` of their own, if there are any.
    pub(super) fn own_pairs(&mut self, name: &str, pairs: &[(String, String)]) {
        if !pairs.is_empty() {
            self.table(name, own_pairs(pairs));
        }
    }

    pub(super) fn table(&mut self, name: &str, table: Tree) {
        self.entries.push((name.to_owned(), Item::Table(table)));
    }

    pub(super) fn opt_table(&mut self, name: &str, table: Option<Tree>) {
        if let Some(table) = table {
            self.table(name, table);
        }
    }

    /// One more of an array of tables.
    pub(super) fn item(&mut self, name: &str, table: Tree) {
        let there = self.entries.iter_mut().rev().find(|(other, _)| other == name);
        match there {
            Some((_, Item::Tables(tables))) => tables.push(table),
            _ => self.entries.push((name.to_owned(), Item::Tables(vec![table]))),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(other, _)| other == name)
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        self.write("", &mut text);
        text
    }

    /// All values with their paths, such as `route[0].integration.type`.
    pub(super) fn values(&self, path: &str, into: &mut Vec<(String, String)>) {
        for (name, item) in &self.entries {
            let path = if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) };
            match item {
                Item::Value(value) => into.push((path, value.clone())),
                Item::Table(table) => table.values(&path, into),
                Item::Tables(tables) => {
                    for (at, table) in tables.iter().enumerate() {
                        table.values(&format!("{path}[{at}]"), into);
                    }
                }
            }
        }
    }

    fn write(&self, path: &str, text: &mut String) {
        // What stands on a line comes first: where only tables are, as by statuses, their order would be lost.
        let is_list = self.entries.iter().all(|(_, item)| matches!(item, Item::Table(_)));
        let line = |name: &str, item: &Item| match item {
            Item::Table(table) => table.inline(name.len()),
            _ => None,
        };
        let all_below = is_list && self.entries.iter().any(|(name, item)| line(name, item).is_none());
        let mut below = Vec::new();
        for (name, item) in &self.entries {
            match item {
                Item::Value(value) => *text += &format!("{} = {value}\n", key(name)),
                Item::Table(_) => match line(name, item).filter(|_| !all_below) {
                    Some(line) => *text += &format!("{} = {line}\n", key(name)),
                    None => below.push((name, item)),
                },
                Item::Tables(_) => below.push((name, item)),
            }
        }
        for (name, item) in below {
            let path = if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) };
            match item {
                Item::Value(_) => {}
                Item::Table(table) => {
                    *text += &format!("\n[{path}]\n");
                    table.write(&path, text);
                }
                Item::Tables(tables) => {
                    for table in tables {
                        *text += &format!("\n[[{path}]]\n");
                        table.write(&path, text);
                    }
                }
            }
        }
    }

    /// The table on a line, if it is short, behind so many columns.
    fn inline(&self, columns: usize) -> Option<String> {
        let mut parts = Vec::new();
        for (name, item) in &self.entries {
            let value = match item {
                Item::Value(value) => value.clone(),
                Item::Table(table) => table.inline(0)?,
                Item::Tables(_) => return None,
            };
            parts.push(format!("{} = {value}", key(name)));
        }
        let line = if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) };
        let is_short = columns + " = ".len() + line.chars().count() <= COLUMNS_MAX;
        (is_short && !line.contains('\n')).then_some(line)
    }
}

/// Names and texts; what has to be escaped in these is.
impl<'a> FromIterator<(&'a str, String)> for Tree {
    fn from_iter<I: IntoIterator<Item = (&'a str, String)>>(pairs: I) -> Self {
        let entry = |(name, value): (&str, String)| (name.to_owned(), Item::Value(string(&value)));
        Self { entries: pairs.into_iter().map(entry).collect() }
    }
}

/// A table of texts that have `${…}` of their own.
pub(super) fn own_pairs(pairs: &[(String, String)]) -> Tree {
    pairs.iter().map(|(name, value)| (name.as_str(), expand::escaped_own(value))).collect()
}

/// A key, quoted where it has to be.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { basic(name) }
}

/// A string as TOML: as it stands if it can be, so that templates and patterns stay what they are.
pub(super) fn string(text: &str) -> String {
    let is_plain = |char: char| char == '\n' || char == '\t' || !char.is_control();
    if !text.chars().all(is_plain) {
        return basic(text);
    }
    if text.contains('\n') {
        let is_literal = !text.contains("'''") && !text.ends_with('\'');
        return if is_literal { format!("'''\n{text}'''") } else { basic(text) };
    }
    let is_awkward = text.contains(['"', '\\']);
    if is_awkward && !text.contains('\'') { format!("'{text}'") } else { basic(text) }
}

fn basic(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            char if char.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(string(text), expected);
    }

    #[test]
    fn strings_are_as_plain_as_they_can_be() {
        check("a b", "\"a b\"");
        check("\"a\"", "'\"a\"'");
        check(r"4\d\d", r"'4\d\d'");
        check("'\"", "\"'\\\"\"");
        check("#set($a = 1)\n  \"x\"", "'''\n#set($a = 1)\n  \"x\"'''");
        check("\n", "'''\n\n'''");
        check("a\n'", "\"a\\n'\"");
        check("a\r\n", "\"a\\r\\n\"");
        check("\u{7f}\u{85}", "\"\\u007F\\u0085\"");
    }

    proptest! {
        #[test]
        fn every_string_is_read_again(
            text in "\\PC{0,20}|[a'\"\\\\\\n\\r\\t #\\{$]{0,30}",
            name in "\\PC{0,8}|[a'\"\\n.-]{0,4}",
        ) {
            let written = format!("{} = {}\n[\"a\"]\n", key(&name), string(&text));
            prop_assume!(name != "a");
            let table = written.parse::<toml::Table>().unwrap();
            prop_assert_eq!(table.get(&name).and_then(toml::Value::as_str), Some(&*text), "{}", written);
            prop_assert!(written.parse::<toml_edit::DocumentMut>().is_ok());
        }
    }
}
