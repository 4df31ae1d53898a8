//! Nodes of a tree that are made and not read: they stand where what they are made of stands.

use std::ops::Range;

use openapi::tree::{Entry, Node, Value};

/// The place of a made node.
pub(crate) type Span = Range<u32>;

/// A string.
pub(crate) fn text(text: impl Into<Box<str>>, span: &Span) -> Node {
    node(Value::Text(text.into()), span)
}

/// `true` or `false`.
pub(crate) fn truth(truth: bool, span: &Span) -> Node {
    node(Value::Bool(truth), span)
}

/// A list.
pub(crate) fn list(items: Vec<Node>, span: &Span) -> Node {
    node(Value::List(items), span)
}

/// A map; of names that come twice the last counts.
pub(crate) fn map<K: Into<Box<str>>>(entries: impl IntoIterator<Item = (K, Node)>, span: &Span) -> Node {
    let mut made = node(Value::Map(Vec::new()), span);
    for (key, value) in entries {
        put(&mut made, key, value);
    }
    made
}

/// Nothing.
pub(crate) fn null(span: &Span) -> Node {
    node(Value::Null, span)
}

/// A node.
pub(crate) fn node(value: Value, span: &Span) -> Node {
    Node { value, tag: None, span: span.clone() }
}

/// Sets the value under a name of a map.
pub(crate) fn put(map: &mut Node, key: impl Into<Box<str>>, value: Node) {
    let key = key.into();
    let Value::Map(entries) = &mut map.value else { return };
    match entries.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => entry.value = value,
        None => {
            let key_span = value.span.clone();
            entries.push(Entry { key, key_span, value });
        }
    }
}

/// The map under a name of a map, made if it is not there.
pub(crate) fn child<'n>(map: &'n mut Node, key: &str, span: &Span) -> &'n mut Node {
    let is_map = matches!(map.value, Value::Map(_));
    if !is_map {
        map.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut map.value else { unreachable!("it was made one") };
    let place = entries.iter().position(|entry| &*entry.key == key).unwrap_or_else(|| {
        let value = node(Value::Map(Vec::new()), span);
        entries.push(Entry { key: key.into(), key_span: span.clone(), value });
        entries.len() - 1
    });
    &mut entries[place].value
}

/// The string of a node that holds a scalar.
pub(crate) fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) | Value::Number(text) => Some(text.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// The same map under names that begin with a small letter, as OpenAPI's extensions have them.
pub(crate) fn renamed(map: &Node, names: &[(&str, &str)]) -> Node {
    let Value::Map(entries) = &map.value else { return map.clone() };
    let renamed = entries.iter().filter_map(|entry| {
        let (_, name) = names.iter().find(|(from, _)| *from == &*entry.key)?;
        Some(Entry { key: (*name).into(), key_span: entry.key_span.clone(), value: entry.value.clone() })
    });
    Node { value: Value::Map(renamed.collect()), tag: None, span: map.span.clone() }
}

/// A copy that stands elsewhere: what is in no text of the template stands where it was asked for.
pub(crate) fn placed(node: &Node, span: &Span) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(|item| placed(item, span)).collect()),
        Value::Map(entries) => {
            let entry = |entry: &Entry| Entry {
                key: entry.key.clone(),
                key_span: span.clone(),
                value: placed(&entry.value, span),
            };
            Value::Map(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    };
    Node { value, tag: node.tag.clone(), span: span.clone() }
}
