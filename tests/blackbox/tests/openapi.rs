//! OpenAPI documents from outside: run, checked, exported and imported by the real binary.

use std::{
    fs,
    process::{Command, Output},
};

use harness::{Builder, Gateway, Origin, eventually, gateway_binary};
use tempfile::TempDir;

/// A REST API of a mock and of a backend.
fn document(origin: &str) -> String {
    format!(
        r#"openapi: 3.0.1
info: {{title: shop, version: "1"}}
paths:
  /hello:
    get:
      responses: {{"200": {{description: ok}}}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {{application/json: '{{"statusCode": 200}}'}}
        responses: {{default: {{statusCode: 200, responseTemplates: {{application/json: '{{"hello": "$input.params(''name'')"}}'}}}}}}
  /items/{{id}}:
    get:
      parameters: [{{name: id, in: path, required: true, schema: {{type: string}}}}]
      responses: {{}}
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        uri: {origin}/v2/{{id}}
        passthroughBehavior: when_no_match
        requestParameters: {{integration.request.path.id: method.request.path.id}}
"#
    )
}

fn floodgate(arguments: &[&str]) -> Output {
    Command::new(gateway_binary()).args(arguments).output().unwrap()
}

/// `floodgate run FILE`: at `/` and at `/default` (rows 43, 57, 138).
#[test]
fn a_document_is_served_at_the_root_and_at_its_stage() {
    let origin = Origin::fixed("thing");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.yaml");
    fs::write(&file, document(&origin.url())).unwrap();
    let gateway = Gateway::from_flags(&[file.to_str().unwrap(), "--plain", "--listen", "127.0.0.1:0"]);
    for base in ["", "/default"] {
        let response = gateway.ask(&format!("GET {base}/hello?name=you"));
        assert_eq!((response.status, &*response.text()), (200, "{\"hello\": \"you\"}"), "{base}");
        let response = gateway.ask_h2(&format!("GET {base}/hello?name=two"));
        assert_eq!((response.status, &*response.text()), (200, "{\"hello\": \"two\"}"), "{base}");
        let response = gateway.ask(&format!("GET {base}/items/7"));
        assert_eq!((response.status, &*response.text()), (200, "thing"), "{base}");
    }
    assert_eq!(
        origin.requests().iter().map(|it| it.target().to_owned()).collect::<Vec<_>>(),
        ["/v2/7", "/v2/7"]
    );
    assert_eq!(gateway.ask("GET /nowhere").status, 403);
}

/// A plain document has no integrations: it is refused with the way out, and that is one.
#[test]
fn a_plain_document_needs_a_backend() {
    let origin = Origin::fixed("all");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("petstore.json");
    let text = r#"{"openapi": "3.0.0", "info": {"title": "t", "version": "1"},
        "paths": {"/pets/{id}": {"get": {"responses": {"200": {"description": "ok"}}}}}}"#;
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let refused = floodgate(&["run", file, "--plain", "--kind", "http"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("petstore.json:2:41") && said.contains("--backend https://"), "{said}");
    let backend = format!("{}/v1", origin.url());
    let gateway = Gateway::from_flags(&[file, "--plain", "--listen", "127.0.0.1:0", "--backend", &backend]);
    assert_eq!(gateway.ask("GET /pets/3").text(), "all");
    assert_eq!(origin.requests()[0].target(), "/v1/pets/3");
}

/// Every mistake with its place; nothing is started.
#[test]
fn a_document_with_mistakes_is_refused_whole() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.yaml");
    let text = document("ftp://nowhere").replace("type: mock", "type: mok");
    fs::write(&file, text).unwrap();
    for verb in ["check", "run", "import", "export"] {
        let refused = floodgate(&[verb, file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{verb}: {said}");
        for part in
            ["api.yaml:8:15", "`mok` is not known here", "api.yaml:16:9", "`ftp://nowhere/v2/{id}` is no URL"]
        {
            assert!(said.contains(part), "{verb}: no {part:?} in {said}");
        }
        assert!(refused.stdout.is_empty(), "{verb}");
    }
}

/// What is wrong within a template is told beside what keeps the document from being read, and not after it.
#[test]
fn all_mistakes_are_told_at_once() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.yaml");
    let more = "x-amazon-apigateway-gateway-responses: {THROTTLED: {responseParameters: {gatewayresponse.header.a: context.no}}}\n";
    let text = document("ftp://nowhere").replace("{\"hello\":", "#if {\"hello\":");
    fs::write(&file, format!("{text}{more}")).unwrap();
    for verb in ["check", "run"] {
        let refused = floodgate(&[verb, file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{verb}: {said}");
        for part in
            ["`ftp://nowhere/v2/{id}` is no URL", "`#if` has no `#end`", "unknown variable `$context.no`"]
        {
            assert!(said.contains(part), "{verb}: no {part:?} in {said}");
        }
    }
    // What begins like no YAML is told of as YAML all the same.
    fs::write(&file, "- a\n").unwrap();
    let refused = floodgate(&["check", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("`swagger: \"2.0\"`"), "{said}");
}

/// Row 138: what the document's reader warns of, and what only who compiles it sees.
#[test]
fn warnings_refuse_it_where_that_is_asked_for() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.yaml");
    let name = file.to_str().unwrap();
    let document = document("http://127.0.0.1:9");
    let of_compiler = "x-amazon-apigateway-gateway-responses: {THROTTLED: {responseTemplates: {application/json: '$context.no'}}}\n";
    let of_reader = "x-amazon-apigateway-nobody-knows: 1\n";
    for (more, warned) in
        [("", ""), (of_compiler, "unknown variable `$context.no`"), (of_reader, "nobody-knows")]
    {
        fs::write(&file, format!("{document}{more}")).unwrap();
        let (plain, strict) =
            (floodgate(&["check", name]), floodgate(&["check", name, "--fail-on-warnings"]));
        let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(plain.status.success() && told(&plain).contains(warned), "{}", told(&plain));
        assert_eq!(told(&plain).contains("warning: "), !warned.is_empty(), "{}", told(&plain));
        assert_eq!(strict.status.code(), Some(if warned.is_empty() { 0 } else { 2 }), "{}", told(&strict));
        assert_eq!(told(&strict).contains("error: "), !warned.is_empty(), "{}", told(&strict));
    }
}

/// What `import` prints is a configuration that means the same, and what `export` prints is a document that does.
#[test]
fn what_is_imported_and_exported_is_right() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("api.yaml"), document("http://127.0.0.1:9")).unwrap();
    let exported = floodgate(&["export", &path("api.yaml"), "--yaml"]);
    assert!(exported.status.success(), "{exported:?}");
    let imported = floodgate(&["import", &path("api.yaml")]);
    let said = String::from_utf8_lossy(&imported.stderr).into_owned();
    assert!(imported.status.success() && said.contains("`shop`, a REST API: 2 routes"), "{said}");
    fs::write(path("floodgate.toml"), &imported.stdout).unwrap();
    let again = floodgate(&["export", &path("floodgate.toml"), "--yaml"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&exported.stdout));
    fs::write(path("again.yaml"), &again.stdout).unwrap();
    let third = floodgate(&["export", &path("again.yaml"), "--format", "swagger"]);
    let third = String::from_utf8_lossy(&third.stdout).into_owned();
    assert!(
        third.contains("\"swagger\": \"2.0\"") && third.contains("http://127.0.0.1:9/v2/{id}"),
        "{third}"
    );
}

/// `openapi` of an `[[api]]`: the file is one of the configuration's, reload reads it again, and refuses it whole.
#[test]
fn an_api_of_a_document_is_reloaded() {
    let origin = Origin::fixed("thing");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.yaml");
    fs::write(&file, document(&origin.url())).unwrap();
    let gateway = Gateway::start(&format!(
        "[[api]]\nname = \"shop\"\nkind = \"rest\"\nopenapi = {file:?}\n[[api.stage]]\nname = \"prod\"\n"
    ));
    assert_eq!(gateway.ask("GET /prod/hello?name=a").text(), "{\"hello\": \"a\"}");
    fs::write(&file, document(&origin.url()).replace("hello\"", "bye\"")).unwrap();
    assert!(gateway.reload().status.success());
    assert_eq!(gateway.ask("GET /prod/hello?name=a").text(), "{\"bye\": \"a\"}");
    fs::write(&file, "openapi: 3.0.1\ninfo: [").unwrap();
    let refused = gateway.reload();
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("api.yaml:"),
        "{refused:?}"
    );
    assert_eq!(gateway.ask("GET /prod/hello?name=a").text(), "{\"bye\": \"a\"}");
}

/// The service of the framework's guides for AWS, and a template of CDK's shape (section 5): TOML on stdout, what became of what on
/// stderr; the TOML is a configuration.
#[test]
fn templates_are_imported() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("serverless.yml");
    let service = "service: guide\nprovider:\n  name: aws\n  runtime: nodejs18.x\nfunctions:\n  hello:\n    handler: handler.hello\n    \
                   events:\n      - httpApi:\n          path: /\n          method: get\n";
    fs::write(&file, service).unwrap();
    let output = floodgate(&["import", file.to_str().unwrap()]);
    let (toml, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    for part in ["kind = \"http\"", "key = \"GET /\"", "type = \"aws_proxy\""] {
        assert!(toml.contains(part), "no `{part}` in\n{toml}");
    }
    for part in [
        "functions.hello httpApi: [[api.route]] GET /",
        "functions.hello: left out: ",
        "`hello`: handler.hello, nodejs18.x",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    // Nothing is served open or not at all without a word: its function does not run here yet.
    let output = floodgate(&["run", file.to_str().unwrap(), "--plain", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("AWS_PROXY"), "{said}");
}

/// `floodgate run` of a CloudFormation template: its API is reached at its stage, with the parameters that were given.
#[test]
fn a_template_is_served() {
    let origin = Origin::fixed("thing");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("template.yaml");
    let template = r"
Parameters: {Backend: {Type: String}}
Resources:
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: shop}}
  Items: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref Api, ParentId: !GetAtt Api.RootResourceId, PathPart: items}}
  Get:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !Ref Items
      HttpMethod: GET
      AuthorizationType: NONE
      Integration: {Type: HTTP_PROXY, IntegrationHttpMethod: GET, Uri: !Sub '${Backend}/v2/items'}
  Stage: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, StageName: live}}
";
    fs::write(&file, template).unwrap();
    let parameter = format!("Backend={}", origin.url());
    let gateway = Gateway::from_flags(&[
        file.to_str().unwrap(),
        "--plain",
        "--listen",
        "127.0.0.1:0",
        "--param",
        &parameter,
    ]);
    let response = gateway.ask("GET /live/items");
    assert_eq!((response.status, &*response.text()), (200, "thing"));
    assert_eq!(gateway.ask("GET /live/nothing").status, 403);
    assert_eq!(origin.requests().iter().map(|it| it.target().to_owned()).collect::<Vec<_>>(), ["/v2/items"]);
    let refused = floodgate(&["check", file.to_str().unwrap()]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("the parameter `Backend` has no default"), "{said}");
}

/// Of a petstore, all operations but one ask for schemes that nothing enforces (row 140): it is refused with one word about all of
/// them, by itself and as the TOML that it is imported as, and served when the operator says so.
#[test]
fn what_asks_for_security_that_nothing_enforces_is_not_open() {
    let origin = Origin::fixed("all");
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let document = r#"openapi: 3.0.3
info: {title: pets, version: "1"}
components: {securitySchemes: {pets: {type: oauth2, flows: {}}}}
security: [{pets: []}]
paths:
  /pets: {get: {responses: {}}, post: {security: [{pets: [write]}], responses: {}}}
  /health: {get: {security: [], responses: {}}}
"#;
    fs::write(path("pets.yaml"), document).unwrap();
    let reading = ["--kind", "rest", "--backend", &origin.url()];
    let with = |verb: &str, file: &str, more: &[&str]| {
        let file = path(file);
        floodgate(&[&[verb, &file], more].concat())
    };
    let check = |output: &Output, parts: &[&str]| {
        let said = String::from_utf8_lossy(&output.stderr);
        for part in parts {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        said.matches("nothing enforces").count()
    };
    let named = ["`pets`, for which `GET /pets`, `POST /pets` ask"];
    for verb in ["check", "run"] {
        let refused = with(verb, "pets.yaml", &reading);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let parts = ["pets.yaml:6:16", named[0], "`security: []`", "--allow-unenforced-security"];
        assert_eq!(check(&refused, &parts), 1, "{refused:?}");
    }
    let imported = with("import", "pets.yaml", &reading);
    assert!(imported.status.success());
    check(&imported, &["not mapped", named[0]]);
    let toml = String::from_utf8(imported.stdout).unwrap();
    fs::write(path("pets.toml"), &toml).unwrap();
    let refused = with("check", "pets.toml", &[]);
    assert_eq!(refused.status.code(), Some(2), "{toml}");
    check(&refused, &["pets.toml:", named[0], "allow_unenforced_security = true"]);
    fs::write(path("pets.toml"), toml.replacen("kind = ", "allow_unenforced_security = true\nkind = ", 1))
        .unwrap();
    assert!(with("check", "pets.toml", &[]).status.success());
    let file = path("pets.yaml");
    let flags =
        [&[file.as_str(), "--plain", "--listen", "127.0.0.1:0", "--allow-unenforced-security"], &reading[..]];
    let gateway = Gateway::from_flags(&flags.concat());
    gateway.wait_for_line(named[0]);
    assert_eq!(gateway.ask("GET /pets").text(), "all");
}

/// A document that is run by itself, with a state folder that outlives the process.
fn kept(file: &str, state: &TempDir) -> Builder {
    Gateway::with_flags(&[file, "--plain", "--listen", "127.0.0.1:0"]).state(state.path())
}

fn hello(gateway: &Gateway) -> String {
    gateway.ask("GET /hello?name=a").text()
}

/// What is wrong with it is told with its place, and what runs goes on; a start that finds it wrong may go back.
#[test]
fn a_document_is_watched_and_kept() {
    let (folder, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let file = folder.path().join("api.yaml");
    let write =
        |word: &str| fs::write(&file, document("http://127.0.0.1:9").replace("hello\"", word)).unwrap();
    let name = file.to_str().unwrap();
    write("one\"");
    let never = kept(name, &TempDir::new().unwrap()).argument("--last-good").start();
    assert_eq!(hello(&never), "{\"one\": \"a\"}");
    let gateway = kept(name, &state).argument("--watch").start();
    write("two\"");
    eventually("the document is read again", || (hello(&gateway) == "{\"two\": \"a\"}").then_some(()));
    fs::write(&file, document("ftp://nowhere")).unwrap();
    gateway.wait_for_line("`ftp://nowhere/v2/{id}` is no URL");
    gateway.wait_for_line("api.yaml:16:9");
    assert_eq!(hello(&gateway), "{\"two\": \"a\"}");
    gateway.end();
    let refused = kept(name, &state).try_start().map(|gateway| gateway.said()).unwrap_err();
    let way = format!("`floodgate run {name} --last-good --state {}`", state.path().display());
    assert!(refused.code == Some(2) && refused.stderr.contains(&way), "{refused:#?}");
    let gateway = kept(name, &state).argument("--last-good").start();
    gateway.wait_for_line("running the last one that was in force");
    assert_eq!(hello(&gateway), "{\"two\": \"a\"}");
    gateway.end();
    // Nothing is in it, or it is gone: it is a document by its name.
    fs::write(&file, "").unwrap();
    assert_eq!(hello(&kept(name, &state).argument("--last-good").start()), "{\"two\": \"a\"}");
    fs::remove_file(&file).unwrap();
    assert_eq!(hello(&kept(name, &state).argument("--last-good").start()), "{\"two\": \"a\"}");
    // What was kept is no configuration.
    let config = folder.path().join("floodgate.toml");
    fs::write(&config, format!("[node]\nstate = {:?}\nbroken = 1\n", state.path())).unwrap();
    let refused = floodgate(&["run", config.to_str().unwrap(), "--last-good"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success()
            && said.contains("`floodgate run ")
            && said.contains("api.yaml --last-good`"),
        "{said}"
    );
}

/// Rows 26, 28, 29: `deploy`, `history`, `rollback` of a document, by itself and as what an `[[api]]` is.
#[test]
fn what_a_document_says_is_deployed() {
    let (folder, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let file = folder.path().join("api.yaml");
    let write =
        |word: &str| fs::write(&file, document("http://127.0.0.1:9").replace("hello\"", word)).unwrap();
    let name = file.to_str().unwrap();
    let asked = |socket: std::path::PathBuf, words: &[&str]| {
        let output = floodgate(&[words, &["--socket", socket.to_str().unwrap()]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let stage = |name: &'static str| ["--api", "shop", "--stage", name];

    write("one\"");
    let gateway = kept(name, &state).start();
    let socket = gateway.state("admin.sock");
    write("two\"");
    let deployed = asked(socket.clone(), &["deploy", "--description", "second"]);
    assert!(deployed.starts_with("deploy shop default "), "{deployed}");
    assert_eq!(hello(&gateway), "{\"two\": \"a\"}");
    asked(socket.clone(), &[&["rollback"][..], &stage("default")].concat());
    assert_eq!(hello(&gateway), "{\"one\": \"a\"}");
    let id = deployed.split_whitespace().nth(3).unwrap();
    assert!(asked(socket, &["history"]).contains(id), "{id}");
    gateway.end();
    assert_eq!(hello(&kept(name, &state).start()), "{\"one\": \"a\"}", "it outlives the process");

    write("one\"");
    let gateway = Gateway::start(&format!(
        "[[api]]\nname = \"shop\"\nkind = \"rest\"\nopenapi = {{ file = {file:?} }}\n[[api.stage]]\nname = \"prod\"\n\
         auto_deploy = false\n"
    ));
    let hello = || gateway.ask("GET /prod/hello?name=a").text();
    let socket = gateway.socket();
    write("two\"");
    asked(socket.clone(), &["reload"]);
    assert_eq!(hello(), "{\"one\": \"a\"}", "nobody has deployed it");
    asked(socket.clone(), &["deploy", "--api", "shop"]);
    assert_eq!(hello(), "{\"two\": \"a\"}");
    asked(socket, &[&["rollback"][..], &stage("prod")].concat());
    assert_eq!(hello(), "{\"one\": \"a\"}");
}
