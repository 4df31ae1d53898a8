//! What a definition asks for and the node can't do or enforce yet. It refuses the deployment, by name: nothing is stored and
//! ignored, nothing is served open that should be closed.

use message::Dialect;
use model::{
    Api, Authorization, Declared, Definition, Diagnostic, IntegrationResponse, IntegrationType, Passthrough,
    Route,
};

/// What of a whole definition can't be enforced, said at its API or at the first route that it is about.
pub(super) fn of_definition(api: &Api, definition: &Definition) -> Vec<Diagnostic> {
    let policy = definition.policy.as_ref().map(|_| {
        let message = "the resource policy can't be enforced by this node yet: the deployment is refused";
        Diagnostic::error(api.origin.as_ref(), "policy", message)
    });
    let security = definition.unenforced_security().map(|unenforced| {
        let message = format!(
            "nothing enforces the security of {}: they would be open to everybody, and the deployment is refused",
            unenforced.what
        );
        Diagnostic::error(unenforced.origin.as_ref(), "security", message).help(
            "give the schemes an `x-amazon-apigateway-authorizer`, or write `security: []` at the operations; \
             `--allow-unenforced-security`, or `allow_unenforced_security = true` in the `[[api]]`, opens them as API \
             Gateway does",
        )
    });
    policy.into_iter().chain(security).collect()
}

/// What of a route can't be enforced.
pub(super) fn of_route(route: &Route) -> Vec<String> {
    let authorization = match &route.authorization {
        Authorization::None => None,
        Authorization::AwsIam => Some("`AWS_IAM`".to_owned()),
        Authorization::Authorizer { name, .. } => Some(format!("the authorizer `{name}`")),
    };
    let key = route.api_key_required.then(|| "the API key that is required".to_owned());
    let refused =
        |what: String| format!("{what} can't be enforced by this node yet: the deployment is refused");
    authorization.into_iter().chain(key).map(refused).collect()
}

/// What of an integration can't be done: which part of it, and why not.
pub(super) fn of_declared(declared: &Declared, dialect: Dialect) -> Vec<(&'static str, String)> {
    let kind = declared.kind.as_str();
    let mut refused = Vec::new();
    let mut refuse = |part, message: String| refused.push((part, message));
    let not_yet = |what: String| format!("{what} can't be run by this node yet: the deployment is refused");
    match declared.kind {
        IntegrationType::Aws | IntegrationType::AwsProxy => {
            refuse("type", not_yet(format!("integrations of type `{kind}`")));
        }
        IntegrationType::Http | IntegrationType::Mock if dialect != Dialect::Rest => {
            refuse(
                "type",
                format!("an HTTP API has no integrations of type `{kind}`: write `HTTP_PROXY` (row 2)"),
            );
        }
        IntegrationType::Http | IntegrationType::HttpProxy | IntegrationType::Mock => {}
    }
    let calls_url = matches!(declared.kind, IntegrationType::Http | IntegrationType::HttpProxy);
    if let Some(credentials) = declared.credentials.as_ref().filter(|_| calls_url) {
        refuse("credentials", not_yet(format!("a call with the credentials of `{credentials}`")));
    }
    if declared.payload_format_version.as_deref().is_some_and(|version| version != "1.0") && calls_url {
        let message = format!("an integration of type `{kind}` has the payload format version 1.0 alone");
        refuse("payload_format_version", message);
    }
    if let Some(connection) = &declared.connection_id {
        refuse("connection_id", not_yet(format!("the VPC link `{connection}`")));
    }
    if declared.insecure_skip_verification {
        refuse("insecure_skip_verification", not_yet("a backend whose certificate may be anybody's".into()));
    }
    if let Some(subtype) = &declared.subtype {
        refuse("subtype", not_yet(format!("the subtype `{subtype}`")));
    }
    if declared.streams && declared.kind != IntegrationType::HttpProxy {
        refuse("streams", format!("answers of type `{kind}` can't be streamed: `HTTP_PROXY` can (row 63)"));
    }
    refused
}

/// What of an integration has no effect, here as on AWS: which part of it, and why. It is no reason to refuse it.
pub(super) fn ignored(declared: &Declared, dialect: Dialect) -> Vec<(&'static str, &'static str)> {
    let Declared { kind, uri, credentials, server_name, http2, .. } = declared;
    let response_says_more = |response: &IntegrationResponse| {
        let IntegrationResponse { selection_pattern, parameters, templates, content_handling, .. } = response;
        let maps = !parameters.is_empty() || !templates.is_empty();
        selection_pattern.is_some() || maps || content_handling.is_some()
    };
    let (calls_nobody, passes_all) = (
        "it has no effect: `MOCK` calls no backend",
        "it has no effect: `HTTP_PROXY` passes bodies as they are",
    );
    let of_http = (
        "response_parameters",
        dialect == Dialect::Rest && !declared.response_parameters.is_empty(),
        "it has no effect in a REST API: answers are mapped by `response`",
    );
    let parts: &[_] = match kind {
        IntegrationType::Mock => &[
            ("uri", uri.is_some(), calls_nobody),
            ("credentials", credentials.is_some(), calls_nobody),
            ("server_name", server_name.is_some(), calls_nobody),
            ("http2", *http2, calls_nobody),
            ("request_parameters", !declared.request_parameters.is_empty(), calls_nobody),
        ],
        IntegrationType::HttpProxy => &[
            ("request_templates", !declared.request_templates.is_empty(), passes_all),
            ("passthrough", declared.passthrough != Passthrough::WhenNoMatch, passes_all),
            (
                "cache_key_parameters",
                declared.streams && !declared.cache_key_parameters.is_empty(),
                "they have no effect: what is streamed is never kept (row 89)",
            ),
            // Exports say the status alone.
            (
                "response",
                declared.responses.iter().any(response_says_more),
                "it has no effect: `HTTP_PROXY` returns the backend's answer",
            ),
        ],
        IntegrationType::Http | IntegrationType::Aws | IntegrationType::AwsProxy => &[],
    };
    parts
        .iter()
        .chain([&of_http])
        .filter(|(_, is_said, _)| *is_said)
        .map(|(part, _, why)| (*part, *why))
        .collect()
}
