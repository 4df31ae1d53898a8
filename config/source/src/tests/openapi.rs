//! OpenAPI documents among the files: run by themselves, and as what an `[[api]]` is.

use std::path::Path;

use model::{Integration, Kind, Severity};

use super::{Table, model, read};
use crate::{OpenApi, from_openapi};

/// An HTTP API of two routes.
pub(super) const PETS: &str = "openapi: 3.0.1
info: {title: 'Pets & more', version: '1'}
paths:
  /pets: {get: {x-amazon-apigateway-integration: &it {type: http_proxy, httpMethod: GET, uri: 'http://127.0.0.1:1/pets', payloadFormatVersion: '1.0'}}}
  /pets/{id}: {get: {x-amazon-apigateway-integration: *it}}
tags: [{name: team, x-amazon-apigateway-tag-value: pets}]
";

const API: &str = "[[api]]\nname = \"pets\"\nkind = \"http\"\nopenapi = \"pets.yaml\"\n";

fn keys(api: &model::Api) -> Vec<String> {
    api.definition.routes.iter().map(|route| route.key.to_string()).collect()
}

#[test]
fn an_api_is_what_its_document_says() {
    let model = model(API);
    let [api] = &model.apis[..] else { panic!("one API") };
    assert_eq!((&*api.name, api.kind), ("pets", Kind::Http));
    assert_eq!(keys(api), ["GET /pets", "GET /pets/{id}"]);
    assert_eq!(api.stages[0].name, "$default");
    let origin = api.definition.routes[0].origin.as_ref().unwrap();
    assert_eq!((&*origin.file, origin.line), ("pets.yaml", 4));
}

/// What the configuration says goes before what the document says.
#[test]
fn routes_beside_a_document_go_before_its_own() {
    let route = "[[api.route]]\nkey = \"GET /pets\"\nintegration = { type = \"mock\" }\n\
                 [[api.route]]\nkey = \"GET /more\"\nintegration = { type = \"mock\" }\n";
    let model = model(&format!("{API}tags = {{ team = \"other\" }}\n{route}"));
    let api = &model.apis[0];
    assert_eq!(keys(api), ["GET /pets", "GET /pets/{id}", "GET /more"]);
    assert!(
        matches!(api.definition.routes[0].integration, Integration::Mock(_)),
        "{:?}",
        api.definition.routes[0]
    );
    assert_eq!(api.definition.tags, [("team".to_owned(), "other".to_owned())]);
}

/// Row 178: what a document says counts as what the configuration says, and both may be more where that is allowed.
#[test]
fn a_document_is_held_to_the_quotas_of_the_node() {
    let document = PETS.replace("{get: {", "{get: {summary: 'some of them', ");
    let found = |max: usize| {
        let stage = "[[api.stage]]\nname = \"prod\"\n";
        let quotas = format!("[quotas]\nresources = {max}\ndocumentation_parts = {max}\n");
        let text = format!("{}{stage}{quotas}", API.replace("\"http\"", "\"rest\""));
        let files = Table::default().file("f.toml", &text).file("pets.yaml", &document);
        let outcome = crate::load(Path::new("f.toml"), &files);
        let errors = outcome.diagnostics.into_iter().filter(|found| found.severity == Severity::Error);
        errors.map(|found| found.message).collect::<Vec<_>>()
    };
    assert_eq!(found(3), [""; 0]);
    let more =
        ["3 resources", "2 parts of documentation"].map(|what| format!("{what}, at most 1 are allowed"));
    assert_eq!(found(1), more);
}

/// The document is among the files that were read: it is watched, kept, and shown where it is wrong.
#[test]
fn a_document_is_one_of_the_files() {
    let outcome = read(API);
    let names: Vec<_> = outcome.sources.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["f.toml", "pets.yaml"]);
    let broken = PETS.replace("http_proxy", "http");
    let outcome =
        crate::load(Path::new("f.toml"), &Table::default().file("f.toml", API).file("pets.yaml", &broken));
    assert!(outcome.model.is_none());
    let rendered = crate::render(&outcome.diagnostics, &outcome.sources, false);
    assert!(
        rendered.contains("pets.yaml:4:") && rendered.contains("an HTTP API has no integrations"),
        "{rendered}"
    );
    let outcome = crate::load(Path::new("f.toml"), &Table::default().file("f.toml", API));
    let rendered = crate::render(&outcome.diagnostics, &outcome.sources, false);
    assert!(rendered.contains("f.toml:4:11") && rendered.contains("can't read `pets.yaml`"), "{rendered}");
}

#[test]
fn a_document_is_a_gateway() {
    let what = OpenApi { path: "pets.yaml".into(), plain: true, ..OpenApi::default() };
    let outcome = from_openapi(&what, &Table::default().file("pets.yaml", PETS));
    let model = outcome.model.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
    let api = &model.apis[0];
    assert_eq!(api.name, "Pets - more");
    let mappings: Vec<_> = api.mappings.iter().map(|it| (&*it.base_path, it.stage.as_deref())).collect();
    assert_eq!(mappings, [("", Some("default")), ("default", Some("default"))]);
    assert_eq!(model.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(outcome.sources.iter().count(), 1);
    let outcome = from_openapi(&what, &Table::default().file("pets.yaml", "openapi: [3"));
    assert!(outcome.model.is_none() && outcome.diagnostics[0].severity == Severity::Error);
    let outcome = from_openapi(&what, &Table::default());
    assert_eq!(outcome.diagnostics[0].message, "can't read `pets.yaml`: no such file");
}

/// A document, printed as TOML, read again: the same API.
#[test]
fn what_is_imported_is_written_and_read_alike() {
    let what = OpenApi { path: "pets.yaml".into(), ..OpenApi::default() };
    let (imported, ..) = crate::import(&what, &Table::default().file("pets.yaml", PETS));
    let mut api = crate::api_of(imported.unwrap());
    api.definition = api.definition.without_origins();
    let text = crate::write(std::slice::from_ref(&api), &[]);
    let mut again = model(&text).apis.remove(0);
    again.definition = again.definition.without_origins();
    assert_eq!(again.definition, api.definition, "{text}");
    assert_eq!((again.name, again.id, again.kind), (api.name, api.id, api.kind));
}

/// A REST API whose document has a model, a validator, an authorizer, a server with a path and a variable of AWS's.
const SHOP: &str = "openapi: 3.0.1
info: {title: shop, description: 'in ${AWS::Region}'}
servers: [{url: 'https://h/v1/shop'}]
x-amazon-apigateway-request-validators: {all: {validateRequestBody: true, validateRequestParameters: false}}
components:
  schemas: {Item: {type: object}}
  securitySchemes: {users: {type: apiKey, name: A, in: header, x-amazon-apigateway-authorizer: {type: token, authorizerUri: x}}}
paths:
  /items: {get: {responses: {}}}
";

/// An `[[api]]` of that document, which these lines say more of.
fn shop(lines: &str, document: &str) -> crate::Outcome {
    let text =
        format!("[[api]]\nname = \"shop\"\nkind = \"rest\"\n{lines}\n[[api.stage]]\nname = \"prod\"\n");
    let files = Table::default().file("f.toml", &text).file("shop.yaml", document);
    crate::load(Path::new("f.toml"), &files)
}

#[track_caller]
fn check_table(table: &str, path: &str, description: Option<&str>) {
    let outcome = shop(&format!("openapi = {{ file = \"shop.yaml\", backend = \"http://b\"{table} }}"), SHOP);
    let said = super::render_all(&outcome);
    let definition = outcome.model.unwrap_or_else(|| panic!("{said}")).apis.remove(0).definition;
    assert_eq!(definition.routes[0].key.to_string(), format!("GET {path}"));
    assert_eq!(definition.description.as_deref(), description);
    let Integration::Declared(declared) = &definition.routes[0].integration else { panic!("declared") };
    assert_eq!(declared.uri.as_deref(), Some(&*format!("http://b{path}")));
}

/// Rows 138, 139, 142.
#[test]
fn a_document_is_read_as_its_table_says() {
    check_table("", "/items", Some("in us-east-1"));
    check_table(", base_path = \"ignore\", region = \"eu-west-1\"", "/items", Some("in eu-west-1"));
    check_table(", base_path = \"prepend\"", "/v1/shop/items", Some("in us-east-1"));
    check_table(", base_path = \"split\"", "/shop/items", Some("in us-east-1"));
}

#[track_caller]
fn check_refused(lines: &str, expected: &str) {
    let outcome = shop(lines, SHOP);
    let errors = outcome.diagnostics.iter().filter(|it| it.severity == Severity::Error);
    let said: Vec<_> = errors.map(super::line).collect();
    assert!(outcome.model.is_none() && said == [expected], "{said:#?}");
}

#[test]
fn mistakes_in_the_table_of_a_document() {
    let table = |more: &str| format!("openapi = {{ file = \"shop.yaml\", backend = \"http://b\", {more} }}");
    check_refused(
        &table("base_path = \"prefix\""),
        "f.toml:4:67: `prefix` is not known here | write `ignore`, `prepend` or `split`",
    );
    check_refused(&table("account_id = \"1\""), "f.toml:4:68: `1` is no account of AWS | twelve digits");
    check_refused(
        &table("region = \"EU\""),
        "f.toml:4:64: `EU` can't stand in an ARN | write something like `eu-central-1` or `aws`",
    );
    check_refused(
        "openapi = { file = \"shop.yaml\", backend = \"b\" }",
        "f.toml:4:43: `b` is no URL of a backend | it begins with `http://` or `https://`",
    );
}

/// What stands beside a document may name what is in it; while it is refused, anything may be in it.
#[test]
fn names_of_a_document_are_known_beside_it() {
    let route = |more: &str| {
        format!(
            "openapi = {{ file = \"shop.yaml\", backend = \"http://b\" }}\n[[api.route]]\nkey = \"PUT /items\"\n\
             integration.type = \"mock\"\n{more}"
        )
    };
    let all = "request_models = \"Item\"\nvalidator = \"all\"\nauthorization = { authorizer = \"users\" }";
    let outcome = shop(&route(all), SHOP);
    assert!(outcome.model.is_some(), "{}", super::render_all(&outcome));
    let refused = shop(&route(all), "openapi: 3.0.1");
    let mut errors = refused.diagnostics.iter().filter(|it| it.severity == Severity::Error);
    assert!(errors.all(|it| it.origin.as_ref().is_some_and(|it| &*it.file == "shop.yaml")), "{refused:#?}");
    check_refused(
        &route("request_models = \"Itm\""),
        "f.toml:8:18: the API has no model `Itm` | did you mean `Item`?",
    );
    // It is another than what `validate` means, and would be replaced by it.
    check_refused(
        &route("validate = \"all\""),
        "f.toml:8:12: the API has another validator `all` | write `validator = \"all\"`, or rename that one",
    );
}

/// What nothing enforces comes over by name, as TOML too, and is opened by the operator's word alone (row 140).
#[test]
fn security_that_nothing_enforces_is_carried() {
    let document = SHOP
        .replace("{responses: {}}", "{security: [{bearer: []}], responses: {}}")
        .replace("securitySchemes: {", "securitySchemes: {bearer: {type: http, scheme: bearer}, ");
    let asked = |lines: &str| {
        let lines = format!("openapi = {{ file = \"shop.yaml\", backend = \"http://b\" }}\n{lines}");
        let mut model = shop(&lines, &document).model.unwrap();
        model.apis.remove(0).definition.routes.remove(0).unenforced_security
    };
    assert_eq!(asked(""), ["bearer"]);
    assert_eq!(asked("allow_unenforced_security = false"), ["bearer"]);
    assert_eq!(asked("allow_unenforced_security = true"), Vec::<String>::new());
}

/// A deployment is kept as TOML: what its rules refuse is refused when it is read, and not when it is read again.
#[test]
fn what_could_not_be_kept_is_refused() {
    let long = "n".repeat(200);
    let document = SHOP.replace("users:", &format!("{long}:"));
    let outcome = shop("openapi = { file = \"shop.yaml\", backend = \"http://b\" }", &document);
    let said = super::render_all(&outcome);
    assert!(
        outcome.model.is_none() && said.contains("can't be a name") && said.contains("shop.yaml:1:1"),
        "{said}"
    );
}
