//! What is refused and what is said: a document, the place, the message. A line of the document that ends with
//! `#> message` is where a mistake is said, `#? message` where a warning is.

use model::{Diagnostic, Kind, Severity};
use openapi::{Options, Tree};

const HEAD: &str =
    "openapi: 3.0.1\ninfo: {title: t, version: '1'}\nx-amazon-apigateway-api-key-source: HEADER\n";
const HTTP: &str =
    "openapi: 3.0.1\ninfo: {title: t, version: '1'}\nx-amazon-apigateway-importexport-version: '1.0'\n";
const PATHS: &str = "paths:\n  /: {get: {x-amazon-apigateway-integration: {type: mock}}}\n";

fn said(text: &str, options: &Options) -> (bool, Vec<Diagnostic>) {
    let tree = Tree::parse("api.yaml", text).unwrap_or_else(|error| panic!("{error:?}"));
    let (imported, diagnostics) = openapi::import(&tree, options, progress::Progress::silent());
    (imported.is_some(), diagnostics)
}

#[track_caller]
fn check_with(text: &str, options: &Options) {
    let (taken, found) = said(text, options);
    let expected: Vec<_> = (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| {
            let (mark, message) = text
                .split_once(" #> ")
                .map(|it| ('>', it.1))
                .or_else(|| Some(('?', text.split_once(" #? ")?.1)))?;
            Some((line, mark, message.to_owned()))
        })
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|it| {
            let mark = if it.severity == Severity::Error { '>' } else { '?' };
            (it.origin.as_ref().map_or(0, |origin| origin.line), mark, it.message.clone())
        })
        .collect();
    let fits = expected.len() == found.len()
        && expected.iter().zip(&found).all(|(a, b)| (a.0, a.1) == (b.0, b.1) && b.2.contains(&a.2));
    assert!(fits, "expected {expected:#?}\nfound {found:#?}\n{text}");
    assert_eq!(taken, expected.iter().all(|it| it.1 == '?'), "refused whole, or taken whole");
}

#[track_caller]
fn check(text: &str) {
    check_with(text, &Options::default());
}

fn rest() -> Options {
    Options { kind: Some(Kind::Rest), ..Options::default() }
}

#[test]
fn versions() {
    check("openapi: 3.1.0 #> a version that can't be imported\ninfo: {title: t}\npaths: {}");
    check("swagger: '1.2' #> a version that can't be imported\ninfo: {title: t}\npaths: {}");
    check("a: 1 #> this is no OpenAPI document");
    check(
        "openapi: 3.0.1 #> doesn't tell whether it is of a REST API or of an HTTP API\ninfo: {title: t}\npaths: {}",
    );
    let both = "openapi: 3.0.1\ninfo: {title: t}\n\
                x-amazon-apigateway-policy: {a: 1} #> is for a REST API, and `x-amazon-apigateway-cors` (line 4)\n\
                x-amazon-apigateway-cors: {allowOrigins: ['*']}\npaths: {}";
    check(both);
    check_with(
        "swagger: '2.0' #> an HTTP API can't be made of Swagger 2.0\ninfo: {title: t}",
        &Options { kind: Some(Kind::Http), ..Options::default() },
    );
    // Nothing of a kind is missing where it is said.
    let (taken, said) = said(&format!("openapi: 3.0.1\ninfo: {{title: t}}\n{PATHS}"), &rest());
    assert!(taken && said.is_empty(), "{said:?}");
}

#[test]
fn documents() {
    check("swagger: '2.0' #> has no title\ninfo: {version: '1'}\npaths: {}");
    check("swagger: '2.0' #> has no `paths`\ninfo: {title: t}");
    check(
        &format!("{HEAD}paths: [] #> expected a map, found a list").replace("paths: [] #>", "paths: [] #>"),
    );
}

/// Row 140: whole segments; and no two paths that take the same requests.
#[test]
fn paths() {
    let it = "{get: {x-amazon-apigateway-integration: {type: mock}}}";
    for (path, why) in [
        ("a", "does not begin with a slash"),
        ("/a{b}", "only a part of a segment"),
        ("/{a+}/b", "greedy variable that is not its last"),
        ("/{a}/{a}", "has the variable `a` twice"),
        ("/a//b", "a segment that is empty"),
        ("/a/../b", "made of dots"),
        ("/a b", "has a ` ` in it"),
        ("/{}", "can't be one"),
        ("/{a b}", "has a ` ` in it"),
    ] {
        check(&format!("{HEAD}paths:\n  '{path}': {it} #> {why}"));
    }
    check(&format!(
        "{HEAD}paths:\n  /a/{{x}}: {it}\n  /a/{{y}}: {it} #> takes the same requests as `/a/{{x}}`"
    ));
    check(&format!("{HEAD}paths:\n  /a: {it}\n  /a/: {it} #> takes the same requests as `/a`"));
    check_with(&format!("{HEAD}paths:\n  /$default: {it}"), &rest());
    check(&format!("{HTTP}paths:\n  /$default: {{get: {{a: 1}}}} #> takes every method"));
    check(&format!("{HEAD}paths:\n  /: {{trace: {{a: 1}}}} #? has no TRACE"));
    check(&format!("{HEAD}paths:\n  /: {{$ref: 'x.yaml'}} #> elsewhere"));
    check(&format!("{HEAD}paths:\n  /:\n    gett: {{}} #? `gett` has no effect here"));
}

#[test]
fn integrations() {
    let one = |what: &str| {
        check_with(
            &format!("{HEAD}paths:\n  /:\n    get:\n      x-amazon-apigateway-integration:\n{what}"),
            &rest(),
        )
    };
    one("        uri: x #> has no `type`");
    one("        type: mok #> `mok` is not known here");
    one("        type: http #> has to say where it goes\n        httpMethod: GET");
    one("        type: http #> says no method\n        uri: http://x");
    one(
        "        type: http #> `ftp://x` is no URL of a backend\n        uri: ftp://x\n        httpMethod: GET",
    );
    one(
        "        type: http_proxy #> the VPC link is not named\n        uri: http://x\n        httpMethod: GET\n        connectionType: VPC_LINK",
    );
    one("        type: mock\n        timeoutInMillis: 49 #> a whole number from 50 to 900000");
    one("        type: mock\n        timeoutInMillis: x #> a whole number from 50");
    one("        type: mock\n        passthroughBehavior: maybe #> `maybe` is not known here");
    one("        type: mock\n        requestTemplates: x #> expected a map, found a string");
    one("        type: mock\n        requestTemplates: {a: [1]} #> expected a string, found a list");
    one("        type: mock\n        responses: {default: {a: 1}} #> has no `statusCode`");
    one("        type: mock\n        responses: {default: {statusCode: 99}} #> from 100 to 599");
    one("        type: mock\n        integrationSubtype: x #? is for HTTP APIs");
    one("        type: mock\n        tyype: x #? `tyype` has no effect here");
    let http = |what: &str| {
        check_with(
            &format!("{HTTP}paths:\n  /:\n    get:\n      x-amazon-apigateway-integration:\n{what}"),
            &Options { kind: Some(Kind::Http), ..Options::default() },
        )
    };
    http("        type: mock #> has no integrations of type `mock`");
    http("        type: http_proxy\n        uri: http://x\n        requestTemplates: {} #? is for REST APIs");
    http(
        "        type: http_proxy\n        uri: http://x\n        responseParameters: {x: {}} #> `x` is no status",
    );
}

/// Operations without an integration: one mistake for all if there is none at all, and the way out.
#[test]
fn operations_without_integrations() {
    check(&format!(
        "{HEAD}paths:\n  /:\n    get: {{x-amazon-apigateway-integration: {{type: mock}}}}\n    \
         put: {{a: 1}} #> No integration defined for method\n    post: {{a: 1}} #> No integration defined for method"
    ));
    let plain = format!(
        "{HEAD}servers: [{{url: 'https://{{at}}.example.com/v1', variables: {{at: {{default: api}}}}}}]\npaths:\n  \
         /a:\n    get: {{a: 1}} #> none of the document's 2 operations has\n    put: {{a: 1}}"
    );
    check(&plain);
    let (_, found) = said(&plain, &Options::default());
    let help = found[0].help.as_deref().unwrap();
    assert_eq!(help, "`--backend https://api.example.com/v1` sends them all there");
    let two = "swagger: '2.0'\ninfo: {title: t}\nhost: h.example.com\nbasePath: /b\nschemes: [http]\npaths: {/: {get: {}}}";
    let (_, found) = said(two, &Options::default());
    assert_eq!(found[0].help.as_deref().unwrap(), "`--backend http://h.example.com/b` sends them all there");
    let backend = Options { backend: Some("http://127.0.0.1:9/v1/".into()), ..Options::default() };
    check_with(&plain.replace("#> none of the document's 2 operations has", ""), &backend);
}

#[test]
fn security() {
    let scheme = |scheme: &str, security: &str| {
        check_with(
            &format!(
                "{HEAD}components:\n  securitySchemes:\n    s: {scheme}\npaths:\n  /:\n    get:\n      \
             x-amazon-apigateway-integration: {{type: mock}}\n      security: {security}"
            ),
            &rest(),
        );
    };
    let authorizer = "type: apiKey, name: A, in: header, x-amazon-apigateway-authorizer";
    scheme("{type: http, scheme: bearer} #? the scheme `s` is left out", "[s: []]");
    scheme("{type: apiKey, name: key, in: query} #? an API key stands in the header `x-api-key`", "[]");
    scheme("{type: apiKey, name: x-api-key, in: header}", "[t: []] #> there is no security scheme `t`");
    scheme(&format!("{{{authorizer}: {{a: 1}}}} #> has no `type`"), "[]");
    scheme(&format!("{{{authorizer}: {{type: token}}}} #> says nobody to ask"), "[]");
    scheme(&format!("{{{authorizer}: {{type: cognito_user_pools}}}} #> says nobody to ask"), "[]");
    scheme(
        &format!(
            "{{{authorizer}: {{type: jwt, jwtConfiguration: {{issuer: x}}}}}} #> has no authorizers of this type"
        ),
        "[]",
    );
    check(&format!(
        "{HEAD}components:\n  securitySchemes:\n    a: {{{authorizer}: {{type: token, authorizerUri: x}}}}\n    \
         b: {{{authorizer}: {{type: token, authorizerUri: x}}}}\n{}      security:\n        - a: []\n        \
         - b: [] #> an operation has one authorizer",
        "paths:\n  /:\n    get:\n      x-amazon-apigateway-integration: {type: mock}\n"
    ));
    // Row 140.
    check(&format!(
        "{HEAD}security: [x: []] #? what the whole document says of `security` is ignored\n{PATHS}"
    ));
}

/// Row 140.
#[test]
fn models() {
    let schema = |schema: &str| check(&format!("{HEAD}components:\n  schemas:\n{schema}\n{PATHS}"));
    schema("    A-B: {type: object} #> Model name must be alphanumeric: `A-B`");
    schema("    A: {type: object, properties: {b: {$ref: '#/components/schemas/B'}}} #> names no model");
    schema("    A: {type: object, properties: {b: {$ref: 'other.yaml#/B'}}} #> names no model");
    schema(
        "    A: {type: object, properties: {b: {$ref: '#/components/schemas/A/properties/c'}}} #> names no model",
    );
    schema("    A: {discriminator: {propertyName: b}, type: object} #? a model has no `discriminator`");
    schema(
        "    A: {example: 1, type: object} #? a model has no `example`: it is left out, here and at 1 other places\n    B: {example: 2, type: object}",
    );
    schema("    A: {type: object, properties: {example: {type: string}, xml: {type: string}}}");
    schema("    A: [] #> expected a map");
    check(&format!(
        "{HEAD}paths:\n  /:\n    get:\n      x-amazon-apigateway-integration: {{type: mock}}\n      responses:\n        \
         '200': {{content: {{text/plain: {{schema: {{type: string}}}}}}}} #? a body that is a string has no model"
    ));
}

#[test]
fn operations() {
    let one = |what: &str| {
        check(&format!(
            "{HEAD}paths:\n  /a/{{x}}:\n    get:\n      x-amazon-apigateway-integration: {{type: mock}}\n{what}"
        ));
    };
    one("      parameters: [{name: y, in: path}] #? the path `/a/{x}` has no variable `y`");
    one("      parameters: [{name: y, in: cookie}] #? knows no parameters in `cookie`");
    one("      parameters: [{name: y}] #> `in` is missing");
    one("      parameters: [{in: query}] #> the parameter has no `name`");
    one("      parameters: [{$ref: '#/components/parameters/None'}] #> leads nowhere");
    one("      responses: {4XX: {description: x}} #? `4XX` is no status");
    one("      x-amazon-apigateway-request-validator: all #> there is no validator `all`");
    one("      x-amazon-apigateway-intergation: {} #? has no effect here");
    one("      callbacks: {a: {}} #? callbacks are left out");
    check(
        &format!(
            "{HEAD}components: {{parameters: {{a: {{$ref: '#/components/parameters/a'}}}}}}\n{}{}",
            "paths:\n  /:\n    get:\n      x-amazon-apigateway-integration: {type: mock}\n",
            "      parameters: [{$ref: '#/components/parameters/a'}]"
        )
        .replace(
            "'#/components/parameters/a'}}}",
            "'#/components/parameters/a'}}} #> goes round in a circle",
        ),
    );
}

#[test]
fn extensions() {
    let one = |what: &str| check(&format!("{HEAD}{what}\n{PATHS}"));
    one("x-amazon-apigateway-minimum-compression-size: 10485761 #> from 0 to 10485760");
    one("x-amazon-apigateway-gateway-responses: {TEAPOT: {}} #> `TEAPOT` is no gateway response");
    one("x-amazon-apigateway-policy: '{' #> the policy is no JSON");
    one(&format!("x-amazon-apigateway-policy: {{a: '{}'}} #> longer than 8192", "x".repeat(8_192)));
    one("x-amazon-apigateway-something: 1 #? has no effect here");
    one("x-amazon-apigateway-endpoint-access-mode: SOME #> `SOME` is not known here");
    one(
        "x-amazon-apigateway-documentation: {documentationParts: [{location: {type: PLACE}, properties: {}}]} #> `PLACE` is no location",
    );
    one(
        "x-amazon-apigateway-documentation: {documentationParts: [{properties: {}}]} #> has `location` and `properties`",
    );
    one(
        "x-amazon-apigateway-documentation: {documentationParts: [{location: {type: API}, properties: '[]'}]} #> a JSON object",
    );
    check(&format!(
        "{HTTP}x-amazon-apigateway-cors: {{allowOrigins: ['*'], allowCredentials: true}} #> does not go with the origin `*`\npaths: {{}}"
    ));
    check(&format!("{HTTP}x-amazon-apigateway-cors: {{maxAge: 86401}} #> from -1 to 86400\npaths: {{}}"));
    check(&format!(
        "{HTTP}x-amazon-apigateway-endpoint-access-mode: STRICT #? is for REST APIs\npaths: {{}}"
    ));
    check_with(&format!("{HEAD}x-amazon-apigateway-cors: {{}} #? is for HTTP APIs\n{PATHS}"), &rest());
}

#[test]
fn warnings_refuse_if_they_are_to() {
    let text = format!("{HEAD}x-amazon-apigateway-something: 1\n{PATHS}");
    assert!(said(&text, &Options::default()).0);
    let (taken, found) = said(&text, &Options { fail_on_warnings: true, ..Options::default() });
    assert!(!taken && found.iter().all(|it| it.severity == Severity::Error), "{found:?}");
}

/// Not one mistake but each, in the order of the text, with its way from the root.
#[test]
fn every_mistake_is_said() {
    let text = format!(
        "{HEAD}paths:\n  /a b: {{}} #> has a ` ` in it\n  /c:\n    get:\n      x-amazon-apigateway-integration: {{type: x}} #> `x`\n    \
         put: {{a: 1}} #> No integration defined\ncomponents: {{schemas: {{'a-b': {{}}}}}} #> alphanumeric"
    );
    check(&text);
    let (_, found) = said(&text, &Options::default());
    let keys: Vec<_> = found.iter().map(|it| &*it.key).collect();
    assert_eq!(
        keys,
        [
            "/paths/~1a b",
            "/paths/~1c/get/x-amazon-apigateway-integration/type",
            "/paths/~1c/put",
            "/components/schemas/a-b"
        ]
    );
}
