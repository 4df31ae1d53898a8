//! What an event says of method and path: `GET users/{id}`, or a map of both.

use openapi::tree::Node;

use crate::build;

/// Method in capital letters, `ANY` for all of them, and path with a slash; `None`: everything.
pub(super) fn key(event: &Node) -> Result<Option<(String, String)>, String> {
    let text = build::scalar(event);
    let (method, path) = match &text {
        Some(text) if text.trim() == "*" => return Ok(None),
        Some(text) => match text.trim().split_once(char::is_whitespace) {
            Some((method, path)) => (method.to_owned(), path.trim().to_owned()),
            None => return Err(format!("`{text}` is no method with a path")),
        },
        None => {
            let field = |name: &str| event.get(name).and_then(build::scalar);
            match (field("method"), field("path")) {
                (_, None) => return Err("the event has no `path`".into()),
                (None, Some(path)) if path == "*" => return Ok(None),
                (method, Some(path)) => (method.unwrap_or_else(|| "ANY".into()), path),
            }
        }
    };
    let method = if method == "*" { "ANY".into() } else { method.to_ascii_uppercase() };
    Ok(Some((method, format!("/{}", path.trim().trim_start_matches('/')))))
}
