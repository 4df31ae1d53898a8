//! The start: whole or not at all, and one clear line when not.

use std::{net::TcpListener, process::Command};

use harness::{Gateway, Refused, gateway_binary};

/// Refused with this code, and one of the lines says this; nobody saw a panic.
#[track_caller]
fn check(refused: Result<Gateway, Refused>, code: i32, parts: &[&str]) {
    let refused = match refused {
        Err(refused) => refused,
        Ok(gateway) => panic!("it started: {}", gateway.said()),
    };
    assert_eq!(refused.code, Some(code), "{refused:#?}");
    for part in parts {
        assert!(refused.stderr.contains(part), "no {part:?} in:\n{}", refused.stderr);
    }
    assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
    assert!(!refused.stdout.contains("floodgate: ready"), "{}", refused.stdout);
}

#[test]
fn a_bad_configuration_is_refused_whole() {
    let config = "[[route]]\nmatch = \"GET /{id\"\nurl = \"http://127.0.0.1:1\"\n[[route]]\nmach = \"GET /\"\nthrottle = { rate = \"10\" }\n";
    let parts = ["floodgate.toml:", "GET /{id", "did you mean `match`?", "10/s"];
    check(Gateway::with(config).try_start(), 2, &parts);
}

#[test]
fn broken_toml() {
    check(Gateway::with("[[route\n").try_start(), 2, &["floodgate.toml:"]);
}

/// Not taken for a file that is not there.
#[test]
fn a_backend_that_is_not_http() {
    let output = Command::new(gateway_binary()).args(["run", "ftp://127.0.0.1:9000"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ftp://127.0.0.1:9000") && said.contains("http:// or https://"), "{said}");
}

#[test]
fn an_occupied_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = format!("[[listener]]\nname = \"second\"\naddress = \"{address}\"\nplain = true\n");
    check(Gateway::with(&config).try_start(), 1, &[&address, "second"]);
}

#[test]
fn a_missing_certificate() {
    let config = "[[certificate]]\nchain = \"/no/such/chain.pem\"\nkey = \"/no/such/key.pem\"\n";
    check(Gateway::with(config).tls().try_start(), 2, &["/no/such/chain.pem"]);
}

#[test]
fn an_unknown_security_policy() {
    let gateway = Gateway::with("").tls().listener("security_policy = \"TLS_1_9\"");
    check(gateway.try_start(), 2, &["TLS_1_9"]);
}

/// Row 112: what is wrong with a model is told when it is deployed, all of it, with its place.
#[test]
fn models_with_mistakes() {
    let config = r##"
[[api]]
name = "shop"
kind = "rest"
[[api.stage]]
name = "prod"
[[api.model]]
name = "Item"
schema = '{ "type": "objekt", "properties": { "a": { "pattern": "(" }, "b": { "$ref": "#/definitions/b" } } }'
[[api.route]]
key = "POST /items"
request_models = "Item"
validate = "body"
integration = { type = "mock", status = 200 }
"##;
    check(
        Gateway::with(config).try_start(),
        2,
        &[
            "floodgate.toml:",
            "the model `Item` at #/type: there are the types array, boolean, integer, null, number, object and string",
            "the model `Item` at #/properties/a/pattern: the pattern `(` can't be used: unclosed group",
            "the model `Item` at #/properties/b/$ref: `#/definitions/b` leads nowhere: there is no `definitions`",
        ],
    );
}

/// What is wrong within models and templates is told beside unknown keys; references may lead to what was not read.
#[test]
fn mistakes_of_all_kinds_at_once() {
    let config = r##"
[[api]]
name = "shop"
kind = "rest"
colour = "red"
[[api.stage]]
name = "prod"
[[api.model]]
name = "Item"
schema = '{ "type": "objekt", "properties": { "b": { "$ref": "#/definitions/b" } } }'
[[api.route]]
key = "POST /items"
[api.route.integration]
type = "http"
url = "http://127.0.0.1:9"
request_templates = "#foreach($i in $list) $i"
"##;
    let refused = Gateway::with(config).try_start();
    if let Err(refused) = &refused {
        assert!(!refused.stderr.contains("leads nowhere"), "{}", refused.stderr);
    }
    check(
        refused,
        2,
        &[
            "unknown key `colour` in `api`",
            "the model `Item` at #/type: there are the types",
            "POST /items: integration.request_templates.application/json:1:1",
            "`#foreach` has no `#end`",
        ],
    );
}

#[test]
fn a_state_folder_that_cannot_be() {
    let config = "[node]\nstate = \"/proc/no/state\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n";
    check(Gateway::with(config).bare().try_start(), 1, &["/proc/no/state"]);
}

#[test]
fn a_state_folder_has_one_owner() {
    let first = Gateway::start("");
    let state = first.state("");
    let config = format!(
        "[node]\nstate = {state:?}\n[admin]\nsocket = {:?}\nlisten = \"127.0.0.1:0\"\n[[listener]]\naddress = \"127.0.0.1:0\"\nplain = true\n",
        first.folder().join("second.sock")
    );
    let named = state.to_str().unwrap().trim_end_matches('/');
    check(Gateway::with(&config).bare().try_start(), 1, &[named]);
    assert_eq!(first.ask_admin("GET /healthz").status, 200);
}

#[test]
fn an_environment_variable_that_is_not_there() {
    let config = "[[route]]\nmatch = \"GET /\"\nurl = \"http://${NO_SUCH_VARIABLE_HERE}:80\"\n";
    check(Gateway::with(config).try_start(), 2, &["NO_SUCH_VARIABLE_HERE"]);
}

#[test]
fn values_come_from_the_environment_and_from_files() {
    let gateway = Gateway::with(
        "[[route]]\nmatch = \"GET /\"\nmock = { status = 200, body = \"${TEST_WORD}, ${NOT_THERE:-else}, $${kept}\" }\n",
    )
    .environment("TEST_WORD", "from outside")
    .start();
    assert_eq!(gateway.ask("GET /").text(), "from outside, else, ${kept}");
}

#[test]
fn check_says_all_and_starts_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("gateway.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(gateway_binary()).arg("check").arg(&file).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    };
    let (code, said) = check(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nmatch = \"GET /\"\nmock = { status = 200 }\n",
    );
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(
        "[[listener]]\nadress = \"127.0.0.1:0\"\n[[route]]\nmatch = \"GET /\"\nmock = { status = 99 }\n",
    );
    assert_eq!(code, Some(2), "{said}");
    for part in ["gateway.toml:2:1", "did you mean `address`?", "gateway.toml:5:"] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    let missing = Command::new(gateway_binary()).args(["check", "/no/such/file.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/no/such/file.toml"));
}

#[test]
fn help_is_there_for_every_verb() {
    for verb in ["run", "check", "reload", "flush", "metrics", "trust"] {
        let output = Command::new(gateway_binary()).args([verb, "--help"]).output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(b""), "{verb}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: floodgate"), "{verb}");
    }
}

/// Every example that an operator may copy is right. Files that an example names are his; here they are made.
#[test]
fn every_example_checks() {
    let config = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let copy = tempfile::TempDir::new().unwrap();
    let mut files = vec![config.join("floodgate.toml")];
    files.extend(std::fs::read_dir(config.join("examples")).unwrap().map(|entry| entry.unwrap().path()));
    let (chain, key) = crate::tls::certificate(copy.path(), "made", &["api.example.com", "orders.internal"]);
    let mut checked = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let text = std::fs::read_to_string(file).unwrap();
        for word in text.split('"').filter(|word| word.ends_with(".pem") || word.ends_with(".key")) {
            let place = copy.path().join(word);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::copy(if word.ends_with(".key") { &key } else { &chain }, place).unwrap();
        }
        let copied = copy.path().join(file.file_name().unwrap());
        std::fs::write(&copied, text).unwrap();
        let mut check = Command::new(gateway_binary());
        let output = check.arg("check").arg(&copied).arg("--state").arg(copy.path()).output().unwrap();
        assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
        checked += 1;
    }
    assert!(checked >= 2, "{files:?}");
}
