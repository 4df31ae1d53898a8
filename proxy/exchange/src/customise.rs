//! The gateway's own answers as an operator wants them (rows 126, 127): found for the reason, and filled with what is known of
//! the request.

use message::{
    Dialect, Reason, Request, Response, ResponseType,
    context::{Failure, Values},
};
use policy::gateway_response::{Asked, Material};
use snapshot::{Snapshot, Stage};

use crate::{Facts, Served, Spare, answers};

/// Puts what the stage says of answers for this reason over the built-in one.
pub(crate) fn customise(
    snapshot: &Snapshot,
    served: &Served<'_>,
    (stage, asked): (&Stage, &Asked),
    (request, facts, unix_ns): (&Request, &Facts, u64),
    (response, spare): (&mut Response, &mut Spare),
) {
    let (Some(responses), Some(reason)) = (&stage.gateway_responses, &served.reason) else { return };
    let kind = ResponseType::of(reason);
    let told = answers::told(reason, Dialect::Rest);
    let Some(custom) = responses.find(kind, told.status) else { return };
    let failure =
        Failure { message: &told.message, response_type: kind.as_str(), validation: validation(reason) };
    let values = Values {
        failure: Some(failure),
        // Method, path and what a client says that it is were put by: an integration has made others of them.
        ..values(snapshot, served, request, facts, unix_ns)
    };
    let material = Material { values: &values, stage_variables: &stage.variables, asked };
    custom.write(&material, response, (&mut spare.value, &mut spare.integrations.bodies));
}

/// What a model found wrong with a body.
pub fn validation(reason: &Reason) -> &str {
    match reason {
        Reason::InvalidBody { errors } => errors,
        _ => "",
    }
}

/// `$context` of a request, without its failure and its end (section O).
pub fn values<'a>(
    snapshot: &'a Snapshot,
    served: &'a Served<'_>,
    request: &'a Request,
    facts: &Facts,
    begun_unix_ns: u64,
) -> Values<'a> {
    let route = served.route.map_or("", |route| &route.key);
    let raw = request.target.raw();
    let path = raw.split('?').next().unwrap_or(raw);
    Values {
        account_id: &snapshot.account_id,
        // An API of AWS's shape has an id that others know it by; a plain one has its name.
        api_id: served.api.map_or("", |api| if api.dialect == Dialect::Proxy { &api.name } else { &api.id }),
        stage: served.stage.map_or("", |stage| &stage.name),
        route_key: route,
        resource_path: route.split_once(' ').map_or(route, |(_, path)| path),
        // Resource ids come with the management API.
        resource_id: "",
        deployment_id: served.stage.map_or("", |stage| &stage.deployment),
        is_canary: served
            .stage
            .filter(|stage| stage.is_canary || stage.canary.is_some())
            .map(|stage| stage.is_canary),
        base_path: served.base_bytes.and_then(|bytes| path.get(1..bytes as usize)),
        method: request.method.as_str(),
        path,
        host: request.authority.host(),
        protocol: request.version.as_str(),
        client: facts.client,
        user_agent: request.headers.get(message::Name::UserAgent).unwrap_or_default(),
        request_id: served.ids.request(),
        extended_request_id: served.ids.extended(),
        begun_unix_ns,
        failure: None,
        ended: None,
    }
}
