//! What is wrong with a template is said with its place, all of it at once.

use super::check_mistakes;

#[test]
fn of_cloudformation() {
    let template = "
Resources:
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: a}}
  R:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Api, ParentId: !Ref R, PathPart: a}
  M:
    Type: AWS::ApiGateway::Method
    Properties: {RestApiId: !Ref Nobody, ResourceId: !GetAtt Api.RootResourceId, HttpMethod: GET}
  D:
    Type: AWS::ApiGateway::DomainName
    Properties: {DomainName: a.example, EndpointAccessMode: STRICTER, EndpointConfiguration: {Types: [LOCAL]}, RoutingMode: NONE}
  S: {Type: AWS::ApiGateway::Stage, Properties: {StageName: !Cidr [a], RestApiId: !ImportValue X}}
";
    let expected = [
        "5:5 the resource `R` lies in itself",
        "8:5 `RestApiId` is missing",
        "9:29 there is neither a parameter nor a resource `Nobody`",
        "12:61 `STRICTER` is not known here: write `BASIC` or `STRICT`",
        "12:103 `LOCAL` is not known here: write `REGIONAL` or `EDGE` or `PRIVATE`",
        "12:125 `NONE` is not known here: write `BASE_PATH_MAPPING_ONLY` or `API_MAPPING_ONLY` or `ROUTING_RULE_ONLY` or \
         `ROUTING_RULE_THEN_BASE_PATH_MAPPING` or `ROUTING_RULE_THEN_API_MAPPING`",
        "13:6 `RestApiId` or `StageName` is missing",
        "13:61 the function `Fn::Cidr` is not known here",
        "13:83 `X` is exported by another stack",
    ];
    check_mistakes(template, &[], &expected);
}

/// One thing is missing, and one is said: not that a URL of nothing has no host as well.
#[test]
fn what_is_made_of_nothing_is_not_judged() {
    let template = "
Parameters: {Backend: {Type: String}}
Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: a, ProtocolType: HTTP}}
  I: {Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref Api, IntegrationType: HTTP_PROXY, IntegrationUri: !Sub '${Backend}/a', IntegrationMethod: GET, PayloadFormatVersion: '1.0'}}
  R: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: GET /a, Target: !Sub 'integrations/${I}'}}
";
    let missing = "5:120 the parameter `Backend` has no default";
    check_mistakes(template, &[], &[missing]);
    check_mistakes(template, &[("Backend", "ftp://b")], &["5:6 `ftp://b/a` is no URL of a backend"]);
}

#[test]
fn of_serverless() {
    let service = "
service: a
provider: {name: google}
functions:
  f: {handler: a.b, events: [{http: nonsense}, {http: 'GET /${ssm:/x}'}]}
";
    check_mistakes(
        service,
        &[("ssm:/y", "1")],
        &[
            "3:18 the provider is not `aws`",
            "5:37 `nonsense` is no method with a path",
            "5:55 nothing is known of `${ssm:/x}`",
        ],
    );
}

#[test]
fn conditions_that_name_themselves_end() {
    let conditions = "
Conditions: {A: !Condition B, B: !Condition A}
Resources: {Api: {Type: AWS::ApiGatewayV2::Api, Condition: A, Properties: {Name: a, ProtocolType: HTTP}}}
";
    check_mistakes(conditions, &[], &["2:34 conditions name one another more than 32 deep"]);
}

#[test]
fn variables_that_name_themselves_end() {
    let service = "
service: a
provider: {name: aws}
custom: {a: '${self:custom.b}', b: 'x${self:custom.a}'}
functions: {f: {handler: a.b, events: [{http: 'GET /${self:custom.a}'}]}}
";
    check_mistakes(service, &[], &["5:47 variables are more than 32 deep in one another"]);
}

#[test]
fn a_template_without_an_api() {
    check_mistakes(
        "Resources: {Topic: {Type: AWS::SNS::Topic}}\n",
        &[],
        &["1:1 there is no API in this template"],
    );
}

/// What names itself by a way round ends, and is said.
#[test]
fn what_names_itself_ends() {
    let mapping = "
Mappings: {M: {a: {b: !FindInMap [M, a, b]}}}
Resources: {Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: !FindInMap [M, a, b], ProtocolType: HTTP}}}
";
    check_mistakes(mapping, &[], &["2:23 a mapping holds values, and no `Fn::FindInMap`"]);
    let condition = "
Conditions: {A: !Equals [!If [A, x, y], x]}
Resources: {Api: {Type: AWS::ApiGatewayV2::Api, Condition: A, Properties: {Name: a, ProtocolType: HTTP}}}
";
    check_mistakes(condition, &[], &["2:31 conditions name one another more than 32 deep"]);
    // Each asks twice for the next: that is more than anybody waits for.
    let mut doubled = String::from("Conditions:\n");
    for at in 0..30 {
        doubled += &format!("  C{at}: !Or [!Condition C{n}, !Condition C{n}]\n", n = at + 1);
    }
    doubled += "  C30: !Equals [a, b]\nResources: {Api: {Type: AWS::ApiGatewayV2::Api, Condition: C0, Properties: {Name: a, ProtocolType: HTTP}}}\n";
    check_mistakes(&doubled, &[], &["32:20 the template comes to more than 1048576 values"]);
}

/// What is no number and no parameter is not taken for none.
#[test]
fn of_values() {
    let template = "
Resources:
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: a}}
  Get:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: GET
      RequestParameters: {querystring.a: true}
      MethodResponses: [{StatusCode: 200, ResponseParameters: {header.a: true}}]
      Integration: {Type: MOCK}
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties:
      RestApiId: !Ref Api
      StageName: prod
      MethodSettings: [{ResourcePath: /*, HttpMethod: '*', ThrottlingRateLimit: many, ThrottlingBurstLimit: -1}]
      CanarySetting: {PercentTraffic: half}
";
    let expected = [
        "10:27 `querystring.a` is no parameter: write method.request.querystring.X, .header.X or .path.X",
        "11:64 `header.a` is no header of an answer: write method.response.header.X",
        "18:81 `many` is no number from 0 on",
        "18:109 `-1` is no number from 0 on",
        "19:39 `half` is no number from 0 on",
    ];
    check_mistakes(template, &[], &expected);
}
