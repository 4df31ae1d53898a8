//! Request parameter mappings, and what templates put over them (rows 118, 119, 129).

use super::*;

/// What the backend of an `HTTP` integration sees of one mapping.
fn mapping(destination: &str, source: &str) -> Settings {
    let declared =
        vec![(Part::Query, "x".into()), (Part::Header, "X-Token".into()), (Part::Path, "id".into())];
    let target = if destination.contains(".path.") { "/{to}" } else { "/" };
    Settings {
        target: target.into(),
        declared,
        request_parameters: pairs(&[(destination, source)]),
        ..settings(Kind::Http)
    }
}

const ASKED: Asked<'static> = Asked(
    "POST /pets/7%2B8/a%20b/c?x=1&y=9&x=a%26b;x=l+t",
    &[("x-token", "first"), ("Content-Type", "application/json"), ("X-Token", "last"), ("Y", "no")],
    br#"{"pet": {"name": "Rex", "age": 4, "tags": ["a", "b"]}, "list": [1, 2]}"#,
);

#[track_caller]
fn check(destination: &str, source: &str, expected: &str) {
    let (line, fields, _) = put(mapping(destination, source), &ASKED).seen();
    let fields: Vec<_> = fields.into_iter().filter(|field| !field.starts_with("Content-Type: ")).collect();
    assert_eq!(format!("{line} {}", fields.join(" ")).trim_end(), expected, "{destination} ← {source}");
}

#[test]
fn every_source_reaches_every_destination() {
    let (header, query, path) = (
        "integration.request.header.To",
        "integration.request.querystring.to",
        "integration.request.path.to",
    );
    check(header, "method.request.path.id", "POST / To: 7+8");
    check(header, "method.request.path.rest", "POST / To: a b/c");
    check(header, "method.request.querystring.x", "POST / To: l t");
    check(header, "method.request.multivaluequerystring.x", "POST / To: 1,a&b,l t");
    check(header, "method.request.header.x-token", "POST / To: last");
    check(header, "method.request.multivalueheader.X-Token", "POST / To: first,last");
    check(header, "method.request.body.pet.name", "POST / To: Rex");
    check(header, "method.request.body.pet.age", "POST / To: 4");
    check(header, "method.request.body.pet.tags", r#"POST / To: ["a","b"]"#);
    check(header, "method.request.body.list[1]", "POST / To: 2");
    check(header, "method.request.body.none", "POST /");
    check(header, "stageVariables.env", "POST / To: blue");
    check(header, "stageVariables.none", "POST /");
    check(header, "context.stage", "POST / To: prod");
    check(header, "context.httpMethod", "POST / To: POST");
    check(header, "context.identity.sourceIp", "POST / To: 192.0.2.1");
    check(header, "context.requestTime", "POST / To: 21/Nov/2026:10:11:12 +0000");
    check(header, "context.identity.caller", "POST /");
    check(header, "'a literal'", "POST / To: a literal");
    check(query, "method.request.path.id", "POST /?to=7%2B8");
    check(query, "method.request.multivaluequerystring.x", "POST /?to=1&to=a%26b&to=l%20t");
    check(query, "method.request.multivalueheader.X-Token", "POST /?to=first&to=last");
    check(query, "'100%'", "POST /?to=100%25");
    check(path, "method.request.path.rest", "POST /a%20b/c");
    check(path, "method.request.querystring.x", "POST /l%20t");
    check(path, "'a/../b?c'", "POST /a%2F..%2Fb%3Fc");
    check(path, "stageVariables.none", "POST /");
}

/// Row 44: what is not mapped does not pass; row 43: with a proxy it does, and queries are added to.
#[test]
fn http_passes_what_is_mapped_and_a_proxy_the_rest_too() {
    let query = mapping("integration.request.querystring.x", "'mapped'");
    assert_eq!(put(query.clone(), &ASKED).seen().0, "POST /?x=mapped");
    let proxy = Settings { kind: Kind::HttpProxy, ..query };
    assert_eq!(put(proxy, &ASKED).seen().0, "POST /?x=1&y=9&x=a%26b;x=l+t&x=mapped");
    let header = Settings { kind: Kind::HttpProxy, ..mapping("integration.request.header.Y", "'mapped'") };
    assert!(put(header, &ASKED).seen().1.contains(&"Y: mapped".to_owned()));
}

#[test]
fn what_http_sends_by_itself() {
    let put =
        put(settings(Kind::Http), &Asked("POST /pets/7/a", &[("Content-Type", "text/x"), ("A", "b")], b"hi"));
    let fields: Vec<_> = put
        .request
        .headers
        .iter()
        .map(|field| format!("{}: {}", text(field.text), text(field.value)))
        .collect();
    assert_eq!(
        fields,
        [
            "Content-Type: text/x",
            "User-Agent: AmazonAPIGateway_a1b2c3d4e5",
            "Accept: application/json",
            "X-Amzn-Trace-Id: Root=1-6b016e40-000000000000000800040000",
            "X-Amzn-Apigateway-Api-Id: a1b2c3d4e5",
        ]
    );
    assert_eq!(body(&put.request.body), "hi");
}

#[test]
fn mistakes_are_told_when_it_is_deployed() {
    let check = |destination: &str, source: &str, why: &str| {
        check_mistake(mapping(destination, source), &format!("request_parameters.{destination}"), why);
    };
    let header = "integration.request.header.To";
    check(header, "method.request.querystring.undeclared", "not among the method's request parameters");
    check(header, "method.request.header.undeclared", "not among the method's request parameters");
    check(header, "method.request.path.none", "no variable of the resource's path");
    check(header, "method.request.cookie.x", "no source of a mapping");
    check(header, "method.request.header.", "must name a parameter");
    check(header, "integration.response.header.x", "no source of a mapping");
    check(header, "context.sourceIp", "did you mean `identity.sourceIp`?");
    check(header, "context.status", "no `context.status` that a message has");
    check(header, "'open", "must end with");
    check(header, "method.request.body[", "at character");
    check("integration.request.body.x", "'a'", "the destination of a mapping is");
    check("method.request.header.x", "'a'", "the destination of a mapping is");
    check("integration.request.header.a b", "'a'", "the destination of a mapping is");
}

/// What a backend is told that it is called, if it is not its own name.
fn told_host(request: &Request) -> Option<String> {
    let own = Authority::parse(b"own.example").unwrap();
    Some(request.host_for(&own).as_str().to_owned()).filter(|host| host != "own.example")
}

/// Row 118: what a backend is told that it is called. A literal and a stage variable are the upstream's affair, where they are put
/// in when it is deployed; what a request says is a host, or the request is none.
#[test]
fn a_host_is_mapped_from_any_source() {
    let told = |source: &str, asked: &Asked<'_>| {
        let put = put(mapping("integration.request.header.host", source), asked);
        let fields = put.seen().1;
        assert!(fields.iter().all(|field| !field.to_ascii_lowercase().starts_with("host")), "{fields:?}");
        told_host(&put.request)
    };
    let host = |text: &str| Some(text.to_owned());
    assert_eq!(told("method.request.header.X-Token", &ASKED), host("last"));
    assert_eq!(told("method.request.body.pet.name", &ASKED), host("rex"));
    assert_eq!(told("context.domainName", &ASKED), host("api.example"));
    assert_eq!(
        told("method.request.querystring.x", &Asked("GET /pets/7/a?x=[::1]:8080", &[], b"")),
        host("[::1]:8080")
    );
    for source in
        ["'b.example'", "stageVariables.env", "method.request.querystring.x", "method.request.body.none"]
    {
        assert_eq!(told(source, &Asked("GET /pets/7/a", &[], b"")), None, "{source}");
    }
    let declared = |settings: Settings| Settings {
        declared: vec![(Part::Header, "Host".into()), (Part::Query, "x".into())],
        ..settings
    };
    let own = declared(mapping("integration.request.header.Host", "method.request.header.host"));
    assert_eq!(told_host(&put(own, &ASKED).request).as_deref(), Some("api.example"));
    let settings = mapping("integration.request.header.Host", "method.request.querystring.x");
    for bad in ["a/b", "a%20b", "a%0D%0AX:1", "user@host", "a:b", "%00"] {
        let asked = format!("GET /pets/7/a?x={bad}");
        check_refused(settings.clone(), &Asked(&asked, &[], b""), &Reason::BadRequest);
    }
    let many = mapping("integration.request.header.Host", "method.request.multivaluequerystring.x");
    check_refused(many, &Asked("GET /pets/7/a?x=a&x=b", &[], b""), &Reason::BadRequest);
    // Row 119: a template has the last word.
    let template = "#set($context.requestOverride.header.HOST = 'template.example')";
    let settings = Settings {
        request_templates: pairs(&[("application/json", template)]),
        ..mapping("integration.request.header.Host", "context.domainName")
    };
    assert_eq!(told_host(&put(settings, &ASKED).request).as_deref(), Some("template.example"));
}

/// Row 118: who maps them is answered with 500.
#[test]
fn reserved_names_are_answered_with_500() {
    for name in ["Content-Length", "transfer-encoding", "X-Amzn-Trace-Id"] {
        let settings =
            mapping(&format!("integration.request.header.{name}"), "method.request.header.x-token");
        let (_, warnings) = Declared::new(settings.clone(), &mut Selections::default()).unwrap();
        assert!(warnings[0].why.contains("answered with 500"), "{warnings:?}");
        check_refused(settings.clone(), &ASKED, &Reason::ApiConfiguration);
        // Without a value there is nothing to map.
        assert_eq!(put(settings, &Asked("GET /pets/7/a", &[], b"")).seen().0, "GET /");
    }
    let hop = mapping("integration.request.header.Connection", "'close'");
    assert_eq!(Declared::new(hop.clone(), &mut Selections::default()).unwrap().1.len(), 1);
    assert_eq!(put(hop, &ASKED).seen().1, ["Content-Type: application/json"]);
}

/// Row 129.
#[test]
fn a_body_that_a_mapping_needs_must_be_json() {
    let settings = mapping("integration.request.header.To", "method.request.body.a");
    for body in ["{", "{\"a\": }", "hello"] {
        check_refused(settings.clone(), &Asked("POST /pets/7/a", &[], body.as_bytes()), &Reason::InvalidJson);
    }
    assert_eq!(put(settings, &Asked("POST /pets/7/a", &[], b"")).seen().0, "POST /");
}

#[test]
fn a_value_is_one_line() {
    let settings = mapping("integration.request.header.To", "method.request.body.a");
    let put = put(settings, &Asked("POST /pets/7/a", &[], br#"{"a": "x\r\nEvil: 1\u0000"}"#));
    assert_eq!(put.seen().1, ["Content-Type: application/json", "To: x  Evil: 1 "]);
}

#[test]
fn a_mapped_dot_does_not_climb() {
    let settings = mapping("integration.request.path.to", "method.request.querystring.x");
    check_refused(settings, &Asked("POST /pets/7/a?x=..", &[], b""), &Reason::BadRequest);
}

/// Row 119.
#[test]
fn what_a_template_says_beats_a_mapping() {
    let template = "#set($context.requestOverride.header.To = 'template')\
                    #set($context.requestOverride.header.many = ['a', 'b'])\
                    #set($context.requestOverride.querystring.to = 'template')\
                    #set($context.requestOverride.querystring.list = ['1', '2'])\
                    #set($context.requestOverride.path.id = 'x/y')";
    let settings = Settings {
        target: "/{id}/{rest}".into(),
        request_parameters: pairs(&[
            ("integration.request.header.to", "'mapped'"),
            ("integration.request.header.other", "'stays'"),
            ("integration.request.querystring.to", "'mapped'"),
            ("integration.request.path.id", "method.request.path.id"),
            ("integration.request.path.rest", "method.request.path.rest"),
        ]),
        request_templates: pairs(&[("application/json", template)]),
        ..settings(Kind::Http)
    };
    let (line, fields, _) = put(settings, &Asked("GET /pets/7/a/b", &[], b"")).seen();
    assert_eq!(line, "GET /x%2Fy/a/b?to=template&list=1&list=2");
    assert_eq!(fields, ["to: template", "other: stays", "many: a,b"]);
    let reserved = "#set($context.requestOverride.header.Content-Length = '1')";
    let settings = Settings {
        request_templates: pairs(&[("application/json", reserved)]),
        ..super::settings(Kind::Http)
    };
    check_refused(settings, &ASKED, &Reason::ApiConfiguration);
}
