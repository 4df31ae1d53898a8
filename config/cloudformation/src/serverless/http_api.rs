//! Events `httpApi` and `provider.httpApi`.

use model::Kind;
use openapi::tree::{Entry, Node, Value, quote};

use super::{Service, event};
use crate::{
    build, functions, http,
    intrinsics::entries,
    known,
    resources::{Draft, texts},
};

/// What is looked at of an authorizer.
const OF_AUTHORIZERS: &[&str] = &[
    "audience",
    "enableSimpleResponses",
    "functionArn",
    "functionName",
    "identitySource",
    "issuerUrl",
    "payloadVersion",
    "resultTtlInSeconds",
    "type",
];

impl Service<'_, '_> {
    pub(super) fn http_settings(&mut self, draft: &mut Draft, provider: &Node) {
        let Some(given) = provider.get("httpApi") else { return };
        if let Some(cors) = given.get("cors") {
            let names = [
                ("allowedOrigins", "allowOrigins"),
                ("allowedMethods", "allowMethods"),
                ("allowedHeaders", "allowHeaders"),
                ("exposedResponseHeaders", "exposeHeaders"),
                ("maxAge", "maxAge"),
                ("allowCredentials", "allowCredentials"),
            ];
            let known: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            known::others_of(self.assembly, "provider.httpApi.cors", cors, &known);
            // `true` is everybody, with the headers that clients of AWS send.
            let cors = match &cors.value {
                Value::Map(_) => build::renamed(cors, &names),
                _ => {
                    let all = |text: &str| build::list(vec![build::text(text, &cors.span)], &cors.span);
                    build::map(
                        [("allowOrigins", all("*")), ("allowMethods", all("*")), ("allowHeaders", all("*"))],
                        &cors.span,
                    )
                }
            };
            draft.field("x-amazon-apigateway-cors", cors);
        }
        if let Some(disable) = given.get("disableDefaultEndpoint") {
            let endpoint = build::map([("disableExecuteApiEndpoint", disable.clone())], &disable.span);
            draft.field("x-amazon-apigateway-endpoint-configuration", endpoint);
        }
        for Entry { key, value, .. } in entries(given.get("authorizers")) {
            let span = &value.span;
            let is_jwt = value.get("issuerUrl").is_some();
            known::others_of(
                self.assembly,
                &format!("provider.httpApi.authorizers.{key}"),
                value,
                OF_AUTHORIZERS,
            );
            let names = [
                ("resultTtlInSeconds", "authorizerResultTtlInSeconds"),
                ("payloadVersion", "authorizerPayloadFormatVersion"),
                ("enableSimpleResponses", "enableSimpleResponses"),
            ];
            let mut made = build::renamed(value, &names);
            if let Some(source) = value.get("identitySource") {
                build::put(&mut made, "identitySource", build::text(texts(source).join(","), span));
            }
            if let Some(issuer) = value.get("issuerUrl") {
                let audience = value.get("audience").map(texts).unwrap_or_default();
                let audience =
                    build::list(audience.into_iter().map(|it| build::text(it, span)).collect(), span);
                build::put(
                    &mut made,
                    "jwtConfiguration",
                    build::map([("issuer", issuer.clone()), ("audience", audience)], span),
                );
            }
            let arn = value.get("functionArn").and_then(build::scalar);
            let arn =
                arn.or_else(|| value.get("functionName").and_then(build::scalar).map(|name| self.arn(&name)));
            if let Some(arn) = arn {
                let uri = functions::invocation(&arn, &self.assembly.options.variables);
                build::put(&mut made, "authorizerUri", build::text(uri, span));
            }
            draft.component("securitySchemes", key, http::scheme(is_jwt, made, span));
            self.assembly.mapped(format!("provider.httpApi.authorizers.{key}"), "[[api.authorizer]]", span);
        }
    }

    pub(super) fn http_api(&mut self, function: &str, given: &Node, provider: &Node, what: &str) {
        let span = given.span.clone();
        let key = match event::key(given) {
            Ok(key) => key.map_or_else(|| "$default".to_owned(), |(method, path)| format!("{method} {path}")),
            Err(why) => return self.assembly.resolver.fail(&span, why),
        };
        let uri = functions::invocation(&self.arn(function), &self.assembly.options.variables);
        let version = provider.get("httpApi").and_then(|it| it.get("payload")).and_then(build::scalar);
        let integration = [
            ("type", "aws_proxy"),
            ("httpMethod", "POST"),
            ("uri", &uri),
            ("payloadFormatVersion", version.as_deref().unwrap_or("2.0")),
            ("timeoutInMillis", "30000"),
        ];
        let integration = build::map(integration.map(|(key, value)| (key, build::text(value, &span))), &span);
        let mut operation = build::map([("x-amazon-apigateway-integration", integration)], &span);
        known::others_of(self.assembly, what, given, &["authorizer", "method", "path"]);
        if let Some(authorizer) = given.get("authorizer") {
            let known = ["id", "name", "scopes", "type"];
            known::others_of(self.assembly, &format!("{what} authorizer"), authorizer, &known);
        }
        let by_id = given.get("authorizer").and_then(|it| it.get("id")).and_then(build::scalar);
        let of_id = by_id.map(|id| {
            self.authorizer_of(&id).unwrap_or_else(|| {
                let message = format!("there is no authorizer {} under `resources`", quote(&id));
                self.assembly.resolver.fail(&span, message);
                id
            })
        });
        let Some(draft) = self.api(Kind::Http, provider, &span) else { return };
        if let Some(authorizer) = given.get("authorizer") {
            let name = build::scalar(authorizer).or_else(|| authorizer.get("name").and_then(build::scalar));
            let name = name.or(of_id);
            let kind = authorizer.get("type").and_then(build::scalar);
            let is_iam = [&name, &kind].into_iter().flatten().any(|it| it.eq_ignore_ascii_case("aws_iam"));
            let name = if is_iam { draft.signature(&span).to_owned() } else { name.unwrap_or_default() };
            let scopes = authorizer.get("scopes").map(texts).unwrap_or_default();
            let scopes = build::list(scopes.into_iter().map(|it| build::text(it, &span)).collect(), &span);
            let security = build::list(vec![build::map([(name, scopes)], &span)], &span);
            build::put(&mut operation, "security", security);
        }
        http::route(draft, &key, operation);
        self.assembly.mapped(what.to_owned(), format!("[[api.route]] {key}"), &span);
    }
}
