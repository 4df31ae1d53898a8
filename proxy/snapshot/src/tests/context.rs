//! `$context` (section O) where an operator may name it: mappings, templates, gateway responses, the access log. One list is behind
//! all of them; that the list is the contract's is seen where it stands (`message::context`).

use message::context::Variable;
use model::{AccessLog, Declared, GatewayResponse, GatewayResponseType, IntegrationType, LogTarget};

use super::*;

/// Names that have a part of the operator's own.
const PROPERTIES: [&str; 4] =
    ["authorizer.claims.sub", "authorizer.color", "requestOverride.header.x", "responseOverride.status"];

/// What is said of a name in each of the places.
fn said(name: &str) -> Vec<String> {
    let mut declared = Declared::new(IntegrationType::Http);
    declared.uri = Some("http://backend.example/".into());
    declared.request_parameters = vec![("integration.request.header.x".into(), format!("context.{name}"))];
    declared.request_templates = vec![("application/json".into(), format!("$context.{name}"))];
    let mut get = route("GET /x");
    get.integration = Integration::Declared(Box::new(declared));
    let mut model = model(model::Stage::default());
    model.apis[0].definition.routes = vec![get];
    model.apis[0].definition.gateway_responses = vec![GatewayResponse {
        kind: GatewayResponseType::Default4xx,
        status: None,
        parameters: vec![("gatewayresponse.header.x".into(), format!("context.{name}"))],
        templates: vec![("application/json".into(), format!("$context.{name}"))],
        origin: None,
    }];
    model.node.access_log = Some(AccessLog {
        target: LogTarget::Stdout,
        format: format!("$context.requestId $context.{name}"),
        origin: None,
    });
    let (_, found) = try_compile(&model, &mut Slots::default());
    found.into_iter().map(|it| it.key).collect()
}

#[test]
fn every_variable_has_a_place_in_mappings_templates_answers_and_logs() {
    const MAPPING: &str = "GET /x: integration.request_parameters.integration.request.header.x";
    for (name, variable) in Variable::names() {
        // What is known only when a request is over is in logs alone.
        let expected: &[&str] = if variable.is_for_logs() { &[MAPPING] } else { &[] };
        assert_eq!(said(name), expected, "{name}");
    }
    for name in PROPERTIES {
        assert_eq!(said(name), [""; 0], "{name}");
    }
    assert_eq!(said("zzzzzzzz"), ["gateway_response.DEFAULT_4XX", MAPPING, "access_log.format"]);
}
