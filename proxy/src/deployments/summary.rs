//! What a deployment has for whom: AWS's `apiSummary` (row 26).

use model::{Authorization, AuthorizerKind, Definition, RouteKey};
use serde_json::{Value, json};

/// Paths, their methods, and what each asks of who calls it. An HTTP API's `$default` stands for itself, with any method.
pub(super) fn summary(definition: &Definition) -> Value {
    let mut summary = json!({});
    for route in &definition.routes {
        let (path, method) = match &route.key {
            RouteKey::Default => ("$default", None),
            RouteKey::Path { method, path } => (path.as_str(), method.as_deref()),
        };
        summary[path][method.unwrap_or("ANY")] = json!({
            "authorizationType": authorization_type(&route.authorization, definition),
            "apiKeyRequired": route.api_key_required,
        });
    }
    summary
}

/// As API Gateway calls it.
fn authorization_type(authorization: &Authorization, definition: &Definition) -> &'static str {
    let name = match authorization {
        Authorization::None => return "NONE",
        Authorization::AwsIam => return "AWS_IAM",
        Authorization::Authorizer { name, .. } => name,
    };
    match definition.authorizers.iter().find(|it| it.name == *name).map(|it| it.kind) {
        Some(AuthorizerKind::CognitoUserPools) => "COGNITO_USER_POOLS",
        Some(AuthorizerKind::Jwt) => "JWT",
        Some(AuthorizerKind::Token | AuthorizerKind::Request) | None => "CUSTOM",
    }
}

#[cfg(test)]
mod tests {
    use model::{Authorizer, Integration, Mock, Route};

    use super::*;

    fn authorizer(name: &str, kind: AuthorizerKind) -> Authorizer {
        Authorizer {
            name: name.into(),
            kind,
            auth_type: None,
            uri: None,
            credentials: None,
            identity_sources: Vec::new(),
            identity_validation_expression: None,
            result_ttl_s: None,
            provider_arns: Vec::new(),
            payload_format_version: None,
            enable_simple_responses: false,
            issuer: None,
            audiences: Vec::new(),
            origin: None,
        }
    }

    fn route(key: RouteKey, authorization: Authorization, api_key_required: bool) -> Route {
        let mock = Integration::Mock(Mock { status: 200, headers: Vec::new(), body: String::new() });
        Route { authorization, api_key_required, ..Route::new(key, mock) }
    }

    /// Row 26.
    #[test]
    fn paths_methods_and_who_may_call_them() {
        let at = |method: Option<&str>, path: &str| RouteKey::Path {
            method: method.map(str::to_owned),
            path: path.into(),
        };
        let by = |name: &str| Authorization::Authorizer { name: name.into(), scopes: Vec::new() };
        let definition = Definition {
            authorizers: vec![
                authorizer("token", AuthorizerKind::Token),
                authorizer("request", AuthorizerKind::Request),
                authorizer("pool", AuthorizerKind::CognitoUserPools),
                authorizer("jwt", AuthorizerKind::Jwt),
            ],
            routes: vec![
                route(at(Some("GET"), "/"), Authorization::None, true),
                route(at(Some("PUT"), "/"), Authorization::AwsIam, false),
                route(at(None, "/a"), by("token"), false),
                route(at(Some("GET"), "/a"), by("request"), false),
                route(at(Some("GET"), "/{b+}"), by("pool"), true),
                route(RouteKey::Default, by("jwt"), false),
            ],
            ..Definition::default()
        };
        let of = |kind: &str, key: bool| json!({ "authorizationType": kind, "apiKeyRequired": key });
        let expected = json!({
            "/": { "GET": of("NONE", true), "PUT": of("AWS_IAM", false) },
            "/a": { "ANY": of("CUSTOM", false), "GET": of("CUSTOM", false) },
            "/{b+}": { "GET": of("COGNITO_USER_POOLS", true) },
            "$default": { "ANY": of("JWT", false) },
        });
        assert_eq!(summary(&definition), expected);
        assert_eq!(summary(&Definition::default()), json!({}));
    }
}
