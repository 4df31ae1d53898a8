//! What becomes of each thing that a model says of an API: it is run, refused by name, told to have no effect, or kept for those
//! who read it. Models are taken apart field by field, so that a new field has no fate until it stands here. That something is run is
//! seen in the snapshot, which is another one; what is kept for others changes nothing in it, and nothing is said of it.

use std::time::Duration;

use model::{
    Api, ApiKeySource, Authorization, BodyModel, Cache, CacheKey, CacheMode, Canary, ContentHandling, Cors,
    Declared, DocumentationPart, Domain, EndpointAccessMode, EndpointType, GatewayResponse,
    GatewayResponseType, IntegrationResponse, IntegrationType, IpAddressType, Limits, Mapping,
    MethodResponse, MethodSettings, Mock, Origin, ParameterPlace, Passthrough, RequestParameter,
    RequestRules, RequestValidator, Route, RoutingMode, RoutingRule, Severity, Stage, Throttle, ThrottlePer,
};

use super::*;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The snapshot is another one.
    Runs,
    /// The deployment is refused, with the field's name or what it asks for.
    Refused(&'static str),
    /// It has no effect, and that is told.
    Told(&'static str),
    /// The snapshot is the same: it is for readers, for AWS's tools, or for who keeps deployments.
    Kept,
}
use Fate::{Kept, Refused, Runs, Told};

/// A field: its name, what it is changed to, what becomes of it.
type Field<T> = (&'static str, fn(&mut T), Fate);

/// All fields of a type, none left out.
macro_rules! fields {
    ($type:ident { $($field:ident: $value:expr => $fate:expr,)* }) => {{
        #[allow(dead_code, reason = "it is there to be complete")]
        fn complete($type { $($field: _),* }: $type) {}
        let fields: Vec<Field<$type>> = vec![$((stringify!($field), |it| it.$field = $value, $fate)),*];
        fields
    }};
}

fn s(text: &str) -> String {
    text.to_owned()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn pair(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn origin() -> Option<Origin> {
    let place = std::sync::Arc::from("other.toml");
    Some(Origin { file: place, line: 7, column: 1, start: 0, end: 1 })
}

fn throttle(rate: f64) -> Throttle {
    Throttle { rate, burst: None, per: ThrottlePer::All, origin: None }
}

fn cache(ttl_s: u64) -> Cache {
    Cache {
        mode: CacheMode::Fixed,
        ttl: Duration::from_secs(ttl_s),
        key: None,
        methods: vec!["GET".into()],
        client_invalidation: false,
        body_bytes_max: 1_000,
        origin: None,
    }
}

fn key(text: &str) -> RouteKey {
    route(text).key
}

fn validator(name: &str, body: bool, parameters: bool) -> RequestValidator {
    RequestValidator { name: name.into(), body, parameters, origin: None }
}

/// A REST API that uses everything it may: whatever is changed in it has somebody to change.
fn base() -> Model {
    let mut declared = Declared::new(IntegrationType::Http);
    declared.uri = some("http://backend.example/pets");
    declared.responses = vec![IntegrationResponse {
        selection_pattern: some("2.."),
        status: 200,
        parameters: pair("method.response.header.X-Pet", "context.path"),
        templates: pair("application/json", "{}"),
        content_handling: None,
        origin: None,
    }];
    let mut get = route("GET /pets/{id}");
    get.integration = Integration::Declared(Box::new(declared));
    get.cache = Some(cache(60));
    let (place, name) = (ParameterPlace::QueryString, "page".to_owned());
    get.request = RequestRules {
        parameters: vec![RequestParameter { place, name, required: true }],
        models: pair("application/json", "Pet"),
        validator: some("all"),
    };
    get.responses =
        vec![MethodResponse { status: 200, headers: vec![("X-Pet".into(), false)], models: vec![] }];
    let definition = Definition {
        routes: vec![get, route("GET /other")],
        models: vec![body_model("Pet", r#"{"type": "object"}"#)],
        validators: vec![validator("all", true, true)],
        gateway_responses: vec![GatewayResponse {
            kind: GatewayResponseType::Throttled,
            status: Some(420),
            parameters: pair("gatewayresponse.header.x", "'y'"),
            templates: pair("application/json", "{}"),
            origin: None,
        }],
        ..Definition::default()
    };
    let settings = MethodSettings {
        key: key("GET /other"),
        throttle: Some(throttle(7.0)),
        cache: Some(cache(70)),
        origin: None,
    };
    let mut canary = canary(10.0, None);
    canary.variables = pair("host", "canary");
    let mut frozen = deployment("abc123", &[]);
    frozen.definition = Arc::new(definition.clone());
    let stage = model::Stage {
        name: "prod".into(),
        variables: pair("host", "stage"),
        throttle: Some(throttle(5.0)),
        method_settings: vec![settings],
        deployment: Some(frozen),
        canary: Some(canary),
        ..model::Stage::default()
    };
    let mut api = model::Api::new("a", Kind::Rest);
    api.definition = definition;
    api.mappings = vec![Mapping {
        host: some("api.example.com"),
        base_path: "shop".into(),
        stage: some("prod"),
        origin: None,
    }];
    api.stages = vec![stage];
    let rule = |priority, version| RoutingRule {
        priority,
        headers: pair("x-version", version),
        base_paths: vec!["v1".into()],
        api: "a".into(),
        stage: "prod".into(),
        strip_base_path: true,
        origin: None,
    };
    let domain = Domain {
        name: "api.example.com".into(),
        routing_mode: RoutingMode::RuleThenMapping,
        rules: vec![rule(1, "v1"), rule(5, "v2")],
        endpoint: EndpointType::Regional,
        ip_address_type: IpAddressType::Ipv4,
        endpoint_access_mode: EndpointAccessMode::Basic,
        health: true,
        origin: None,
    };
    Model { apis: vec![api], domains: vec![domain], ..Model::default() }
}

/// What was compiled, as it prints; and what was said.
fn outcome(model: &Model) -> (Option<String>, Vec<model::Diagnostic>) {
    let (snapshot, found) = try_compile(model, &mut Slots::default());
    (snapshot.map(|snapshot| format!("{snapshot:?}")), found)
}

/// Changes each field of the thing that `of` finds in a model, one at a time.
#[track_caller]
fn check<T>(model: &Model, of: impl Fn(&mut Model) -> &mut T, fields: Vec<Field<T>>) {
    let (before, found) = outcome(model);
    assert!(before.is_some() && found.is_empty(), "{found:?}");
    assert_eq!(before, outcome(model).0, "the same model is the same snapshot");
    for (field, change, fate) in fields {
        let mut changed = model.clone();
        change(of(&mut changed));
        assert_ne!(changed, *model, "{field}");
        let (after, found) = outcome(&changed);
        let said: Vec<_> =
            found.iter().map(|it| (it.severity, format!("{}: {}", it.key, it.message))).collect();
        let says =
            |severity, words: &str| said.iter().any(|(own, it)| *own == severity && it.contains(words));
        let seen = match fate {
            Runs => after.is_some() && after != before && said.is_empty(),
            Refused(words) => after.is_none() && says(Severity::Error, words),
            Told(words) => after.is_some() && says(Severity::Warning, words),
            Kept => after == before && said.is_empty(),
        };
        assert!(
            seen,
            "{field} is not {fate:?}: {said:?}, {}",
            if after == before { "same" } else { "other" }
        );
    }
}

/// What a stage runs is its deployment's.
fn definition(model: &mut Model) -> &mut Definition {
    Arc::make_mut(&mut model.apis[0].stages[0].deployment.as_mut().unwrap().definition)
}

fn declared(model: &mut Model) -> &mut Declared {
    match &mut definition(model).routes[0].integration {
        Integration::Declared(declared) => declared,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_definitions() {
    let authorizer = model::Authorizer {
        name: "users".into(),
        kind: model::AuthorizerKind::Token,
        auth_type: None,
        uri: some("arn:aws:apigateway:…"),
        credentials: None,
        identity_sources: vec![],
        identity_validation_expression: None,
        result_ttl_s: None,
        provider_arns: vec![],
        payload_format_version: None,
        enable_simple_responses: false,
        issuer: None,
        audiences: vec![],
        origin: None,
    };
    let mut fields = fields!(Definition {
        routes: vec![route("GET /pets/{id}"), route("GET /other"), route("GET /more")] => Runs,
        resources: vec!["/empty".into()] => Kept,
        description: some("Pets.") => Kept,
        version: some("2.0") => Kept,
        models: vec![body_model("Pet", r#"{"type": "array"}"#)] => Runs,
        validators: vec![validator("all", false, true)] => Runs,
        // Nobody is asked where no route names one; a route that does is refused.
        authorizers: vec![] => Kept,
        gateway_responses: vec![] => Runs,
        binary_media_types: vec!["image/png".into()] => Runs,
        minimum_compression_bytes: Some(1) => Runs,
        // It says where a key is; a route that asks for one is refused.
        api_key_source: ApiKeySource::Authorizer => Kept,
        policy: some("{}") => Refused("the resource policy"),
        documentation: vec![DocumentationPart {
            location: "API".into(),
            path: None,
            method: None,
            status_code: None,
            name: None,
            properties: "{}".into(),
        }] => Kept,
        disable_default_endpoint: true => Runs,
        endpoint_access_mode: EndpointAccessMode::Strict => Runs,
        cors: Some(Cors::default()) => Refused("CORS"),
        tags: pair("team", "pets") => Kept,
    });
    fields.retain(|(field, ..)| *field != "authorizers");
    check(&base(), definition, fields);
    let mut model = base();
    definition(&mut model).authorizers = vec![authorizer];
    assert_eq!(outcome(&model), outcome(&base()), "nobody is asked where no route names one");
}

#[test]
fn of_what_belongs_to_definitions() {
    let fields = fields!(BodyModel {
        name: s("Other") => Refused("there is no model `Pet`"),
        description: some("A pet.") => Kept,
        // Which body a model is for is said where it is named.
        content_type: s("text/xml") => Kept,
        schema: s(r#"{"type": "array"}"#) => Runs,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut definition(model).models[0], fields);
    let fields = fields!(RequestValidator {
        name: s("other") => Refused("there is no validator `all`"),
        body: false => Runs,
        parameters: false => Runs,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut definition(model).validators[0], fields);
    let fields = fields!(GatewayResponse {
        kind: GatewayResponseType::Default4xx => Runs,
        status: None => Runs,
        parameters: vec![] => Runs,
        templates: vec![] => Runs,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut definition(model).gateway_responses[0], fields);
}

#[test]
fn of_routes() {
    let fields = fields!(Route {
        key: key("POST /pets/{id}") => Runs,
        integration: Integration::Mock(Mock { status: 204, headers: vec![], body: String::new() }) => Runs,
        operation_name: some("getPet") => Kept,
        authorization: Authorization::AwsIam => Refused("`AWS_IAM`"),
        api_key_required: true => Refused("the API key"),
        unenforced_security: vec![s("oauth")] => Refused("nothing enforces the security of `oauth`, for which"),
        request: RequestRules::default() => Runs,
        responses: vec![] => Refused("X-Pet"),
        throttles: vec![throttle(1.0)] => Runs,
        cache: None => Runs,
        limits: Some(Limits { body_bytes_max: 1, ..Limits::default() }) => Runs,
        origin: origin() => Runs,
    });
    check(&base(), |model| &mut definition(model).routes[0], fields);
    let mut asked = base();
    let authorization = Authorization::Authorizer { name: "users".into(), scopes: vec![] };
    definition(&mut asked).routes[0].authorization = authorization;
    let (snapshot, found) = outcome(&asked);
    assert!(snapshot.is_none() && found[0].message.starts_with("the authorizer `users` can't be enforced"));
    let fields = fields!(RequestRules {
        parameters: vec![] => Runs,
        models: vec![] => Runs,
        validator: None => Runs,
    });
    check(&base(), |model| &mut definition(model).routes[0].request, fields);
    let fields = fields!(RequestParameter {
        place: ParameterPlace::Header => Runs,
        name: s("size") => Runs,
        required: false => Runs,
    });
    check(&base(), |model| &mut definition(model).routes[0].request.parameters[0], fields);
    let fields = fields!(MethodResponse {
        status: 201 => Refused("X-Pet"),
        headers: vec![] => Refused("X-Pet"),
        // AWS makes SDKs of them, and looks at no answer.
        models: pair("application/json", "Pet") => Kept,
    });
    check(&base(), |model| &mut definition(model).routes[0].responses[0], fields);
    let fields = fields!(Cache {
        mode: CacheMode::RespectOrigin => Refused("does not heed the backend"),
        ttl: Duration::from_secs(61) => Runs,
        key: Some(vec![CacheKey::Path("id".into())]) => Runs,
        methods: vec!["POST".into()] => Runs,
        client_invalidation: true => Runs,
        body_bytes_max: 1 => Runs,
        origin: origin() => Runs,
    });
    check(&base(), |model| definition(model).routes[0].cache.as_mut().unwrap(), fields);
}

#[test]
fn of_integrations() {
    let fields = fields!(Declared {
        kind: IntegrationType::AwsProxy => Refused("integrations of type `AWS_PROXY`"),
        http_method: some("POST") => Runs,
        uri: some("https://other.example/") => Runs,
        connection_id: some("link01") => Refused("the VPC link `link01`"),
        credentials: some("arn:aws:iam::000000000000:role/r") => Refused("the credentials of"),
        timeout: Some(Duration::from_secs(1)) => Runs,
        insecure_skip_verification: true => Refused("certificate may be anybody's"),
        server_name: some("other.example") => Told("has no certificate"),
        http2: true => Runs,
        request_parameters: pair("integration.request.header.x", "'y'") => Runs,
        request_templates: pair("application/json", "{}") => Runs,
        passthrough: Passthrough::Never => Runs,
        content_handling: Some(ContentHandling::ConvertToText) => Runs,
        cache_key_parameters: vec!["method.request.path.id".into()] => Runs,
        cache_namespace: some("pets") => Runs,
        responses: vec![] => Runs,
        streams: true => Refused("can't be streamed"),
        subtype: some("SQS-SendMessage") => Refused("the subtype `SQS-SendMessage`"),
        payload_format_version: some("2.0") => Refused("payload format version 1.0 alone"),
        // Of an HTTP API, as below.
        response_parameters: vec![(200, pair("overwrite:statuscode", "201"))] => Told("REST API"),
        origin: origin() => Runs,
    });
    check(&base(), declared, fields);
    let mut encrypted = base();
    declared(&mut encrypted).uri = some("https://backend.example/pets");
    let fields: Vec<Field<Declared>> =
        vec![("server_name", |it| it.server_name = some("other.example"), Runs)];
    check(&encrypted, declared, fields);
    let fields = fields!(IntegrationResponse {
        selection_pattern: None => Runs,
        status: 201 => Refused("X-Pet"),
        parameters: vec![] => Runs,
        templates: vec![] => Runs,
        content_handling: Some(ContentHandling::ConvertToBinary) => Runs,
        origin: origin() => Runs,
    });
    check(&base(), |model| &mut declared(model).responses[0], fields);
}

/// What other types say of themselves, here as on AWS.
#[test]
fn of_integrations_that_look_at_less() {
    let with = |kind: IntegrationType, streams: bool| {
        let mut model = base();
        let declared = declared(&mut model);
        let uri = declared.uri.clone().filter(|_| kind != IntegrationType::Mock);
        *declared = Declared { uri, streams, ..Declared::new(kind) };
        model
    };
    let response = IntegrationResponse {
        selection_pattern: None,
        status: 200,
        parameters: vec![],
        templates: pair("application/json", "{}"),
        content_handling: None,
        origin: None,
    };
    let fields: Vec<Field<Declared>> = vec![
        ("uri", |it| it.uri = some("http://nobody.example/"), Told("`MOCK` calls no backend")),
        ("credentials", |it| it.credentials = some("arn:aws:iam::…"), Told("`MOCK` calls no backend")),
        ("server_name", |it| it.server_name = some("x"), Told("`MOCK` calls no backend")),
        ("http2", |it| it.http2 = true, Told("`MOCK` calls no backend")),
        (
            "request_parameters",
            |it| it.request_parameters = pair("integration.request.header.x", "'y'"),
            Told("`MOCK` calls no backend"),
        ),
        ("request_templates", |it| it.request_templates = pair("application/json", "{}"), Runs),
        ("streams", |it| it.streams = true, Refused("`MOCK` can't be streamed")),
    ];
    check(&with(IntegrationType::Mock, false), declared, fields);
    let fields: Vec<Field<Declared>> = vec![
        ("credentials", |it| it.credentials = some("arn:aws:iam::…"), Refused("the credentials of")),
        (
            "request_templates",
            |it| it.request_templates = pair("a/b", "{}"),
            Told("passes bodies as they are"),
        ),
        ("passthrough", |it| it.passthrough = Passthrough::Never, Told("passes bodies as they are")),
        (
            "request_parameters",
            |it| it.request_parameters = pair("integration.request.header.x", "'y'"),
            Runs,
        ),
        ("content_handling", |it| it.content_handling = Some(ContentHandling::ConvertToText), Runs),
        // Row 63.
        ("streams", |it| it.streams = true, Runs),
    ];
    check(&with(IntegrationType::HttpProxy, false), declared, fields);
    let mut proxy = with(IntegrationType::HttpProxy, false);
    let exported = IntegrationResponse { templates: vec![], ..response.clone() };
    declared(&mut proxy).responses = vec![exported];
    assert!(outcome(&proxy).1.is_empty(), "exports say a status of every proxy");
    declared(&mut proxy).responses = vec![response];
    assert!(outcome(&proxy).1[0].message.contains("returns the backend's answer"));
    let fields: Vec<Field<Declared>> = vec![(
        "cache_key_parameters",
        |it| it.cache_key_parameters = vec!["method.request.path.id".into()],
        Told("what is streamed is never kept"),
    )];
    check(&with(IntegrationType::HttpProxy, true), declared, fields);
    // Of an HTTP API.
    let mut http = with(IntegrationType::HttpProxy, false);
    http.apis[0].kind = Kind::Http;
    http.domains[0].rules.clear();
    http.domains[0].routing_mode = RoutingMode::MappingOnly;
    let get = Route {
        request: RequestRules::default(),
        responses: vec![],
        ..definition(&mut http).routes[0].clone()
    };
    *definition(&mut http) = Definition { routes: vec![get, route("GET /other")], ..Definition::default() };
    http.apis[0].definition = definition(&mut http).clone();
    let fields: Vec<Field<Declared>> = vec![
        (
            "response_parameters",
            |it| it.response_parameters = vec![(200, pair("append:header.x", "y"))],
            Runs,
        ),
        ("payload_format_version", |it| it.payload_format_version = some("1.0"), Kept),
        (
            "payload_format_version",
            |it| it.payload_format_version = some("2.0"),
            Refused("version 1.0 alone"),
        ),
    ];
    check(&http, declared, fields);
    let fields: Vec<Field<Definition>> = vec![("cors", |it| it.cors = Some(Cors::default()), Runs)];
    check(&http, definition, fields);
}

#[test]
fn of_stages() {
    let fields = fields!(Stage {
        name: s("other") => Refused("stage `prod`"),
        description: some("For all.") => Kept,
        variables: vec![] => Runs,
        throttle: None => Runs,
        route_throttle: Some(throttle(1.0)) => Runs,
        cache: Some(cache(1)) => Runs,
        method_settings: vec![] => Runs,
        cors: Some(Cors::default()) => Runs,
        // Who keeps deployments has heeded it before.
        auto_deploy: true => Kept,
        deployment: None => Runs,
        canary: None => Runs,
        documentation_version: some("1.0") => Kept,
        origin: origin() => Kept,
    });
    // A stage's cache is for GETs that have none of their own.
    let mut model = base();
    definition(&mut model).routes.push(route("GET /third"));
    check(&model, |model| &mut model.apis[0].stages[0], fields);
    let fields = fields!(MethodSettings {
        key: key("GET /pets/{id}") => Runs,
        throttle: None => Runs,
        cache: None => Runs,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut model.apis[0].stages[0].method_settings[0], fields);
    let fields: Vec<Field<MethodSettings>> =
        vec![("key", |it| it.key = key("GET /nowhere"), Told("stage `prod` runs no such route"))];
    check(&base(), |model| &mut model.apis[0].stages[0].method_settings[0], fields);
    let fields = fields!(Throttle {
        rate: 1.0 => Runs,
        burst: Some(1) => Runs,
        per: ThrottlePer::Client => Runs,
        origin: origin() => Runs,
    });
    check(&base(), |model| model.apis[0].stages[0].throttle.as_mut().unwrap(), fields);
    let fields = fields!(Deployment {
        id: s("other0") => Runs,
        description: some("The first.") => Kept,
        created_unix_s: 7 => Kept,
        definition: Arc::new(Definition::default()) => Told("runs no such route"),
        cache_id: s("other0") => Runs,
    });
    check(&base(), |model| model.apis[0].stages[0].deployment.as_mut().unwrap(), fields);
    let fields = fields!(Canary {
        percent: 11.0 => Runs,
        deployment: Some(deployment("canary", &["GET /pets/{id}"])) => Runs,
        variables: pair("host", "other") => Runs,
        use_stage_cache: true => Runs,
        // The judge asks the cores.
        judge: Some(model::CanaryJudge {
            promote_after: Duration::from_secs(1),
            requests_min: 1,
            error_rate_max: None,
            latency_p99_max: None,
        }) => Kept,
    });
    check(&base(), |model| model.apis[0].stages[0].canary.as_mut().unwrap(), fields);
}

#[test]
fn of_apis_and_domains() {
    let fields = fields!(Api {
        name: s("b") => Refused("`a`"),
        id: s("0123456789") => Runs,
        kind: Kind::Http => Refused("REST API"),
        mappings: vec![] => Runs,
        stages: vec![] => Refused("stage `prod`"),
        definition: Definition::default() => Kept,
        endpoint: EndpointType::Edge => Runs,
        // It is said back: clients come by the addresses that listeners have.
        ip_address_type: IpAddressType::Dualstack => Kept,
        vpc_endpoint_ids: vec!["vpce-1".into()] => Refused("VPC endpoints are for private APIs"),
        // What would be warned of is refused, and nothing is here.
        fail_on_warnings: true => Kept,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut model.apis[0], fields);
    let fields = fields!(Mapping {
        host: some("*.example.com") => Runs,
        base_path: s("other") => Runs,
        stage: None => Runs,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut model.apis[0].mappings[0], fields);
    let fields = fields!(Domain {
        name: s("other.example.com") => Runs,
        routing_mode: RoutingMode::RuleOnly => Runs,
        rules: vec![] => Runs,
        endpoint: EndpointType::Private => Refused("private"),
        ip_address_type: IpAddressType::Dualstack => Kept,
        endpoint_access_mode: EndpointAccessMode::Strict => Runs,
        health: false => Runs,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut model.domains[0], fields);
    let fields = fields!(RoutingRule {
        priority: 9 => Runs,
        headers: vec![] => Runs,
        base_paths: vec![] => Runs,
        api: s("b") => Refused("`b`"),
        stage: s("other") => Refused("`other`"),
        strip_base_path: false => Runs,
        origin: origin() => Kept,
    });
    check(&base(), |model| &mut model.domains[0].rules[0], fields);
}
