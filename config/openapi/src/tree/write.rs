//! A value → text: JSON as people read it, and YAML.

use serde_json::Value;

/// JSON, two spaces a level.
pub fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// YAML in block style. A string is left without quotes only where nothing else could be read from it.
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(entries) if !entries.is_empty() => block(&mut text, value, 0),
        Value::Array(items) if !items.is_empty() => block(&mut text, value, 0),
        _ => {
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
    text
}

fn block(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                // The first stands behind what opened the block.
                if at > 0 || text.is_empty() || text.ends_with('\n') {
                    text.push_str(&" ".repeat(indent));
                }
                text.push_str(&string(key));
                text.push(':');
                under(text, value, indent);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                if at > 0 || text.is_empty() || text.ends_with('\n') {
                    text.push_str(&" ".repeat(indent));
                }
                text.push('-');
                match value {
                    Value::Object(entries) if !entries.is_empty() => {
                        text.push(' ');
                        block(text, value, indent + 2);
                    }
                    _ => under(text, value, indent),
                }
            }
        }
        _ => {}
    }
}

/// What stands behind a `:` or a `-`.
fn under(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            text.push('\n');
            block(text, value, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(text, value, indent + 2);
        }
        Value::String(string) if is_block(string) => literal(text, string, indent + 2),
        _ => {
            text.push(' ');
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
}

/// Whether a text of several lines can be written line by line.
fn is_block(text: &str) -> bool {
    let lines = text.strip_suffix('\n').unwrap_or(text);
    lines.contains('\n')
        && !lines.ends_with('\n')
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|char| char == '\n' || (!char.is_control() && !is_special(char)))
        && lines.split('\n').all(|line| !line.ends_with(' ') && (line.is_empty() || !line.trim().is_empty()))
}

fn literal(text: &mut String, string: &str, indent: usize) {
    text.push_str(if string.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in string.strip_suffix('\n').unwrap_or(string).split('\n') {
        if !line.is_empty() {
            text.push_str(&" ".repeat(indent));
            text.push_str(line);
        }
        text.push('\n');
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        // Lists and maps that come here are empty: `[]`, `{}`.
        _ => value.to_string(),
    }
}

fn string(text: &str) -> String {
    let is_plain = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "-_./+{} ".contains(char))
        && !text.ends_with(' ')
        && !is_word(text);
    if is_plain { text.to_owned() } else { escaped(text) }
}

/// Whether some reader of YAML takes it for a truth or for nothing.
fn is_word(text: &str) -> bool {
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// What YAML does not print, or breaks lines at.
fn is_special(char: char) -> bool {
    matches!(char, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// As JSON has it, which YAML reads alike, but for what YAML does not print.
fn escaped(text: &str) -> String {
    let json = Value::String(text.to_owned()).to_string();
    json.chars().fold(String::with_capacity(json.len()), |mut escaped, char| {
        if is_special(char) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            escaped.push(char);
        }
        escaped
    })
}
