//! One tree for JSON and YAML in which every node knows its place. Bounded in bytes, depth and nodes: what aliases
//! repeat counts as often as it is repeated. It knows nothing of OpenAPI: templates of other kinds are read with it too.

mod cursor;
mod json;
mod write;
mod yaml;

use std::{ops::Range, sync::Arc};

use model::{Diagnostic, Origin};

pub use cursor::{Context, Cursor, quote};
pub use write::{json, yaml};

/// The longest text (rows 138, 180).
pub const TEXT_BYTES_MAX: usize = 6 << 20;
/// Lists and maps inside one another.
pub const DEPTH_MAX: usize = 128;
/// Nodes of a tree, aliases followed. 6 MB of an ordinary document are a third of it.
pub const NODES_MAX: usize = 1 << 20;
/// Bytes of all texts of a tree, aliases followed.
pub const EXPANDED_BYTES_MAX: usize = 32 << 20;

/// Bytes of which the characters are counted ahead. Each place of a YAML document asks for one: with blocks of 4 KiB three quarters of an
/// import's time went there.
const BLOCK_BYTES: usize = 256;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// JSON (RFC 8259).
    Json,
    /// YAML 1.2, with merge keys.
    Yaml,
}

/// A text that was read.
#[derive(Clone, Debug)]
pub struct Tree {
    source: Source,
    root: Node,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// A local tag, such as `!Sub`, without its exclamation mark.
    pub tag: Option<Box<str>>,
    /// Bytes of the text.
    pub span: Range<u32>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as JSON would write it.
    Number(Box<str>),
    /// A string.
    Text(Box<str>),
    /// Values one after the other.
    List(Vec<Node>),
    /// Values under names, each of them once, in the order of the text.
    Map(Vec<Entry>),
}

/// A value under a name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name. What YAML takes for a number or a truth is a text here, as it stands.
    pub key: Box<str>,
    /// Where it stands.
    pub key_span: Range<u32>,
    /// The value.
    pub value: Node,
}

/// A text with a name, and where its lines begin.
#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    line_starts: Vec<usize>,
    /// Characters before each [`BLOCK_BYTES`]: a document may be one line, and all of its places are asked for.
    block_chars: Vec<usize>,
}

/// Why a text is no tree.
#[derive(Debug)]
struct Broken {
    message: String,
    span: Range<usize>,
}

impl Broken {
    fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), span }
    }
}

impl Syntax {
    /// How a text is written, told by its first line that says anything; `None`: neither, as TOML is.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = lines.next()?;
        if line.starts_with('{') {
            return Some(Self::Json);
        }
        if line.starts_with("---") || line.starts_with("%YAML") {
            return Some(Self::Yaml);
        }
        let rest = match line.as_bytes().first()? {
            quote @ (b'"' | b'\'') => line[1..].split_once(char::from(*quote)).map(|(_, rest)| rest)?,
            _ => line.trim_start_matches(|char: char| char.is_alphanumeric() || "-_.$".contains(char)),
        };
        let rest = rest.trim_start().strip_prefix(':')?;
        (rest.len() < line.len() - 1 && rest.chars().next().is_none_or(char::is_whitespace))
            .then_some(Self::Yaml)
    }
}

impl Tree {
    /// Reads a text; the first thing that is wrong if it is no tree. What looks like JSON and is none may be YAML.
    pub fn parse(name: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        let source = Source::new(name, text);
        let parsed = match Syntax::of(text) {
            _ if text.len() > TEXT_BYTES_MAX => {
                Err(Broken::new(format!("it is longer than {TEXT_BYTES_MAX} bytes"), 0..0))
            }
            Some(Syntax::Json) if !is_yaml_name(name) => json::parse(text),
            Some(Syntax::Json) => json::parse(text).or_else(|_| yaml::parse(text, &source)),
            _ => yaml::parse(text, &source),
        };
        match parsed {
            Ok(root) => Ok(Self { source, root }),
            Err(Broken { message, span }) => {
                Err(Box::new(Diagnostic::error(Some(&source.origin(span)), "", message)))
            }
        }
    }

    /// The whole.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Another whole of the same text: what stands in it keeps its place. Such as a document that lies in a template.
    #[must_use]
    pub fn with_root(&self, root: Node) -> Self {
        Self { source: self.source.clone(), root }
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// Where some bytes of it stand.
    pub fn origin(&self, span: &Range<u32>) -> Origin {
        self.source.origin(span.start as usize..span.end as usize)
    }
}

impl Node {
    /// What it is, for a message.
    pub fn noun(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value under a name, if it is a map that has one.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value)
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let mut chars = 0;
        let counted = text.as_bytes().chunks(BLOCK_BYTES).map(|block| {
            let before = chars;
            chars += count(block);
            before
        });
        let block_chars = counted.collect();
        let line_starts = std::iter::once(0).chain(starts).collect();
        Self { name: name.into(), text: text.into(), line_starts, block_chars }
    }

    /// Characters that begin before a byte.
    fn chars(&self, at: usize) -> usize {
        let block = at / BLOCK_BYTES;
        let Some(before) = self.block_chars.get(block) else { return count(self.text.as_bytes()) };
        before + count(self.text.as_bytes().get(block * BLOCK_BYTES..at).unwrap_or_default())
    }

    /// The byte at a line, from 1, and a column in characters, from 0.
    fn offset(&self, line: usize, column: usize) -> usize {
        let Some(start) = self.line_starts.get(line.saturating_sub(1)) else { return self.text.len() };
        let target = self.chars(*start) + column;
        let block = self.block_chars.partition_point(|chars| *chars <= target).saturating_sub(1);
        let bytes = self.text.as_bytes().get(block * BLOCK_BYTES..).unwrap_or_default();
        let left = target - self.block_chars.get(block).copied().unwrap_or_default();
        let heads = bytes.iter().enumerate().filter(|(_, byte)| is_head(**byte));
        heads.map(|(at, _)| block * BLOCK_BYTES + at).nth(left).unwrap_or(self.text.len())
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end).max(start);
        let line = self.line_starts.partition_point(|line_start| *line_start <= start);
        let line_start = self.line_starts.get(line.wrapping_sub(1)).copied().unwrap_or_default();
        let column = self.chars(start) - self.chars(line_start) + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Origin { file: self.name.clone(), line: number(line), column: number(column), start, end }
    }
}

/// Whether a character of UTF-8 begins with this byte.
const fn is_head(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_head(**byte)).count()
}

/// A span of bytes; no text is as long as 4 GiB.
fn span(range: Range<usize>) -> Range<u32> {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    number(range.start)..number(range.end)
}

/// What nodes and their texts may still take.
struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Budget {
    const fn new() -> Self {
        Self { nodes: NODES_MAX, bytes: EXPANDED_BYTES_MAX }
    }

    /// Takes a node with so many bytes of text.
    fn take(&mut self, bytes: usize, at: usize) -> Result<(), Broken> {
        let left = self.nodes.checked_sub(1).zip(self.bytes.checked_sub(bytes));
        let Some((nodes, bytes)) = left else {
            let what = if self.nodes == 0 { NODES_MAX } else { EXPANDED_BYTES_MAX };
            let noun = if self.nodes == 0 { "values" } else { "bytes of text" };
            return Err(Broken::new(format!("it has more than {what} {noun}, aliases followed"), at..at));
        };
        (self.nodes, self.bytes) = (nodes, bytes);
        Ok(())
    }
}

fn is_yaml_name(name: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

#[cfg(test)]
mod tests;
