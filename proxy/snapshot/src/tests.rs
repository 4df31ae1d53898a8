//! Whole models compiled: what stages and canaries come to.

mod context;
mod fates;
mod places;

use std::sync::Arc;

use message::{Authority, Method, PathRules, Request, RequestId, Target};
use model::{Definition, Deployment, Integration, Kind, Mock, Model, RouteKey};

use crate::{Canary, Inputs, Slots, Snapshot, compile};

/// Compiles without anything outside; what is found.
fn try_compile(model: &Model, slots: &mut Slots) -> (Option<Snapshot>, Vec<model::Diagnostic>) {
    let mut inputs = Inputs {
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        leaf: &|_| panic!("no listener of these tests has TLS"),
        tickets: &tls::Tickets::new(),
        slots,
        before: None,
        generation: 1,
        unix_s: 0,
        progress: progress::Progress::silent(),
    };
    compile(model, &mut inputs)
}

fn compiled(model: &Model, slots: &mut Slots) -> Snapshot {
    let (snapshot, found) = try_compile(model, slots);
    snapshot.unwrap_or_else(|| panic!("{found:?}"))
}

fn route(key: &str) -> model::Route {
    let (method, path) = key.split_once(' ').unwrap();
    let key = RouteKey::Path { method: Some(method.into()), path: path.into() };
    model::Route::new(key, Integration::Mock(Mock { status: 200, headers: Vec::new(), body: String::new() }))
}

fn deployment(id: &str, keys: &[&str]) -> Deployment {
    let routes = keys.iter().map(|key| route(key)).collect();
    Deployment {
        id: id.into(),
        description: None,
        created_unix_s: 0,
        definition: Arc::new(Definition { routes, ..Definition::default() }),
        cache_id: id.into(),
    }
}

fn canary(percent: f64, deployment: Option<Deployment>) -> model::Canary {
    model::Canary { percent, deployment, variables: Vec::new(), use_stage_cache: false, judge: None }
}

fn model(stage: model::Stage) -> Model {
    let mut api = model::Api::new("a", Kind::Rest);
    api.stages = vec![model::Stage { name: "prod".into(), ..stage }];
    Model { apis: vec![api], ..Model::default() }
}

fn request(path: &str) -> Request {
    Request {
        method: Method::from_token("GET"),
        target: Target::parse(path.as_bytes(), PathRules::default()).unwrap(),
        authority: Authority::parse(b"api.example").unwrap(),
        ..Request::default()
    }
}

/// An id that draws this number.
fn id(draw: u32) -> RequestId {
    let mut bytes = [0x5a; 16];
    bytes[..4].copy_from_slice(&draw.to_be_bytes());
    RequestId::new(bytes)
}

#[track_caller]
fn check(percent: f64, threshold: u64) {
    assert_eq!(Canary::threshold(percent), threshold, "{percent} %");
}

#[test]
fn a_percentage_is_a_share_of_all_draws() {
    check(0.0, 0);
    check(100.0, 1 << 32);
    check(50.0, 1 << 31);
    check(0.1, 4_294_967);
    check(12.5, 1 << 29);
    check(-1.0, 0);
    check(1e9, 1 << 32);
    check(f64::NAN, 0);
}

/// Rows 30, 31: which of both a request finds depends on its own id alone; the canary has names and slots of its own.
#[test]
fn a_request_finds_the_stage_or_its_canary() {
    let stage = model::Stage {
        deployment: Some(deployment("old000", &["GET /x", "GET /old"])),
        canary: Some(canary(25.0, Some(deployment("new000", &["GET /x", "GET /new"])))),
        ..model::Stage::default()
    };
    let mut slots = Slots::default();
    let snapshot = compiled(&model(stage), &mut slots);
    let look = |draw: u32, path: &str| {
        let mut request = request(path);
        let found = snapshot.find(&mut request, id(draw)).unwrap();
        let slot = found.route.ok().map(|(route, _)| route.slot);
        (found.stage.is_canary, found.stage.deployment.clone(), slot)
    };
    let edge = 1 << 30;
    let (is_canary, deployment, slot_of_canary) = look(edge - 1, "/prod/x");
    assert_eq!((is_canary, &*deployment), (true, "new000"));
    let (is_canary, deployment, slot) = look(edge, "/prod/x");
    assert_eq!((is_canary, &*deployment), (false, "old000"));
    assert!(slot.is_some() && slot_of_canary.is_some() && slot != slot_of_canary);
    assert!(look(0, "/prod/new").2.is_some() && look(0, "/prod/old").2.is_none());
    assert!(look(u32::MAX, "/prod/new").2.is_none() && look(u32::MAX, "/prod/old").2.is_some());
    let label = |slot: Option<u32>| {
        let labels = snapshot.labels.routes[slot.unwrap() as usize].as_ref().unwrap();
        (labels.stage.clone(), labels.route.clone())
    };
    assert_eq!(label(slot), ("prod".into(), "GET /x".into()));
    assert_eq!(label(slot_of_canary), ("prod/Canary".into(), "GET /x".into()));
    // Once it is promoted the stage's routes have the slots that they had.
    let promoted = model::Stage {
        deployment: Some(self::deployment("new000", &["GET /x", "GET /new"])),
        ..model::Stage::default()
    };
    let after = compiled(&model(promoted), &mut slots);
    let mut request = request("/prod/x");
    let found = after.find(&mut request, id(0)).unwrap();
    assert_eq!((found.route.unwrap().0.slot, found.stage.is_canary), (slot.unwrap(), false));
}

/// A frozen definition's own limits widen what the codec takes, though no file says them any more.
#[test]
fn limits_of_what_is_frozen_count() {
    let mut frozen = deployment("old000", &["GET /x"]);
    let definition = Arc::make_mut(&mut frozen.definition);
    let limits = model::Limits { target_bytes_max: 60_000, ..model::Limits::default() };
    definition.routes[0].limits = Some(limits);
    let stage = model::Stage { canary: Some(canary(1.0, Some(frozen))), ..model::Stage::default() };
    assert_eq!(compiled(&model(stage), &mut Slots::default()).head.target_bytes_max, 60_000);
}

/// A model of an API, as text.
fn body_model(name: &str, schema: &str) -> model::BodyModel {
    model::BodyModel {
        name: name.into(),
        description: None,
        content_type: "application/json".into(),
        schema: schema.into(),
        origin: None,
    }
}

/// What is said of an API with these models and one route whose requests are so.
#[track_caller]
fn check_rules(models: &[(&str, &str)], request: model::RequestRules, expected: &[&str]) {
    let validator = |name: &str, body, parameters| model::RequestValidator {
        name: name.into(),
        body,
        parameters,
        origin: None,
    };
    let definition = Definition {
        routes: vec![model::Route { request, ..route("GET /pets/{id}") }],
        models: models.iter().map(|(name, schema)| body_model(name, schema)).collect(),
        validators: vec![validator("all", true, true), validator("none", false, false)],
        ..Definition::default()
    };
    let mut api = model::Api::new("a", Kind::Rest);
    api.definition = definition;
    let stage = |name: &str| model::Stage { name: name.into(), ..model::Stage::default() };
    api.stages = vec![stage("prod"), stage("test")];
    let mut slots = Slots::default();
    let mut inputs = Inputs {
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        leaf: &|_| panic!("no listener of these tests has TLS"),
        tickets: &tls::Tickets::new(),
        slots: &mut slots,
        before: None,
        generation: 1,
        unix_s: 0,
        progress: progress::Progress::silent(),
    };
    let (snapshot, found) = compile(&Model { apis: vec![api], ..Model::default() }, &mut inputs);
    let mut said: Vec<_> = found.iter().map(|it| format!("{}: {}", it.key, it.message)).collect();
    said.dedup();
    assert_eq!(said, expected);
    assert_eq!(snapshot.is_some(), expected.is_empty());
}

/// Rows 112 and 113: what is wrong is told when it is deployed.
#[test]
fn models_and_validators() {
    let rules = |models: &[(&str, &str)], parameter: &str, validator: &str| model::RequestRules {
        parameters: vec![model::RequestParameter {
            place: model::ParameterPlace::Path,
            name: parameter.into(),
            required: true,
        }],
        models: models.iter().map(|(media, name)| ((*media).into(), (*name).into())).collect(),
        validator: Some(validator.into()),
    };
    let pet = ("Pet", r#"{"type": "object", "properties": {"name": {"type": "string"}}}"#);
    check_rules(&[pet], rules(&[("application/json", "Pet"), ("$default", "Empty")], "id", "all"), &[]);
    check_rules(&[], rules(&[("application/json", "Error")], "id", "all"), &[]);
    // Nobody looks.
    check_rules(&[], rules(&[], "name", "none"), &[]);
    check_rules(
        &[pet],
        rules(&[("application/json", "Pets")], "name", "some"),
        &[
            "GET /pets/{id}: request: there is no model `Pets`",
            "GET /pets/{id}: request: there is no validator `some`",
            "GET /pets/{id}: request: there is no model `Pets`",
            "GET /pets/{id}: request: there is no validator `some`",
        ],
    );
    check_rules(
        &[pet],
        rules(&[], "name", "all"),
        &["GET /pets/{id}: request: `name` is required, and no variable of the path"],
    );
    check_rules(
        &[("Pet", r#"{"type": "obj"}"#), ("Order", r#"{"items": {"$ref": "Pet"}}"#)],
        rules(&[("application/json", "Pet")], "id", "all"),
        &[
            "model: the model `Order` at #/items/$ref: `Pet` leads nowhere; it has to begin with `#`, or to be \
             `https://apigateway.amazonaws.com/restapis/ID/models/NAME`",
            "model: the model `Pet` at #/type: there are the types array, boolean, integer, null, number, object and string",
        ],
    );
}

/// What can't be run of what was frozen is told by the deployment's name: no file says it any more.
#[test]
fn mistakes_of_what_is_frozen_name_the_deployment() {
    let mut frozen = deployment("old000", &["GET /x"]);
    let calls = Integration::Http { upstream: "gone".into(), path: None, strip_prefix: None };
    Arc::make_mut(&mut frozen.definition).routes[0].integration = calls;
    let stage = model::Stage { deployment: Some(frozen), ..model::Stage::default() };
    let (snapshot, found) = try_compile(&model(stage), &mut Slots::default());
    assert!(snapshot.is_none());
    let help = found[0].help.as_deref().unwrap();
    assert!(
        help.starts_with("that is in deployment `old000`, which stage `prod` of API `a` runs"),
        "{found:?}"
    );
}
