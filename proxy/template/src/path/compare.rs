//! How a filter compares: Jayway's rules for each operator, over JSON text.

use std::{borrow::Cow, cmp::Ordering};

use super::{OutOfSteps, filter::Operator};
use crate::{
    json::{self, Kind},
    regex::Pattern,
};

/// What an operand came to.
#[derive(Clone, Debug)]
pub(super) enum Value<'v> {
    /// A path found nothing.
    Missing,
    /// Checked JSON.
    Json(Cow<'v, str>),
    Pattern(&'v Pattern),
}

/// Whether the comparison holds; elements that are looked at are paid with steps.
pub(super) fn holds(
    left: &Value<'_>,
    operator: Operator,
    right: &Value<'_>,
    steps: &mut u64,
) -> Result<bool, OutOfSteps> {
    let (left, right) = match (left, right) {
        (Value::Json(left), Value::Json(right)) => (&**left, &**right),
        (Value::Json(text), Value::Pattern(pattern)) | (Value::Pattern(pattern), Value::Json(text)) => {
            return match operator {
                Operator::Matches => matches(pattern, text, steps),
                other => Ok(other == Operator::NotEqual),
            };
        }
        // Nothing is equal to what is missing, not even what is missing elsewhere.
        (Value::Missing, _) | (_, Value::Missing) | (Value::Pattern(_), Value::Pattern(_)) => {
            return Ok(matches!(operator, Operator::NotEqual | Operator::NotIn));
        }
    };
    Ok(match operator {
        Operator::Equal => equal(left, right, steps)?,
        Operator::NotEqual => !equal(left, right, steps)?,
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order(left, right) == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
        Operator::Matches => false,
        Operator::In => has(right, left, steps)?,
        Operator::NotIn => !has(right, left, steps)?,
        Operator::SubsetOf => both_lists(left, right) && every(left, right, true, steps)?,
        Operator::AnyOf => both_lists(left, right) && !every(left, right, false, steps)?,
        Operator::NoneOf => both_lists(left, right) && every(left, right, false, steps)?,
        Operator::All => both_lists(left, right) && every(right, left, true, steps)?,
        Operator::Size => size(left).is_some_and(|size| number(right) == Some(Number::Integer(size))),
        Operator::Empty => is_empty(left).is_some_and(|empty| right == if empty { "true" } else { "false" }),
        Operator::Contains => contains(left, right, steps)?,
    })
}

fn both_lists(left: &str, right: &str) -> bool {
    json::kind(left) == Kind::Array && json::kind(right) == Kind::Array
}

/// Whether of every element it is true, or false, that the other list has it.
fn every(elements: &str, list: &str, wanted: bool, steps: &mut u64) -> Result<bool, OutOfSteps> {
    for element in json::elements(elements) {
        if has(list, element, steps)? != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a list has an element equal to this.
fn has(list: &str, wanted: &str, steps: &mut u64) -> Result<bool, OutOfSteps> {
    for element in json::elements(list) {
        if equal(element, wanted, steps)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn contains(left: &str, right: &str, steps: &mut u64) -> Result<bool, OutOfSteps> {
    Ok(match (json::kind(left), json::kind(right)) {
        (Kind::Array, _) => has(left, right, steps)?,
        (Kind::Text, Kind::Text) => json::text(left).contains(&*json::text(right)),
        (Kind::Text, _) => json::text(left).contains(right),
        _ => false,
    })
}

/// A pattern has to match the whole text; of a list, one of its texts.
fn matches(pattern: &Pattern, value: &str, steps: &mut u64) -> Result<bool, OutOfSteps> {
    pay(steps, pattern.steps(value.len()))?;
    let whole = |text: &str| pattern.regex.is_match(text);
    Ok(match json::kind(value) {
        Kind::Text => whole(&json::text(value)),
        Kind::Array => json::elements(value).any(|element| match json::kind(element) {
            Kind::Text => whole(&json::text(element)),
            _ => false,
        }),
        Kind::Number | Kind::True | Kind::False => whole(value),
        Kind::Object | Kind::Null => false,
    })
}

fn size(value: &str) -> Option<i64> {
    let count = match json::kind(value) {
        Kind::Array => json::elements(value).count(),
        Kind::Object => json::members(value).count(),
        Kind::Text => json::text(value).encode_utf16().count(),
        _ => return None,
    };
    i64::try_from(count).ok()
}

fn is_empty(value: &str) -> Option<bool> {
    size(value).map(|size| size == 0)
}

/// Equal as Jayway has it: numbers by value, a number and a text by how they are written, containers member by member.
fn equal(left: &str, right: &str, steps: &mut u64) -> Result<bool, OutOfSteps> {
    pay(steps, 1)?;
    Ok(match (json::kind(left), json::kind(right)) {
        (Kind::Number, Kind::Number) => order(left, right) == Some(Ordering::Equal),
        (Kind::Text, Kind::Text) => left == right || json::text(left) == json::text(right),
        (Kind::Text, Kind::Number) => {
            number(json::text(left).trim()).is_some_and(|number_of| Some(number_of) == number(right))
        }
        (Kind::Number, Kind::Text) => {
            number(json::text(right).trim()).is_some_and(|number_of| Some(number_of) == number(left))
        }
        (Kind::Array, Kind::Array) => {
            let (mut of_left, mut of_right) = (json::elements(left), json::elements(right));
            loop {
                match (of_left.next(), of_right.next()) {
                    (None, None) => break true,
                    (Some(left), Some(right)) if equal(left, right, steps)? => {}
                    _ => break false,
                }
            }
        }
        (Kind::Object, Kind::Object) => {
            if json::members(left).count() != json::members(right).count() {
                return Ok(false);
            }
            for (key, value) in json::members(left) {
                pay(steps, 1 + right.len() as u64 / 64)?;
                match json::member(right, &json::unescape(key)) {
                    Some(other) if equal(value, other, steps)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (left_kind, right_kind) => left_kind == right_kind,
    })
}

/// Numbers with numbers, texts with texts; nothing else has an order.
fn order(left: &str, right: &str) -> Option<Ordering> {
    match (json::kind(left), json::kind(right)) {
        (Kind::Number, Kind::Number) => number(left)?.partial_cmp(&number(right)?),
        (Kind::Text, Kind::Text) => Some(json::text(left).cmp(&json::text(right))),
        _ => None,
    }
}

/// A JSON number: exact if it is an integer of 64 bits, else as near as a double comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    pub(super) fn as_double(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Double(number) => number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(right)),
            _ => self.as_double().partial_cmp(&other.as_double()),
        }
    }
}

/// Reads a number as JSON writes it.
pub(super) fn number(text: &str) -> Option<Number> {
    if let Ok(integer) = text.parse() {
        return Some(Number::Integer(integer));
    }
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| is_number && number.is_finite()).map(Number::Double)
}

/// Takes steps away, if there are so many.
pub(super) fn pay(steps: &mut u64, cost: u64) -> Result<(), OutOfSteps> {
    match steps.checked_sub(cost) {
        Some(left) => {
            *steps = left;
            Ok(())
        }
        None => {
            *steps = 0;
            Err(OutOfSteps)
        }
    }
}
