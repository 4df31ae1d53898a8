//! Path templates (row 21): `/pets/{id}/{rest+}` to segments, each checked.

use message::{PathRules, Target};

use crate::Error;

/// Segments of one template; the depth of a look-up.
pub(crate) const SEGMENTS_MAX: usize = 64;

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// In the form that a normalised path has.
    Literal(String),
    Variable(&'a str),
    Greedy(&'a str),
}

/// The names of a template's variables in their order; `proxy` for `{proxy+}`.
pub fn variables(template: &str) -> Vec<&str> {
    template.split('/').filter_map(|segment| braced(segment).map(|(name, _)| name)).collect()
}

/// Reads a template. `open_end`: it may end with a slash, which then is an empty last segment.
pub(crate) fn parse(index: u32, template: &str, open_end: bool) -> Result<Vec<Segment<'_>>, Error> {
    let path = template.strip_prefix('/').ok_or(Error::NoSlash { index })?;
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let count = path.split('/').count();
    if count > SEGMENTS_MAX {
        return Err(Error::TooManySegments { index, max: SEGMENTS_MAX });
    }
    let mut segments: Vec<Segment<'_>> = Vec::with_capacity(count);
    let mut names: Vec<&str> = Vec::new();
    for (at, text) in path.split('/').enumerate() {
        let is_last = at + 1 == count;
        if let Some((name, is_greedy)) = braced(text) {
            if !is_name(name) {
                return Err(Error::BadVariable { index, segment: text.to_owned() });
            }
            if is_greedy && !is_last {
                return Err(Error::GreedyNotLast { index, segment: text.to_owned() });
            }
            if names.contains(&name) {
                return Err(Error::SameVariable { index, name: name.to_owned() });
            }
            names.push(name);
            segments.push(if is_greedy { Segment::Greedy(name) } else { Segment::Variable(name) });
        } else if text.contains(['{', '}']) {
            return Err(Error::BadVariable { index, segment: text.to_owned() });
        } else if text.is_empty() && !(is_last && open_end) {
            return Err(Error::EmptySegment { index });
        } else {
            segments.push(Segment::Literal(literal(index, text)?));
        }
    }
    Ok(segments)
}

/// A literal segment as a normalised path has it, so that `/caf%c3%a9` matches whatever way it is asked for.
pub(crate) fn literal(index: u32, text: &str) -> Result<String, Error> {
    let bad = || Error::BadSegment { index, segment: text.to_owned() };
    let rules = PathRules { merge_slashes: false, encoded_slashes: true };
    let target = Target::parse(format!("/{text}").as_bytes(), rules).map_err(|_| bad())?;
    match target.path().strip_prefix('/') {
        Some(path) if target.query().is_none() && path.is_empty() == text.is_empty() => Ok(path.to_owned()),
        _ => Err(bad()),
    }
}

/// What stands in the braces of a segment, and whether it is greedy.
fn braced(segment: &str) -> Option<(&str, bool)> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_suffix('+').map_or((name, false), |name| (name, true)))
}

/// The names that AWS takes.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:$".contains(&byte))
}
