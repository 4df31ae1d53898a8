//! YAML → a tree: YAML 1.2's core schema, and merge keys (`<<`), which templates in the wild have. Aliases are followed,
//! and what they repeat is paid for out of the tree's budget.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Broken, Budget, DEPTH_MAX, Entry, Node, Source, Value, json, span};

pub(super) fn parse(text: &str, source: &Source) -> Result<Node, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        source,
        budget: Budget::new(),
        anchors: HashMap::new(),
        open: Vec::new(),
    };
    reader.document()
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    source: &'t Source,
    budget: Budget,
    /// What has an anchor.
    anchors: HashMap<usize, Node>,
    open: Vec<Open>,
}

/// A list or a map that is not read to its end.
struct Open {
    start: usize,
    anchor: usize,
    tag: Option<Box<str>>,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, names: HashSet<Box<str>>, key: Option<Node>, merged: Vec<Node> },
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, Broken> {
        let mut root = None;
        while let Some(event) = self.parser.next_event() {
            let (event, at) = event.map_err(|error| self.scan_error(&error))?;
            let start = self.offset(at.start);
            let done = match event {
                Event::Scalar(text, style, anchor, tag) => {
                    let node = self.scalar(&text, style, tag.as_deref(), at);
                    let bytes = node.as_str().map_or(0, str::len);
                    self.budget.take(bytes, start)?;
                    Some((node, anchor))
                }
                Event::SequenceStart(anchor, tag) => {
                    self.open(start, anchor, tag.as_deref(), Inside::List(Vec::new()))?;
                    None
                }
                Event::MappingStart(anchor, tag) => {
                    let inside = Inside::Map {
                        entries: Vec::new(),
                        names: HashSet::new(),
                        key: None,
                        merged: Vec::new(),
                    };
                    self.open(start, anchor, tag.as_deref(), inside)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(self.offset(at.end))?,
                Event::Alias(anchor) => Some((self.alias(anchor, start)?, 0)),
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(Broken::new("a second document begins here: one is read", start..start));
                }
                _ => None,
            };
            let Some((node, anchor)) = done else { continue };
            if anchor > 0 {
                self.budget_for(&node, start)?;
                self.anchors.insert(anchor, node.clone());
            }
            match self.open.last_mut() {
                None => root = Some(node),
                Some(open) => open.inside.take(node)?,
            }
        }
        root.ok_or_else(|| Broken::new("the text is empty", 0..0))
    }

    fn open(&mut self, start: usize, anchor: usize, tag: Option<&Tag>, inside: Inside) -> Result<(), Broken> {
        if self.open.len() >= DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} lists and maps stand in one another");
            return Err(Broken::new(message, start..start));
        }
        self.budget.take(0, start)?;
        self.open.push(Open { start, anchor, tag: local(tag), inside });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<Option<(Node, usize)>, Broken> {
        let Some(Open { start, anchor, tag, inside }) = self.open.pop() else { return Ok(None) };
        let value = match inside {
            Inside::List(items) => Value::List(items),
            Inside::Map { mut entries, merged, .. } => {
                for node in merged {
                    merge(&mut entries, node)?;
                }
                Value::Map(entries)
            }
        };
        Ok(Some((Node { value, tag, span: span(start..end) }, anchor)))
    }

    fn alias(&mut self, anchor: usize, at: usize) -> Result<Node, Broken> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Broken::new("the alias is inside of what it stands for", at..at));
        };
        if self.open.len() + depth(&node) > DEPTH_MAX {
            return Err(Broken::new(
                format!("more than {DEPTH_MAX} lists and maps stand in one another"),
                at..at,
            ));
        }
        self.budget_for(&node, at)?;
        Ok(node)
    }

    /// Pays for a copy.
    fn budget_for(&mut self, node: &Node, at: usize) -> Result<(), Broken> {
        self.budget.take(node.as_str().map_or(0, str::len), at)?;
        match &node.value {
            Value::List(items) => items.iter().try_for_each(|item| self.budget_for(item, at)),
            Value::Map(entries) => entries.iter().try_for_each(|entry| self.budget_for(&entry.value, at)),
            _ => Ok(()),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Span) -> Node {
        let value = match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Value::Text(text.into()),
            Some(tag) if !tag.is_yaml_core_schema() => Value::Text(text.into()),
            _ if style == ScalarStyle::Plain => plain(text),
            _ => Value::Text(text.into()),
        };
        let start = self.offset(at.start);
        Node { value, tag: local(tag), span: span(start..self.offset(at.end).max(start)) }
    }

    fn scan_error(&self, error: &ScanError) -> Broken {
        let at = self.offset(*error.marker());
        Broken::new(format!("this is no YAML: {}", error.info()), at..at)
    }

    fn offset(&self, marker: Marker) -> usize {
        self.source.offset(marker.line(), marker.col())
    }
}

impl Inside {
    fn take(&mut self, node: Node) -> Result<(), Broken> {
        match self {
            Self::List(items) => items.push(node),
            Self::Map { key: key @ None, .. } => *key = Some(node),
            Self::Map { entries, names, key, merged } => {
                let Some(key) = key.take() else { return Ok(()) };
                let range = key.span.start as usize..key.span.end as usize;
                let text: Box<str> = match key.value {
                    Value::Text(text) | Value::Number(text) => text,
                    Value::Bool(truth) => truth.to_string().into(),
                    Value::Null => "null".into(),
                    Value::List(_) | Value::Map(_) => {
                        return Err(Broken::new("a key is a string, not a list or a map", range));
                    }
                };
                if &*text == "<<" {
                    merged.push(node);
                    return Ok(());
                }
                if !names.insert(text.clone()) {
                    return Err(Broken::new(format!("`{text}` stands twice in one map"), range));
                }
                entries.push(Entry { key: text, key_span: key.span, value: node });
            }
        }
        Ok(())
    }
}

/// `<<`: what a map doesn't say itself is said by another, or by the first of some.
fn merge(entries: &mut Vec<Entry>, node: Node) -> Result<(), Broken> {
    match node.value {
        Value::Map(others) => {
            let mut known: HashSet<Box<str>> = entries.iter().map(|entry| entry.key.clone()).collect();
            entries.extend(others.into_iter().filter(|other| known.insert(other.key.clone())));
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| match item.value {
            Value::Map(_) => merge(entries, item),
            _ => Err(no_map(&item)),
        }),
        _ => Err(no_map(&node)),
    }
}

fn no_map(node: &Node) -> Broken {
    Broken::new("`<<` takes a map or a list of maps", node.span.start as usize..node.span.end as usize)
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or_default(),
        _ => 0,
    }
}

/// A tag of the document's own. `!!str` and the like have done what they do.
fn local(tag: Option<&Tag>) -> Option<Box<str>> {
    let tag = tag.filter(|tag| !tag.is_yaml_core_schema())?;
    // `!` alone says that it is a string.
    let text = format!("{}{}", tag.handle.trim_start_matches('!'), tag.suffix);
    (!text.is_empty()).then(|| text.into())
}

/// What a plain scalar is.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if json::is_number(text) {
        return Value::Number(text.into());
    }
    let radix =
        |prefix, radix| text.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, radix).ok());
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Number(number.to_string().into());
    }
    // `+1`, `.5` and `1.` are numbers in YAML alone. What has zeros in front, such as an account's id, stays a text.
    let digits = text.trim_start_matches(['+', '-']);
    let looks = digits.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    let only = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    match text.parse::<f64>() {
        Ok(number) if looks && only && !padded && number.is_finite() => match text.parse::<i64>() {
            Ok(whole) => Value::Number(whole.to_string().into()),
            // `1.` is 1.0.
            Err(_) => Value::Number(format!("{number:?}").into()),
        },
        _ => Value::Text(text.into()),
    }
}
