//! OpenAPI documents from outside: run, checked, exported and imported by the real binary.

use std::{
    fs,
    process::{Command, Output},
};

use harness::{Gateway, Origin, gateway_binary};
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
    assert!(!said.contains("--last-good"), "it goes with configuration files: {said}");
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
