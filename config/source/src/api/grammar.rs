//! What texts of API Gateway's own are held against: JSON, media types, templates, variables of stages. What is inside
//! of a template, a mapping or a schema, those judge that compile it.

use serde_json::Value as Json;

use crate::{
    context::{Mistake, quote},
    reader::Value,
};

/// Names and texts in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// The longest mapping template.
pub(super) const TEMPLATE_BYTES_MAX: usize = 300 << 10;
/// Row 33.
const VARIABLE_NAME_BYTES_MAX: usize = 64;
const VARIABLE_VALUE_BYTES_MAX: usize = 512;
/// The longest text for people.
const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// The longest schema, policy or documentation.
const JSON_BYTES_MAX: usize = 400 << 10;

/// Names and texts that have `${…}` of their own.
pub(super) fn own_pairs(value: &Value<'_>) -> Option<Pairs> {
    own(value.pairs()?, |text| Ok(text.to_owned()))
}

/// Strings that have `${…}` of their own.
pub(super) fn own_list(value: &Value<'_>) -> Option<Vec<String>> {
    // All of them are read, so that all mistakes are found.
    let texts: Vec<_> = value.items().iter().map(Value::own_text).collect();
    texts.into_iter().collect()
}

/// Templates by media type.
pub(super) fn templates(value: &Value<'_>) -> Option<Pairs> {
    let pairs = value.text_or_pairs()?;
    for (name, value) in &pairs {
        media_type(name).map_err(|mistake| value.mistake(mistake)).ok();
    }
    own(pairs, template)
}

fn own(pairs: Vec<(String, Value<'_>)>, read: impl Fn(&str) -> Result<String, Mistake>) -> Option<Pairs> {
    // All of them are read, so that all mistakes are found.
    let pairs: Vec<_> =
        pairs.into_iter().map(|(name, value)| Some((name, value.own_parse(&read)?))).collect();
    pairs.into_iter().collect()
}

fn template(text: &str) -> Result<String, Mistake> {
    if text.len() <= TEMPLATE_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err(Mistake::new(format!("the template has {} bytes, at most 300 KB are allowed", text.len())))
}

/// `application/json`, `image/*`, `*/*`; `$default` where a template stands for all others.
pub(super) fn media_type(text: &str) -> Result<String, Mistake> {
    let is_char = |byte: u8| byte.is_ascii_graphic() && !b",;\"/".contains(&byte);
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_char);
    // Parameters count for nothing but are written.
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let is_type = essence.split_once('/').is_some_and(|(kind, below)| is_token(kind) && is_token(below));
    if text == "$default" || (is_type && !text.contains(char::is_control)) {
        return Ok(text.to_owned());
    }
    let mistake = Mistake::new(format!("{} is no media type", quote(text)));
    Err(mistake.help("write one such as `application/json` or `image/*`"))
}

/// A text for people.
pub(super) fn description(text: &str) -> Result<String, Mistake> {
    if text.len() <= DESCRIPTION_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err(Mistake::new(format!(
        "a description has at most {DESCRIPTION_BYTES_MAX} bytes, this has {}",
        text.len()
    )))
}

/// A JSON object as it is written.
pub(super) fn json_object(text: &str) -> Result<String, Mistake> {
    if text.len() > JSON_BYTES_MAX {
        return Err(Mistake::new(format!(
            "the document has {} bytes, at most 400 KB are allowed",
            text.len()
        )));
    }
    match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(_)) => Ok(text.to_owned()),
        Ok(_) => Err(Mistake::new("the document is no JSON object").help("write it in braces: `'{ … }'`")),
        Err(error) => {
            let mistake = Mistake::new(format!("the document is no JSON: {error}"));
            Err(mistake
                .help("lines and columns are those of the document; `${file:NAME}` reads it from a file"))
        }
    }
}

/// Stage variables (row 33).
pub(super) fn variables(value: &Value<'_>) -> Option<Pairs> {
    let pairs = value.pairs()?;
    for (name, value) in &pairs {
        variable_name(name).map_err(|mistake| value.mistake(mistake)).ok();
    }
    let pairs: Vec<_> =
        pairs.into_iter().map(|(name, value)| Some((name, value.parse(variable_value)?))).collect();
    pairs.into_iter().collect()
}

fn variable_name(name: &str) -> Result<(), Mistake> {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.is_empty() && name.len() <= VARIABLE_NAME_BYTES_MAX && name.bytes().all(is_char) {
        return Ok(());
    }
    let mistake = Mistake::new(format!("{} can't be the name of a stage variable", quote(name)));
    Err(mistake.help(format!("1 to {VARIABLE_NAME_BYTES_MAX} letters, digits and `_`")))
}

fn variable_value(text: &str) -> Result<String, Mistake> {
    let is_char = |char: &char| char.is_ascii_alphanumeric() || "-._~:/?#&=,".contains(*char);
    let mistake = Mistake::new(format!("{} can't be the value of a stage variable", quote(text)));
    if text.is_empty() || text.len() > VARIABLE_VALUE_BYTES_MAX {
        return Err(mistake.help(format!("1 to {VARIABLE_VALUE_BYTES_MAX} characters")));
    }
    match text.chars().find(|char| !is_char(char)) {
        None => Ok(text.to_owned()),
        Some(bad) => {
            let bad = quote(&bad.to_string());
            Err(mistake.help(format!("letters, digits and `-._~:/?#&=,`, but no {bad}")))
        }
    }
}
