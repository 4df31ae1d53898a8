//! `serverless.yml` (section 5.1).

use super::{Given, check, options, read, summary};

/// As the AWS guides of the framework begin.
#[test]
fn the_guides_first_service() {
    let service = "
service: my-service
provider:
  name: aws
  runtime: nodejs18.x
functions:
  hello:
    handler: handler.hello
    events:
      - httpApi:
          path: /
          method: get
";
    check(service, &[], "http dev-my-service [\"$default\"]\n  GET / -> AWS_PROXY my-service-dev-hello");
    let imported = read(service, &options(&[]), &Given::default());
    let function = &imported.functions[0];
    assert_eq!((&*function.name, function.runtime.as_deref()), ("hello", Some("nodejs18.x")));
}

#[test]
fn rest_events() {
    let service = "
service: shop
provider: {name: aws, stage: prod, apiGateway: {minimumCompressionSize: 10}}
functions:
  a:
    handler: src/a.handler
    events:
      - http: GET items/{id}
      - http: {path: items, method: post, cors: true, private: true, authorizer: aws_iam}
      - http: {path: by, method: get, authorizer: {name: judge, type: request, identitySource: method.request.header.X}}
      - http: {path: pool, method: get, authorizer: {arn: 'arn:aws:cognito-idp:us-east-1:1:userpool/p', scopes: [a/b]}}
      - http: {path: old, method: get, integration: lambda}
      - http: {path: web, method: any, integration: http-proxy, request: {uri: 'https://example.com/web'}}
      - http: {path: fixed, method: get, integration: mock, response: {statusCodes: {'201': {pattern: ''}}}}
      - schedule: rate(1 hour)
";
    let expected = "
rest prod-shop [\"prod\"]
  GET /items/{id} -> AWS_PROXY shop-prod-a
  POST /items -> AWS_PROXY shop-prod-a iam key
  OPTIONS /items -> MOCK -
  GET /by -> AWS_PROXY shop-prod-a by judge []
  GET /pool -> AWS_PROXY shop-prod-a by p [\"a/b\"]
  GET /old -> AWS shop-prod-a
  ANY /web -> HTTP_PROXY https://example.com/web
  GET /fixed -> MOCK -";
    check(service, &[], expected);
    let imported = read(service, &options(&[]), &Given::default());
    let old = imported.apis[0].definition.routes.iter().find(|it| it.key.to_string() == "GET /old").unwrap();
    let model::Integration::Declared(old) = &old.integration else { panic!("{old:?}") };
    assert_eq!((old.request_templates.len(), old.responses.len()), (2, 9));
}

#[test]
fn variables_are_replaced() {
    let service = "
service: ${self:custom.name}
custom:
  name: ${env:NAME, 'unnamed'}
  paths: ${file(paths.yml)}
  stages: {dev: one, prod: two}
  same: ${self:custom.stages.${sls:stage}}
provider: {name: aws, stage: \"${opt:stage, 'dev'}\"}
functions:
  f:
    handler: a.b
    environment: {TABLE: '${ssm:/none}'}
    events:
      - httpApi: GET /${self:custom.same}/${self:custom.paths.first}
";
    let mut world = Given::default();
    world.files.insert("paths.yml", "first: ${self:custom.name}\n");
    let of = |parameters: &[(&str, &str)], world: &Given| {
        summary(&read(service, &options(parameters), world).apis)
    };
    assert_eq!(
        of(&[], &world),
        "http dev-unnamed [\"$default\"]\n  GET /one/unnamed -> AWS_PROXY unnamed-dev-f\n"
    );
    world.environment.insert("NAME", "n");
    let expected = "http prod-n [\"$default\"]\n  GET /two/n -> AWS_PROXY n-prod-f\n";
    assert_eq!(of(&[("stage", "prod"), ("opt:stage", "prod")], &world), expected);
}
