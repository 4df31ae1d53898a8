//! What documents mean where a round trip would not tell: variables, base paths, documentation, merges, and what an export
//! writes with which extensions.

use model::{Api, Definition, Integration, Kind};
use openapi::{BasePath, Extensions, Format, Mode, Options, Tree, Variables, export::Options as How};
use serde_json::{Value, json};

fn import(text: &str, options: &Options) -> openapi::Imported {
    let tree = Tree::parse("api.yaml", text).unwrap_or_else(|error| panic!("{error:?}"));
    let (imported, said) = openapi::import(&tree, options, progress::Progress::silent());
    imported.unwrap_or_else(|| panic!("{said:#?}"))
}

fn rest() -> Options {
    Options { kind: Some(Kind::Rest), ..Options::default() }
}

const MOCK: &str = "x-amazon-apigateway-integration: {type: mock}";

fn paths(text: &str, base_path: BasePath) -> Vec<String> {
    let imported = import(text, &Options { base_path, ..rest() });
    imported.definition.routes.iter().map(|route| route.key.to_string()).collect()
}

/// Row 142.
#[test]
fn variables() {
    let text = "swagger: '2.0'\ninfo: {title: t, description: '${AWS::Region}'}\npaths:\n  /: {get: {x-amazon-apigateway-integration: \
         {type: mock, uri: 'arn:${AWS::Partition}:x:${AWS::Region}:${AWS::AccountId}:${stageVariables.a}${AWS::Other}'}}}";
    let variables = Variables {
        account_id: "123456789012".into(),
        region: "eu-west-1".into(),
        partition: "aws-cn".into(),
    };
    let definition = import(text, &Options { variables, ..Options::default() }).definition;
    let Integration::Declared(declared) = &definition.routes[0].integration else { panic!() };
    let uri = declared.uri.as_deref();
    assert_eq!(uri, Some("arn:aws-cn:x:eu-west-1:123456789012:${stageVariables.a}${AWS::Other}"));
    assert_eq!(definition.description.as_deref(), Some("eu-west-1"));
}

/// Rows 138, 139: what AWS's guide shows for `/a/b/c`.
#[test]
fn base_paths() {
    let two =
        format!("swagger: '2.0'\ninfo: {{title: t}}\nbasePath: /a/b/c\npaths: {{/e: {{get: {{{MOCK}}}}}}}");
    let three = format!(
        "openapi: 3.0.1\ninfo: {{title: t}}\nservers: [{{url: 'https://h/{{base}}/c?x', variables: {{base: {{default: /a/b}}}}}}]\n\
         paths: {{/e: {{get: {{{MOCK}}}}}}}"
    );
    let bare = format!(
        "openapi: 3.0.1\ninfo: {{title: t}}\nservers: [{{url: 'https://h'}}]\npaths: {{/e: {{get: {{{MOCK}}}}}}}"
    );
    for text in [&two, &three] {
        assert_eq!(paths(text, BasePath::Ignore), ["GET /e"]);
        assert_eq!(paths(text, BasePath::Prepend), ["GET /a/b/c/e"]);
        assert_eq!(paths(text, BasePath::Split), ["GET /b/c/e"]);
    }
    assert_eq!(paths(&bare, BasePath::Prepend), ["GET /e"]);
}

/// Row 146.
#[test]
fn documentation() {
    let text = format!(
        "swagger: '2.0'\ninfo: {{title: t}}\npaths:\n  /:\n    get:\n      {MOCK}\n      summary: said by the way\n      \
         responses: {{'200': {{description: 200 response}}, '404': {{description: none}}}}\n\
         x-amazon-apigateway-documentation:\n  documentationParts:\n  \
         - {{location: {{type: METHOD, path: /, method: GET}}, properties: {{summary: said}}}}\n"
    );
    let told = |options: &Options| {
        let parts = import(&text, options).definition.documentation;
        parts.iter().map(|it| format!("{} {}", it.location, it.properties)).collect::<Vec<_>>()
    };
    assert_eq!(told(&rest()), ["METHOD {\"summary\":\"said\"}", "RESPONSE {\"description\":\"none\"}"]);
    assert_eq!(told(&Options { ignore_documentation: true, ..rest() }), Vec::<String>::new());
}

/// Row 146: a document says which version of the documentation its stage shows.
#[test]
fn versions_of_documentation() {
    let part = "x-amazon-apigateway-documentation: {documentationParts: [{location: {type: API}, properties: {info: x}}]}";
    let definition =
        import(&format!("swagger: '2.0'\ninfo: {{title: t}}\npaths: {{}}\n{part}"), &rest()).definition;
    let mut api = Api::new("t", Kind::Rest);
    let stage = |name: &str, version: Option<&str>| model::Stage {
        name: name.into(),
        documentation_version: version.map(str::to_owned),
        ..model::Stage::default()
    };
    api.stages = vec![stage("test", None), stage("prod", Some("1.3"))];
    let variables = Variables::default();
    for (stage, expected) in [("test", json!(null)), ("prod", json!("1.3"))] {
        let how = How {
            format: Format::Oas30,
            extensions: Extensions::ALL,
            stage,
            variables: &variables,
            upstream: &|_| None,
        };
        let document = openapi::export(&api, &definition, &how).document;
        assert_eq!(document["x-amazon-apigateway-documentation"]["version"], expected, "{stage}");
    }
}

/// Row 138: merging is the default, and what the document does not name stays.
#[test]
fn merges() {
    let of = |text: &str| import(&format!("swagger: '2.0'\n{text}"), &rest()).definition.without_origins();
    let old = of(&format!(
        "info: {{title: t, description: old}}\npaths: {{/a: {{get: {{{MOCK}, operationId: old}}}}, /b: {{get: {{{MOCK}}}}}, /c: {{}}}}\n\
         definitions: {{A: {{type: object}}, B: {{type: object}}}}\ntags: [{{name: t, x-amazon-apigateway-tag-value: v}}]"
    ));
    let new = of(&format!(
        "info: {{title: t, version: '2'}}\npaths: {{/a: {{get: {{{MOCK}, operationId: new}}}}, /c: {{get: {{{MOCK}}}}}}}\n\
         definitions: {{B: {{type: array}}, C: {{type: object}}}}"
    ));
    let keys = |it: &Definition| it.routes.iter().map(|route| route.key.to_string()).collect::<Vec<_>>();
    let merged = openapi::merge(old.clone(), new.clone(), Mode::Merge);
    assert_eq!(keys(&merged), ["GET /a", "GET /b", "GET /c"]);
    assert_eq!(merged.routes[0].operation_name.as_deref(), Some("new"));
    assert!(merged.resources.is_empty(), "it has a method now");
    let models: Vec<_> = merged.models.iter().map(|it| (&*it.name, &*it.schema)).collect();
    assert_eq!(
        models,
        [("A", "{\"type\":\"object\"}"), ("B", "{\"type\":\"array\"}"), ("C", "{\"type\":\"object\"}")]
    );
    assert_eq!((merged.description.as_deref(), merged.version.as_deref()), (Some("old"), Some("2")));
    let over = openapi::merge(old.clone(), new.clone(), Mode::Overwrite);
    assert_eq!(over, Definition { tags: old.tags, ..new }, "tags stay");
}

/// Row 143: what is written with which extensions.
#[test]
fn exports() {
    let text = format!(
        "swagger: '2.0'\ninfo: {{title: t, version: '1'}}\nsecurityDefinitions: {{a: {{type: apiKey, name: A, in: header, \
         x-amazon-apigateway-authorizer: {{type: token, authorizerUri: u}}}}}}\npaths: {{/: {{get: {{security: [{{a: []}}], {MOCK}}}}}}}\n\
         x-amazon-apigateway-binary-media-types: [a/b]"
    );
    let mut api = Api::new("t", Kind::Rest);
    api.id = "abcdefghij".into();
    let definition = import(&text, &rest()).definition;
    let variables = Variables { region: "eu-west-1".into(), ..Variables::default() };
    let written = |format, extensions| {
        let how = How { format, extensions, stage: "prod", variables: &variables, upstream: &|_| None };
        openapi::export(&api, &definition, &how).document
    };
    let none = Extensions::default();
    let has = |document: &Value| {
        let text = document.to_string();
        [
            "x-amazon-apigateway-integration",
            "x-amazon-apigateway-authorizer",
            "x-amazon-apigateway-binary-media-types",
        ]
        .map(|name| text.contains(name))
    };
    for (extensions, expected) in [
        (none, [false, false, false]),
        (Extensions { integrations: true, ..none }, [true, false, false]),
        (Extensions { authorizers: true, ..none }, [false, true, false]),
        (Extensions::ALL, [true, true, true]),
    ] {
        for format in [Format::Oas30, Format::Swagger] {
            assert_eq!(has(&written(format, extensions)), expected, "{extensions:?}");
        }
    }
    let url = "https://abcdefghij.execute-api.eu-west-1.amazonaws.com";
    let three = written(Format::Oas30, none);
    let server =
        json!([{ "url": format!("{url}/{{basePath}}"), "variables": { "basePath": { "default": "prod" } } }]);
    assert_eq!(three["servers"], server);
    let postman = written(Format::Oas30, Extensions { postman: true, ..none });
    assert_eq!(postman["servers"], json!([{ "url": format!("{url}/prod") }]), "[U]");
    let two = written(Format::Swagger, none);
    assert_eq!((&two["host"], &two["basePath"]), (&json!(&url[8..]), &json!("/prod")));
}
