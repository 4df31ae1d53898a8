//! `floodgate explain` from outside: what it says is what is served, of what a file says and of what is deployed, and `export` of that.

use std::{
    fs,
    process::{Command, Output},
};

use harness::{Act, Gateway, Origin, Recorded, eventually, gateway_binary};
use serde_json::Value;
use tempfile::TempDir;

over_both! { what_is_explained_is_what_is_served }

/// A REST API with templates, an HTTP API with `$default` and `ANY`, plain routes.
fn config(origin: &str) -> String {
    format!(
        r##"
[upstream.store]
targets = ["{origin}"]

[[route]]
match = "GET /plain/{{rest+}}"
upstream = "store"

[[api]]
name = "shop"
kind = "rest"
base_path = "shop"

[[api.stage]]
name = "prod"
variables = {{ version = "v1" }}

[[api.model]]
name = "Pet"
schema = '{{"type": "object", "required": ["name"]}}'

[[api.route]]
key = "GET /pets/{{id}}"
integration = {{ type = "http_proxy", url = "{origin}/${{stageVariables.version}}/animals/{{id}}" }}

[[api.route]]
key = "POST /pets"
request_models = "Pet"
validate = "body"

[api.route.integration]
type = "http"
url = "{origin}/animals"
http_method = "PUT"
passthrough = "never"
request_parameters = {{ "integration.request.header.x-stage" = "context.stage" }}
request_templates = '{{"label": $input.json("$.name")}}'

[[api.route.integration.response]]
status = 201
templates = '{{"id": $input.json("$.number")}}'

[[api.route]]
key = "ANY /files/{{proxy+}}"
integration = {{ type = "http_proxy", url = "{origin}/disk/{{proxy}}" }}

[[api.route]]
key = "POST /broken"

[api.route.integration]
type = "mock"
request_templates = "$util.parseJson('{{')"

[[api.route.integration.response]]
status = 200

[[api.route]]
key = "GET /closed"
throttle = {{ rate = "0/s" }}
integration = {{ type = "http_proxy", url = "{origin}/closed" }}

[[api]]
name = "orders"
kind = "http"
base_path = "orders"
cors = "*"

[[api.stage]]
name = "$default"

[[api.route]]
key = "ANY /{{id}}"
integration = {{ type = "http_proxy", url = "{origin}/o/{{id}}" }}

[[api.route]]
key = "$default"
integration = {{ type = "mock", status = 404, body = "no such thing" }}
"##
    )
}

/// What is asked: method and target, headers, body.
const ASKED: &[(&str, &[&str], &str)] = &[
    ("GET /plain/a/../b%2e?x=1&y", &["accept: text/plain"], ""),
    ("HEAD /plain/a", &[], ""),
    ("GET /plain", &[], ""),
    ("GET /shop/prod/pets/7?x=1", &["x-a: b", "authorization: AWS4-HMAC-SHA256 x"], ""),
    ("GET /shop/prod/pets/7/", &[], ""),
    ("DELETE /shop/prod/pets/7", &[], ""),
    ("DELETE /shop/prod/pets/7", &["authorization: Bearer x"], ""),
    ("POST /shop/prod/pets", &["content-type: application/json"], "{\"name\": \"Rex\"}"),
    ("POST /shop/prod/pets", &["content-type: application/json"], "{}"),
    ("POST /shop/prod/pets", &["content-type: text/xml"], "<a/>"),
    ("PATCH /shop/prod/files/a/b%20c", &["x-http-method-override: PUT"], "text"),
    ("GET /shop/prod/files", &[], ""),
    ("POST /shop/prod/broken", &[], "{}"),
    ("GET /shop/prod/closed", &[], ""),
    ("GET /shop/beta/pets/7", &[], ""),
    ("GET /shop/prod/pets/7?a|b", &[], ""),
    ("GET /nowhere", &[], ""),
    ("PUT /orders/3", &["origin: https://a.example"], "x"),
    ("GET /orders/3/4", &[], ""),
    ("OPTIONS /orders/3", &["origin: https://a.example", "access-control-request-method: PUT"], ""),
];

/// What a backend answers to everything.
const ANSWER: &str = "{\"number\": 3}";

#[track_caller]
fn explained(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The fields of a request that a backend sees, as HTTP/2 writes them, without what is another for each request and each version of
/// HTTP.
fn fields(head: &str) -> Vec<String> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let is_own = |name: &str| matches!(name, "x-amzn-trace-id" | "via" | "forwarded");
    let mut fields: Vec<_> =
        fields.filter(|(name, _)| !is_own(name)).map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    fields
}

/// One request is explained and asked: status, body, what the backend sees, and which route counts it.
#[track_caller]
fn check(gateway: &Gateway, origin: &Origin, (asked, headers, body): &(&str, &[&str], &str)) {
    let (method, target) = asked.split_once(' ').unwrap();
    let url = gateway.url(target);
    let mut words = vec!["explain", "--json", "-X", method, &url, "-H", "Host: gateway.test"];
    words.extend(headers.iter().flat_map(|header| ["-H", header]));
    words.extend(["--response", "200", "--response-header", "Content-Type: application/json"]);
    words.extend(["--response-body", if method == "HEAD" { "" } else { ANSWER }]);
    if !body.is_empty() {
        words.extend(["-d", body]);
    }
    let told = explained(&gateway.command(&words));
    // A preflight that is answered is no route's.
    let is_preflight = told["policies"][0]["says"][0] == "answers the preflight";
    let route = told["route"]["what"].as_str().filter(|_| !is_preflight);
    let counted = |route: &str| gateway.metrics().sum("floodgate_requests_total", &[("route", route)]);
    let counted_before = route.map_or(0.0, counted);
    let before = origin.requests().len();
    let request = [&[*asked][..], headers].concat().join("\n");
    let response = gateway.ask_with_body(&request, body.as_bytes());
    let answer = &told["answer"];
    assert_eq!(answer["status"], response.status, "{asked}: {told:#}");
    assert_eq!(answer["body"], response.text(), "{asked}: {told:#}");
    let seen: Vec<Recorded> = origin.requests_from(before);
    let forwarded = &told["forwarded"];
    assert_eq!(seen.len(), usize::from(!forwarded.is_null()), "{asked}: {told:#}");
    if let [seen] = &seen[..] {
        let head = forwarded["head"].as_str().unwrap();
        assert_eq!(Some(seen.line()), head.lines().next(), "{asked}");
        assert_eq!(fields(&seen.head), fields(head), "{asked}");
        assert_eq!(String::from_utf8_lossy(&seen.body), forwarded["body"].as_str().unwrap(), "{asked}");
    }
    if let Some(route) = route {
        let is_counted = || (counted(route) > counted_before).then_some(());
        eventually(&format!("{asked} is counted by `{route}`"), is_counted);
    }
}

/// Rows 23 to 25, 33, 36, 43, 44, 57, 64, 113, 117, 118, 120, 122, 129, 137.
fn what_is_explained_is_what_is_served() {
    let answer = Act::answer(200, &[("Content-Type", "application/json")], ANSWER);
    let origin = Origin::start(move |_| vec![Act::ReadBody, answer.clone()]);
    let gateway = Gateway::start(&config(&origin.url()));
    ASKED.iter().for_each(|asked| check(&gateway, &origin, asked));
}

fn floodgate(arguments: &[&str]) -> Output {
    Command::new(gateway_binary()).args(arguments).output().unwrap()
}

#[track_caller]
fn said(arguments: &[&str], parts: &[&str]) {
    let output = floodgate(arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    for part in parts {
        assert!(said.contains(part), "{arguments:?}: no {part:?} in {said}");
    }
}

/// The shipped REST example and an OpenAPI document, without any node.
#[test]
fn files_are_explained_without_a_node() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/examples/rest.toml");
    let text = fs::read_to_string(example).unwrap();
    // The route begins in the line before its key.
    let line = text.lines().position(|line| line == "key = \"POST /pets\"").unwrap();
    let place = format!("rest.toml:{line}]");
    let pet = ["-d", "{\"name\": \"Rex\", \"price\": 3}"];
    said(
        &[&["explain", example, "-X", "POST", "/prod/pets"][..], &pet, &["--response", "404"]].concat(),
        &[
            "route        POST /pets  [",
            &*place,
            "the body is what the model of application/json says → has the body read, then passes",
            "| {\"label\": \"Rex\", \"cents\": 3}",
            "forwarded to http://127.0.0.1:9001",
            "> PUT /v1/animals HTTP/1.1",
            "response 2, of /4\\d\\d|5\\d\\d/, takes the status 404",
            "answer       502 Bad Gateway",
        ],
    );
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.json");
    let text = r#"{"openapi": "3.0.0", "info": {"title": "t", "version": "1"},
        "paths": {"/pets/{id}": {"get": {"responses": {"200": {"description": "ok"}}}}}}"#;
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let words = ["explain", file, "--kind", "http", "--backend", "http://127.0.0.1:9/v1", "/pets/3"];
    said(&words, &["HTTP API", "route        GET /pets/{id}", "> GET /v1/pets/3 HTTP/1.1"]);
    let refused = floodgate(&["explain", file, "/pets/3", "--param", "x"]);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    let refused = floodgate(&["explain", "/nowhere.toml", "/"]);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
}

/// Rows 26, 29, 30, 143: what is deployed and not what the file says, of a node that runs and of a folder that it left.
#[test]
fn what_is_deployed_is_explained_and_exported() {
    let api = |body: &str| {
        format!(
            "[[api]]\nname = \"shop\"\nkind = \"http\"\n[[api.stage]]\nname = \"$default\"\n[[api.route]]\n\
             key = \"GET /{body}\"\nintegration = {{ type = \"http_proxy\", url = \"http://127.0.0.1:9/{body}\" }}\n"
        )
    };
    let state = TempDir::new().unwrap();
    let gateway = Gateway::with(&api("one")).state(state.path()).start();
    gateway.configure(&api("two"));
    assert!(gateway.reload().status.success());
    assert!(gateway.command(&["rollback", "--api", "shop", "--stage", "$default"]).status.success());
    let route =
        |target: &str| explained(&gateway.command(&["explain", "--json", target]))["route"]["what"].clone();
    assert_eq!((route("/one"), route("/two")), ("GET /one".into(), Value::Null));
    let history = explained(&gateway.command(&["history", "--json"]));
    let told = explained(&gateway.command(&["explain", "--json", "/one"]));
    assert_eq!(told["deployment"], history["stages"][0]["deployment"]);
    let stage = ["--api", "shop", "--stage", "$default"];
    let paths = |output: &Output| {
        let paths = explained(output)["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        paths.join(" ")
    };
    assert_eq!(paths(&gateway.command(&[&["export"][..], &stage].concat())), "/one");
    let plain = gateway.command(&[&["export", "--extensions", "none"][..], &stage].concat());
    assert!(!String::from_utf8_lossy(&plain.stdout).contains("x-amazon"), "{plain:?}");
    assert!(gateway.command(&[&["deploy", "--canary", "10"][..], &stage].concat()).status.success());
    let canary = explained(&gateway.command(&["explain", "--json", "/two", "--canary"]));
    assert_eq!((&canary["canary"], &canary["route"]["what"]), (&Value::Bool(true), &"GET /two".into()));
    assert_eq!((route("/one"), route("/two")), ("GET /one".into(), Value::Null));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("shop.toml");
    let listener = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:8080\"\nplain = true\n";
    fs::write(&file, format!("{listener}{}", api("two"))).unwrap();
    let (file, state) = (file.to_str().unwrap(), state.path().to_str().unwrap());
    // Its file is the node's for as long as that runs.
    let refused = floodgate(&["explain", file, "/one", "--state", state]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("--socket PATH"), "{why}");
    gateway.end();
    let of_folder = ["export", file, "--state", state];
    assert_eq!(paths(&floodgate(&[&of_folder[..], &stage].concat())), "/one");
    assert_eq!(paths(&floodgate(&[&["export", file][..], &stage].concat())), "/two");
    said(&["explain", file, "/one", "--state", state], &["route        GET /one", ", deployment "]);
    said(&["explain", file, "/two"], &["route        GET /two  ["]);
    let nothing = TempDir::new().unwrap();
    let refused = floodgate(&["explain", file, "/one", "--state", nothing.path().to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not exist"), "{refused:?}");
    assert_eq!(fs::read_dir(nothing.path()).unwrap().count(), 0);
}
