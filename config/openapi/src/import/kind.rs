//! Whether a document is of a REST API or of an HTTP API, where nobody says: what only one of them has tells. 2.0 is
//! REST's alone (row 139). Where a document tells neither, or both, it has to be said.

use model::Kind;

use super::Version;
use crate::tree::Cursor;

/// Extensions and keys that only a REST API has.
const REST: [&str; 16] = [
    "x-amazon-apigateway-api-key-source",
    "x-amazon-apigateway-auth",
    "x-amazon-apigateway-authtype",
    "x-amazon-apigateway-binary-media-types",
    "x-amazon-apigateway-documentation",
    "x-amazon-apigateway-gateway-responses",
    "x-amazon-apigateway-minimum-compression-size",
    "x-amazon-apigateway-policy",
    "x-amazon-apigateway-request-validator",
    "x-amazon-apigateway-request-validators",
    "requestTemplates",
    "passthroughBehavior",
    "cacheKeyParameters",
    "cacheNamespace",
    "contentHandling",
    "responseTransferMode",
];

/// Extensions and keys that only an HTTP API has.
const HTTP: [&str; 7] = [
    "x-amazon-apigateway-cors",
    "x-amazon-apigateway-importexport-version",
    "payloadFormatVersion",
    "authorizerPayloadFormatVersion",
    "enableSimpleResponses",
    "integrationSubtype",
    "jwtConfiguration",
];

/// The first places that tell each.
#[derive(Default)]
struct Signs<'t> {
    rest: Option<(String, Cursor<'t>)>,
    http: Option<(String, Cursor<'t>)>,
}

/// The kind of a document; said if it can't be told.
pub(super) fn of(root: &Cursor<'_>, version: Version, said: Option<Kind>, has_backend: bool) -> Option<Kind> {
    match (version, said) {
        (Version::V2, Some(Kind::Http)) => {
            let help = "write it as OpenAPI 3.0, or import it as a REST API: `--kind rest`";
            root.error_with("an HTTP API can't be made of Swagger 2.0", help);
            return None;
        }
        (Version::V2, _) => return Some(Kind::Rest),
        (Version::V3, Some(kind)) => return Some(kind),
        (Version::V3, None) => {}
    }
    let mut signs = Signs::default();
    let components = root.get("components");
    root.entries().for_each(|(key, value)| signs.key(key, &value));
    let schemes = components.iter().filter_map(|it| it.get("securitySchemes"));
    schemes.flat_map(|it| it.entries().collect::<Vec<_>>()).for_each(|(_, scheme)| {
        scheme.entries().for_each(|(key, value)| signs.key(key, &value));
        let authorizer = scheme.get("x-amazon-apigateway-authorizer");
        authorizer.iter().flat_map(Cursor::entries).for_each(|(key, value)| signs.key(key, &value));
    });
    let shared = components.and_then(|it| it.get("x-amazon-apigateway-integrations"));
    shared.iter().flat_map(Cursor::entries).for_each(|(_, it)| signs.integration(&it));
    for (path, item) in root.get("paths").iter().flat_map(Cursor::entries) {
        if path == "$default" || path == "/$default" {
            signs.http.get_or_insert((path.to_owned(), item.clone()));
        }
        for (_, operation) in item.entries() {
            operation.entries().for_each(|(key, value)| signs.key(key, &value));
            operation.get("x-amazon-apigateway-integration").iter().for_each(|it| signs.integration(it));
        }
    }
    match signs {
        Signs { rest: Some(_), http: None } => Some(Kind::Rest),
        Signs { rest: None, http: Some(_) } => Some(Kind::Http),
        Signs { rest: None, http: None } if has_backend => Some(Kind::Http),
        Signs { rest: None, http: None } => {
            let help = "say it: `--kind rest` or `--kind http`, or `kind = \"…\"` in the configuration";
            root.error_with("the document doesn't tell whether it is of a REST API or of an HTTP API", help);
            None
        }
        Signs { rest: Some((rest, at)), http: Some((http, other)) } => {
            let origin = other.origin();
            at.error_with(
                format!("`{rest}` is for a REST API, and `{http}` (line {}) is for an HTTP API", origin.line),
                "say which it is, `--kind rest` or `--kind http`: what the other has is left out, with a warning",
            );
            None
        }
    }
}

impl<'t> Signs<'t> {
    fn key(&mut self, key: &str, at: &Cursor<'t>) {
        if REST.contains(&key) {
            self.rest.get_or_insert_with(|| (key.to_owned(), at.clone()));
        }
        if HTTP.contains(&key) {
            self.http.get_or_insert_with(|| (key.to_owned(), at.clone()));
        }
    }

    fn integration(&mut self, integration: &Cursor<'t>) {
        for (key, value) in integration.entries() {
            self.key(key, &value);
        }
        let kind =
            integration.get("type").and_then(|kind| Some((kind.node().as_str()?.to_ascii_lowercase(), kind)));
        if let Some((name @ ("aws" | "http" | "mock"), at)) = kind.as_ref().map(|(name, at)| (&**name, at)) {
            self.rest.get_or_insert_with(|| (format!("type: {name}"), at.clone()));
        }
        for (key, value) in integration.get("requestParameters").iter().flat_map(Cursor::entries) {
            let (of_rest, of_http) = (key.starts_with("integration.request."), key.contains(':'));
            let signs = if of_rest { &mut self.rest } else { &mut self.http };
            if of_rest || of_http {
                signs.get_or_insert_with(|| (key.to_owned(), value.clone()));
            }
        }
        if let Some(responses) = integration.get("responses") {
            self.rest.get_or_insert_with(|| ("responses".to_owned(), responses));
        }
    }
}
