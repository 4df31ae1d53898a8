//! `Auth` of SAM's APIs and of events: authorizers, and who has to pass which of them.

use model::Kind;
use openapi::tree::{Entry, Node, Value};

use super::{list, merged};
use crate::{
    build::{self, Span, renamed},
    functions, http,
    intrinsics::entries,
    known,
    resources::{Assembly, Draft},
    rest,
};

/// What is looked at of an authorizer, and of what it looks at.
const OF_AUTHORIZERS: &[&str] = &[
    "AuthorizationScopes",
    "AuthorizerPayloadFormatVersion",
    "EnableSimpleResponses",
    "FunctionArn",
    "FunctionPayloadType",
    "Identity",
    "IdentitySource",
    "JwtConfiguration",
    "UserPoolArn",
];
const OF_IDENTITIES: &[&str] =
    &["Header", "Headers", "QueryStrings", "ReauthorizeEvery", "ValidationExpression"];

/// `Auth.Authorizers`; `DefaultAuthorizer` is asked for where routes are made.
pub(super) fn authorizers(assembly: &mut Assembly<'_>, draft: &mut Draft, auth: &Node) {
    for Entry { key, value, .. } in entries(auth.get("Authorizers")) {
        let span = &value.span;
        let title = format!("{} Auth.Authorizers.{key}", draft.logical);
        known::others_of(assembly, &title, value, OF_AUTHORIZERS);
        if let Some(identity) = value.get("Identity") {
            let known = if draft.kind == Kind::Http { &["Headers"][..] } else { OF_IDENTITIES };
            known::others_of(assembly, &format!("{title} Identity"), identity, known);
        }
        let function = value.get("FunctionArn").and_then(build::scalar);
        let uri =
            function.map(|arn| build::text(functions::invocation(&arn, &assembly.options.variables), span));
        let identity = value.get("Identity");
        let scheme = if draft.kind == Kind::Http {
            let mut made = build::map::<&str>([], span);
            let names = [
                ("AuthorizerPayloadFormatVersion", "authorizerPayloadFormatVersion"),
                ("EnableSimpleResponses", "enableSimpleResponses"),
            ];
            made = merged(&made, &renamed(value, &names));
            if let Some(jwt) = value.get("JwtConfiguration") {
                let names = [
                    ("issuer", "issuer"),
                    ("audience", "audience"),
                    ("Issuer", "issuer"),
                    ("Audience", "audience"),
                ];
                build::put(&mut made, "jwtConfiguration", renamed(jwt, &names));
            }
            let header = |name: &Node| format!("$request.header.{}", build::scalar(name).unwrap_or_default());
            let headers = identity.and_then(|it| it.get("Headers")).map(list).unwrap_or_default();
            let source = value.get("IdentitySource").and_then(build::scalar);
            let source = source.or_else(|| {
                (!headers.is_empty()).then(|| headers.iter().map(header).collect::<Vec<_>>().join(","))
            });
            if let Some(source) = source {
                build::put(&mut made, "identitySource", build::text(source, span));
            }
            if let Some(uri) = uri {
                build::put(&mut made, "authorizerUri", uri);
            }
            http::scheme(value.get("JwtConfiguration").is_some(), made, span)
        } else {
            rest_authorizer(value, uri, identity)
        };
        draft.component("securitySchemes", key, scheme);
        draft.schemes.insert(key.to_string(), key.to_string());
        assembly.mapped(format!("{} Auth.Authorizers.{key}", draft.logical), "[[api.authorizer]]", span);
    }
    if let Some(given) = auth.get("UsagePlan") {
        let what = format!("{} Auth UsagePlan", draft.logical);
        assembly.left(what, "usage plans are not built yet", &given.span);
    }
    refuse(assembly, auth);
    let known = [
        "ApiKeyRequired",
        "Authorizers",
        "DefaultAuthorizer",
        "EnableIamAuthorizer",
        "ResourcePolicy",
        "UsagePlan",
    ];
    known::others_of(assembly, &format!("{} Auth", draft.logical), auth, &known);
}

/// What would let in whom a template keeps out.
pub(super) fn refuse(assembly: &Assembly<'_>, auth: &Node) {
    if let Some(given) = auth.get("ResourcePolicy") {
        assembly.resolver.fail(&given.span, "resource policies can't be enforced yet");
    }
}

fn rest_authorizer(value: &Node, uri: Option<Node>, identity: Option<&Node>) -> Node {
    let span = &value.span;
    let text = |key: &str| identity.and_then(|it| it.get(key)).and_then(build::scalar);
    let mut made = build::map::<&str>([], span);
    if let Some(ttl) = identity.and_then(|it| it.get("ReauthorizeEvery")) {
        build::put(&mut made, "authorizerResultTtlInSeconds", ttl.clone());
    }
    if let Some(pattern) = identity.and_then(|it| it.get("ValidationExpression")) {
        build::put(&mut made, "identityValidationExpression", pattern.clone());
    }
    if let Some(arn) = value.get("UserPoolArn") {
        let arns = if matches!(arn.value, Value::List(_)) {
            arn.clone()
        } else {
            build::list(vec![arn.clone()], span)
        };
        build::put(&mut made, "providerARNs", arns);
        let header = text("Header").unwrap_or_else(|| "Authorization".into());
        build::put(&mut made, "identitySource", build::text(format!("method.request.header.{header}"), span));
        return rest::authorizer_scheme("cognito_user_pools", made, None, span);
    }
    if let Some(uri) = uri {
        build::put(&mut made, "authorizerUri", uri);
    }
    let is_request = value
        .get("FunctionPayloadType")
        .and_then(build::scalar)
        .is_some_and(|it| it.eq_ignore_ascii_case("REQUEST"));
    let source = if is_request {
        let groups = [("Headers", "header"), ("QueryStrings", "querystring")];
        let named = groups.into_iter().flat_map(|(group, place)| {
            let names = identity.and_then(|it| it.get(group)).map(list).unwrap_or_default();
            names
                .iter()
                .filter_map(build::scalar)
                .map(move |name| format!("method.request.{place}.{name}"))
                .collect::<Vec<_>>()
        });
        named.collect::<Vec<_>>().join(",")
    } else {
        format!("method.request.header.{}", text("Header").unwrap_or_else(|| "Authorization".into()))
    };
    if !source.is_empty() {
        build::put(&mut made, "identitySource", build::text(source, span));
    }
    rest::authorizer_scheme(if is_request { "request" } else { "token" }, made, None, span)
}

/// Who may call: the event's authorizer, else the API's default.
pub(super) fn security(
    draft: &mut Draft,
    own: Option<&Node>,
    of_api: Option<&Node>,
    span: &Span,
) -> Option<Node> {
    let text = |node: Option<&Node>, key: &str| node.and_then(|it| it.get(key)).and_then(build::scalar);
    let name = text(own, "Authorizer").or_else(|| text(of_api, "DefaultAuthorizer"));
    let needs_key =
        text(own, "ApiKeyRequired").or_else(|| text(of_api, "ApiKeyRequired")).is_some_and(|it| it == "true");
    let mut security = build::map::<&str>([], span);
    match name.as_deref() {
        Some("NONE") | None => {}
        Some("AWS_IAM") => {
            let name = draft.signature(span);
            build::put(&mut security, name, build::list(Vec::new(), span));
        }
        Some(name) => {
            // An authorizer may have scopes for all who say none.
            let of_name = of_api.and_then(|it| it.get("Authorizers")).and_then(|it| it.get(name));
            let scopes = [own, of_name].into_iter().flatten().find_map(|it| it.get("AuthorizationScopes"));
            let scopes = scopes.map(list).unwrap_or_default().to_vec();
            build::put(&mut security, name, build::list(scopes, span));
        }
    }
    if needs_key {
        let name = draft.api_key(span);
        build::put(&mut security, name, build::list(Vec::new(), span));
    }
    (!entries(Some(&security)).is_empty()).then_some(security)
}

/// What `Auth` says of all routes, put into those of a definition that say nothing themselves. Preflights are for browsers, which
/// know no credentials then.
pub(super) fn defaults(draft: &mut Draft, auth: &Node) {
    let Some(default) = security(draft, None, Some(auth), &auth.span) else { return };
    let default = build::list(vec![default], &auth.span);
    let Value::Map(document) = &mut draft.document.value else { return };
    let Some(paths) = document.iter_mut().find(|entry| &*entry.key == "paths") else { return };
    let Value::Map(paths) = &mut paths.value.value else { return };
    for path in paths {
        let Value::Map(operations) = &mut path.value.value else { continue };
        let verbs = ["get", "put", "post", "delete", "patch", "head", "x-amazon-apigateway-any-method"];
        for operation in
            operations.iter_mut().filter(|it| verbs.contains(&it.key.to_ascii_lowercase().as_str()))
        {
            if operation.value.get("security").is_none() {
                build::put(&mut operation.value, "security", default.clone());
            }
        }
    }
}
