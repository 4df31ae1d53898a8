//! Looks a path up. Values are slices of the document; only what a path makes anew (several names as one object,
//! functions) is written.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{
    Filter, Found, Function, OutOfSteps, Path, Token, array,
    compare::{self, Value, pay},
    filter::Operand,
};
use crate::json::{self, Kind};

/// What a path finds in a checked document.
pub(super) fn find<'d>(path: &Path, root: &'d str, steps: &mut u64) -> Result<Found<'d>, OutOfSteps> {
    find_from(path, root, root, steps)
}

/// The same from a value within the document.
fn find_from<'d>(
    path: &Path,
    value: &'d str,
    root: &'d str,
    steps: &mut u64,
) -> Result<Found<'d>, OutOfSteps> {
    let mut search = Search { root, steps, hits: SmallVec::new() };
    let outcome = match &*path.tokens {
        // `$..price.sum()` is the sum over all that `$..price` finds.
        [Token::Scan, inner @ .., Token::Function(function)] => {
            let mut scan = Search { root, steps: search.steps, hits: SmallVec::new() };
            let outcome = scan.scan(inner, value);
            let list = array(scan.hits.iter().map(|hit| &**hit));
            search.steps = scan.steps;
            outcome.and_then(|()| search.function(function, &list))
        }
        tokens => search.walk(tokens, value, true),
    };
    let mut hits = search.hits;
    match outcome {
        Err(Stop::Steps) => return Err(OutOfSteps),
        // A part that has to be there is not: nothing is found, not even an empty list.
        Err(Stop::Missing) => return Ok(Found { hits: SmallVec::new(), definite: true }),
        Ok(()) => {}
    }
    if path.definite {
        hits.truncate(1);
    }
    Ok(Found { hits, definite: path.definite })
}

/// An element by its index; a negative one counts from the end.
pub(super) fn element(list: &str, index: i64) -> Option<&str> {
    match usize::try_from(index) {
        Ok(index) => json::elements(list).nth(index),
        Err(_) => {
            let count = i64::try_from(json::elements(list).count()).ok()?;
            json::elements(list).nth(usize::try_from(count.checked_add(index)?).ok()?)
        }
    }
}

/// Why a walk ends early.
enum Stop {
    Missing,
    Steps,
}

impl From<OutOfSteps> for Stop {
    fn from(_: OutOfSteps) -> Self {
        Self::Steps
    }
}

struct Search<'d, 's> {
    root: &'d str,
    steps: &'s mut u64,
    hits: SmallVec<[Cow<'d, str>; 1]>,
}

impl<'d> Search<'d, '_> {
    /// Goes on with `tokens` from a value. `must` says that nothing on the way here could find several, so that what is missing
    /// ends the look-up.
    fn walk(&mut self, tokens: &[Token], value: &'d str, must: bool) -> Result<(), Stop> {
        // Passing over a value's text is what a step costs.
        pay(self.steps, 1 + value.len() as u64 / 256)?;
        let Some((token, rest)) = tokens.split_first() else {
            self.hits.push(Cow::Borrowed(value));
            return Ok(());
        };
        let missing = || if must { Err(Stop::Missing) } else { Ok(()) };
        match token {
            Token::Name(name) => match json::member(value, name) {
                Some(member) => self.walk(rest, member, must),
                None => missing(),
            },
            Token::Names(names) if json::kind(value) != Kind::Object => {
                debug_assert!(names.len() > 1, "one name is a Name");
                missing()
            }
            Token::Names(names) if rest.is_empty() => {
                self.hits.push(Cow::Owned(picked(value, names)));
                Ok(())
            }
            Token::Names(names) => {
                for member in names.iter().filter_map(|name| json::member(value, name)) {
                    self.walk(rest, member, false)?;
                }
                Ok(())
            }
            Token::Wildcard => self.children(value, |search, child| search.walk(rest, child, false)),
            Token::Function(function) => self.function(function, value),
            Token::Scan => self.scan(rest, value),
            Token::Filter(filter) => match json::kind(value) {
                Kind::Array => {
                    for element in json::elements(value) {
                        self.filtered(filter, rest, element)?;
                    }
                    Ok(())
                }
                Kind::Object => self.filtered(filter, rest, value),
                _ => missing(),
            },
            Token::Indexes(_) | Token::Slice(..) | Token::FromEnd(_) if json::kind(value) != Kind::Array => {
                missing()
            }
            Token::Indexes(indexes) => {
                let one = indexes.len() == 1;
                for index in indexes {
                    match element(value, *index) {
                        Some(element) => self.walk(rest, element, must && one)?,
                        None if one => missing()?,
                        None => {}
                    }
                }
                Ok(())
            }
            Token::FromEnd(before) => match before.checked_neg().and_then(|index| element(value, index)) {
                Some(element) if *before > 0 => self.walk(rest, element, must),
                _ => missing(),
            },
            Token::Slice(from, to) => {
                let count = i64::try_from(json::elements(value).count()).unwrap_or(i64::MAX);
                let place = |index: i64| if index < 0 { (count + index).max(0) } else { index.min(count) };
                let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(count)));
                let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
                for element in json::elements(value).take(to).skip(from) {
                    self.walk(rest, element, false)?;
                }
                Ok(())
            }
        }
    }

    fn children(
        &mut self,
        value: &'d str,
        mut each: impl FnMut(&mut Self, &'d str) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        match json::kind(value) {
            Kind::Array => json::elements(value).try_for_each(|element| each(self, element)),
            Kind::Object => json::members(value).try_for_each(|(_, member)| each(self, member)),
            _ => Ok(()),
        }
    }

    /// Goes on with `tokens` from this value and from all within it, a value before what is in it.
    fn scan(&mut self, tokens: &[Token], value: &'d str) -> Result<(), Stop> {
        if self.is_met_in_scan(tokens, value) {
            self.walk(tokens, value, false)?;
        } else {
            pay(self.steps, 1)?;
        }
        self.children(value, |search, child| match json::kind(child) {
            Kind::Array | Kind::Object => search.scan(tokens, child),
            _ => Ok(()),
        })
    }

    /// Whether a scan tries the next token on such a value.
    fn is_met_in_scan(&self, tokens: &[Token], value: &str) -> bool {
        let is_leaf = tokens.len() == 1;
        match tokens.first() {
            // As a leaf several names make one object, which is made only of what has them all.
            Some(Token::Names(names)) if is_leaf => {
                names.iter().all(|name| json::member(value, name).is_some())
            }
            // A filter in a scan asks each object itself; those in lists come by anyway.
            Some(Token::Filter(_)) => json::kind(value) == Kind::Object,
            _ => true,
        }
    }

    fn filtered(&mut self, filter: &Filter, rest: &[Token], value: &'d str) -> Result<(), Stop> {
        if self.passes(filter, value)? { self.walk(rest, value, false) } else { Ok(()) }
    }

    fn passes(&mut self, filter: &Filter, value: &'d str) -> Result<bool, Stop> {
        pay(self.steps, 1)?;
        Ok(match filter {
            Filter::Any(filters) => {
                for filter in filters {
                    if self.passes(filter, value)? {
                        return Ok(true);
                    }
                }
                false
            }
            Filter::All(filters) => {
                for filter in filters {
                    if !self.passes(filter, value)? {
                        return Ok(false);
                    }
                }
                true
            }
            Filter::Not(filter) => !self.passes(filter, value)?,
            Filter::Exists(operand) => match operand {
                Operand::Path { path, root } => {
                    let from = if *root { self.root } else { value };
                    !find_from(path, from, self.root, self.steps)?.hits.is_empty()
                }
                Operand::Literal(_) | Operand::Pattern(_) => true,
            },
            Filter::Compare(compare) => {
                let left = self.operand(&compare.left, value)?;
                let right = self.operand(&compare.right, value)?;
                compare::holds(&left, compare.operator, &right, self.steps)?
            }
        })
    }

    fn operand<'o>(&mut self, operand: &'o Operand, value: &'d str) -> Result<Value<'o>, Stop>
    where
        'd: 'o,
    {
        Ok(match operand {
            Operand::Path { path, root } => {
                let from = if *root { self.root } else { value };
                match find_from(path, from, self.root, self.steps)?.into_json() {
                    Some(found) => Value::Json(found),
                    None => Value::Missing,
                }
            }
            Operand::Literal(literal) => Value::Json(Cow::Borrowed(literal)),
            Operand::Pattern(pattern) => Value::Pattern(pattern),
        })
    }

    fn function(&mut self, function: &Function, value: &str) -> Result<(), Stop> {
        match function.call(value, self.root, self.steps)? {
            Some(outcome) => {
                self.hits.push(Cow::Owned(outcome));
                Ok(())
            }
            None => Err(Stop::Missing),
        }
    }
}

/// An object of the members with these names.
fn picked(object: &str, names: &[Box<str>]) -> String {
    let mut picked = String::from("{");
    for name in names {
        let Some(value) = json::member(object, name) else { continue };
        if picked.len() > 1 {
            picked.push(',');
        }
        let Ok(()) = json::write_text(&mut picked, name);
        picked.push(':');
        picked.push_str(value);
    }
    picked.push('}');
    picked
}
