//! Who may call an operation, and what is asked for that nothing enforces (rows 102, 103, 140): it stays with the operation by its
//! name, through exports too, unless the operator opens it.

#![expect(clippy::unwrap_used, reason = "a test")]

use model::{Api, Authorization, Kind, Severity};
use openapi::{Extensions, Format, Options, Tree, Variables, export::Options as How};

const SCHEMES: &str = "components:
  securitySchemes:
    bearer: {type: http, scheme: bearer}
    oauth: {type: oauth2, flows: {}}
    key: {type: apiKey, name: x-api-key, in: header}
    iam: {type: apiKey, name: Authorization, in: header, x-amazon-apigateway-authtype: awsSigv4}
    judge: {type: apiKey, name: A, in: header, x-amazon-apigateway-authorizer: {type: request, authorizerUri: x}}
    half: {type: apiKey, name: A, in: header, x-amazon-apigateway-authtype: custom}
";

fn document(root: &str, operation: &str) -> String {
    format!(
        "openapi: 3.0.1\ninfo: {{title: t}}\n{SCHEMES}{root}\npaths:\n  /a:\n    get:\n      \
         x-amazon-apigateway-integration: {{type: http_proxy, httpMethod: GET, uri: 'http://a'}}\n      {operation}\n"
    )
}

fn import(text: &str, options: &Options) -> (openapi::Imported, Vec<model::Diagnostic>) {
    let (imported, said) =
        openapi::import(&Tree::parse("a.yaml", text).unwrap(), options, progress::Progress::silent());
    (imported.unwrap_or_else(|| panic!("{said:#?}\n{text}")), said)
}

/// Who may call, in a few words: `judge`, `iam`, `key`, and behind an exclamation mark what nothing enforces.
fn access(imported: &openapi::Imported) -> String {
    let route = &imported.definition.routes[0];
    let mut words = match &route.authorization {
        Authorization::None => Vec::new(),
        Authorization::AwsIam => vec!["iam".to_owned()],
        Authorization::Authorizer { name, .. } => vec![name.clone()],
    };
    words.extend(route.api_key_required.then(|| "key".to_owned()));
    words.extend(route.unenforced_security.iter().map(|name| format!("!{name}")));
    words.join(" ")
}

#[track_caller]
fn check_kind(kind: Kind, root: &str, operation: &str, expected: &str) {
    let text = document(root, operation);
    let options = Options { kind: Some(kind), ..Options::default() };
    let (imported, _) = import(&text, &options);
    assert_eq!(access(&imported), expected, "{text}");
    // What is exported asks for the same.
    let mut api = Api::new("t", kind);
    api.definition = imported.definition.clone();
    let variables = Variables::default();
    for format in [Format::Oas30, Format::Swagger] {
        let how = How {
            format,
            extensions: Extensions::ALL,
            stage: "s",
            variables: &variables,
            upstream: &|_| None,
        };
        let exported = openapi::export(&api, &api.definition, &how);
        let (again, _) = import(&exported.document.to_string(), &options);
        if exported.notes.is_empty() {
            assert_eq!(access(&again), expected, "{}", exported.document);
        }
    }
    let allowed = Options { allow_unenforced_security: true, ..options };
    let (opened, said) = import(&text, &allowed);
    let enforced: Vec<_> = expected.split(' ').filter(|word| !word.starts_with('!')).collect();
    assert_eq!(access(&opened), enforced.join(" "), "{text}");
    let is_said =
        said.iter().any(|it| it.severity == Severity::Warning && it.message.contains("`GET /a` asks"));
    assert_eq!(is_said, expected.contains('!'), "{said:#?}");
}

#[track_caller]
fn check(root: &str, operation: &str, expected: &str) {
    check_kind(Kind::Rest, root, operation, expected);
}

#[test]
fn what_is_enforced_is_no_more_than_that() {
    check("", "", "");
    check("", "security: []", "");
    check("", "security: [{judge: []}]", "judge");
    check("", "security: [{judge: []}, {key: []}]", "judge key");
    check("", "security: [{iam: []}]", "iam");
    check("", "x-amazon-apigateway-auth: {type: AWS_IAM}", "iam");
}

#[test]
fn what_nothing_enforces_stays_with_the_operation() {
    check("", "security: [{bearer: []}]", "!bearer");
    check("", "security: [{oauth: [read]}, {bearer: []}, {oauth: [write]}]", "!oauth !bearer");
    check("", "security: [{judge: [], bearer: []}]", "judge !bearer");
    check("", "security: [{key: [], oauth: []}]", "key !oauth");
    check("", "security: [{half: []}]", "!half");
    check_kind(Kind::Http, "", "security: [{key: []}]", "!key");
    // It may be called with nothing as well, the document says.
    check("", "security: [{}, {bearer: []}]", "");
}

/// API Gateway ignores it (row 140), and the document says all the same that its operations are not open.
#[test]
fn what_the_whole_document_asks_for_is_not_enforced() {
    check("security: [{bearer: []}]", "", "!bearer");
    check("security: [{key: []}]", "", "!key");
    check("security: [{judge: []}]", "", "!judge");
    check("security: [{unknown: []}]", "", "!unknown");
    check("security: [{bearer: []}, {}]", "", "");
    check("security: [{bearer: []}]", "security: []", "");
    check("security: [{bearer: []}]", "security: [{judge: []}]", "judge");
    check("security: [{bearer: []}]", "x-amazon-apigateway-auth: {type: NONE}", "");
    check("x-amazon-apigateway-auth: {type: AWS_IAM}", "", "!AWS_IAM");
}

/// What has not the shape of a requirement asks for something that can't be told.
#[test]
fn what_is_no_requirement_is_refused() {
    for (root, operation, expected) in [
        ("", "security: {bearer: []}", "expected a list, found a map"),
        ("", "security: bearer", "expected a list, found a string"),
        ("", "security: [bearer]", "expected a map, found a string"),
        ("", "security: [~]", "expected a map, found nothing"),
        ("security: [bearer]", "", "expected a map, found a string"),
        ("security: bearer", "", "expected a list, found a string"),
        ("", "x-amazon-apigateway-auth: AWS_IAM", "expected a map, found a string"),
        ("", "x-amazon-apigateway-auth: {}", "`type` is missing"),
    ] {
        let text = document(root, operation);
        let options = Options { kind: Some(Kind::Rest), ..Options::default() };
        let (imported, said) =
            openapi::import(&Tree::parse("a.yaml", &text).unwrap(), &options, progress::Progress::silent());
        assert!(imported.is_none(), "{text}");
        let errors: Vec<_> = said.iter().filter(|it| it.severity == Severity::Error).collect();
        assert!(errors.len() == 1 && errors[0].message.contains(expected), "{errors:#?}");
    }
}
