//! Requests and what is told of them, over one configuration of three kinds of APIs.

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

/// A REST API with a canary's stage, an HTTP API, plain routes.
const CONFIG: &str = r##"
[[listener]]
name = "plain"
address = "127.0.0.1:8080"
plain = true

[[api]]
name = "shop"
kind = "rest"
hosts = ["shop.example"]

[[api.stage]]
name = "prod"
variables = { store = "127.0.0.1:9001" }
throttle = { rate = "3/s", burst = 5 }

[api.stage.canary]
percent = 12.5
variables = { store = "127.0.0.1:9002" }

[[api.model]]
name = "Pet"
schema = '{"type": "object", "required": ["name"]}'

[[api.route]]
key = "GET /pets/{id}"
integration = { type = "http_proxy", url = "http://${stageVariables.store}/v1/{id}" }
cache = { ttl = "60s" }

[[api.route]]
key = "POST /pets"
request_models = "Pet"
validate = "body"

[api.route.integration]
type = "http"
url = "http://${stageVariables.store}/pets"
passthrough = "never"
request_templates = '{"label": $input.json("$.name")}'

[[api.route.integration.response]]
status = 201

[[api.route.integration.response]]
pattern = '4\d\d'
status = 502
templates = '{"why": "$input.path("$.why")"}'

[[api.route]]
key = "ANY /files/{proxy+}"
integration = { type = "http_proxy", url = "http://${stageVariables.store}/{proxy}" }

[[api.route]]
key = "POST /broken"

[api.route.integration]
type = "mock"
request_templates = """{
$util.parseJson('{').x}"""

[[api.route.integration.response]]
status = 200

[[api]]
name = "orders"
kind = "http"
hosts = ["orders.example"]
cors = "*"

[[api.stage]]
name = "$default"

[[api.route]]
key = "ANY /orders/{id}"
integration = { type = "http_proxy", url = "http://127.0.0.1:9003/o/{id}" }

[[api.route]]
key = "$default"
integration = { type = "mock", status = 404, body = "no such thing" }
"##;

fn asked(file: &str, words: &[&str]) -> Result<Explain> {
    let words: Vec<_> = ["floodgate", "explain", file].iter().chain(words).copied().collect();
    match Cli::try_parse_from(words)?.command {
        Some(Command::Explain(asked)) => Ok(*asked),
        other => anyhow::bail!("{other:?}"),
    }
}

/// The route, what the backend is sent or the status, and whatever else is to be found in what people read.
#[track_caller]
fn check(file: &str, words: &str, route: Option<&str>, came: &str, parts: &[&str]) {
    let words: Vec<_> = words.split(' ').map(|word| word.replace('_', " ")).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let told = look(&asked(file, &words).unwrap()).unwrap();
    let shown = shown::text(&told);
    assert_eq!(told.route.as_ref().map(|it| &*it.what), route, "{shown}");
    let sent = told.sent.as_ref().filter(|_| told.answer.is_none());
    let sent = sent.map(|it| format!("{} {}", it.backends[0], it.head.lines().next().unwrap_or_default()));
    let status = told.answer.as_ref().map(|it| it.status.to_string());
    assert_eq!(sent.or(status).as_deref(), Some(came), "{shown}");
    for part in parts {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    // What programs are told is the same.
    let value = shown::value(&told);
    assert_eq!(value["route"]["what"].as_str(), route);
    assert_eq!(value["answer"]["status"].as_u64(), told.answer.map(|it| it.status.into()));
}

/// Rows 23 to 25, 30, 33, 36, 113, 117, 120, 122, 129, 137. A `_` is a blank.
#[test]
fn requests_are_explained() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let file = file.to_str().unwrap();
    let line = |text: &str| CONFIG.lines().position(|line| line == text).unwrap() + 1;
    let at = |text: &str| format!("a.toml:{}]", line(text));
    check(
        file,
        "http://shop.example:8080/prod/./pets/7?x=1 -H Accept:_text/html",
        Some("GET /pets/{id}"),
        "http://127.0.0.1:9001 GET /v1/7?x=1 HTTP/1.1",
        &[
            "`shop.example`: the mapping of shop.example, `/`",
            "API          `shop`, REST API",
            "stage        prod",
            "variables: store = 127.0.0.1:9001",
            "target       /pets/7?x=1",
            "id = 7",
            "12.5 % of the stage's requests are its canary's",
            "2 throttle      stage: 3 requests a second, 5 at once → passes",
            &at("throttle = { rate = \"3/s\", burst = 5 }"),
            "3 cache         GET is kept for 60 s; nothing tells answers apart → asks the cache, which is empty here, then passes",
            &at("cache = { ttl = \"60s\" }"),
            "integration  HTTP_PROXY, 29000 ms at most",
            "> Accept: text/html",
            "POST /pets: the path goes on with segment 2, `7`",
        ],
    );
    check(
        file,
        "http://shop.example:8080/prod/pets/7 --canary",
        Some("GET /pets/{id}"),
        "http://127.0.0.1:9002 GET /v1/7 HTTP/1.1",
        &["stage        prod, its canary", "the stage's canary, which has 12.5 % of its requests"],
    );
    check(
        file,
        "http://shop.example:8080/prod/files/a/b -X PATCH",
        Some("ANY /files/{proxy+}"),
        "http://127.0.0.1:9001 PATCH /a/b HTTP/1.1",
        &["proxy = a/b", "GET /pets/{id}: segment 1 is `files`, not `pets`"],
    );
    check(
        file,
        "http://shop.example:8080/prod/pets -d {\"name\":1}",
        Some("POST /pets"),
        "http://127.0.0.1:9001 POST /pets HTTP/1.1",
        &[
            "3 validation    the body is what the model of application/json says → has the body read, then passes",
            "| {\"label\": 1}",
        ],
    );
    check(
        file,
        "http://shop.example:8080/prod/pets -d {} --response 200",
        Some("POST /pets"),
        "400",
        &["refuses: invalid_body: [object has missing required properties ([\"name\"])]", "BAD_REQUEST_BODY"],
    );
    check(
        file,
        "http://shop.example:8080/prod/pets -d {\"name\":1} -H Content-Type:_text/xml",
        Some("POST /pets"),
        "415",
        &["request body: refused: unsupported_media_type"],
    );
    check(
        file,
        "http://shop.example:8080/prod/pets -d {\"name\":1} --response 404 --response-body {\"why\":\"gone\"}",
        Some("POST /pets"),
        "502",
        &[
            "response 2, of /4\\d\\d/, takes the status 404: the template for application/json renders",
            "| {\"why\": \"gone\"}",
            &format!("a.toml:{}]", line("pattern = '4\\d\\d'") - 1),
        ],
    );
    check(
        file,
        "http://shop.example:8080/prod/broken -d {}",
        Some("POST /broken"),
        "500",
        &["the template for application/json fails at 2:", "| $util.parseJson('{').x}", "api_configuration"],
    );
    check(
        file,
        "http://shop.example:8080/prod/pets/7 -X DELETE",
        None,
        "403",
        &[
            "no_route, MISSING_AUTHENTICATION_TOKEN",
            "x-amzn-ErrorType: MissingAuthenticationTokenException",
            "GET /pets/{id}: takes the path, with another method",
        ],
    );
    check(
        file,
        "http://shop.example:8080/beta/x",
        None,
        "403",
        &["`/beta/x` names no stage of the API: it has `prod`"],
    );
    check(
        file,
        "http://nobody.example:8080/x",
        None,
        "403",
        &[
            "`nobody.example`: nothing is mapped there",
            "API `shop`: the mapping of shop.example, `/`: another host",
        ],
    );
    check(
        file,
        "http://orders.example:8080/orders/3 -X PUT",
        Some("ANY /orders/{id}"),
        "http://127.0.0.1:9003 PUT /o/3 HTTP/1.1",
        &["HTTP API", "1 cors", "$default: takes what no other does"],
    );
    check(
        file,
        "http://orders.example:8080/x",
        Some("$default"),
        "404",
        &["ANY /orders/{id}: segment 1 is `x`, not `orders`"],
    );
    check(
        file,
        "http://orders.example:8080/x -X OPTIONS -H Origin:_https://a.example -H Access-Control-Request-Method:_PUT",
        Some("$default"),
        "204",
        &["answers the preflight"],
    );
    check(
        file,
        "http://shop.example:8080/%zz",
        None,
        "400",
        &["it is no request that is served: the target is malformed"],
    );
    check(
        file,
        "https://shop.example/prod/pets/7",
        Some("GET /pets/{id}"),
        "http://127.0.0.1:9001 GET /v1/7 HTTP/1.1",
        &["no listener speaks https at port 443: explained as if it came by `plain`"],
    );
    // What can't be asked is told before anything is read.
    for (words, why) in [
        (&["pets"][..], "`pets` is neither a URL nor a path"),
        (&["/", "-H", "x"], "`x` is no header"),
        (&["/", "-d", "@/nowhere"], "cannot read /nowhere"),
    ] {
        let refused = look(&asked(file, words).unwrap()).unwrap_err();
        assert!(format!("{refused:#}").contains(why), "{refused:#}");
    }
    assert!(asked(file, &["/", "--response-body", "x"]).is_err());
    assert!(asked(file, &["/", "--state", "x", "--socket", "y"]).is_err());
}
