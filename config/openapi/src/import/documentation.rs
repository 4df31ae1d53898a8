//! What a document says to readers → documentation parts (row 146): those of its extension, and what stands beside
//! operations, parameters and answers in OpenAPI's own words.

use model::DocumentationPart;
use serde_json::{Map, Value as Json};

use super::{
    Document,
    path::{Taken, template_of},
};
use crate::tree::{Cursor, quote};

const LOCATIONS: [&str; 12] = [
    "API",
    "AUTHORIZER",
    "MODEL",
    "RESOURCE",
    "METHOD",
    "PATH_PARAMETER",
    "QUERY_PARAMETER",
    "REQUEST_HEADER",
    "REQUEST_BODY",
    "RESPONSE",
    "RESPONSE_HEADER",
    "RESPONSE_BODY",
];

impl<'t> Document<'t> {
    /// All parts, by their places.
    pub(super) fn documentation(&self) -> Vec<DocumentationPart> {
        let mut parts = Vec::new();
        let extension = self.root.get("x-amazon-apigateway-documentation");
        let listed = extension.as_ref().and_then(|it| it.get("documentationParts"));
        for at in listed.iter().flat_map(Cursor::items) {
            parts.extend(part(&at));
        }
        self.of_operations(&mut parts);
        // What the extension says of a place stands before what the document says of it by the way.
        let mut seen = std::collections::HashSet::new();
        parts.retain(|part| seen.insert(place(part)));
        parts.sort_by_cached_key(place);
        parts
    }

    fn of_operations(&self, parts: &mut Vec<DocumentationPart>) {
        for (text, item) in self.root.get("paths").iter().flat_map(Cursor::entries) {
            let Some(Taken::Path(path)) = template_of(&format!("{}{text}", self.prefix())) else { continue };
            for (name, at) in item.entries() {
                let method = match name {
                    "x-amazon-apigateway-any-method" => "ANY".to_owned(),
                    "get" | "put" | "post" | "delete" | "options" | "head" | "patch" => {
                        name.to_ascii_uppercase()
                    }
                    _ => continue,
                };
                let of =
                    |location: &str, name: Option<String>, status_code: Option<String>, properties: Json| {
                        DocumentationPart {
                            location: location.to_owned(),
                            path: Some(path.clone()),
                            method: Some(method.clone()),
                            status_code,
                            name,
                            properties: properties.to_string(),
                        }
                    };
                parts.extend(
                    said(&at, &["summary", "description", "tags"]).map(|it| of("METHOD", None, None, it)),
                );
                let (own, shared) = (at.get("parameters"), item.get("parameters"));
                for parameter in own.iter().chain(&shared).flat_map(Cursor::items) {
                    let Some(parameter) = self.found(&parameter) else { continue };
                    let text = |key: &str| parameter.get(key).and_then(|it| it.node().as_str());
                    let location = match text("in") {
                        Some("path") => "PATH_PARAMETER",
                        Some("query") => "QUERY_PARAMETER",
                        Some("header") => "REQUEST_HEADER",
                        Some("body") => "REQUEST_BODY",
                        _ => continue,
                    };
                    let name = text("name").filter(|_| location != "REQUEST_BODY").map(str::to_owned);
                    parts.extend(said(&parameter, &["description"]).map(|it| of(location, name, None, it)));
                }
                let body = at.get("requestBody").and_then(|body| self.found(&body));
                let body = body.and_then(|body| said(&body, &["description"]));
                parts.extend(body.map(|it| of("REQUEST_BODY", None, None, it)));
                for (status, response) in at.get("responses").iter().flat_map(Cursor::entries) {
                    let Some(response) = self.found(&response).filter(|_| status.parse::<u16>().is_ok())
                    else {
                        continue;
                    };
                    let code = || Some(status.to_owned());
                    parts
                        .extend(said(&response, &["description"]).map(|it| of("RESPONSE", None, code(), it)));
                    for (name, header) in response.get("headers").iter().flat_map(Cursor::entries) {
                        let said = said(&header, &["description"]);
                        parts.extend(said.map(|it| of("RESPONSE_HEADER", Some(name.to_owned()), code(), it)));
                    }
                }
            }
        }
    }

    /// What a reference leads to, without a word: where it leads nowhere has been said.
    fn found(&self, at: &Cursor<'t>) -> Option<Cursor<'t>> {
        match at.get("$ref") {
            Some(reference) => at.follow(reference.node().as_str()?),
            None => Some(at.clone()),
        }
    }
}

/// The words of a thing, if there are any. What an export puts where OpenAPI asks for a description is none.
fn said(at: &Cursor<'_>, keys: &[&str]) -> Option<Json> {
    let mut words = Map::new();
    for key in keys {
        let Some(value) = at.get(key) else { continue };
        let value = value.to_json();
        if value.as_str().is_some_and(|text| text.is_empty() || crate::export::is_filler(text)) {
            continue;
        }
        words.insert((*key).to_owned(), value);
    }
    (!words.is_empty()).then_some(Json::Object(words))
}

fn part(at: &Cursor<'_>) -> Option<DocumentationPart> {
    let (Some(location), Some(properties)) = (at.get("location"), at.get("properties")) else {
        at.error("a documentation part has `location` and `properties`");
        return None;
    };
    let text = |key: &str| location.get(key).and_then(|it| it.text());
    let kind = text("type").unwrap_or_default();
    if !LOCATIONS.contains(&&*kind) {
        location.error_with(
            format!("{} is no location of a documentation part", quote(&kind)),
            format!("there are {}", LOCATIONS.join(", ")),
        );
        return None;
    }
    let properties = match properties.node().as_str() {
        // JSON in a string is what the API takes; the document may have it as it is.
        Some(_) => match serde_json::from_str::<Json>(&properties.text()?) {
            Ok(object @ Json::Object(_)) => object,
            Ok(_) | Err(_) => {
                properties.error("the properties of a documentation part are a JSON object");
                return None;
            }
        },
        None if properties.expect_map() => properties.to_json(),
        None => return None,
    };
    // `*` is what holds where nothing is said.
    let named = |key: &str| text(key).filter(|it| it != "*");
    Some(DocumentationPart {
        location: kind,
        path: text("path"),
        method: named("method"),
        status_code: named("statusCode"),
        name: text("name"),
        properties: properties.to_string(),
    })
}

/// What a part is of.
fn place(
    part: &DocumentationPart,
) -> (usize, Option<String>, Option<String>, Option<String>, Option<String>) {
    let DocumentationPart { location, path, method, status_code, name, properties: _ } = part;
    let kind = LOCATIONS.iter().position(|it| it == location).unwrap_or_default();
    (kind, path.clone(), method.clone(), status_code.clone(), name.clone())
}
