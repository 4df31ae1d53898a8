use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::RequestId;

fn values() -> Values<'static> {
    Values {
        account_id: "123456789012",
        api_id: "a1b2c3d4e5",
        stage: "prod",
        route_key: "GET /pets/{id}",
        resource_path: "/pets/{id}",
        resource_id: "abc123",
        deployment_id: "d1",
        is_canary: Some(false),
        base_path: Some("v1"),
        method: "GET",
        path: "/v1/pets/7",
        host: "shop.example.com",
        protocol: "HTTP/1.1",
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        user_agent: b"curl/8",
        request_id: RequestId::new([0; 16]),
        extended_request_id: b"JKJaXmPLvHcESHA=",
        begun_unix_ns: 1_795_255_872_345_000_000,
        failure: Some(Failure {
            message: "Say \"please\"\n",
            response_type: "THROTTLED",
            validation: "[instance type is wrong]",
        }),
        ended: Some(Ended {
            status: 502,
            latency_ns: 7_000_000,
            response_bytes: 12,
            request_bytes: 30,
            grpc_status: Some(14),
            integrated: Some(Integrated { latency_ns: 5_999_999, status: None, error: "late" }),
        }),
    }
}

#[track_caller]
fn check(name: &str, expected: Option<&str>) {
    let variable = Variable::named(name).expect("a name of section O");
    let mut out = b"before ".to_vec();
    let has = values().write(variable, &mut out);
    let written = String::from_utf8(out).unwrap().split_off("before ".len());
    assert_eq!(has.then_some(written.as_str()), expected, "{name}");
    assert!(has || written.is_empty(), "{name}");
}

#[test]
fn values_are_written_under_their_names() {
    let table = [
        ("apiId", "a1b2c3d4e5"),
        ("stage", "prod"),
        ("routeKey", "GET /pets/{id}"),
        ("resourcePath", "/pets/{id}"),
        ("resourceId", "abc123"),
        ("deploymentId", "d1"),
        ("isCanaryRequest", "false"),
        ("customDomain.basePathMatched", "v1"),
        ("httpMethod", "GET"),
        ("path", "/v1/pets/7"),
        ("domainName", "shop.example.com"),
        ("domainPrefix", "shop"),
        ("protocol", "HTTP/1.1"),
        ("identity.sourceIp", "192.0.2.1"),
        ("identity.userAgent", "curl/8"),
        ("requestId", "00000000-0000-4000-8000-000000000000"),
        ("extendedRequestId", "JKJaXmPLvHcESHA="),
        ("requestTime", "21/Nov/2026:10:11:12 +0000"),
        ("requestTimeEpoch", "1795255872345"),
        ("error.message", "Say \"please\"\n"),
        ("error.messageString", r#""Say \"please\"\u000a""#),
        ("error.responseType", "THROTTLED"),
        ("error.validationErrorString", "[instance type is wrong]"),
        ("status", "502"),
        ("responseLatency", "7"),
        ("responseLength", "12"),
        ("dataProcessed", "42"),
        ("grpc.status", "14"),
        ("integrationLatency", "5"),
        ("integration.latency", "5"),
        ("integrationErrorMessage", "late"),
    ];
    for (name, expected) in table {
        check(name, Some(expected));
    }
    for name in ["integrationStatus", "identity.caller", "authorizer.color"] {
        check(name, None);
    }
}

/// Section O, REST and HTTP APIs, name by name.
#[test]
fn every_name_of_the_list_is_known() {
    let everywhere = "accountId apiId authorizer.claims.sub authorizer.principalId authorizer.color awsEndpointRequestId domainName \
        domainPrefix error.message error.messageString error.responseType error.validationErrorString extendedRequestId \
        httpMethod identity.accountId identity.apiKey identity.apiKeyId identity.caller \
        identity.cognitoAuthenticationProvider identity.cognitoAuthenticationType identity.cognitoIdentityId \
        identity.cognitoIdentityPoolId identity.principalOrgId identity.sourceIp identity.clientCert.clientCertPem \
        identity.clientCert.subjectDN identity.clientCert.issuerDN identity.clientCert.serialNumber \
        identity.clientCert.validity.notBefore identity.clientCert.validity.notAfter identity.user identity.userAgent \
        identity.userArn path protocol requestId requestOverride.header.x requestOverride.path.x \
        requestOverride.querystring.x responseOverride.header.x responseOverride.status requestTime requestTimeEpoch \
        resourceId resourcePath stage wafResponseCode webaclArn deploymentId isCanaryRequest routeKey awsEndpointRequestId2";
    let logs = "authorize.error authorize.latency authorize.status customDomain.basePathMatched authenticate.error \
        authenticate.latency authenticate.status integration.error integration.integrationStatus integration.latency \
        integration.status integrationErrorMessage integrationLatency integrationStatus responseLatency responseLength \
        status waf.error waf.latency waf.status xrayTraceId dataProcessed";
    for (names, for_logs) in [(everywhere, false), (logs, true)] {
        for name in names.split_whitespace() {
            assert_eq!(Variable::named(name).map(Variable::is_for_logs), Some(for_logs), "{name}");
        }
    }
    for name in ["authorizer.integrationLatency", "authorizer.requestId", "integration.requestId"] {
        assert!(Variable::named(name).is_some(), "{name}");
    }
    for name in ["", "authorizer", "authorizer.", "identity", "requestOverride.header", "statsu"] {
        assert_eq!(Variable::named(name), None, "{name}");
    }
}

#[test]
fn the_nearest_name_is_told() {
    let table = [
        ("statsu", Some("status")),
        ("requestID", Some("requestId")),
        ("sourceIp", Some("identity.sourceIp")),
        ("zzzzzzzz", None),
    ];
    for (name, expected) in table {
        assert_eq!(Variable::nearest(name), expected, "{name}");
    }
}

#[track_caller]
fn check_time(unix_s: u64, expected: &str) {
    let mut out = Vec::new();
    put_request_time(&mut out, unix_s);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn request_times_are_in_the_common_form() {
    check_time(0, "01/Jan/1970:00:00:00 +0000");
    check_time(951_782_399, "28/Feb/2000:23:59:59 +0000");
    check_time(951_782_400, "29/Feb/2000:00:00:00 +0000");
    check_time(951_868_800, "01/Mar/2000:00:00:00 +0000");
    check_time(1_735_689_599, "31/Dec/2024:23:59:59 +0000");
    check_time(1_795_255_872, "21/Nov/2026:10:11:12 +0000");
    check_time(4_107_542_400, "01/Mar/2100:00:00:00 +0000");
}
