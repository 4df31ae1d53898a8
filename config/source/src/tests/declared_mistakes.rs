//! One mistake at a time in an API in AWS's shape: where it is, what is said, what is advised.

use super::{line, read};

/// `text` has exactly these diagnostics, each as `line:column: message | help`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let outcome = read(&format!("{text}\n[[listener]]\naddress = \"127.0.0.1:1\"\n"));
    let lines: Vec<_> = outcome.diagnostics.iter().map(line).collect();
    let lines: Vec<_> = lines.iter().map(|line| line.trim_start_matches("f.toml:")).collect();
    assert_eq!(lines, expected, "{text}");
    assert!(outcome.model.is_none(), "{text}");
}

/// The same for a REST API with these lines, which begin at line 4.
#[track_caller]
fn check_rest(lines: &str, expected: &str) {
    let stage = if lines.contains("[[api.stage]]") { "" } else { "\n[[api.stage]]\nname = \"s\"" };
    let route = "[[api.route]]\nkey = \"GET /last\"\nintegration.type = \"mock\"";
    check(&format!("[[api]]\nname = \"a\"\nkind = \"rest\"\n{lines}{stage}\n{route}\n"), &[expected]);
}

/// The same for an HTTP API.
#[track_caller]
fn check_http(lines: &str, expected: &str) {
    let route = "[[api.route]]\nkey = \"GET /last\"\nintegration.type = \"mock\"";
    check(&format!("[[api]]\nname = \"a\"\nkind = \"http\"\n{lines}\n{route}\n"), &[expected]);
}

/// The same for a route of a REST API, whose lines begin at line 6.
#[track_caller]
fn check_route(lines: &str, expected: &str) {
    check_rest(&format!("[[api.route]]\nkey = \"GET /{{id}}\"\n{lines}"), expected);
}

#[test]
fn names_that_lead_nowhere() {
    let mock = "integration.type = \"mock\"\n";
    let model = "[[api.model]]\nname = \"Pet\"\nschema = \"{}\"";
    check_route(
        &format!("{mock}request_models = \"Pte\"\n{model}"),
        "7:18: the API has no model `Pte` | did you mean `Pet`?",
    );
    check_route(
        &format!("{mock}request_models = {{ \"a/b\" = \"Dog\" }}"),
        "7:28: the API has no model `Dog` | add `[[api.model]]` with `name = \"Dog\"`",
    );
    check_route(
        &format!("{mock}[[api.route.response]]\nstatus = 200\nmodels = \"Pest\"\n{model}"),
        "9:10: the API has no model `Pest` | did you mean `Pet`?",
    );
    check_route(
        &format!("{mock}validator = \"x\""),
        "7:13: the API has no validator `x` | add `[[api.validator]]` with `name = \"x\"`",
    );
    check_route(
        &format!("{mock}authorization = {{ authorizer = \"x\" }}"),
        "7:32: the API has no authorizer `x` | add `[[api.authorizer]]` with `name = \"x\"`",
    );
    check_route(
        &format!("{mock}authorization = \"iam\""),
        "7:17: `iam` is not known here | write `none` or `aws_iam`",
    );
    check_route(
        &format!("{mock}parameters = {{ \"path.ids\" = \"required\" }}"),
        "7:29: `GET /{id}` has no variable `ids` | did you mean `path.id`?",
    );
    check_route(
        &format!("{mock}parameters = {{ \"query.a\" = \"required\" }}"),
        "7:28: `query.a` is no parameter of a request | write `path.x`, `querystring.x` or `header.x`",
    );
    check_route(
        &format!("{mock}parameters = {{ \"header.a\" = \"require\" }}"),
        "7:29: `require` is not known here | did you mean `required`?",
    );
    check_route(
        &format!("{mock}parameters = {{ path.id = \"required\" }}"),
        "7:16: expected a string, found a table | write names with dots in quotes: `\"a.b\"`",
    );
    check_route(
        &format!("{mock}validate = \"all\"\nvalidator = \"v\"\n[[api.validator]]\nname = \"v\""),
        "8:13: `validate` says what is checked | leave out `validator` or `validate`",
    );
    check_route(
        &format!("{mock}validate = \"all\"\n[[api.validator]]\nname = \"all\""),
        "7:12: the API has another validator `all` | write `validator = \"all\"`, or rename that one",
    );
}

#[test]
fn things_that_are_there_twice() {
    let twice =
        |section: &str, lines: &str| format!("[[api.{section}]]\n{lines}\n[[api.{section}]]\n{lines}");
    check_rest(
        &twice("model", "name = \"M\"\nschema = \"{}\""),
        "7:1: two models are `M` | the first is at f.toml:4:1",
    );
    check_rest(
        &twice("validator", "name = \"v\""),
        "6:1: two validators are `v` | the first is at f.toml:4:1",
    );
    check_rest(
        &twice("authorizer", "name = \"v\"\ntype = \"token\"\nuri = \"arn:a\""),
        "8:1: two authorizers are `v` | the first is at f.toml:4:1",
    );
    check_rest(
        &twice("gateway_response", "type = \"throttled\""),
        "6:1: two gateway responses are `throttled` | the first is at f.toml:4:1",
    );
    check_route(
        "integration = { type = \"mock\", passthrough = \"never\", response = [{ status = 200 }, { status = 201 }] }",
        "6:85: two responses take what no other takes | the first is at f.toml:6:67: give each a `pattern`",
    );
    check_route(
        "integration.type = \"mock\"\nresponse = [{ status = 200 }, { status = 200 }]",
        "7:31: two responses have the status 200 | keep one of them",
    );
    check_rest(
        "[[api.stage]]\nname = \"s\"\nmethod = [{ key = \"GET /\" }, { key = \"GET /\" }]",
        "6:30: the stage says twice what holds for `GET /` | the first is at f.toml:6:11",
    );
    check_rest(
        "[[api.route]]\nkey = \"GET /pets/{a}\"\nintegration.type = \"mock\"\n[[api.route]]\nkey = \"POST /pets/{b}/x\"\nintegration.type = \"mock\"",
        "7:1: `{b}` stands where `{a}` does in another route | a resource has one variable below it: write `{a}` in both",
    );
}

#[test]
fn integrations() {
    check_route(
        "integration = { type = \"http\" }",
        "6:15: no backend is named | write `url = \"http://…\"` or `uri`",
    );
    check_route(
        "integration = { type = \"http\", url = \"http://a\", uri = \"http://a\" }",
        "6:38: two backends are named | write one of `url` and `uri`",
    );
    check_route(
        "integration = { type = \"aws\", url = \"http://a\" }",
        "6:37: `url` is for `http` and `http_proxy` | leave it out, or write `uri`",
    );
    check_route(
        "integration = { type = \"aws\", uri = \"http://a\" }",
        "6:37: `http://a` is no ARN | write `arn:aws:apigateway:REGION:SERVICE:path/…`",
    );
    check_route(
        "integration = { type = \"http\", uri = \"a\" }",
        "6:38: `a` has no scheme | write `http://a`",
    );
    check_route(
        "integration = { type = \"http\", url = \"http://a/{x}\" }",
        "6:38: `GET /{id}` has no variable `x` | variables stand in braces in the route's own path: `/pets/{id}`",
    );
    check_route(
        "integration = { type = \"http_proxy\", upstream = \"u\", uri = \"http://a\" }",
        "6:49: the full form of an integration names no upstream | write a `url` or a `uri`",
    );
    check_route(
        "integration = { type = \"mock\", passthrough = \"never\", status = 200 }",
        "6:64: the full form of an integration has templates of its answers | write `[[api.route.integration.response]]`, or leave out what is not `status`, `headers` or `body`",
    );
    check_route(
        "integration = { type = \"http_proxy\", uri = \"http://a\", response = [{ status = 200 }] }",
        "6:67: a proxy returns the backend's answer as it is | leave it out, or change `type`",
    );
    check_route(
        "integration = { type = \"http_proxy\", uri = \"http://a\", subtype = \"x\" }",
        "6:66: a REST API has none | leave it out",
    );
    check_route(
        "integration = { type = \"http_proxy\", uri = \"http://a\", timeout = \"301s\" }",
        "6:66: a REST API has 5m for a call at most | write something from `50ms` to `5m`",
    );
    check_route(
        "integration = { type = \"http_proxy\", uri = \"http://a\", timeout = \"49ms\" }",
        "6:66: `49ms` is out of range | write something from `50ms` to `15m`",
    );
    check_route(
        "integration = { type = \"http\", uri = \"http://a\", streams = true }",
        "6:60: only a proxy's answer is streamed | write `type = \"http_proxy\"` or `\"aws_proxy\"`, or leave it out",
    );
    check_route(
        "integration = { type = \"mock\", passthrough = \"wen_no_match\" }",
        "6:46: `wen_no_match` is not known here | did you mean `when_no_match`?",
    );
    check_route(
        &format!("integration = {{ type = \"mock\", request_templates = \"{}\" }}", "x".repeat(307_201)),
        "6:52: the template has 307201 bytes, at most 300 KB are allowed",
    );
    check_route(
        "integration = { type = \"mock\", request_templates = { json = \"\" } }",
        "6:61: `json` is no media type | write one such as `application/json` or `image/*`",
    );
}

#[test]
fn what_the_other_kind_of_api_has() {
    let none = "an HTTP API has none | leave it out, or write `kind = \"rest\"`";
    check_http("endpoint = \"edge\"", &format!("4:12: {none}"));
    check_http("model = [{ name = \"M\", schema = \"{}\" }]", &format!("4:9: {none}"));
    check_http(
        "[[api.route]]\nkey = \"GET /\"\nvalidate = \"all\"\nintegration.type = \"mock\"",
        "6:12: an HTTP API has none | leave it out, or make the API `kind = \"rest\"`",
    );
    check_http(
        "[[api.route]]\nkey = \"GET /\"\napi_key_required = true\nintegration.type = \"mock\"",
        "6:20: an HTTP API asks for no keys | leave it out, or make the API `kind = \"rest\"`",
    );
    check_http(
        "[[api.route]]\nkey = \"GET /\"\nintegration = { type = \"http_proxy\", uri = \"http://a\", request_templates = \"\" }",
        "6:76: an HTTP API has none | leave it out, or make the API `kind = \"rest\"`",
    );
    check_http(
        "[[api.route]]\nkey = \"GET /\"\nintegration = { type = \"http_proxy\", uri = \"http://a\", timeout = \"31s\" }",
        "6:66: an HTTP API has 30s for a call at most | write something from `50ms` to `30s`",
    );
    check_http(
        "[[api.authorizer]]\nname = \"a\"\ntype = \"token\"\nuri = \"arn:a\"",
        "6:8: an HTTP API has no authorizers of type `token` | write `request` or `jwt`",
    );
    check_rest(
        "[[api.authorizer]]\nname = \"a\"\ntype = \"jwt\"\nissuer = \"https://a\"\naudiences = [\"b\"]",
        "6:8: a REST API has no authorizers of type `jwt` | write `token`, `request` or `cognito_user_pools`",
    );
    check_http(
        "[[api.authorizer]]\nname = \"a\"\ntype = \"jwt\"\nissuer = \"https://a\"",
        "4:1: an authorizer of type `jwt` needs `audiences` | add `audiences`",
    );
    check_http(
        "[[api.stage]]\nname = \"s\"\ncors = \"*\"",
        "6:8: a stage of an HTTP API has no `cors` | write it into the API",
    );
}

#[test]
fn texts_of_their_own() {
    // Row 125.
    check_rest(
        "minimum_compression = \"11MiB\"",
        "4:23: Invalid minimum compression size, must be between 0 and 10485760 | write something from `0B` to `10MiB`",
    );
    // Row 15.
    check_rest(
        "endpoint = \"private\"\nip_address_type = \"ipv4\"",
        "5:19: Only dualstack ipAddressType is supported for Private APIs. | write `dualstack`, or leave it out",
    );
    // Row 13.
    check_http(
        "endpoint_access_mode = \"strict\"",
        "4:24: an HTTP API has none | leave it out, or write `kind = \"rest\"`",
    );
    check_rest(
        "id = \"Abcdefghij\"",
        "4:6: `Abcdefghij` can't be the id of an API | ten lower-case letters and digits",
    );
    check_rest(
        "policy = \"{\"",
        "4:10: the document is no JSON: EOF while parsing an object at line 1 column 1 | lines and columns are those of the document; `${file:NAME}` reads it from a file",
    );
    check_rest(
        "[[api.model]]\nname = \"My-Pet\"\nschema = \"{}\"",
        "5:8: `My-Pet` can't be the name of a model | write `MyPet`: letters and digits alone",
    );
    check_rest(
        "[[api.model]]\nname = \"M\"\nschema = \"[]\"",
        "6:10: the document is no JSON object | write it in braces: `'{ … }'`",
    );
    check_rest(
        "[[api.gateway_response]]\ntype = \"DEFAULT_4XX\"",
        "5:8: `DEFAULT_4XX` is not known here | did you mean `default_4xx`?",
    );
    // Row 33.
    check_rest(
        "[[api.stage]]\nname = \"s\"\nvariables = { \"a-b\" = \"c\" }",
        "6:23: `a-b` can't be the name of a stage variable | 1 to 64 letters, digits and `_`",
    );
    check_rest(
        "[[api.stage]]\nname = \"s\"\nvariables = { a = \"b c\" }",
        "6:19: `b c` can't be the value of a stage variable | letters, digits and `-._~:/?#&=,`, but no ` `",
    );
    check_rest(
        &format!("[[api.stage]]\nname = \"s\"\nvariables = {{ a = \"{}\" }}", "b".repeat(513)),
        &format!("6:19: `{}…` can't be the value of a stage variable | 1 to 512 characters", "b".repeat(80)),
    );
    check_rest(
        "[[api.stage]]\nname = \"s\"\ncanary = { percent = 101 }",
        "6:22: `101` is out of range | write something from `0` to `100`",
    );
    check_rest(
        "[[api.stage]]\nname = \"s\"\ncanary = { percent = \"5\" }",
        "6:22: expected a number, found a string | write `percent = 10.0`",
    );
    check_rest(
        "[[api.stage]]\nname = \"s\"\ncanary = { percent = 1, judge = { promote_after = \"1m\" } }",
        "6:33: nothing would take the canary back | add `error_rate_max = 0.05` or `latency_p99_max = \"500ms\"`",
    );
    check_rest("resources = [\"a\"]", "4:14: `a` does not begin with a slash | write `/a`");
}

/// Row 178.
#[test]
fn more_than_the_quotas_allow() {
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let stages = many(11, &|at| format!("[[api.stage]]\nname = \"s{at}\"\n"));
    let stages = stages.trim_end();
    check_rest(
        stages,
        "1:1: 11 stages, at most 10 are allowed | have fewer, or write `stages = 11` into `[quotas]`",
    );
    let raised = format!(
        "[quotas]\nstages = 11\n[[api]]\nname = \"a\"\nkind = \"rest\"\n{stages}\n[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"\n"
    );
    assert!(read(&raised).model.is_some());
    let variables = many(101, &|at| format!("v{at} = \"x\", "));
    check_rest(
        &format!("[[api.stage]]\nname = \"s\"\nvariables = {{ {} }}", variables.trim_end_matches(", ")),
        "6:13: 101 stage variables, at most 100 are allowed | have fewer, or write `stage_variables = 101` into `[quotas]`",
    );
    let routes =
        many(300, &|at| format!("[[api.route]]\nkey = \"GET /{at}\"\nintegration.type = \"mock\"\n"));
    check_http(
        &routes,
        "1:1: 301 routes, at most 300 are allowed | have fewer, or write `routes = 301` into `[quotas]`",
    );
    // Routes may share an integration; those that are told apart count.
    let api = "[quotas]\nroutes = 302\n[[api]]\nname = \"a\"\nkind = \"http\"\n";
    let route = |at: usize, body: usize| {
        format!(
            "[[api.route]]\nkey = \"GET /{at}\"\nintegration = {{ type = \"mock\", body = \"{body}\" }}\n"
        )
    };
    assert!(read(&format!("{api}{}", many(302, &|at| route(at, at / 2)))).model.is_some());
    check(
        &format!("{api}{}", many(302, &|at| route(at, at))),
        &[
            "3:1: 302 integrations, at most 300 are allowed | have fewer, or write `integrations = 302` into `[quotas]`",
        ],
    );
    let routes =
        many(150, &|at| format!("[[api.route]]\nkey = \"GET /{at}/b\"\nintegration.type = \"mock\"\n"));
    check_rest(
        &routes,
        "1:1: 302 resources, at most 300 are allowed | have fewer, or write `resources = 302` into `[quotas]`",
    );
    let parts = many(2_001, &|at| {
        format!("[[api.documentation]]\nlocation = \"resource\"\npath = \"/{at}\"\nproperties = '{{}}'\n")
    });
    check_rest(
        &parts,
        "1:1: 2001 parts of documentation, at most 2000 are allowed | have fewer, or write `documentation_parts = 2001` into `[quotas]`",
    );
    check_route(
        &format!(
            "integration.type = \"mock\"\nauthorization = {{ authorizer = \"a\", scopes = {:?} }}\n[[api.authorizer]]\nname = \"a\"\ntype = \"token\"\nuri = \"arn:a\"",
            ["s"; 11]
        ),
        "7:46: 11 scopes, at most 10 are allowed | have fewer, or write `scopes = 11` into `[quotas]`",
    );
}

/// Row 179: what a node has in all.
#[test]
fn more_than_the_quotas_of_a_node_allow() {
    let api = |at: usize, lines: &str| {
        format!(
            "[[api]]\nname = \"a{at}\"\nkind = \"rest\"\n{lines}\n[[api.stage]]\nname = \"s\"\n[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"\n"
        )
    };
    let two = |quota: &str, lines: [&str; 2], expected: &str| {
        let apis = format!("{}{}", api(0, lines[0]), api(1, lines[1]));
        let help = format!(" | have fewer, or write `{quota} = 2` into `[quotas]`");
        check(
            &format!("[quotas]\n{quota} = 1\n{apis}"),
            &[&format!("{expected}, at most 1 are allowed{help}")],
        );
        assert!(read(&format!("[quotas]\n{quota} = 2\n{apis}")).model.is_some());
    };
    let (a, b) = ("hosts = [\"a\"]", "hosts = [\"b\"]");
    two("regional_apis", [a, b], "2 regional APIs");
    two(
        "edge_apis",
        ["endpoint = \"edge\"\nhosts = [\"a\"]", "endpoint = \"edge\"\nhosts = [\"b\"]"],
        "2 edge APIs",
    );
    let private = "endpoint = \"private\"\nvpc_endpoint_ids = [\"vpce-1\"]";
    two("private_apis", [&format!("{private}\n{a}"), &format!("{private}\n{b}")], "2 private APIs");
    two("domains", [a, b], "2 domains");
    let deep = |base: &str| format!("hosts = [\"a\"]\nbase_path = \"{base}\"");
    two("mappings", [&deep("x/y"), &deep("x/z")], "2 mappings of `a` with several segments");
    assert!(
        read(&format!("[quotas]\nmappings = 1\n{}{}", api(0, &deep("x/y")), api(1, &deep("x"))))
            .model
            .is_some()
    );
    // Plain routes have no quotas.
    let route = |at: usize| format!("[[route]]\nmatch = \"/\"\nhosts = [\"h{at}\"]\nurl = \"http://b\"\n");
    assert!(
        read(&format!("[quotas]\ndomains = 1\nregional_apis = 1\n{}{}", route(0), route(1))).model.is_some()
    );
}

#[test]
fn domains() {
    let api = "[[api]]\nname = \"shop\"\nkind = \"rest\"\n[[api.stage]]\nname = \"prod\"\n[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"\n";
    let http = "[[api]]\nname = \"web\"\nkind = \"http\"\nbase_path = \"w\"\n[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"\n";
    let check = |rules: &str, expected: &[&str]| {
        check(
            &format!("[[domain]]\nname = \"d\"\nrouting_mode = \"rule_only\"\n{rules}\n{api}{http}"),
            expected,
        );
    };
    let rule = |lines: &str| format!("[[domain.rule]]\npriority = 1\nstage = \"prod\"\n{lines}");
    check(&rule("api = \"shp\""), &["7:7: there is no API `shp` | did you mean `shop`?"]);
    check(
        &rule("api = \"web\""),
        &[
            "7:7: `web` is no REST API: rules lead to those alone | give the API a base path on this host instead",
        ],
    );
    check(
        &rule("api = \"shop\"").replace("\"prod\"", "\"prd\""),
        &["6:9: the API `shop` has no stage `prd` | did you mean `prod`?"],
    );
    check(
        &format!("{}\n{}", rule("api = \"shop\""), rule("api = \"shop\"")),
        &["8:1: two rules have the priority 1 | the first is at f.toml:4:1"],
    );
    check(
        &rule("api = \"shop\"\nheaders = { a = \"1\", b = \"2\", c = \"3\" }"),
        &["8:11: a rule has at most 2 headers"],
    );
    check(
        &rule("api = \"shop\"").replace("priority = 1", "priority = 0"),
        &["5:12: `0` is out of range | write something from `1` to `1000000`"],
    );
    check(
        &format!("{}\n[[domain]]\nname = \"D\"", rule("api = \"shop\"")),
        &["8:1: two domains are `d` | the first is at f.toml:1:1"],
    );
    check(
        &rule("api = \"shop\"").replace("rule]]", "rules]]"),
        &["4:10: unknown key `rules` in `domain` | did you mean `rule`?"],
    );
}

/// Row 42. The clone's lines begin at line 4.
#[track_caller]
fn check_clone(lines: &str, expected: &str) {
    let other = "[[api]]\nname = \"shop\"\nkind = \"rest\"\nhosts = [\"a\"]\n[[api.stage]]\nname = \"s\"\n\
                 [[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"\n";
    check(&format!("[[api]]\nname = \"copy\"\nkind = \"http\"\n{lines}\n{other}"), &[expected]);
}

#[test]
fn clones_of_nothing() {
    check_clone("clone_from = \"shp\"", "4:14: there is no API `shp` | did you mean `shop`?");
    check_clone("clone_from = \"else\"", "4:14: there is no API `else` | name another `[[api]]`");
    check_clone(
        "clone_from = \"copy\"",
        "4:14: the API `copy` has no routes of its own | name the one that has them",
    );
    check_clone("clone_from = \"shop\"", "4:14: the API `shop` is of another kind | write the same `kind`");
    let both = "clone_from = \"copy\"\ncors = \"*\"";
    let outcome = read(&format!("[[api]]\nname = \"copy\"\nkind = \"http\"\n{both}\n"));
    let said: Vec<_> = outcome.diagnostics.iter().map(line).collect();
    assert!(
        said.iter().any(|it| it.contains("a clone has that of the API that it is made from")),
        "{said:?}"
    );
}
