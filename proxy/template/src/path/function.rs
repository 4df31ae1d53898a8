//! Functions at the end of a path: what a value comes to.

use super::{OutOfSteps, Path, array, compare, compare::number, eval};
use crate::{
    java,
    json::{self, Kind as JsonKind},
};

/// A function and what it is given.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) kind: Kind,
    pub(super) arguments: Box<[Argument]>,
}

#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// Of the document's root.
    Path(Path),
    /// JSON.
    Literal(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Min,
    Max,
    Avg,
    StdDev,
    Sum,
    Length,
    Keys,
    Concat,
    Append,
    First,
    Last,
    Index,
}

const KINDS: [(&str, Kind); 13] = [
    ("min", Kind::Min),
    ("max", Kind::Max),
    ("avg", Kind::Avg),
    ("stddev", Kind::StdDev),
    ("sum", Kind::Sum),
    ("length", Kind::Length),
    ("size", Kind::Length),
    ("keys", Kind::Keys),
    ("concat", Kind::Concat),
    ("append", Kind::Append),
    ("first", Kind::First),
    ("last", Kind::Last),
    ("index", Kind::Index),
];

impl Kind {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    pub(super) fn names() -> String {
        KINDS.map(|(name, _)| name).join(", ")
    }
}

impl Function {
    /// What the function makes of a value, as JSON; `None` where Jayway has no answer.
    pub(super) fn call(
        &self,
        value: &str,
        root: &str,
        steps: &mut u64,
    ) -> Result<Option<String>, OutOfSteps> {
        compare::pay(steps, 1 + value.len() as u64 / 64)?;
        let mut arguments = Vec::new();
        for argument in &self.arguments {
            arguments.push(match argument {
                Argument::Literal(literal) => literal.to_string(),
                Argument::Path(path) => match eval::find(path, root, steps)?.into_json() {
                    Some(found) => found.into_owned(),
                    None => return Ok(None),
                },
            });
        }
        Ok(match self.kind {
            Kind::Min | Kind::Max | Kind::Avg | Kind::StdDev | Kind::Sum => self.aggregate(value, &arguments),
            Kind::Length => length(arguments.first().map_or(value, String::as_str)),
            Kind::Keys => (json::kind(value) == JsonKind::Object).then(|| {
                array(
                    json::members(value)
                        .map(|(key, _)| format!("\"{key}\""))
                        .collect::<Vec<_>>()
                        .iter()
                        .map(String::as_str),
                )
            }),
            Kind::Concat => Some(concat(value, &arguments)),
            Kind::Append => (json::kind(value) == JsonKind::Array)
                .then(|| array(json::elements(value).chain(arguments.iter().map(String::as_str)))),
            Kind::First => json::elements(value).next().map(str::to_owned),
            Kind::Last => json::elements(value).last().map(str::to_owned),
            Kind::Index => {
                let index = arguments.first().and_then(|index| index.parse().ok());
                index.and_then(|index| eval::element(value, index)).map(str::to_owned)
            }
        })
    }

    fn aggregate(&self, value: &str, arguments: &[String]) -> Option<String> {
        let mut numbers = Vec::new();
        for list in std::iter::once(value).chain(arguments.iter().map(String::as_str)) {
            match json::kind(list) {
                JsonKind::Array => {
                    numbers.extend(json::elements(list).filter_map(number).map(compare::Number::as_double))
                }
                // What the function is called on counts as a list alone, as Jayway has it.
                JsonKind::Number if !std::ptr::eq(list, value) => {
                    numbers.extend(number(list).map(compare::Number::as_double))
                }
                _ => {}
            }
        }
        if numbers.is_empty() {
            return None;
        }
        let count = numbers.len() as f64;
        let sum: f64 = numbers.iter().sum();
        let outcome = match self.kind {
            Kind::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
            Kind::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Kind::Sum => sum,
            Kind::Avg => sum / count,
            _ => {
                let squares: f64 = numbers.iter().map(|number| number * number).sum();
                (squares / count - sum * sum / count / count).max(0.0).sqrt()
            }
        };
        outcome.is_finite().then(|| java::double(outcome).as_str().to_owned())
    }
}

fn length(value: &str) -> Option<String> {
    match json::kind(value) {
        JsonKind::Array => Some(json::elements(value).count().to_string()),
        JsonKind::Object => Some(json::members(value).count().to_string()),
        _ => None,
    }
}

/// The texts of a list, and those it is given, as one.
fn concat(value: &str, arguments: &[String]) -> String {
    let mut whole = String::new();
    for element in json::elements(value).filter(|element| json::kind(element) == JsonKind::Text) {
        whole.push_str(&json::text(element));
    }
    for argument in arguments {
        match json::kind(argument) {
            JsonKind::Text => whole.push_str(&json::text(argument)),
            JsonKind::Array => {
                for element in json::elements(argument) {
                    match json::kind(element) {
                        JsonKind::Text => whole.push_str(&json::text(element)),
                        _ => whole.push_str(element),
                    }
                }
            }
            _ => whole.push_str(argument),
        }
    }
    let mut text = String::new();
    let Ok(()) = json::write_text(&mut text, &whole);
    text
}
