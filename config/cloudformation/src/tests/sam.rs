//! SAM templates (section 5.2).

use super::{Given, check, left, options, read};

const FUNCTION: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: hello/
      Handler: app.handler
      Runtime: nodejs22.x
      Events:";

#[test]
fn events_make_the_implicit_apis() {
    let rest = "
        Get: {Type: Api, Properties: {Path: /hello, Method: get}}
        Any: {Type: Api, Properties: {Path: '/all/{proxy+}', Method: any}}
        Queue: {Type: SQS, Properties: {Queue: q}}";
    let expected = "
rest ServerlessRestApi [\"Prod\"]
  GET /hello -> AWS_PROXY Hello
  ANY /all/{proxy+} -> AWS_PROXY Hello";
    check(&format!("{FUNCTION}{rest}"), &[], expected);
    let http = "
        Get: {Type: HttpApi, Properties: {Path: /hello, Method: GET}}
        Rest: {Type: HttpApi}";
    let expected = "
http ServerlessHttpApi [\"$default\"]
  GET /hello -> AWS_PROXY Hello
  $default -> AWS_PROXY Hello";
    check(&format!("{FUNCTION}{http}"), &[], expected);
}

#[test]
fn what_was_left_out_is_said() {
    let events = "\n        Get: {Type: Api, Properties: {Path: /hello, Method: get}}";
    let imported = read(&format!("{FUNCTION}{events}"), &options(&[]), &Given::default());
    let [function] = &imported.functions[..] else { panic!("{:?}", imported.functions) };
    assert_eq!(
        (function.handler.as_deref(), function.runtime.as_deref()),
        (Some("app.handler"), Some("nodejs22.x"))
    );
    let left: Vec<_> =
        imported.notes.iter().filter(|note| note.became.is_none()).map(|note| &*note.what).collect();
    assert_eq!(left, ["ServerlessRestApi stage `Stage`", "Hello (AWS::Serverless::Function)"]);
    assert!(
        imported
            .notes
            .iter()
            .all(|note| note.origin.is_some() && (note.became.is_some() || note.why.is_some()))
    );
}

#[test]
fn apis_with_authorizers_globals_and_stages() {
    let template = "
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
Globals:
  Api:
    MinimumCompressionSize: 1024
    BinaryMediaTypes: ['image~1png']
    EndpointAccessMode: STRICT
    EndpointConfiguration: {Type: EDGE}
    Domain: {DomainName: pets.example.com, CertificateArn: c}
Resources:
  Pets:
    Type: AWS::Serverless::Api
    Properties:
      Name: pets
      StageName: !Ref Stage
      Variables: {table: !Sub 'pets-${Stage}'}
      Cors: \"'https://example.com'\"
      MethodSettings:
        - {ResourcePath: '/*', HttpMethod: '*', ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20}
      Auth:
        DefaultAuthorizer: Pool
        Authorizers:
          Pool: {UserPoolArn: 'arn:aws:cognito-idp:us-east-1:1:userpool/p'}
          Token: {FunctionArn: !GetAtt Hello.Arn}
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        A: {Type: Api, Properties: {RestApiId: !Ref Pets, Path: /a, Method: get}}
        B: {Type: Api, Properties: {RestApiId: !Ref Pets, Path: /b, Method: get, Auth: {Authorizer: NONE}}}
        C: {Type: Api, Properties: {RestApiId: !Ref Pets, Path: /c, Method: get, Auth: {Authorizer: Token, ApiKeyRequired: true}}}
        D: {Type: Api, Properties: {RestApiId: !Ref Pets, Path: /d, Method: get, Auth: {Authorizer: AWS_IAM}}}";
    let expected = "
rest pets [\"prod\"]
  GET /a -> AWS_PROXY Hello by Pool []
  GET /b -> AWS_PROXY Hello
  GET /c -> AWS_PROXY Hello by Token [] key
  GET /d -> AWS_PROXY Hello iam";
    check(template, &[("Stage", "prod")], expected);
    let imported = read(template, &options(&[]), &Given::default());
    let api = &imported.apis[0];
    let stage = &api.stages[0];
    assert_eq!(
        (&*stage.name, &stage.variables[..]),
        ("dev", &[("table".to_owned(), "pets-dev".to_owned())][..])
    );
    let throttle = stage.route_throttle.as_ref().unwrap();
    assert_eq!((throttle.rate, throttle.burst), (10.0, Some(20)));
    assert_eq!(stage.cors.as_ref().unwrap().allow_origins, ["https://example.com"]);
    assert_eq!(api.definition.minimum_compression_bytes, Some(1024));
    // Rows 6 and 13: a domain that is made with its API stands where that does.
    assert_eq!(api.definition.endpoint_access_mode, model::EndpointAccessMode::Strict);
    assert_eq!([api.endpoint, imported.domains[0].endpoint], [model::EndpointType::Edge; 2]);
    let names: Vec<_> = api.definition.authorizers.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["Pool", "Token"]);
}

#[test]
fn a_definition_of_its_own_is_an_openapi_document() {
    let template = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Pets:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      DefinitionBody:
        openapi: 3.0.1
        info: {title: pets, version: '1'}
        paths:
          /pets:
            get:
              responses: {}
              x-amazon-apigateway-integration:
                {type: http_proxy, httpMethod: GET, uri: !Sub 'https://${AWS::Region}.example.com/pets'}";
    check(
        template,
        &[],
        "rest pets [\"prod\"]\n  GET /pets -> HTTP_PROXY https://us-east-1.example.com/pets",
    );
}

/// What `Globals` says of APIs holds for the one that no template writes too: nobody is let in for want of a resource.
#[test]
fn globals_reach_the_implicit_apis() {
    let template = "
Transform: AWS::Serverless-2016-10-31
Globals:
  Api: {Auth: {DefaultAuthorizer: Pool, Authorizers: {Pool: {UserPoolArn: !GetAtt Users.Arn, AuthorizationScopes: [a/b]}}}}
  HttpApi: {Auth: {DefaultAuthorizer: AWS_IAM}}
Resources:
  Users: {Type: AWS::Cognito::UserPool}
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Environment: {Variables: {A: !ImportValue nobody-knows}}
      Events:
        A: {Type: Api, Properties: {Path: /a, Method: get}}
        B: {Type: HttpApi, Properties: {Path: /b, Method: get}}
        C: {Type: SQS, Properties: {Queue: !ImportValue nobody-knows}}";
    let expected = "
rest ServerlessRestApi [\"Prod\"]
  GET /a -> AWS_PROXY Hello by Pool [\"a/b\"]
http ServerlessHttpApi [\"$default\"]
  GET /b -> AWS_PROXY Hello iam";
    check(template, &[], expected);
}

/// `DefaultAuthorizer` guards the routes of a definition that say nothing themselves; `MergeDefinitions` adds those of events.
#[test]
fn a_definition_is_guarded_and_added_to() {
    let template = |merge: bool| {
        format!(
            "
Transform: AWS::Serverless-2016-10-31
Resources:
  Pets:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      MergeDefinitions: {merge}
      Auth: {{DefaultAuthorizer: Token, Authorizers: {{Token: {{FunctionArn: !GetAtt Hello.Arn}}}}}}
      DefinitionBody:
        openapi: 3.0.1
        info: {{title: pets, version: '1'}}
        paths:
          /a: {{get: {{responses: {{}}, x-amazon-apigateway-integration: {{type: mock}}}}}}
          /b: {{get: {{responses: {{}}, security: [], x-amazon-apigateway-integration: {{type: mock}}}}}}
          /c: {{options: {{responses: {{}}, x-amazon-apigateway-integration: {{type: mock}}}}}}
  Hello:
    Type: AWS::Serverless::Function
    Properties: {{Events: {{D: {{Type: Api, Properties: {{RestApiId: !Ref Pets, Path: /d, Method: get}}}}}}}}"
        )
    };
    let own =
        "rest pets [\"prod\"]\n  GET /a -> MOCK - by Token []\n  GET /b -> MOCK -\n  OPTIONS /c -> MOCK -";
    check(&template(false), &[], own);
    check(&template(true), &[], &format!("{own}\n  GET /d -> AWS_PROXY Hello by Token []"));
}

#[test]
fn a_definition_may_be_a_file() {
    let template = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Pets: {Type: AWS::Serverless::HttpApi, Properties: {DefinitionUri: api.yaml}}";
    let mut world = Given::default();
    let file = "openapi: 3.0.1\ninfo: {title: pets, version: '1'}\npaths: {/a: {get: {responses: {}, \
                x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: 'https://b', payloadFormatVersion: '1.0'}}}}\n";
    world.files.insert("api.yaml", file);
    let imported = read(template, &options(&[]), &world);
    assert_eq!(
        super::summary(&imported.apis),
        "http pets [\"$default\"]\n  GET /a -> HTTP_PROXY https://b\n"
    );
}

/// Section 5.2: what lies inside of properties is looked at, or said to be left out.
#[test]
fn what_is_inside_of_properties_is_said() {
    let template = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Pets:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      Cors: {AllowOrigin: \"'*'\", Color: red}
      Domain: {DomainName: a.example, CertificateArn: c, EndpointConfiguration: EDGE, Policy: {}}
      GatewayResponses: {DEFAULT_4XX: {Color: red}}
      Auth: {Authorizers: {Token: {FunctionArn: f, FunctionInvokeRole: r, Identity: {Color: red}}}}
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Events: {A: {Type: Api, Properties: {RestApiId: !Ref Pets, Path: /a, Method: get}}}}";
    let mut left = left(template);
    left.sort();
    let expected = [
        "Hello (AWS::Serverless::Function)",
        "Pets (AWS::Serverless::Api) Cors Color",
        "Pets (AWS::Serverless::Api) Domain Policy",
        "Pets (AWS::Serverless::Api) GatewayResponses DEFAULT_4XX Color",
        "Pets Auth.Authorizers.Token FunctionInvokeRole",
        "Pets Auth.Authorizers.Token Identity Color",
        "certificate of a.example",
    ];
    assert_eq!(left, expected);
    let imported = read(template, &options(&[]), &Given::default());
    assert_eq!(imported.domains[0].endpoint, model::EndpointType::Edge, "it says so itself");
}
