//! APIs in AWS's shape: routes with mappings, overrides, templates, models, CORS and answers of the gateway's own, what is asked of each,
//! and how much that may allocate.

use std::net::SocketAddr;

use model::{
    Api, BodyModel, Cors, Declared, Definition, GatewayResponse, GatewayResponseType, Integration,
    IntegrationResponse, IntegrationType, Kind, Mapping, MethodResponse, ParameterPlace, RequestParameter,
    RequestValidator, Route, RouteKey, Stage, Throttle, ThrottlePer,
};

/// A request that is made again and again.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) host: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static str,
    pub(crate) status: &'static str,
    /// What stands in the answer, which is checked once.
    pub(crate) says: &'static str,
}

impl Ask {
    pub(crate) const fn get(host: &'static str, path: &'static str, status: &'static str) -> Self {
        Self { host, method: "GET", path, fields: &[], body: "", status, says: "" }
    }

    const fn post(path: &'static str, body: &'static str, status: &'static str) -> Self {
        let fields = &[("content-type", "application/json")];
        Self { method: "POST", fields, body, ..Self::get("rest.test", path, status) }
    }

    const fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    const fn with(self, fields: &'static [(&'static str, &'static str)]) -> Self {
        Self { fields, ..self }
    }
}

/// What is asked, and allocations of each request: over HTTP/1.1, over HTTP/2. What a validator has to say of a request is put
/// together for it.
pub(crate) const ASKS: [(Ask, usize, usize); 14] = [
    (Ask::get("rest.test", "/prod/proxied/a%20b?q=c%20d&x=1", "200"), 0, 0),
    (Ask::get("rest.test", "/prod/mapped/7?q=1", "201").says("\r\nX-Kept: text/plain"), 0, 0),
    (Ask::post("/prod/overridden/7", ORDER, "202").says("\r\nX-Over: c-102938"), 0, 0),
    (Ask::post("/prod/mocked/7", ORDER, "203").says("{\"id\": \"7\", \"stage\": \"prod\"}"), 0, 0),
    (Ask::post("/prod/rendered/7", ORDER, "200").says("\"Sku\": \"SKU-000789\", \"Count\": 12"), 0, 0),
    (Ask::post("/prod/valid?q=1", ORDER, "200"), 0, 0),
    (Ask::post("/prod/invalid?q=1", ORDER, "400").says("Invalid request body"), 7, 7),
    (Ask::post("/prod/valid", ORDER, "400").says("Missing required request parameters: [q]"), 8, 9),
    (Ask::get("rest.test", "/prod/none", "404").says("{\"why\": \"MISSING_AUTHENTICATION_TOKEN\"}"), 0, 0),
    (Ask::get("rest.test", "/prod/limited", "429"), 0, 0),
    (Ask::get("http.test", "/pets/a%20b?q=1&q=2", "201").says("\r\nx-stage: $default/text/plain"), 0, 0),
    (Ask::get("http.test", "/plain", "200").with(&[("origin", "https://a.test")]), 0, 0),
    (PREFLIGHT, 0, 0),
    (Ask::get("rest.test", "/prod/proxied/7", "200").with(&[("origin", "https://a.test")]), 0, 0),
];

const PREFLIGHT: Ask = Ask {
    method: "OPTIONS",
    fields: &[("origin", "https://a.test"), ("access-control-request-method", "GET")],
    says: "https://a.test",
    ..Ask::get("http.test", "/pets/7", "204")
};

/// 1 KiB.
pub(crate) const ORDER: &str = r#"{
  "customer": {
    "id": "c-102938",
    "name": "Ann O'Neill",
    "email": "Ann.ONeill@Example.COM",
    "vip": true,
    "address": {"street": "12 Long Lane", "city": "Spring\nfield", "zip": "12345", "country": "US", "geo": {"lat": 39.799, "lon": -89.644}},
    "tags": ["newsletter", "returning", "west", "b2c", "paperless"]
  },
  "items": [
    {"sku": "SKU-000123", "count": 2, "price": 19.99, "title": "A garden hose, green, 20 m", "weight_g": 2500},
    {"sku": "SKU-000456", "count": 1, "price": 249.00, "title": "A lawn mower with a long name", "weight_g": 18200},
    {"sku": "SKU-000789", "count": 12, "price": 0.89, "title": "Seeds of poppies", "weight_g": 12}
  ],
  "payment": {"kind": "card", "last4": "4242", "token": "tok_1234567890abcdefghijklmnop", "amount": 299.66, "currency": "USD"},
  "shipping": {"kind": "standard", "promised": "2026-11-30", "carrier": "none yet", "instructions": "Leave it at the green door, please"},
  "source": "web", "campaign": "autumn-gardens", "locale": "en-US", "v": 1
}"#;

/// Twenty lines: picks, loops, conditions, a macro, escapes, overrides, what is known of the request.
const TEMPLATE: &str = r##"#macro(pair $name $value)"$name": "$value"#end
#set($root = $input.path('$'))
#set($customer = $root.customer)
#set($context.requestOverride.header.X-Customer = $customer.id)
{
  "RequestId": "$context.requestId", "Caller": "$context.identity.sourceIp",
  "Order": "$input.params('id')", "Agent": "$input.params().header.get('User-Agent')",
  #pair("Stage" $stageVariables.base),
  "Customer": {
    "Name": "$util.escapeJavaScript($customer.name)",
    "Mail": "$customer.email.toLowerCase()"
#if($customer.vip == true)    ,"Vip": true
#end
  },
  "Address": $input.json('$.customer.address'), "City": "$customer.address.city",
  "Items": [
#foreach($item in $root.items)
    {"Sku": "$item.sku", "Count": $item.count, "Price": $item.price, "Sum": "$item.sku$item.count"}#if($foreach.hasNext),#end
#end
  ], "Note": "$!root.note"
}
"##;

/// Types, names that have to be there, bounds, patterns, an enumeration, a reference, a format.
const MODEL: &str = r##"{
  "type": "object",
  "required": ["customer", "items", "payment"],
  "properties": {
    "customer": {
      "type": "object",
      "required": ["id", "name", "email"],
      "properties": {
        "id": {"type": "string", "pattern": "^c-[0-9]{6}$"},
        "email": {"type": "string", "format": "email"},
        "address": {"$ref": "#/definitions/address"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}
      }
    },
    "items": {"type": "array", "items": {"type": "object", "properties": {
      "sku": {"type": "string", "pattern": "^SKU-\\d+$"},
      "count": {"type": "integer", "minimum": 1, "maximum": 1000},
      "title": {"type": "string", "maxLength": 80}
    }}},
    "payment": {"type": "object", "properties": {
      "kind": {"enum": ["card", "invoice", "cash"]}, "amount": {"type": "number", "multipleOf": 0.01}
    }}
  },
  "definitions": {"address": {"type": "object", "required": ["street"], "properties": {"zip": {"type": "string", "pattern": "^\\d{5}$"}}}}
}"##;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn json(template: &str) -> Vec<(String, String)> {
    pairs(&[("application/json", template)])
}

fn answer(status: u16) -> IntegrationResponse {
    IntegrationResponse {
        selection_pattern: None,
        status,
        parameters: Vec::new(),
        templates: Vec::new(),
        content_handling: None,
        origin: None,
    }
}

fn route(key: &str, integration: Declared) -> Route {
    let (method, path) = key.split_once(' ').unwrap_or(("", key));
    let method = (method != "ANY").then(|| method.to_owned());
    let key = RouteKey::Path { method, path: path.to_owned() };
    Route::new(key, Integration::Declared(Box::new(integration)))
}

/// A REST and an HTTP API in front of this backend.
pub(crate) fn apis(backend: SocketAddr) -> Vec<Api> {
    vec![rest(backend), http(backend)]
}

fn rest(backend: SocketAddr) -> Api {
    let stage = Stage {
        name: "prod".into(),
        variables: pairs(&[("base", "v2"), ("host", &backend.to_string())]),
        cors: Some(cors()),
        ..Stage::default()
    };
    let uri = |path: &str| Some(format!("http://${{stageVariables.host}}/${{stageVariables.base}}{path}"));
    let of = |kind, path: &str| Declared { uri: uri(path), ..Declared::new(kind) };
    let mapped = pairs(&[
        ("integration.request.path.id", "method.request.path.id"),
        ("integration.request.path.base", "stageVariables.base"),
        ("integration.request.header.x-id", "method.request.path.id"),
        ("integration.request.header.x-request", "context.requestId"),
        ("integration.request.header.x-agent", "method.request.header.user-agent"),
        ("integration.request.querystring.p", "method.request.querystring.q"),
        ("integration.request.querystring.s", "'a literal'"),
    ]);
    let taken = || {
        let known = [
            (ParameterPlace::Path, "id"),
            (ParameterPlace::Header, "user-agent"),
            (ParameterPlace::QueryString, "q"),
        ];
        let parameter = |(place, name): (_, &str)| RequestParameter {
            place,
            name: name.to_owned(),
            required: place == ParameterPlace::QueryString,
        };
        known.map(parameter).to_vec()
    };
    let method_response = |status, name: &str| MethodResponse {
        status,
        headers: vec![(name.to_owned(), false)],
        models: Vec::new(),
    };
    let with = |mut route: Route, responses: Vec<MethodResponse>| {
        (route.request.parameters, route.responses) = (taken(), responses);
        route
    };
    let kept = pairs(&[("method.response.header.X-Kept", "integration.response.header.content-type")]);
    let overridden = "#set($context.requestOverride.header.x-id = $input.path('$.customer.id'))\
        #set($context.requestOverride.path.id = 'over ridden')\
        #set($context.requestOverride.querystring.q = [1, 'two'])\
        #set($context.responseOverride.header.X-Over = $input.path('$.customer.id'))\
        #set($context.responseOverride.status = 202){}";
    let rendered = IntegrationResponse {
        templates: json(&TEMPLATE.replace("requestOverride", "responseOverride")),
        ..answer(200)
    };
    let mocked = IntegrationResponse {
        templates: json(r#"{"id": "$input.params('id')", "stage": "$context.stage"}"#),
        ..answer(203)
    };
    let validated = |key: &str, models: &str| {
        let mut route = route(key, of(IntegrationType::HttpProxy, "/plain"));
        route.request.parameters =
            vec![RequestParameter { place: ParameterPlace::QueryString, name: "q".into(), required: true }];
        route.request.models = vec![("application/json".into(), models.into())];
        route.request.validator = Some("all".into());
        route
    };
    let limited = Throttle { rate: 0.001, burst: Some(1), per: ThrottlePer::All, origin: None };
    let routes = vec![
        with(
            route(
                "GET /proxied/{id}",
                Declared {
                    request_parameters: mapped.clone(),
                    ..of(IntegrationType::HttpProxy, "/{base}/{id}")
                },
            ),
            Vec::new(),
        ),
        with(
            route(
                "GET /mapped/{id}",
                Declared {
                    request_parameters: mapped,
                    responses: vec![IntegrationResponse { parameters: kept, ..answer(201) }],
                    ..of(IntegrationType::Http, "/{base}/{id}?own=1")
                },
            ),
            vec![method_response(201, "X-Kept")],
        ),
        with(
            route(
                "POST /overridden/{id}",
                Declared {
                    request_parameters: pairs(&[("integration.request.path.id", "method.request.path.id")]),
                    request_templates: json(overridden),
                    responses: vec![answer(200)],
                    ..of(IntegrationType::Http, "/{id}")
                },
            ),
            vec![method_response(200, "X-Over")],
        ),
        with(
            route(
                "POST /mocked/{id}",
                Declared {
                    request_templates: json("#set($status = 200){\"statusCode\": $status}"),
                    responses: vec![mocked],
                    ..Declared::new(IntegrationType::Mock)
                },
            ),
            vec![method_response(203, "X")],
        ),
        with(
            route(
                "POST /rendered/{id}",
                Declared {
                    request_templates: json(TEMPLATE),
                    responses: vec![rendered],
                    ..of(IntegrationType::Http, "/order")
                },
            ),
            vec![method_response(200, "X-Customer")],
        ),
        validated("POST /valid", "Order"),
        validated("POST /invalid", "Nothing"),
        Route { throttles: vec![limited], ..route("GET /limited", of(IntegrationType::HttpProxy, "/plain")) },
    ];
    let model = |name: &str, schema: &str| BodyModel {
        name: name.into(),
        description: None,
        content_type: "application/json".into(),
        schema: schema.into(),
        origin: None,
    };
    let missing = GatewayResponse {
        kind: GatewayResponseType::MissingAuthenticationToken,
        status: Some(404),
        parameters: pairs(&[
            ("gatewayresponse.header.x-path", "method.request.header.user-agent"),
            ("gatewayresponse.header.x-stage", "context.stage"),
        ]),
        templates: json("{\"why\": \"$context.error.responseType\"}"),
        origin: None,
    };
    let definition = Definition {
        routes,
        models: vec![model("Order", MODEL), model("Nothing", r#"{"type": "null"}"#)],
        validators: vec![RequestValidator { name: "all".into(), body: true, parameters: true, origin: None }],
        gateway_responses: vec![missing],
        ..Definition::default()
    };
    let at = Mapping { host: Some("rest.test".into()), base_path: String::new(), stage: None, origin: None };
    Api { mappings: vec![at], stages: vec![stage], definition, ..Api::new("rest", Kind::Rest) }
}

fn http(backend: SocketAddr) -> Api {
    let uri = |path: &str| Some(format!("http://{backend}{path}"));
    let of = |path: &str| Declared { uri: uri(path), ..Declared::new(IntegrationType::HttpProxy) };
    let mapped = Declared {
        request_parameters: pairs(&[
            ("append:header.x-id", "$request.path.id"),
            ("overwrite:header.x-agent", "${request.header.user-agent} of ${context.stage}"),
            ("append:querystring.id", "$request.path.id"),
            ("overwrite:querystring.q", "$request.querystring.q"),
            ("overwrite:path", "/v2/${request.path.id}"),
            ("remove:header.accept", "''"),
        ]),
        response_parameters: vec![(
            200,
            pairs(&[
                ("overwrite:statuscode", "201"),
                ("append:header.x-stage", "${context.stage}/${response.header.content-type}"),
            ]),
        )],
        ..of("/pets/{id}")
    };
    let stage = Stage { name: "$default".into(), ..Stage::default() };
    let definition = Definition {
        routes: vec![route("GET /pets/{id}", mapped), route("GET /plain", of("/plain"))],
        cors: Some(cors()),
        ..Definition::default()
    };
    let at = Mapping {
        host: Some("http.test".into()),
        base_path: String::new(),
        stage: Some("$default".into()),
        origin: None,
    };
    Api { mappings: vec![at], stages: vec![stage], definition, ..Api::new("http", Kind::Http) }
}

fn cors() -> Cors {
    Cors {
        allow_origins: vec!["https://a.test".into()],
        allow_methods: vec!["GET".into(), "POST".into()],
        allow_headers: vec!["content-type".into()],
        expose_headers: vec!["x-id".into()],
        max_age_s: Some(60),
        allow_credentials: true,
        origin: None,
    }
}
