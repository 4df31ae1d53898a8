//! Where APIs are reached (rows 6 to 11, 15, 35 to 40), and what an endpoint or a domain can't be.

use model::{
    Api, Domain, EndpointAccessMode, EndpointType, IpAddressType, Mapping, RoutingMode, RoutingRule, Severity,
};

use super::*;
use crate::Missed;

fn api(name: &str, kind: Kind, stages: &[&str]) -> Api {
    let mut api = Api::new(name, kind);
    api.id = format!("{name}00");
    api.stages =
        stages.iter().map(|name| model::Stage { name: (*name).into(), ..model::Stage::default() }).collect();
    api.definition.routes = vec![route("GET /{proxy+}"), route("GET /")];
    api
}

/// `host/base -> stage`; without a stage the path names it.
fn mapping(text: &str) -> Mapping {
    let (place, stage) = text.split_once(" -> ").unwrap();
    let (host, base_path) = place.split_once('/').unwrap();
    Mapping {
        host: Some(host.to_owned()).filter(|host| host != "*"),
        base_path: base_path.into(),
        stage: Some(stage.to_owned()).filter(|stage| !stage.is_empty()),
        origin: None,
    }
}

fn domain(routing_mode: RoutingMode, rules: Vec<RoutingRule>) -> Domain {
    Domain {
        name: "api.example.com".into(),
        routing_mode,
        rules,
        endpoint: EndpointType::Regional,
        ip_address_type: IpAddressType::Ipv4,
        endpoint_access_mode: EndpointAccessMode::Basic,
        health: true,
        origin: None,
    }
}

fn rule(priority: u32, header: &str, base_path: &str, stage: &str) -> RoutingRule {
    RoutingRule {
        priority,
        headers: header.split_once('=').map(|(a, b)| (a.into(), b.into())).into_iter().collect(),
        base_paths: Some(base_path.to_owned()).filter(|path| !path.is_empty()).into_iter().collect(),
        api: "pets".into(),
        stage: stage.into(),
        strip_base_path: true,
        origin: None,
    }
}

/// `pets` is a REST API, `shop` an HTTP API.
fn two() -> Model {
    let pets = api("pets", Kind::Rest, &["prod", "beta"]);
    let shop = api("shop", Kind::Http, &["$default", "dev"]);
    Model { apis: vec![pets, shop], ..Model::default() }
}

/// Where a request goes (`GET host/path field=value …`): API, stage and the path that is routed; or why it does not.
#[track_caller]
fn look(model: &Model, asked: &str, expected: &str) {
    let snapshot = compiled(model, &mut Slots::default());
    let mut words = asked.split(' ');
    let place = words.next().unwrap();
    let at = place.find('/').unwrap();
    let mut request = request(&place[at..]);
    request.authority = Authority::parse(&place.as_bytes()[..at]).unwrap();
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        request.headers.push(name, value.as_bytes());
    }
    let found = match snapshot.find(&mut request, id(0)) {
        Ok(found) => {
            let base = found.base_bytes.map_or("-".into(), |bytes| bytes.to_string());
            let strict = if found.is_strict { " strict" } else { "" };
            format!("{} {} {} {base}{strict}", found.api.name, found.stage.name, request.target.path())
        }
        Err(Missed::Healthy) => "healthy".into(),
        Err(Missed::Refused { api, dialect, reason }) => {
            format!("{} {dialect:?} {}", api.map_or("-", |api| &api.name), reason.as_str())
        }
    };
    assert_eq!(found, expected, "{asked}");
}

/// Row 10: the first segment is the stage; of an HTTP API's `$default` there is none.
#[test]
fn apis_are_reached_at_their_default_endpoints() {
    let mut model = two();
    model.node.endpoint.suffix = Some("gw.example".into());
    for place in ["eu-west-1.amazonaws.com", "localhost", "gw.example"] {
        let host = |id: &str| format!("{id}.execute-api.{place}");
        look(&model, &format!("{}/prod/cat/1", host("pets00")), "pets prod /cat/1 -");
        look(&model, &format!("{}/beta", host("pets00")), "pets beta / -");
        look(&model, &format!("{}/alpha/cat", host("pets00")), "pets Rest no_stage");
        look(&model, &format!("{}/", host("pets00")), "pets Rest no_stage");
        look(&model, &format!("{}/cart", host("shop00")), "shop $default /cart -");
        look(&model, &format!("{}/dev/cart", host("shop00")), "shop dev /cart -");
        look(&model, &format!("{}/", host("nobody")), "- Rest no_api");
    }
    let path = |id: &str, stage: &str| format!("x/restapis/{id}/{stage}/_user_request_/cart?x=1");
    look(&model, &path("pets00", "prod"), "pets prod /cart -");
    look(&model, &path("shop00", "$default"), "shop $default /cart -");
    look(&model, &path("shop00", "dev"), "shop dev /cart -");
    look(&model, &path("shop00", "none"), "shop Http no_stage");
}

/// Row 11: what is disabled is told in the API's words, and mappings go on.
#[test]
fn a_default_endpoint_may_be_disabled() {
    let mut model = two();
    for api in &mut model.apis {
        api.definition.disable_default_endpoint = true;
    }
    model.apis[0].mappings = vec![mapping("api.example.com/v1 -> prod")];
    look(&model, "pets00.execute-api.localhost/prod/x", "pets Rest endpoint_disabled");
    look(&model, "shop00.execute-api.localhost/x", "shop Http endpoint_disabled");
    look(&model, "any/restapis/pets00/prod/_user_request_/x", "pets Rest endpoint_disabled");
    look(&model, "api.example.com/v1/x", "pets prod /x 3");
}

/// Rows 35 to 38: one table for both kinds; a mapping without a stage leaves it to the path.
#[test]
fn both_kinds_share_a_domain() {
    let mut model = two();
    model.apis[0].mappings = vec![mapping("api.example.com/pets -> prod"), mapping("*.example.com/ -> beta")];
    model.apis[1].mappings =
        vec![mapping("api.example.com/shop/v2 -> "), mapping("api.example.com/shop -> dev")];
    look(&model, "api.example.com/pets/1", "pets prod /1 5");
    look(&model, "api.example.com/shop/v2/dev/x", "shop dev /x 8");
    look(&model, "api.example.com/shop/v2/x", "shop $default /x 8");
    look(&model, "api.example.com/shop/x", "shop dev /x 5");
    look(&model, "api.example.com/other", "- Rest no_api");
    look(&model, "www.example.com/other", "pets beta /other 0");
    // Who has mappings is reached at those and at its own host, not everywhere.
    look(&model, "elsewhere.example/x", "- Rest no_api");
}

/// Row 39, all three modes; row 8 beside them.
#[test]
fn rules_and_mappings_of_a_domain() {
    let modes = [RoutingMode::MappingOnly, RoutingMode::RuleOnly, RoutingMode::RuleThenMapping];
    let tables = [
        ("/v1/x", ["shop $default /x 3", "- Rest no_api", "shop $default /x 3"]),
        ("/v1/x x-beta=yes,please", ["shop $default /x 3", "pets beta /x 3", "pets beta /x 3"]),
        ("/v1/x x-all=1 X-Beta=yes", ["shop $default /x 3", "pets prod /v1/x 0", "pets prod /v1/x 0"]),
        ("/ping", ["healthy"; 3]),
        ("/sping", ["healthy"; 3]),
    ];
    for (number, mode) in modes.into_iter().enumerate() {
        let mut model = two();
        model.apis[1].mappings = vec![mapping("api.example.com/v1 -> $default")];
        // The lower priority is asked first, wherever it stands.
        model.domains =
            vec![domain(mode, vec![rule(20, "x-beta=yes*", "v1", "beta"), rule(10, "x-all=*", "", "prod")])];
        for (asked, expected) in tables {
            look(&model, &format!("api.example.com{asked}"), expected[number]);
        }
    }
}

/// Row 13: a strict API asks for the client's TLS name wherever it is reached, a strict domain whatever is reached there; and a strict
/// API is not reached at all by a domain of another type.
#[test]
fn what_is_strict_asks_for_the_host_in_tls() {
    let mut model = two();
    model.apis[0].definition.endpoint_access_mode = EndpointAccessMode::Strict;
    model.apis[0].mappings =
        ["api.example.com/pets -> prod", "plain.example.com/ -> prod", "Edge.example.com/ -> prod"]
            .map(mapping)
            .into();
    model.apis[1].mappings =
        ["api.example.com/shop -> dev", "plain.example.com/shop -> dev", "edge.example.com/shop -> dev"]
            .map(mapping)
            .into();
    let named = |name: &str, endpoint, endpoint_access_mode, rules| Domain {
        name: name.into(),
        endpoint,
        endpoint_access_mode,
        ..domain(RoutingMode::RuleThenMapping, rules)
    };
    let (edge, regional) = (EndpointType::Edge, EndpointType::Regional);
    model.domains = vec![
        named("api.example.com", regional, EndpointAccessMode::Strict, vec![rule(1, "x-beta=1", "", "beta")]),
        named("edge.example.com", edge, EndpointAccessMode::Basic, vec![rule(1, "x-beta=1", "", "beta")]),
    ];
    look(&model, "api.example.com/pets/1", "pets prod /1 5 strict");
    look(&model, "api.example.com/x x-beta=1", "pets beta /x 0 strict");
    look(&model, "api.example.com/shop/x", "shop dev /x 5 strict");
    look(&model, "plain.example.com/x", "pets prod /x 0 strict");
    look(&model, "plain.example.com/shop/x", "shop dev /x 5");
    look(&model, "pets00.execute-api.localhost/prod/x", "pets prod /x - strict");
    look(&model, "any/restapis/pets00/prod/_user_request_/x", "pets prod /x - strict");
    look(&model, "shop00.execute-api.localhost/x", "shop $default /x -");
    look(&model, "edge.example.com/x", "pets Rest endpoint_access");
    look(&model, "edge.example.com/x x-beta=1", "pets Rest endpoint_access");
    look(&model, "edge.example.com/shop/x", "shop dev /x 5");
    let elsewhere = "the API `pets` is strict and `REGIONAL`: what comes to it by this domain, which is `EDGE`, is refused";
    refused(&model, Severity::Warning, &[elsewhere]);
    // The stage that runs what was deployed before is as that was.
    let before = model::Definition {
        endpoint_access_mode: EndpointAccessMode::Basic,
        ..model.apis[0].definition.clone()
    };
    let (id, definition) = ("d".to_owned(), Arc::new(before));
    let cache_id = id.clone();
    let deployment = model::Deployment { id, description: None, created_unix_s: 0, definition, cache_id };
    model.apis[0].stages[1].deployment = Some(deployment);
    look(&model, "edge.example.com/x x-beta=1", "pets beta /x 0");
    model.listeners = vec![model::Listener {
        name: "open".into(),
        address: std::net::SocketAddr::from(([127, 0, 0, 1], 80)),
        connections_max: None,
        plain: true,
        http2: true,
        http2_streams_max: 1,
        security_policy: None,
        names: Vec::new(),
        origin: None,
    }];
    let plain = "without TLS a client names no host in TLS: what is strict is refused here (the API `pets`, the domain `api.example.com`)";
    refused(&model, Severity::Warning, &[elsewhere, plain]);
}

/// Two APIs without a mapping don't contend for every host.
#[test]
fn an_api_alone_is_reached_everywhere() {
    let mut model = two();
    look(&model, "a.example/x", "- Rest no_api");
    model.apis.remove(1);
    look(&model, "a.example/prod/x", "pets prod /x 0");
}

/// The messages of a model's mistakes, or of its warnings if it has none.
#[track_caller]
fn refused(model: &Model, severity: Severity, expected: &[&str]) {
    let mut inputs = Inputs {
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        leaf: &|_| panic!("no listener of these tests has TLS"),
        tickets: &tls::Tickets::new(),
        slots: &mut Slots::default(),
        before: None,
        generation: 1,
        unix_s: 0,
        progress: progress::Progress::silent(),
    };
    let (snapshot, found) = compile(model, &mut inputs);
    assert_eq!(snapshot.is_none(), severity == Severity::Error);
    let found: Vec<_> =
        found.iter().filter(|it| it.severity == severity).map(|it| it.message.as_str()).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_an_endpoint_cannot_be_is_refused_by_name() {
    let with = |change: fn(&mut Api)| {
        let mut model = two();
        model.apis.truncate(1);
        change(&mut model.apis[0]);
        model
    };
    let policy = "a private API needs a resource policy, which can't be enforced by this node yet: the deployment is refused";
    let ipv4 = "Only dualstack ipAddressType is supported for Private APIs.";
    // Row 15, row 9.
    refused(&with(|api| api.endpoint = EndpointType::Private), Severity::Error, &[ipv4, policy]);
    let dual =
        with(|api| (api.endpoint, api.ip_address_type) = (EndpointType::Private, IpAddressType::Dualstack));
    refused(&dual, Severity::Error, &[policy]);
    refused(
        &with(|api| api.vpc_endpoint_ids = vec!["vpce-1".into()]),
        Severity::Error,
        &["VPC endpoints are for private APIs"],
    );
    let http = with(|api| (api.kind, api.endpoint) = (Kind::Http, EndpointType::Edge));
    refused(&http, Severity::Error, &["an HTTP API is `REGIONAL`, not `EDGE`: that is for REST APIs"]);
    let bad_id = "`A-1` is no id of an API: write lower-case letters and digits";
    refused(&with(|api| api.id = "A-1".into()), Severity::Error, &[bad_id]);
    let mut same = two();
    same.apis[1].id = "pets00".into();
    let text = |name: &str, id: &str| {
        format!(
            "API `{name}` has no mapping, and is not the only one: it is reached at `{id}.execute-api.localhost` and the like alone"
        )
    };
    refused(&same, Severity::Error, &["the id `pets00` is that of another API"]);
    refused(&two(), Severity::Warning, &[&text("pets", "pets00"), &text("shop", "shop00")]);
}

/// Row 39: bounds, and that rules lead to stages of REST APIs.
#[test]
fn what_a_domain_cannot_have_is_refused_by_name() {
    let with =
        |rules: Vec<RoutingRule>| Model { domains: vec![domain(RoutingMode::RuleOnly, rules)], ..two() };
    refused(
        &with(vec![rule(0, "", "", "prod"), rule(1, "", "", "prod"), rule(1, "", "", "prod")]),
        Severity::Error,
        &["a priority is 1 to 1000000, not 0", "the priority 1 is that of another rule"],
    );
    let to = |api: &str, stage: &str| RoutingRule { api: api.into(), ..rule(1, "", "", stage) };
    refused(&with(vec![to("cats", "prod")]), Severity::Error, &["there is no API `cats`"]);
    refused(&with(vec![to("pets", "alpha")]), Severity::Error, &["API `pets` has no stage `alpha`"]);
    refused(
        &with(vec![to("shop", "dev")]),
        Severity::Error,
        &["API `shop` is no REST API: rules lead to those alone"],
    );
    let many = (1..=51).map(|priority| rule(priority, "", "", "prod")).collect();
    refused(&with(many), Severity::Error, &["a domain has at most 50 rules, not 51"]);
    let mut twice = with(Vec::new());
    twice
        .domains
        .push(Domain { endpoint: EndpointType::Private, ..domain(RoutingMode::RuleOnly, Vec::new()) });
    let private =
        "the policy of a private domain can't be enforced by this node yet: the deployment is refused";
    refused(&twice, Severity::Error, &[private, "`api.example.com` is described twice"]);
}

/// Row 177: what a URL of an endpoint may be, in bytes.
#[test]
fn endpoints_bound_urls() {
    let check = |endpoint, own: Option<u64>, bytes: usize, expected: bool| {
        let mut model = two();
        model.apis.truncate(1);
        model.apis[0].endpoint = endpoint;
        model.apis[0].definition.routes[0].limits =
            own.map(|target_bytes_max| model::Limits { target_bytes_max, ..model::Limits::default() });
        let snapshot = compiled(&model, &mut Slots::default());
        let mut request = request(&format!("/prod/{}", "x".repeat(bytes - 6)));
        let found = snapshot.find(&mut request, id(0)).unwrap();
        let limits = &found.route.unwrap().0.policies[0];
        let verdict = policy_says(&**limits, &mut request);
        assert_eq!(verdict, expected, "{endpoint:?} {bytes}");
    };
    for (endpoint, max) in [(EndpointType::Regional, 10_240), (EndpointType::Edge, 8_192)] {
        check(endpoint, None, max, true);
        check(endpoint, None, max + 1, false);
        check(endpoint, Some(9_000), 9_000, true);
        check(endpoint, Some(9_000), 9_001, false);
    }
}

/// Whether a policy lets a request pass.
fn policy_says(policy: &dyn policy::Policy, request: &mut Request) -> bool {
    let table = Arc::new(policy::throttle::Table::new(16));
    let mut spendings = policy::throttle::Spendings::new(table, 1);
    let mut store = policy::cache::Store::<()>::new(1 << 10);
    let mut cx = policy::Context {
        now: message::Now { mono_ns: 1, unix_ns: 1 },
        client: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        params: &[],
        spendings: &mut spendings,
        near: &mut store,
        slot: &mut policy::Slot::Empty,
        unanswered: false,
    };
    matches!(policy.on_request(request, &mut cx), policy::Verdict::Continue)
}
