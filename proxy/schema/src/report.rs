//! What is said of a body that does not hold to its model: the words of the Java validator that API Gateway uses
//! (json-schema-validator 2.2, `validation.properties`), in a list with `, ` between them (row 114).

use std::fmt::Write as _;

use crate::{
    format::Format,
    json::{Value, write_text},
    node::{TYPES, Types, type_of},
};

/// Faults that are told of one body.
pub const ERRORS_MAX: usize = 100;

/// How long the list of faults becomes, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// One thing that is wrong.
pub(crate) enum Fault<'a> {
    AdditionalItems { allowed: usize, found: usize },
    AdditionalProperties(&'a [&'a str]),
    AllOf { matched: usize, of: usize },
    AnyOf { of: usize },
    Dependency { property: &'a str, required: &'a [Box<str>], missing: &'a [&'a str] },
    Enum { value: Value<'a>, values: Value<'a> },
    Format { format: Format, text: &'a str },
    TooLong { text: &'a str, length: u64, most: u64 },
    TooManyProperties { found: u64, most: u64 },
    TooLarge { found: &'a str, maximum: &'a str },
    NotBelow { maximum: &'a str },
    TooShort { text: &'a str, length: u64, least: u64 },
    TooFewProperties { found: u64, least: u64 },
    TooSmall { found: &'a str, minimum: &'a str },
    NotMultiple { found: &'a str, of: &'a str },
    Not,
    OneOf { matched: usize, of: usize },
    Pattern { pattern: &'a str, text: &'a str },
    Required(&'a [&'a str]),
    Type { value: Value<'a>, allowed: Types },
    Duplicates,
}

/// Faults as they are found.
#[derive(Debug)]
pub(crate) struct Report {
    text: String,
    count: usize,
    /// Which bound was reached.
    cut: Option<&'static str>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { text: String::from("["), count: 0, cut: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.cut.is_some()
    }

    pub(crate) fn add(&mut self, fault: &Fault<'_>) {
        if self.cut.is_some() {
            return;
        }
        if self.count == ERRORS_MAX {
            self.cut = Some("errors");
            return;
        }
        if self.count > 0 {
            self.text.push_str(", ");
        }
        self.count += 1;
        fault.write(&mut self.text);
        if self.text.len() > MESSAGE_BYTES_MAX {
            let end = self.text.floor_char_boundary(MESSAGE_BYTES_MAX);
            self.text.truncate(end);
            self.cut = Some("message bytes");
        }
    }

    pub(crate) fn finish(mut self) -> String {
        if let Some(limit) = self.cut {
            // Writing to a string can't fail.
            let _ = write!(self.text, "… (limit: {limit})");
        }
        self.text.push(']');
        self.text
    }
}

impl Fault<'_> {
    fn write(&self, out: &mut String) {
        // Writing to a string can't fail.
        let _ = match self {
            Self::AdditionalItems { allowed, found } => write!(
                out,
                "schema only allows {allowed} elements in array but instance has {found} elements"
            ),
            Self::AdditionalProperties(names) => {
                out.push_str("object instance has properties which are not allowed by the schema: ");
                list(out, names.iter().copied());
                Ok(())
            }
            Self::AllOf { matched, of } => write!(
                out,
                "instance failed to match all required schemas (matched only {matched} out of {of})"
            ),
            Self::AnyOf { of } => {
                write!(out, "instance failed to match at least one required schema among {of}")
            }
            Self::Dependency { property, required, missing } => {
                let _ = write!(
                    out,
                    "property \"{property}\" of object has missing property dependencies (schema requires "
                );
                list(out, required.iter().map(|name| &**name));
                out.push_str("; missing: ");
                list(out, missing.iter().copied());
                out.push(')');
                Ok(())
            }
            Self::Enum { value, values } => {
                out.push_str("instance value (");
                value.compact(out);
                out.push_str(") not found in enum (possible values: ");
                values.compact(out);
                out.push(')');
                Ok(())
            }
            Self::Format { format, text } => {
                let _ = write!(out, "string \"{text}\" is ");
                out.push_str(format.fault());
                Ok(())
            }
            Self::TooLong { text, length, most } => {
                write!(out, "string \"{text}\" is too long (length: {length}, maximum allowed: {most})")
            }
            Self::TooManyProperties { found, most } => write!(
                out,
                "object has too many properties (found {found} but schema requires at most {most})"
            ),
            Self::TooLarge { found, maximum } => write!(
                out,
                "numeric instance is greater than the required maximum (maximum: {maximum}, found: {found})"
            ),
            Self::NotBelow { maximum } => {
                write!(out, "numeric instance is not strictly lower than the required maximum {maximum}")
            }
            Self::TooShort { text, length, least } => {
                write!(out, "string \"{text}\" is too short (length: {length}, required minimum: {least})")
            }
            Self::TooFewProperties { found, least } => write!(
                out,
                "object has too few properties (found {found} but schema requires at least {least})"
            ),
            Self::TooSmall { found, minimum } => write!(
                out,
                "numeric instance is lower than the required minimum (minimum: {minimum}, found: {found})"
            ),
            Self::NotMultiple { found, of } => {
                write!(out, "remainder of division is not zero ({found} / {of})")
            }
            Self::Not => write!(out, "instance matched a schema which it should not have"),
            Self::OneOf { matched, of } => {
                write!(out, "instance failed to match exactly one schema (matched {matched} out of {of})")
            }
            Self::Pattern { pattern, text } => {
                write!(out, "ECMA 262 regex \"{pattern}\" does not match input string \"{text}\"")
            }
            Self::Required(names) => {
                out.push_str("object has missing required properties (");
                list(out, names.iter().copied());
                out.push(')');
                Ok(())
            }
            Self::Type { value, allowed } => {
                let found = TYPES[type_of(*value)];
                let _ = write!(
                    out,
                    "instance type ({found}) does not match any allowed primitive type (allowed: "
                );
                list(out, allowed.names());
                out.push(')');
                Ok(())
            }
            Self::Duplicates => write!(out, "array must not contain duplicate elements"),
        };
    }
}

/// `["a","b"]`
fn list<'a>(out: &mut String, names: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (number, name) in names.enumerate() {
        if number > 0 {
            out.push(',');
        }
        write_text(out, name);
    }
    out.push(']');
}
