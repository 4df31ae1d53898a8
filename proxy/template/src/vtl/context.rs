//! The names of `$context` (section O): those of REST and WebSocket APIs that a template may ask for.

use super::{
    inputs::Fields,
    render::{Render, Result},
    value::{Object, Value},
};

/// Every variable, sorted. What stands in front of a dot is a group.
const NAMES: [&str; 54] = [
    "accountId",
    "apiId",
    "authorizer.principalId",
    "awsEndpointRequestId",
    "connectedAt",
    "connectionId",
    "deploymentId",
    "domainName",
    "domainPrefix",
    "error.message",
    "error.messageString",
    "error.responseType",
    "error.validationErrorString",
    "eventType",
    "extendedRequestId",
    "httpMethod",
    "identity.accountId",
    "identity.apiKey",
    "identity.apiKeyId",
    "identity.caller",
    "identity.clientCert.clientCertPem",
    "identity.clientCert.issuerDN",
    "identity.clientCert.serialNumber",
    "identity.clientCert.subjectDN",
    "identity.clientCert.validity.notAfter",
    "identity.clientCert.validity.notBefore",
    "identity.cognitoAuthenticationProvider",
    "identity.cognitoAuthenticationType",
    "identity.cognitoIdentityId",
    "identity.cognitoIdentityPoolId",
    "identity.principalOrgId",
    "identity.sourceIp",
    "identity.user",
    "identity.userAgent",
    "identity.userArn",
    "isCanaryRequest",
    "messageId",
    "path",
    "protocol",
    "requestId",
    "requestOverride.header",
    "requestOverride.path",
    "requestOverride.querystring",
    "requestTime",
    "requestTimeEpoch",
    "resourceId",
    "resourcePath",
    "responseOverride.header",
    "responseOverride.status",
    "routeKey",
    "stage",
    "status",
    "wafResponseCode",
    "webaclArn",
];

/// A variable or a group, by its whole name. A variable without a value is an empty text, as the published pass-through
/// template shows for what a caller does not have; a name that there is not is nothing.
pub(super) fn variable<'a>(render: &mut Render<'a, '_>, name: &str) -> Result<Value<'a>> {
    if let Some((group, field)) = name.rsplit_once('.') {
        if group.ends_with("Override") {
            return match find(name) {
                Some(_) if name.ends_with(".status") => render.override_of(group, field),
                Some(known) => Ok(Value::Object(Object::Context(known))),
                None => Ok(Value::Null),
            };
        }
        if group.starts_with("requestOverride.") || group.starts_with("responseOverride.") {
            return render.override_of(group, field);
        }
        let own = match group {
            "authorizer.claims" => Some(Fields::Claims),
            "authorizer" if field == "claims" => {
                return Ok(Value::Object(Object::Context("authorizer.claims")));
            }
            "authorizer" => Some(Fields::Authorizer),
            _ => None,
        };
        if let Some(own) = own {
            let inputs = render.inputs;
            return Ok(Value::Text(inputs.field(own, field).unwrap_or_default()));
        }
    }
    match find(name) {
        Some(name) => {
            let inputs = render.inputs;
            let mut value = render.scratch.take().into_bytes();
            let text = if inputs.context(name, &mut value) {
                render.heap.text(&String::from_utf8_lossy(&value))?
            } else {
                ""
            };
            value.clear();
            render.scratch.put(String::from_utf8(value).unwrap_or_default());
            Ok(Value::Text(text))
        }
        None => Ok(group(name).map_or(Value::Null, |group| Value::Object(Object::Context(group)))),
    }
}

/// The names right below a group.
pub(super) fn members(group: &str) -> impl Iterator<Item = &'static str> {
    let start = if group.is_empty() { 0 } else { group.len() + 1 };
    let mut last = "";
    NAMES.into_iter().filter(move |name| start == 0 || is_in(name, group)).filter_map(move |name| {
        let rest = name.get(start..)?;
        let member = rest.split('.').next().unwrap_or(rest);
        let is_new = member != last;
        last = member;
        is_new.then_some(member)
    })
}

fn find(name: &str) -> Option<&'static str> {
    NAMES.binary_search(&name).ok().map(|at| NAMES[at])
}

/// A group as it stands in the names.
fn group(name: &str) -> Option<&'static str> {
    let at = NAMES.partition_point(|known| *known < name);
    // Of what begins with the group one comes first behind it.
    NAMES.get(at).filter(|known| is_in(known, name)).and_then(|known| known.get(..name.len()))
}

fn is_in(name: &str, group: &str) -> bool {
    name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::{NAMES, find, group, members};

    #[test]
    fn names_are_sorted_and_found() {
        assert!(NAMES.is_sorted());
        for name in NAMES {
            assert_eq!(find(name), Some(name));
        }
        assert_eq!(find("identity"), None);
        assert_eq!(group("identity"), Some("identity"));
        assert_eq!(group("identity.clientCert"), Some("identity.clientCert"));
        assert_eq!((group("ident"), group("")), (None, None));
        assert_eq!(members("identity.clientCert.validity").collect::<Vec<_>>(), ["notAfter", "notBefore"]);
        assert_eq!(
            members("identity.clientCert").collect::<Vec<_>>(),
            ["clientCertPem", "issuerDN", "serialNumber", "subjectDN", "validity"]
        );
    }
}
