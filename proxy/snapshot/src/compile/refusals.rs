//! What a definition asks for and the node can't do or enforce yet. It refuses the deployment, by name: nothing is stored and
//! ignored, nothing is served open that should be closed.

use message::Dialect;
use model::{Authorization, Declared, Definition, IntegrationType, Route};

/// What of a whole definition can't be enforced: what it is, and why not.
pub(super) fn of_definition(definition: &Definition) -> Vec<(&'static str, String)> {
    let policy = definition.policy.as_ref().map(|_| {
        let message = "the resource policy can't be enforced by this node yet: the deployment is refused";
        ("policy", message.to_owned())
    });
    policy.into_iter().collect()
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
