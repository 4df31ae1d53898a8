//! CloudFormation templates (section 5.3), as CDK writes them.

use model::{EndpointAccessMode, EndpointType, IpAddressType};

use super::{Given, check, left, options, read};

const REST: &str = r#"{"Resources": {
  "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "shop", "EndpointAccessMode": "STRICT",
    "EndpointConfiguration": {"Types": ["REGIONAL"]}}},
  "Items": {"Type": "AWS::ApiGateway::Resource", "Properties":
    {"ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]}, "PathPart": "items", "RestApiId": {"Ref": "Api"}}},
  "Item": {"Type": "AWS::ApiGateway::Resource", "Properties":
    {"ParentId": {"Ref": "Items"}, "PathPart": "{id}", "RestApiId": {"Ref": "Api"}}},
  "Options": {"Type": "AWS::ApiGateway::Method", "Properties": {
    "HttpMethod": "OPTIONS", "ResourceId": {"Ref": "Items"}, "RestApiId": {"Ref": "Api"}, "AuthorizationType": "NONE",
    "Integration": {"Type": "MOCK", "RequestTemplates": {"application/json": "{ statusCode: 200 }"},
      "IntegrationResponses": [{"StatusCode": "204", "ResponseParameters":
        {"method.response.header.Access-Control-Allow-Origin": "'*'"}}]},
    "MethodResponses": [{"StatusCode": "204", "ResponseParameters": {"method.response.header.Access-Control-Allow-Origin": true}}]}},
  "Get": {"Type": "AWS::ApiGateway::Method", "Properties": {
    "HttpMethod": "GET", "ResourceId": {"Ref": "Item"}, "RestApiId": {"Ref": "Api"}, "AuthorizationType": "NONE",
    "RequestParameters": {"method.request.path.id": true, "method.request.querystring.full": false},
    "RequestValidatorId": {"Ref": "Validator"},
    "Integration": {"Type": "HTTP_PROXY", "IntegrationHttpMethod": "GET", "Uri": "https://example.com/items/{id}",
      "RequestParameters": {"integration.request.path.id": "method.request.path.id"}}}},
  "Post": {"Type": "AWS::ApiGateway::Method", "Properties": {
    "HttpMethod": "POST", "ResourceId": {"Ref": "Items"}, "RestApiId": {"Ref": "Api"}, "AuthorizationType": "NONE",
    "RequestModels": {"application/json": {"Ref": "ItemModel"}}, "RequestValidatorId": {"Ref": "Validator"},
    "Integration": {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"},
      ":apigateway:", {"Ref": "AWS::Region"}, ":lambda:path/2015-03-31/functions/", {"Fn::GetAtt": ["Handler", "Arn"]}, "/invocations"]]}}}},
  "ItemModel": {"Type": "AWS::ApiGateway::Model", "Properties": {"Name": "Item", "RestApiId": {"Ref": "Api"},
    "ContentType": "application/json", "Schema": {"type": "object", "properties": {"name": {"type": "string"}}}}},
  "Validator": {"Type": "AWS::ApiGateway::RequestValidator", "Properties":
    {"Name": "all", "RestApiId": {"Ref": "Api"}, "ValidateRequestBody": true, "ValidateRequestParameters": true}},
  "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}},
  "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "prod",
    "DeploymentId": {"Ref": "Deployment"}, "CacheClusterEnabled": true,
    "MethodSettings": [{"ResourcePath": "/~1items", "HttpMethod": "POST", "ThrottlingRateLimit": 5}],
    "CanarySetting": {"PercentTraffic": 12.5, "StageVariableOverrides": {"v": "2"}}}},
  "Domain": {"Type": "AWS::ApiGateway::DomainName", "Properties": {"DomainName": "API.example.com", "EndpointAccessMode": "STRICT",
    "EndpointConfiguration": {"Types": ["EDGE"], "IpAddressType": "dualstack"}, "RoutingMode": "BASE_PATH_MAPPING_ONLY"}},
  "Mapping": {"Type": "AWS::ApiGateway::BasePathMapping", "Properties":
    {"BasePath": "v1", "DomainName": {"Ref": "Domain"}, "RestApiId": {"Ref": "Api"}, "Stage": {"Ref": "Stage"}}},
  "Key": {"Type": "AWS::ApiGateway::ApiKey", "Properties": {}},
  "Handler": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "a.b", "Runtime": "python3.13"}}
}}"#;

#[test]
fn a_rest_api_of_resources_and_methods() {
    let expected = "
rest shop [\"prod\"]
  OPTIONS /items -> MOCK -
  GET /items/{id} -> HTTP_PROXY https://example.com/items/{id}
  POST /items -> AWS_PROXY Handler";
    let imported = read(REST, &options(&[]), &Given::default());
    let mut lines: Vec<_> = super::summary(&imported.apis).lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = expected.trim().lines().map(str::to_owned).collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
    let api = &imported.apis[0];
    assert_eq!(api.definition.models.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["Item"]);
    assert_eq!(
        api.definition.validators.iter().map(|it| (&*it.name, it.body, it.parameters)).collect::<Vec<_>>(),
        [("all", true, true)]
    );
    let post = api.definition.routes.iter().find(|it| it.key.to_string() == "POST /items").unwrap();
    assert_eq!(post.request.models, [("application/json".to_owned(), "Item".to_owned())]);
    assert_eq!(post.request.validator.as_deref(), Some("all"));
    let stage = &api.stages[0];
    assert_eq!(stage.canary.as_ref().map(|it| (it.percent, it.variables.len())), Some((12.5, 1)));
    assert_eq!(
        stage.method_settings.iter().map(|it| it.key.to_string()).collect::<Vec<_>>(),
        ["POST /items"]
    );
    let [mapping] = &api.mappings[..] else { panic!("{:?}", api.mappings) };
    let expected = (Some("API.example.com"), "v1", Some("prod"));
    assert_eq!((mapping.host.as_deref(), &*mapping.base_path, mapping.stage.as_deref()), expected);
    let [domain] = &imported.domains[..] else { panic!("{:?}", imported.domains) };
    assert_eq!((&*domain.name, domain.endpoint), ("api.example.com", EndpointType::Edge));
    assert_eq!(domain.ip_address_type, IpAddressType::Dualstack);
    // Row 13.
    let modes = [domain.endpoint_access_mode, api.definition.endpoint_access_mode];
    assert_eq!(modes, [EndpointAccessMode::Strict; 2]);
    assert!(
        imported
            .notes
            .iter()
            .any(|note| note.what == "Key (AWS::ApiGateway::ApiKey)" && note.became.is_none())
    );
}

#[test]
fn an_http_api_of_routes_and_integrations() {
    let template = "
Parameters: {Backend: {Type: String}}
Conditions: {IsProd: !Equals [!Ref Stage, prod], Never: !Not [!Or [true, false]]}
Mappings: {Urls: {a: {b: 'https://example.com'}}}
Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: web, ProtocolType: HTTP, CorsConfiguration: {AllowOrigins: ['*']}}}
  Left: {Type: AWS::ApiGatewayV2::Api, Condition: Never, Properties: {Name: never, ProtocolType: HTTP}}
  Socket: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: chat, ProtocolType: WEBSOCKET}}
  Proxy:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: HTTP_PROXY
      IntegrationMethod: ANY
      IntegrationUri: !If [IsProd, !FindInMap [Urls, a, b], !Ref Backend]
      PayloadFormatVersion: '1.0'
  Route: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Api, RouteKey: 'ANY /{proxy+}', Target: !Join [/, [integrations, !Ref Proxy]]}}
  Stage: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Api, StageName: $default, AutoDeploy: true, DefaultRouteSettings: {ThrottlingRateLimit: 7}}}
";
    let parameters = [("Backend", "http://127.0.0.1:9080"), ("Stage", "dev")];
    check(
        template,
        &parameters,
        "http web [\"$default\"]\n  ANY /{proxy+} -> HTTP_PROXY http://127.0.0.1:9080",
    );
    let prod = [("Backend", "x"), ("Stage", "prod")];
    check(template, &prod, "http web [\"$default\"]\n  ANY /{proxy+} -> HTTP_PROXY https://example.com");
    let imported = read(template, &options(&parameters), &Given::default());
    let throttle = imported.apis[0].stages[0].route_throttle.as_ref().unwrap();
    assert_eq!(throttle.rate.to_string(), "7");
    assert_eq!(imported.apis[0].definition.cors.as_ref().unwrap().allow_origins, ["*"]);
}

/// Section 5.3: what lies inside of properties is looked at, or said to be left out.
#[test]
fn what_is_inside_of_properties_is_said() {
    let template = "
Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: a, EndpointConfiguration: {Types: [REGIONAL], Color: red}}
  Model:
    Type: AWS::ApiGateway::Model
    Properties: {RestApiId: !Ref Api, Name: M, Description: d, ContentType: application/xml, Schema: {type: object}}
  Get:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: GET
      Integration: {Type: MOCK}
      MethodResponses: [{StatusCode: 200, Color: red}]
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties:
      RestApiId: !Ref Api
      StageName: prod
      CacheClusterSize: '0.5'
      CanarySetting: {PercentTraffic: 5, DeploymentId: d}
  Web: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: w, ProtocolType: HTTP, CorsConfiguration: {AllowOrigin: a}}}
  Live: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Web, StageName: live, AutoDeploy: false}}
  Domain:
    Type: AWS::ApiGatewayV2::DomainName
    Properties: {DomainName: a.example, DomainNameConfigurations: [{CertificateArn: c, SecurityPolicy: TLS_1_2}]}
";
    let mut left = left(template);
    left.sort();
    let expected = [
        "Api (AWS::ApiGateway::RestApi) EndpointConfiguration Color",
        "Domain (AWS::ApiGatewayV2::DomainName) DomainNameConfigurations SecurityPolicy",
        "Get (AWS::ApiGateway::Method) MethodResponses Color",
        "Live (AWS::ApiGatewayV2::Stage) AutoDeploy",
        "Model (AWS::ApiGateway::Model) ContentType",
        "Model (AWS::ApiGateway::Model) Description",
        "Stage (AWS::ApiGateway::Stage) CacheClusterSize",
        "Stage (AWS::ApiGateway::Stage) CanarySetting DeploymentId",
        "Web (AWS::ApiGatewayV2::Api) CorsConfiguration AllowOrigin",
        "certificate of a.example",
    ];
    assert_eq!(left, expected);
}
