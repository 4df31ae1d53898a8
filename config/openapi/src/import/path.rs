//! Paths of a document: the server's, and those of resources.

use model::Kind;

use super::{BasePath, Document, Version};
use crate::tree::{Cursor, quote};

/// The longest path; a request's target is at most 10,240 bytes (row 177).
const PATH_BYTES_MAX: usize = 8_192;
const SEGMENTS_MAX: usize = 128;

/// Which requests a path of a document takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// What no other route takes.
    Default,
    /// A template that begins with a slash.
    Path(String),
}

impl Document<'_> {
    /// What is put before all paths: nothing, or segments with a slash in front.
    pub(super) fn prefix(&self) -> String {
        let path = self.server_path();
        let segments = || path.split('/').filter(|segment| !segment.is_empty());
        let skipped = match self.options.base_path {
            BasePath::Ignore => return String::new(),
            BasePath::Prepend => 0,
            BasePath::Split => 1,
        };
        segments().skip(skipped).fold(String::new(), |path, segment| path + "/" + segment)
    }

    /// The path of the server: `basePath`, or that of the first server's URL.
    fn server_path(&self) -> String {
        if self.version == Version::V2 {
            return self.root.get("basePath").and_then(|path| path.text()).unwrap_or_default();
        }
        let Some(server) = self.root.get("servers").and_then(|servers| servers.items().next()) else {
            return String::new();
        };
        let url = server_url(&server).unwrap_or_default();
        let behind = url
            .split_once("://")
            .map_or(&*url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
        behind.split(['?', '#']).next().unwrap_or_default().to_owned()
    }

    /// A path of `paths`, checked.
    pub(super) fn path(&self, text: &str, at: &Cursor<'_>) -> Option<Taken> {
        if self.kind == Kind::Http && (text == "$default" || text == "/$default") {
            return Some(Taken::Default);
        }
        template(&format!("{}{text}", self.prefix())).map(Taken::Path).map_err(|why| at.error(why)).ok()
    }
}

/// The URL of a server with its variables replaced by what they are by default.
pub(super) fn server_url(server: &Cursor<'_>) -> Option<String> {
    let mut url = server.get("url")?.text()?;
    for (name, variable) in server.get("variables").iter().flat_map(Cursor::entries) {
        if let Some(default) = variable.get("default").and_then(|default| default.text()) {
            // `/{basePath}` and a default of `/prod` is one slash.
            url = url.replace(&format!("/{{{name}}}"), &format!("/{}", default.trim_start_matches('/')));
            url = url.replace(&format!("{{{name}}}"), &default);
        }
    }
    Some(url)
}

/// Checks a template: literals, `{name}`, and at its end maybe `{name+}`. A slash at the end is taken off, as AWS does.
fn template(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("{} {why}", quote(text));
    let Some(path) = text.strip_prefix('/') else { return Err(wrong("does not begin with a slash")) };
    let path = path.strip_suffix('/').unwrap_or(path);
    if text.len() > PATH_BYTES_MAX || path.split('/').count() > SEGMENTS_MAX {
        return Err(wrong(&format!("is longer than {PATH_BYTES_MAX} bytes or {SEGMENTS_MAX} segments")));
    }
    if path.is_empty() {
        return Ok("/".into());
    }
    let (mut names, segments) = (Vec::new(), path.split('/').collect::<Vec<_>>());
    for (at, segment) in segments.iter().enumerate() {
        if segment.is_empty() || matches!(*segment, "." | "..") {
            return Err(wrong("has a segment that is empty or made of dots"));
        }
        if let Some(bad) = segment.chars().find(|char| char.is_control() || " ?#\\\"".contains(*char)) {
            return Err(wrong(&format!("has a {} in it", quote(&bad.to_string()))));
        }
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            if segment.contains(['{', '}']) {
                return Err(wrong(
                    "has a variable that is only a part of a segment: API Gateway takes whole ones",
                ));
            }
            continue;
        };
        if name.ends_with('+') && at + 1 < segments.len() {
            return Err(wrong("has a greedy variable that is not its last segment"));
        }
        let name = name.strip_suffix('+').unwrap_or(name);
        let is_char = |char: char| char.is_ascii_alphanumeric() || "-_.:$".contains(char);
        if name.is_empty() || !name.chars().all(is_char) {
            return Err(wrong(&format!("has a variable {} that can't be one", quote(name))));
        }
        if names.contains(&name) {
            return Err(wrong(&format!("has the variable {} twice", quote(name))));
        }
        names.push(name);
    }
    Ok(format!("/{path}"))
}

/// What a path takes, without a word about what is wrong with it.
pub(super) fn template_of(text: &str) -> Option<Taken> {
    template(text).map(Taken::Path).ok()
}

/// The variables of a template, in their order.
pub(crate) fn variables(path: &str) -> impl Iterator<Item = &str> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| name.strip_suffix('+').unwrap_or(name))
}
