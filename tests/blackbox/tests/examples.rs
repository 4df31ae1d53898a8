//! The examples that ship, as running gateways: they do what their words promise.

use harness::{Act, Gateway, Origin, Response};

over_both! {
    the_rest_api
    the_http_api
}

/// An example without its listener, and with these backends in the place of its own.
fn example(name: &str, backends: &[(&str, &Origin)]) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/examples").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let (before, listener) = text.split_once("[[listener]]").unwrap();
    let (_, after) = listener.split_once("\n\n").unwrap();
    let mut text = format!("{before}\n{after}");
    for (address, origin) in backends {
        assert!(text.contains(address), "{address} in {name}");
        text = text.replace(address, &origin.address().to_string());
    }
    text
}

#[track_caller]
fn check(answer: &Response, status: u16, body: &str) {
    assert_eq!((answer.status, &*answer.text()), (status, body));
}

fn the_rest_api() {
    let origin = |status| {
        let fields = [("location", "/v1/animals/7"), ("x-secret", "1")];
        let answer = Act::answer(status, &fields, r#"{"number":7}"#);
        Origin::start(move |_| vec![Act::ReadBody, answer.clone()])
    };
    let (store, full) = (origin(200), origin(409));
    let gateway =
        Gateway::start(&example("rest.toml", &[("127.0.0.1:9001", &store), ("127.0.0.1:9002", &full)]));

    check(&gateway.ask("GET /prod/pets/7?x=1"), 200, r#"{"number":7}"#);
    assert_eq!(store.requests()[0].target(), "/v1/animals/7?x=1");

    let json = "content-type: application/json";
    let created = gateway.ask_with_body(&format!("POST /prod/pets\n{json}"), br#"{"name":"Tom","price":3}"#);
    check(&created, 201, r#"{"id": 7}"#);
    assert_eq!((created.field("location"), created.field("x-secret")), (Some("/v1/animals/7"), None));
    let put = &store.requests()[1];
    assert_eq!(put.line(), "PUT /v1/animals HTTP/1.1");
    assert_eq!(String::from_utf8_lossy(&put.body), "{\"label\": \"Tom\", \"cents\": 3}");
    assert!(put.field("x-request-id").is_some(), "{put:?}");

    let refused = gateway.ask_with_body(&format!("POST /test/pets\n{json}"), br#"{"name":"Tom","price":3}"#);
    assert_eq!(refused.status, 502);
    assert!(
        refused.text().starts_with(r#"{"error": "the store says no", "request": ""#),
        "{}",
        refused.text()
    );
    let invalid = gateway.ask_with_body(&format!("POST /prod/pets\n{json}"), br#"{"name":"Tom"}"#);
    assert_eq!((invalid.status, &*invalid.message()), (422, "Invalid request body"));
    assert!(invalid.text().contains(r#", "request": ""#), "{}", invalid.text());
    assert_eq!(invalid.field("access-control-allow-origin"), None, "its own kind counts alone");
    let other = gateway.ask_with_body("POST /prod/pets\ncontent-type: text/plain", b"Tom");
    assert_eq!((other.status, &*other.message()), (415, "Unsupported Media Type"));
    assert_eq!(other.field("access-control-allow-origin"), Some("*"));
    let nowhere = gateway.ask("GET /prod/nowhere");
    assert_eq!((nowhere.status, &*nowhere.message()), (403, "Missing Authentication Token"));
    assert_eq!(nowhere.field("access-control-allow-origin"), Some("*"));
    assert_eq!(store.requests().len(), 2, "neither reached the backend");

    for (stage, origin) in [("prod", &store), ("test", &full)] {
        let about = format!("{{\"stage\": \"{stage}\", \"store\": \"{}\"}}", origin.address());
        check(&gateway.ask(&format!("GET /{stage}/about")), 200, &about);
    }
}

fn the_http_api() {
    let orders = Origin::fixed("an order");
    let gateway = Gateway::start(&example("http.toml", &[("127.0.0.1:9001", &orders)]));
    check(&gateway.ask("GET /orders/7?x=1"), 200, "an order");
    check(&gateway.ask_with_body("POST /orders", b"{}"), 200, "an order");
    let targets: Vec<_> = orders.requests().iter().map(|asked| asked.target().to_owned()).collect();
    assert_eq!(targets, ["/v1/orders/7?x=1", "/v1/orders"]);
    check(&gateway.ask("GET /elsewhere"), 404, "no such thing");
    let preflight =
        gateway.ask("OPTIONS /orders\norigin: https://a.example\naccess-control-request-method: POST");
    assert_eq!((preflight.status, preflight.field("access-control-allow-origin")), (204, Some("*")));
}
