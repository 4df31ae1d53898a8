//! `floodgate fmt`: one layout for what can be laid out in many ways. Comments, values and their order stay as they
//! were written; blanks, blank lines and the lines of arrays are ours. Keys of one dotted table come to stand together.

use std::path::Path;

use model::Diagnostic;
use toml_edit::{Array, DocumentMut, InlineTable, Item, KeyMut, RawString, Table, TableLike, Value};

use crate::{
    Refused, Sources, System,
    context::{Context, File},
    document,
};

/// An array that is longer has a line for each of its items.
const COLUMNS_MAX: usize = 100;
/// Blanks before an item that has a line for itself.
const INDENT: usize = 4;
/// What TOML calls white space, and the carriage return of a line's end.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// The text in its canonical layout. `name` stands in diagnostics; only the syntax is judged.
pub fn format(name: &str, text: &str) -> Result<String, Refused> {
    let cx = Context::new(&System);
    let mut file = File::new(name, text.to_owned(), Path::new(""));
    document::parse(text, &mut file, &cx);
    let parsed = text.parse::<DocumentMut>().map_err(|error| {
        // Said already, unless the two readers of TOML differ.
        if !file.is_broken() {
            let origin = file.origin(error.span().unwrap_or_default());
            cx.report(Diagnostic::error(Some(&origin), "", error.message()));
        }
    });
    let mut sources = Sources::default();
    sources.push(&file.name, &file.text);
    let (diagnostics, good) = cx.finish(&[&file]);
    match parsed {
        Ok(document) if good => Ok(laid_out(document)),
        _ => Err(Refused { diagnostics, sources }),
    }
}

/// A text of our own in the same layout.
pub(crate) fn pretty(text: &str) -> String {
    text.parse::<DocumentMut>().map(laid_out).unwrap_or_else(|_| text.to_owned())
}

fn laid_out(mut document: DocumentMut) -> String {
    let trailing = joined(&lines(document.trailing()), "");
    document.set_trailing(trailing);
    entries(document.as_table_mut());
    tables(document.as_table_mut());
    let text = document.to_string();
    let text = text.trim_start_matches('\n').trim_end();
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

/// Lays out the keys of a table that have values.
fn entries(table: &mut Table) {
    let mut is_first = true;
    each_entry(table, 0, &mut |key, value, key_columns| {
        let mut before = lines_of(key.leaf_decor().prefix());
        if is_first {
            before.drain(..before.iter().take_while(|line| line.is_empty()).count());
        }
        is_first = false;
        key.leaf_decor_mut().set_prefix(joined(&before, ""));
        key.leaf_decor_mut().set_suffix(" ");
        let comment = end_of_line(value.decor().suffix());
        lay_out(value, 0, key_columns + " = ".len());
        value.decor_mut().set_prefix(" ");
        value.decor_mut().set_suffix(comment);
    });
}

/// Lays out the tables that have headers.
fn tables(table: &mut Table) {
    for (mut key, item) in table.iter_mut() {
        let below: Vec<&mut Table> = match item {
            Item::Table(table) => vec![table],
            Item::ArrayOfTables(tables) => tables.iter_mut().collect(),
            _ => continue,
        };
        key.dotted_decor_mut().clear();
        key.leaf_decor_mut().clear();
        for table in below {
            if !table.is_dotted() {
                header(table);
                entries(table);
            }
            tables(table);
        }
    }
}

/// A blank line before a header, or before the comment that belongs to it.
fn header(table: &mut Table) {
    let mut before = lines_of(table.decor().prefix());
    if !before.iter().any(String::is_empty) {
        before.insert(0, String::new());
    }
    let comment = end_of_line(table.decor().suffix());
    table.decor_mut().set_prefix(joined(&before, ""));
    table.decor_mut().set_suffix(comment);
}

/// Lays out the inside of a value that has so many columns of its line before and behind it.
fn lay_out(value: &mut Value, indent: usize, column: usize) {
    let is_commented = has_comment(value);
    if !is_commented {
        flatten(value);
    }
    match value {
        Value::Array(array) if is_commented => break_array(array, indent),
        Value::InlineTable(table) if is_commented => break_table(table, indent),
        Value::Array(array) if !array.is_empty() => {
            array.decor_mut().clear();
            let line = array.to_string();
            if line.contains('\n') || column + line.trim().chars().count() > COLUMNS_MAX {
                break_array(array, indent);
            }
        }
        _ => {}
    }
}

/// Everything on one line.
fn flatten(value: &mut Value) {
    match value {
        Value::Array(array) => {
            for (index, item) in array.iter_mut().enumerate() {
                flatten(item);
                item.decor_mut().set_prefix(if index == 0 { "" } else { " " });
                item.decor_mut().set_suffix("");
            }
            array.set_trailing("");
            array.set_trailing_comma(false);
        }
        Value::InlineTable(table) => {
            let (mut count, mut index) = (0, 0);
            each_entry(table, 0, &mut |_, _, _| count += 1);
            each_entry(table, 0, &mut |key, value, _| {
                index += 1;
                flatten(value);
                key.leaf_decor_mut().set_prefix(" ");
                key.leaf_decor_mut().set_suffix(" ");
                value.decor_mut().set_prefix(" ");
                value.decor_mut().set_suffix(if index == count { " " } else { "" });
            });
            table.set_trailing("");
            table.set_trailing_comma(false);
        }
        _ => {}
    }
}

/// A line for each item.
fn break_array(array: &mut Array, indent: usize) {
    let mut broken = Broken::new(indent);
    for item in array.iter_mut() {
        let prefix = broken.before(item.decor().prefix());
        broken.after(item.decor().suffix());
        lay_out(item, indent + INDENT, indent + INDENT + ",".len());
        item.decor_mut().set_prefix(prefix);
        item.decor_mut().set_suffix("");
    }
    let trailing = broken.end(array.trailing());
    array.set_trailing(trailing);
    array.set_trailing_comma(true);
}

/// A line for each key.
fn break_table(table: &mut InlineTable, indent: usize) {
    let mut broken = Broken::new(indent);
    each_entry(table, indent + INDENT, &mut |key, value, key_columns| {
        let prefix = broken.before(key.leaf_decor().prefix());
        broken.after(value.decor().suffix());
        lay_out(value, indent + INDENT, key_columns + " = ,".len());
        key.leaf_decor_mut().set_prefix(prefix);
        key.leaf_decor_mut().set_suffix(" ");
        value.decor_mut().set_prefix(" ");
        value.decor_mut().set_suffix("");
    });
    let trailing = broken.end(table.trailing());
    table.set_trailing(trailing);
    table.set_trailing_comma(true);
}

/// The space between items that have lines for themselves. A comment behind an item stays on its line, whichever
/// side of the comma it stood on.
struct Broken {
    indent: usize,
    is_first: bool,
    /// The comment behind the item before.
    behind: Option<String>,
    /// Lines before the item to come.
    lines: Vec<String>,
}

impl Broken {
    fn new(indent: usize) -> Self {
        Self { indent, is_first: true, behind: None, lines: Vec::new() }
    }

    /// The space before an item.
    fn before(&mut self, raw: Option<&RawString>) -> String {
        self.take(raw);
        let space = self.space(self.indent + INDENT);
        self.is_first = false;
        format!("{space}{}", " ".repeat(self.indent + INDENT))
    }

    /// Remembers what stands between an item and its comma.
    fn after(&mut self, raw: Option<&RawString>) {
        self.take(raw);
    }

    /// The space before the closing bracket.
    fn end(mut self, raw: &RawString) -> String {
        self.take(Some(raw));
        while self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
        format!("{}{}", self.space(self.indent + INDENT), " ".repeat(self.indent))
    }

    fn take(&mut self, raw: Option<&RawString>) {
        let raw = raw.and_then(RawString::as_str).unwrap_or_default();
        let (first, rest) = raw.split_once('\n').map_or((raw, None), |(first, rest)| (first, Some(rest)));
        let first = first.trim_matches(BLANKS);
        match &self.behind {
            _ if first.is_empty() => {}
            None if !self.is_first => self.behind = Some(first.to_owned()),
            _ => self.lines.push(first.to_owned()),
        }
        if let Some(rest) = rest {
            self.lines.extend(lines_in(rest));
        }
        self.lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
    }

    fn space(&mut self, indent: usize) -> String {
        let behind = self.behind.take().map(|comment| format!(" {comment}")).unwrap_or_default();
        let mut lines = std::mem::take(&mut self.lines);
        if self.is_first {
            lines.drain(..lines.iter().take_while(|line| line.is_empty()).count());
        }
        format!("{behind}\n{}", joined(&lines, &" ".repeat(indent)))
    }
}

/// Visits the values of a table, those of dotted keys too, and how many columns the whole key takes.
fn each_entry(
    table: &mut dyn TableLike,
    column: usize,
    visit: &mut dyn FnMut(&mut KeyMut<'_>, &mut Value, usize),
) {
    for (mut key, item) in table.iter_mut() {
        let column = column + key.display_repr().chars().count();
        match item {
            Item::Table(below) if below.is_dotted() => {
                key.dotted_decor_mut().clear();
                each_entry(below, column + 1, visit);
            }
            Item::Value(Value::InlineTable(below)) if below.is_dotted() => {
                key.dotted_decor_mut().clear();
                each_entry(below, column + 1, visit);
            }
            Item::Value(value) => {
                key.dotted_decor_mut().clear();
                visit(&mut key, value, column);
            }
            _ => {}
        }
    }
}

/// Whether a comment stands inside of a value.
fn has_comment(value: &Value) -> bool {
    let of = |raw: Option<&RawString>| raw.and_then(RawString::as_str).is_some_and(|raw| raw.contains('#'));
    match value {
        Value::Array(array) => {
            let item =
                |item: &Value| of(item.decor().prefix()) || of(item.decor().suffix()) || has_comment(item);
            of(Some(array.trailing())) || array.iter().any(item)
        }
        Value::InlineTable(table) => {
            let entry = |(path, value): (Vec<&toml_edit::Key>, &Value)| {
                let key = path.last().is_some_and(|key| of(key.leaf_decor().prefix()));
                key || of(value.decor().suffix()) || has_comment(value)
            };
            of(Some(table.trailing())) || table.get_values().into_iter().any(entry)
        }
        _ => false,
    }
}

/// What stands behind a value or a header: a comment or nothing.
fn end_of_line(raw: Option<&RawString>) -> String {
    let comment = raw.and_then(RawString::as_str).unwrap_or_default().trim_matches(BLANKS);
    if comment.is_empty() { String::new() } else { format!(" {comment}") }
}

fn lines_of(raw: Option<&RawString>) -> Vec<String> {
    raw.map(lines).unwrap_or_default()
}

fn lines(raw: &RawString) -> Vec<String> {
    lines_in(raw.as_str().unwrap_or_default())
}

/// Comments, and an empty line for any number of blank ones. What stands behind the last newline is indentation, or a
/// comment that ends the file.
fn lines_in(raw: &str) -> Vec<String> {
    let mut lines: Vec<_> = raw.split('\n').map(|line| line.trim_matches(BLANKS).to_owned()).collect();
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
    lines
}

fn joined(lines: &[String], indent: &str) -> String {
    let line = |line: &String| if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") };
    lines.iter().map(line).collect()
}
