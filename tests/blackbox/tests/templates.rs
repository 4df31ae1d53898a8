//! Templates of the kinds that people have (section 5 of the semantics), through the real binary: what `import` makes of each is a
//! configuration that `check` takes, and one that answers as the template itself does when it is run, and as `explain` says.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use harness::{Act, Gateway, Origin, gateway_binary};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A template, what it is given, what it answers, and what is said of what was left out.
struct Case {
    file: &'static str,
    /// `--param`; the backend's URL stands for `ORIGIN`.
    parameters: &'static [&'static str],
    /// A request (a body behind an empty line), and its status and body.
    talk: &'static [(&'static str, u16, &'static str)],
    /// A request and a field of its answer.
    fields: &'static [(&'static str, &'static str, Option<&'static str>)],
    /// What `import` says; what stands behind `!` it does not.
    said: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        file: "cdk.json",
        parameters: &["Backend=ORIGIN"],
        talk: &[
            ("GET /prod/items/7?full=1", 200, "GET /v2/items/7?full=1"),
            ("GET /prod/items/7", 400, r#"{"message":"Missing required request parameters: [full]"}"#),
            (
                "POST /prod/items\ncontent-type: application/json\n\n{\"name\": \"a\", \"more\": 1}",
                201,
                r#"{"made": "POST /v2/items"}"#,
            ),
            (
                "POST /prod/items\ncontent-type: application/json\n\n{}",
                422,
                r#"{"why": "[object has missing required properties (["name"])]"}"#,
            ),
            ("OPTIONS /prod/items", 204, ""),
            ("GET /prod/nothing", 403, r#"{"message":"Missing Authentication Token"}"#),
        ],
        fields: &[("OPTIONS /prod/items", "access-control-allow-origin", Some("*"))],
        said: &[
            "ShopApiAccount9 (AWS::ApiGateway::Account): left out: ",
            "ShopApiDeploymentStageprod1 (AWS::ApiGateway::Stage) TracingEnabled: left out: ",
            "ShopApiDocs (AWS::ApiGateway::DocumentationPart): [[api.documentation]]",
            "ShopApiitemsPOST1 (AWS::ApiGateway::Method): [[api.route]] POST /items",
            "`shop`, a REST API: 3 routes, 3 models, 2 validators, 1 gateway response, 1 documentation part, 1 tag",
            "!Network",
        ],
    },
    Case {
        file: "body.yaml",
        parameters: &["Backend=ORIGIN", "AWS::StackName=zoo"],
        talk: &[
            ("GET /dev/pets/cats?page=2", 200, "GET /all/cats?page=2"),
            ("GET /dev/greeting", 200, "\"hi\""),
            ("GET /dev/dogs", 404, r#"{"gone": "/dev/dogs"}"#),
        ],
        fields: &[("GET /dev/dogs", "access-control-allow-origin", Some("*"))],
        said: &[
            "Live (AWS::ApiGateway::Stage) AccessLogSetting: left out: ",
            "Api (AWS::ApiGateway::RestApi) Parameters endpointConfigurationTypes: left out: nothing here takes it",
            "NotFound (AWS::ApiGateway::GatewayResponse): [[api.gateway_response]]",
            "`zoo-pets`, a REST API: 2 routes",
        ],
    },
    Case {
        file: "body.yaml",
        parameters: &["Backend=ORIGIN", "Stage=prod"],
        talk: &[
            ("GET /prod/greeting", 200, "\"canary\""),
            ("GET /dev/greeting", 403, r#"{"message":"Forbidden"}"#),
        ],
        fields: &[],
        said: &["`stack-pets`, a REST API"],
    },
    Case {
        file: "sam-uri.yaml",
        parameters: &[],
        talk: &[
            ("GET /live/shelf", 200, r#"{"shelf": "upper"}"#),
            ("GET /live/books", 503, r#"{"busy": true}"#),
            ("GET /ignored/shelf", 403, r#"{"message":"Forbidden"}"#),
        ],
        fields: &[
            ("GET /live/books", "retry-after", Some("7")),
            (
                "OPTIONS /live/shelf\norigin: https://example.com\naccess-control-request-method: GET",
                "access-control-allow-headers",
                Some("X-Own"),
            ),
        ],
        said: &[
            "Books (AWS::Serverless::Api) TracingEnabled: left out: ",
            "Books (AWS::Serverless::Api) Cors: [api.stage.cors]",
            "`books`, a REST API: 2 routes",
        ],
    },
    Case {
        file: "sam-http.yaml",
        parameters: &["Backend=ORIGIN"],
        talk: &[("GET /area", 200, "GET /north"), ("DELETE /elsewhere", 200, "DELETE /rest")],
        fields: &[
            (
                "OPTIONS /area\norigin: https://example.com\naccess-control-request-method: GET",
                "access-control-max-age",
                Some("60"),
            ),
            ("GET /area\norigin: https://other.example", "access-control-allow-origin", None),
        ],
        said: &[
            "Web (AWS::Serverless::HttpApi): [[api]] of kind \"http\" with stage $default",
            "`web`, an HTTP API: 2 routes",
        ],
    },
    Case {
        file: "http-api.yaml",
        parameters: &["Backend=ORIGIN"],
        talk: &[
            ("GET /shop/v1/orders/9\nhost: api.example.com", 200, "GET /orders/9?by=gateway"),
            ("POST /shop/v1/orders/9\nhost: api.example.com", 404, r#"{"message":"Not Found"}"#),
        ],
        fields: &[("GET /shop/v1/orders/9\nhost: api.example.com", "x-by", Some("gateway"))],
        said: &[
            "certificate of api.example.com: left out: certificates are the node's own",
            "Mapping (AWS::ApiGatewayV2::ApiMapping): [[api.mapping]]",
            "Domain (AWS::ApiGatewayV2::DomainName): [[domain]] api.example.com",
        ],
    },
    Case {
        file: "rules.yaml",
        parameters: &["Backend=ORIGIN"],
        talk: &[
            ("GET /\nhost: api.example.com", 200, "GET /one"),
            ("GET /\nhost: api.example.com\nx-version: v2.1", 200, "GET /two"),
        ],
        fields: &[],
        said: &["ToTwo (AWS::ApiGatewayV2::RoutingRule): [[domain.rule]]", "`one-first`, a REST API"],
    },
    Case {
        file: "serverless.yml",
        parameters: &["opt:backend=ORIGIN"],
        talk: &[
            ("GET /dev/orders", 200, "GET /orders"),
            (
                "POST /dev/orders\ncontent-type: application/json\n\n{\"what\": 1}",
                201,
                r#"{"ordered": "POST /new"}"#,
            ),
            (
                "POST /dev/orders\ncontent-type: application/json\n\n{}",
                400,
                r#"{"refused": "BAD_REQUEST_BODY"}"#,
            ),
            ("GET /dev/fixed/4", 200, r#"{"id": "4"}"#),
            ("GET /dev/fixed/4/deep", 200, "GET /deep"),
            ("OPTIONS /dev/orders", 200, ""),
        ],
        fields: &[
            ("OPTIONS /dev/orders", "access-control-allow-methods", Some("OPTIONS,GET,POST")),
            ("OPTIONS /dev/orders", "access-control-allow-headers", Some("X-Own,X-More")),
            (
                "OPTIONS /dev/orders\norigin: https://b.example",
                "access-control-allow-origin",
                Some("https://b.example"),
            ),
            ("GET /dev/nothing", "access-control-allow-origin", Some("*")),
        ],
        said: &[
            "functions.order-front: left out: functions do not run here yet",
            "functions.order-front schedule: left out: it is no event of an API",
            "provider.apiGateway metrics: left out: nothing here takes it",
            "Refused (AWS::ApiGateway::GatewayResponse): [[api.gateway_response]]",
            "BelowGet (AWS::ApiGateway::Method): [[api.route]] GET /fixed/{id}/deep",
            "`dev-shop-front`, a REST API: 5 routes",
            "!Table",
        ],
    },
];

fn floodgate(arguments: &[&str]) -> Output {
    Command::new(gateway_binary()).args(arguments).output().unwrap()
}

/// Answers with method and target.
fn origin() -> Origin {
    Origin::start(|request| {
        let method = request.line().split(' ').next().unwrap_or_default();
        let text = format!("{method} {}", request.target());
        vec![Act::answer(200, &[("content-type", "application/json")], &text)]
    })
}

fn template(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(file);
    path.to_str().unwrap().to_owned()
}

#[track_caller]
fn asked(gateway: &Gateway, request: &str) -> harness::Response {
    match request.split_once("\n\n") {
        Some((head, body)) => gateway.ask_with_body(head, body.as_bytes()),
        None => gateway.ask(request),
    }
}

/// What `explain` says of a request, whose backend would answer as [`origin`] does, without asking it.
#[track_caller]
fn explained(file: &str, parameters: &[String], request: &str) -> (Value, Value) {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap();
    let (host, fields): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("host: "));
    let host = host.first().map_or("127.0.0.1", |line| &line["host: ".len()..]);
    let url = format!("http://{host}{target}");
    let tell = |answer: &str| {
        let mut words = vec!["explain", "--json", file, &url, "-X", method];
        words.extend(fields.iter().flat_map(|field| ["-H", field]));
        words.extend(parameters.iter().map(String::as_str));
        words.extend(["--response", "200", "--response-header", "content-type: application/json"]);
        words.extend(["--response-body", answer]);
        if !body.is_empty() {
            words.extend(["-d", body]);
        }
        let told = floodgate(&words);
        assert!(told.status.success(), "{file}: {request}: {}", String::from_utf8_lossy(&told.stderr));
        serde_json::from_slice::<Value>(&told.stdout).unwrap()
    };
    let told = tell("");
    // What the backend would be asked is what it would answer.
    let forwarded = told["forwarded"]["head"].as_str().map(|head| head.lines().next().unwrap_or_default());
    let told = forwarded.map_or(told.clone(), |line| tell(line.trim_end_matches(" HTTP/1.1")));
    (told["answer"]["status"].clone(), told["answer"]["body"].clone())
}

/// What is not as it should be.
fn check(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let origin = origin();
    let file = template(case.file);
    let parameters: Vec<_> = case
        .parameters
        .iter()
        .flat_map(|it| ["--param".to_owned(), it.replace("ORIGIN", &origin.url())])
        .collect();
    let mut words = vec!["import", &file];
    words.extend(parameters.iter().map(String::as_str));
    let imported = floodgate(&words);
    let said = String::from_utf8(imported.stderr).unwrap();
    assert!(imported.status.success(), "{}: {said}", case.file);
    for part in case.said {
        match part.strip_prefix('!') {
            Some(part) => assert!(!said.contains(part), "{}: {part:?} is in\n{said}", case.file),
            None => assert!(said.contains(part), "{}: {part:?} is not in\n{said}", case.file),
        }
    }
    let folder = TempDir::new().unwrap();
    let toml = String::from_utf8(imported.stdout).unwrap();
    let written = folder.path().join("floodgate.toml");
    fs::write(&written, &toml).unwrap();
    let checked = floodgate(&["check", written.to_str().unwrap()]);
    assert!(checked.status.success(), "{}: {}\n{toml}", case.file, String::from_utf8_lossy(&checked.stderr));
    for (request, status, body) in case.talk {
        let told = explained(&file, &parameters, request);
        if told != (json!(status), json!(body)) {
            wrong.push(format!("{} explained: {request}: {told:?}", case.file));
        }
    }
    let mut flags = vec![&*file, "--plain", "--listen", "127.0.0.1:0"];
    flags.extend(parameters.iter().map(String::as_str));
    for (how, gateway) in [("as it is", Gateway::from_flags(&flags)), ("imported", Gateway::start(&toml))] {
        for (request, status, body) in case.talk {
            let answer = asked(&gateway, request);
            if (answer.status, &*answer.text()) != (*status, *body) {
                wrong.push(format!("{} {how}: {request}: {} {}", case.file, answer.status, answer.text()));
            }
        }
        for (request, name, value) in case.fields {
            let answer = asked(&gateway, request);
            if answer.field(name) != *value {
                wrong.push(format!("{} {how}: {request}: {name}: {:?}", case.file, answer.field(name)));
            }
        }
    }
    wrong
}

#[test]
fn what_is_imported_answers_as_the_template_does() {
    let wrong: Vec<_> = CASES.iter().flat_map(check).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What can't be had or enforced is refused by name and place, with the way out; nothing is served in its stead.
#[test]
fn what_cannot_be_taken_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("template.yaml");
    let api = |lines: &str| {
        format!(
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  A:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: s\n{lines}"
        )
    };
    fs::write(
        folder.path().join("broken.yaml"),
        "openapi: 3.0.1\ninfo: {title: a, version: '1'}\npaths: {/a: {get: 5}}\n",
    )
    .unwrap();
    for (lines, expected) in [
        (
            "      DefinitionUri: s3://bucket/api.yaml\n",
            &["template.yaml:7:22", "`s3://bucket/api.yaml` lies in S3", "put it beside the template"][..],
        ),
        ("      DefinitionUri: {Bucket: b, Key: k}\n", &["template.yaml:7:22", "the document lies in S3"]),
        ("      DefinitionUri: nowhere.yaml\n", &["template.yaml:7:22", "`nowhere.yaml` can't be read: "]),
        // A mistake in the file stands where the file has it.
        ("      DefinitionUri: broken.yaml\n", &["broken.yaml:3:19", "paths: {/a: {get: 5}}"]),
        (
            "      DefinitionBody: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://b/k.yaml}}}\n",
            &["template.yaml:7:83", "`s3://b/k.yaml` lies in S3"],
        ),
        (
            "      DefinitionBody: {Fn::Transform: {Name: Own::Macro}}\n",
            &["template.yaml:7:23", "the macro `Own::Macro` runs on AWS alone"],
        ),
        (
            "      Auth: {ResourcePolicy: {IpRangeWhitelist: [10.0.0.0/8]}}\n",
            &["template.yaml:7:30", "resource policies can't be enforced yet"],
        ),
        (
            "      Domain: {DomainName: a.example, MutualTlsAuthentication: {TruststoreUri: s3://b/k}}\n",
            &["template.yaml:7:64", "certificates of clients can't be asked for yet"],
        ),
    ] {
        fs::write(&file, api(lines)).unwrap();
        for verb in ["import", "check"] {
            let refused = floodgate(&[verb, file.to_str().unwrap()]);
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(2), "{verb} {lines}: {said}");
            for part in expected {
                assert!(said.contains(part), "{verb} {lines}: {part:?} is not in\n{said}");
            }
        }
    }
}
