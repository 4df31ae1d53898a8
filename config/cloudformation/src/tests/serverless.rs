//! `serverless.yml` (section 5.1).

use super::{Given, check, left, options, read, summary};

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

/// What stands under `resources` may name what the framework makes, and events what stands there.
#[test]
fn raw_resources_and_events_know_one_another() {
    let service = "
service: shop
provider: {name: aws, httpApi: {shouldStartNameWithService: true}}
functions:
  a-b:
    handler: a.handler
    events:
      - http: {path: items, method: get, authorizer: {type: COGNITO_USER_POOLS, authorizerId: !Ref Pool, scopes: [a/b]}}
      - http: {path: other, method: get, authorizer: {arn: !GetAtt Users.Arn}}
      - httpApi: GET /web
resources:
  Resources:
    Users: {Type: AWS::Cognito::UserPool, Properties: {UserPoolName: '${ssm:/nobody/knows}'}}
    Pool:
      Type: AWS::ApiGateway::Authorizer
      Properties:
        RestApiId: {Ref: ApiGatewayRestApi}
        Name: pool
        Type: COGNITO_USER_POOLS
        IdentitySource: method.request.header.Authorization
        ProviderARNs: [!GetAtt Users.Arn]
    Route: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref HttpApi, RouteKey: GET /raw, Target: !Sub 'integrations/${To}'}}
    To:
      Type: AWS::ApiGatewayV2::Integration
      Properties: {ApiId: !Ref HttpApi, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt ADashbLambdaFunction.Arn, PayloadFormatVersion: '2.0'}
";
    let expected = "
rest dev-shop [\"dev\"]
  GET /items -> AWS_PROXY shop-dev-a-b by pool [\"a/b\"]
  GET /other -> AWS_PROXY shop-dev-a-b by Users []
http shop-dev [\"$default\"]
  GET /web -> AWS_PROXY shop-dev-a-b
  GET /raw -> AWS_PROXY shop-dev-a-b";
    check(service, &[], expected);
}

/// What only AWS knows has to be said where it matters, and there alone.
#[test]
fn what_only_aws_knows_is_asked_for() {
    let service = "
service: shop
provider: {name: aws}
functions: {a: {handler: a.b, events: [{http: GET a}]}}
resources:
  Resources:
    R: {Type: AWS::ApiGateway::GatewayResponse, Properties: {RestApiId: !Ref ApiGatewayRestApi, ResponseType: DEFAULT_4XX, StatusCode: !Sub '${ssm:/x}'}}
    S: {Type: AWS::ApiGateway::Model, Properties: {RestApiId: !Ref ApiGatewayRestApi, Name: M, Schema: {title: '${ssm:/x}'}}}
    T: {Type: AWS::SNS::Topic, Properties: {TopicName: '${ssm:/y}'}}
";
    super::check_mistakes(
        service,
        &[],
        &[
            "7:136 there is neither a parameter nor a resource `ssm:/x`",
            "8:112 nothing is known of `${ssm:/x}`",
        ],
    );
}

/// Section 5.1: what lies inside of keys is looked at, or said to be left out.
#[test]
fn what_is_inside_of_keys_is_said() {
    let service = "
service: a
provider:
  name: aws
  httpApi:
    cors: {allowedOrigins: ['*'], color: red}
    authorizers: {jwt: {issuerUrl: 'https://i', audience: [a], color: red}}
functions:
  f:
    handler: a.b
    events:
      - httpApi: {path: /, method: get, authorizer: {name: jwt, color: red}}
      - http: {path: a, method: get, cors: {origin: '*', color: red}}
";
    let mut left = left(service);
    left.sort();
    let expected = [
        "functions.f",
        "functions.f http cors color",
        "functions.f httpApi authorizer color",
        "provider.httpApi.authorizers.jwt color",
        "provider.httpApi.cors color",
    ];
    assert_eq!(left, expected);
}
