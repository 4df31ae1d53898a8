//! Tables of bytes, as they stand in `tests/conformance`: one row a vector, one character a byte, `{ab*20}` for twenty
//! times `ab`.

use std::{fs, path::Path};

use toml::{Table, Value};

/// The rows of a table of `tests/conformance/{file}.toml`, each text expanded.
#[track_caller]
pub fn conformance(file: &str, table: &str) -> Vec<Vec<Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance");
    let path = folder.join(format!("{file}.toml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tables: Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = tables.get(table).and_then(Value::as_array);
    let rows = rows.unwrap_or_else(|| panic!("{}: no {table}", path.display()));
    let columns = |row: &Value| row.as_array().unwrap_or_else(|| panic!("{table}: no row: {row}")).clone();
    rows.iter().map(|row| columns(row).into_iter().map(expanded).collect()).collect()
}

/// Each text of a value written out.
fn expanded(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(expand(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(expanded).collect()),
        other => other,
    }
}

/// One byte a character, so that bytes beyond ASCII can be written.
#[track_caller]
pub fn latin1(text: &str) -> Vec<u8> {
    let byte = |character| u8::try_from(u32::from(character)).ok();
    let bytes: Option<Vec<u8>> = text.chars().map(byte).collect();
    bytes.unwrap_or_else(|| panic!("more than a byte: {text:?}"))
}

/// `{ab*20}` is twenty times `ab`.
fn expand(text: &str) -> String {
    let mut expanded = String::new();
    for part in text.split_inclusive('}') {
        let repeated = part.rsplit_once('{').and_then(|(before, inside)| {
            let (characters, count) = inside.strip_suffix('}')?.rsplit_once('*')?;
            Some(format!("{before}{}", characters.repeat(count.parse().ok()?)))
        });
        expanded.push_str(repeated.as_deref().unwrap_or(part));
    }
    expanded
}

#[cfg(test)]
mod tests {
    use super::{expand, latin1};

    #[test]
    fn repetitions_are_written_out() {
        assert_eq!(expand("x{ab*3}y{,*2}"), "xabababy,,");
        assert_eq!(expand("{a} {b*c} {"), "{a} {b*c} {");
        assert_eq!(latin1("a\u{e9}"), [b'a', 0xe9]);
    }
}
