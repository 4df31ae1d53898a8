//! Authorizers and API keys → security schemes; who may call a route → what its operation asks for.

use model::{Authorization, Authorizer, AuthorizerKind, Definition, Route};
use serde_json::{Map, Value as Json, json};

use super::{Export, put};
use crate::import::default_auth_type;

/// What schemes are called that no authorizer is.
pub(super) struct Names {
    api_key: String,
    sigv4: String,
}

impl Names {
    pub(super) fn of(definition: &Definition) -> Self {
        let free = |name: &str| {
            let mut name = name.to_owned();
            let unenforced = definition.routes.iter().flat_map(|route| &route.unenforced_security);
            let is_taken = |name: &String| {
                definition.authorizers.iter().any(|it| it.name == *name)
                    || unenforced.clone().any(|it| it == name)
            };
            while is_taken(&name) {
                name.push('_');
            }
            name
        };
        Self { api_key: free("api_key"), sigv4: free("sigv4") }
    }
}

impl Export<'_> {
    pub(super) fn schemes(&self) -> Map<String, Json> {
        let routes = &self.definition.routes;
        let mut schemes = Map::new();
        if routes.iter().any(|route| route.api_key_required) {
            let scheme = json!({ "type": "apiKey", "name": "x-api-key", "in": "header" });
            schemes.insert(self.schemes.api_key.clone(), scheme);
        }
        if routes.iter().any(|route| route.authorization == Authorization::AwsIam) {
            let mut scheme = Map::new();
            scheme.insert("type".into(), "apiKey".into());
            scheme.insert("name".into(), "Authorization".into());
            scheme.insert("in".into(), "header".into());
            put(
                &mut scheme,
                "x-amazon-apigateway-authtype",
                self.options.extensions.has_authorizers(),
                "awsSigv4",
            );
            schemes.insert(self.schemes.sigv4.clone(), Json::Object(scheme));
        }
        for name in routes.iter().flat_map(|route| &route.unenforced_security) {
            let scheme = json!({
                "type": "apiKey", "name": "Authorization", "in": "header",
                "description": "What it is was left out when it was imported: nothing enforces it.",
            });
            schemes.insert(name.clone(), scheme);
        }
        for authorizer in &self.definition.authorizers {
            schemes.insert(authorizer.name.clone(), self.scheme(authorizer));
        }
        schemes
    }

    fn scheme(&self, authorizer: &Authorizer) -> Json {
        let mut scheme = Map::new();
        // The field that holds the token, where it is one and nothing else.
        let takes_header =
            matches!(authorizer.kind, AuthorizerKind::Token | AuthorizerKind::CognitoUserPools);
        let header = match &authorizer.identity_sources[..] {
            [source] if takes_header => {
                source.strip_prefix("method.request.header.").filter(|it| !it.is_empty())
            }
            _ => None,
        };
        if authorizer.kind == AuthorizerKind::Jwt {
            scheme.insert("type".into(), "oauth2".into());
            scheme.insert("flows".into(), json!({}));
        } else {
            let nowhere = takes_header && authorizer.identity_sources.is_empty();
            scheme.insert("type".into(), "apiKey".into());
            scheme.insert("name".into(), header.unwrap_or("Unused").into());
            scheme.insert("in".into(), if nowhere { "query" } else { "header" }.into());
        }
        if !self.options.extensions.has_authorizers() {
            return Json::Object(scheme);
        }
        let auth_type = authorizer.auth_type.as_deref().unwrap_or(default_auth_type(authorizer.kind));
        let is_said = authorizer.kind != AuthorizerKind::Jwt || authorizer.auth_type.is_some();
        put(&mut scheme, "x-amazon-apigateway-authtype", is_said, auth_type);
        let mut object = Map::new();
        let kind = match authorizer.kind {
            AuthorizerKind::Token => "token",
            AuthorizerKind::Request => "request",
            AuthorizerKind::CognitoUserPools => "cognito_user_pools",
            AuthorizerKind::Jwt => "jwt",
        };
        object.insert("type".into(), kind.into());
        let texts = [
            ("authorizerUri", &authorizer.uri),
            ("authorizerCredentials", &authorizer.credentials),
            ("identityValidationExpression", &authorizer.identity_validation_expression),
            ("authorizerPayloadFormatVersion", &authorizer.payload_format_version),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                object.insert(key.into(), text.clone().into());
            }
        }
        let sources = &authorizer.identity_sources;
        put(&mut object, "identitySource", header.is_none() && !sources.is_empty(), sources.join(", "));
        if let Some(ttl) = authorizer.result_ttl_s {
            object.insert("authorizerResultTtlInSeconds".into(), ttl.into());
        }
        let arns = &authorizer.provider_arns;
        put(&mut object, "providerARNs", !arns.is_empty(), arns.clone());
        put(&mut object, "enableSimpleResponses", authorizer.enable_simple_responses, true);
        if authorizer.issuer.is_some() || !authorizer.audiences.is_empty() {
            let mut jwt = Map::new();
            let audiences = &authorizer.audiences;
            put(&mut jwt, "audience", !audiences.is_empty(), audiences.clone());
            put(&mut jwt, "issuer", authorizer.issuer.is_some(), json!(authorizer.issuer));
            object.insert("jwtConfiguration".into(), Json::Object(jwt));
        }
        scheme.insert("x-amazon-apigateway-authorizer".into(), Json::Object(object));
        Json::Object(scheme)
    }

    /// What an operation asks for.
    pub(super) fn requirements(&self, route: &Route) -> Vec<Json> {
        let mut requirements = Vec::new();
        let mut add = |name: &str, scopes: &[String]| {
            requirements.push(Json::Object(Map::from_iter([(name.to_owned(), json!(scopes))])));
        };
        match &route.authorization {
            Authorization::None => {}
            Authorization::AwsIam => add(&self.schemes.sigv4, &[]),
            Authorization::Authorizer { name, scopes } => add(name, scopes),
        }
        if route.api_key_required {
            add(&self.schemes.api_key, &[]);
        }
        route.unenforced_security.iter().for_each(|name| add(name, &[]));
        requirements
    }
}
