//! HTTP_PROXY: URIs, queries, methods, headers (rows 33, 43, 60, 64, 65).

use message::{Headers, Length};
use proptest::prelude::*;

use super::*;
use crate::declared::uri::resolve;

/// The path that a route variable is mapped to, as the console does it.
fn proxy(target: &str) -> Settings {
    let request_parameters = pairs(&[
        ("integration.request.path.id", "method.request.path.id"),
        ("integration.request.path.rest", "method.request.path.rest"),
    ]);
    Settings { target: target.into(), request_parameters, ..settings(Kind::HttpProxy) }
}

#[track_caller]
fn check(settings: Settings, asked: &str, expected: &str) {
    let put = put(settings, &Asked(asked, &[], b""));
    assert_eq!(put.seen().0, expected, "{asked}");
}

#[test]
fn the_uri_says_where_and_the_query_is_merged() {
    check(proxy("/"), "GET /pets/7/a/b", "GET /");
    check(proxy("/v2/{rest}/of/{id}"), "GET /pets/7/a/b", "GET /v2/a/b/of/7");
    check(proxy("/{rest+}"), "GET /pets/7/a%20b/c", "GET /a%20b/c");
    check(proxy("/v2?fixed=1"), "GET /pets/7/a", "GET /v2?fixed=1");
    check(proxy("/v2?fixed=1"), "GET /pets/7/a?x=1&x=2", "GET /v2?fixed=1&x=1&x=2");
    check(proxy("/v2"), "GET /pets/7/a?x=%7Cy", "GET /v2?x=%7Cy");
    // What would end a parameter in a query is escaped.
    check(proxy("/v2?id={id}"), "GET /pets/7&admin=1/a", "GET /v2?id=7%26admin%3D1");
}

#[test]
fn the_method_is_the_integrations_or_the_clients() {
    let with = |method: &str| Settings { http_method: Some(method.into()), ..proxy("/") };
    check(with("ANY"), "DELETE /pets/7/a", "DELETE /");
    check(with("PUT"), "DELETE /pets/7/a", "PUT /");
    check(proxy("/"), "PATCH /pets/7/a", "PATCH /");
}

/// Row 65.
#[test]
fn a_method_override_is_honoured_and_not_passed() {
    let asked = Asked("POST /pets/7/a", &[("X-HTTP-Method-Override", "patch"), ("A", "b")], b"");
    let seen = put(proxy("/"), &asked).seen();
    assert_eq!(seen, ("PATCH /".into(), vec!["A: b".into()], String::new()));
    let mapped = Settings {
        request_parameters: pairs(&[(
            "integration.request.header.X-HTTP-Method-Override",
            "method.request.header.X-HTTP-Method-Override",
        )]),
        declared: vec![(Part::Header, "x-http-method-override".into())],
        http_method: Some("PUT".into()),
        ..settings(Kind::HttpProxy)
    };
    let seen = put(mapped, &asked).seen();
    assert_eq!(
        (seen.0.as_str(), &seen.1[..]),
        ("PATCH /", &["A: b".into(), "X-HTTP-Method-Override: patch".into()][..])
    );
    let bad = Asked("POST /pets/7/a", &[("X-HTTP-Method-Override", "GET / x")], b"");
    assert_eq!(put(proxy("/"), &bad).seen().0, "POST /");
    let of_http_api = Settings { is_http_api: true, ..settings(Kind::HttpProxy) };
    assert_eq!(put(of_http_api, &asked).seen().0, "POST /");
}

#[test]
fn a_proxy_streams_and_a_body_that_nobody_reads_is_never_waited_for() {
    let declared = compile(proxy("/{rest}"));
    assert_eq!((declared.request_body_max(), declared.response_body_max()), (None, None));
    assert_eq!(declared.timeout_ns(), Some(29_000_000_000));
    let body = Settings {
        request_parameters: pairs(&[("integration.request.header.a", "method.request.body.a")]),
        ..settings(Kind::HttpProxy)
    };
    let declared = compile(body);
    assert_eq!((declared.request_body_max(), declared.response_body_max()), (Some(10 << 20), None));
}

/// Row 117 is of those who look at bodies: what a proxy's client sends passes, streams or not.
#[test]
fn a_proxys_body_passes_whatever_is_said_of_bodies_without_a_template() {
    for passthrough in [Passthrough::WhenNoMatch, Passthrough::WhenNoTemplates, Passthrough::Never] {
        let mapped = Settings {
            passthrough,
            request_parameters: pairs(&[("integration.request.header.a", "'b'")]),
            request_templates: pairs(&[("application/json", "never rendered")]),
            ..settings(Kind::HttpProxy)
        };
        let put = put(mapped, &Asked("POST /pets/7/a", &[("Content-Type", "text/plain")], b"as it is"));
        assert_eq!(put.seen().2, "as it is", "{passthrough:?}");
    }
}

#[test]
fn an_http_apis_variables_need_no_mapping_and_its_headers_are_its_own() {
    let settings =
        Settings { is_http_api: true, target: "/v2/{rest}/{id}".into(), ..settings(Kind::HttpProxy) };
    let mut put = put(settings, &Asked("GET /pets/7/a/b?x=1", &[("Content-MD5", "x")], b""));
    let seen = put.seen();
    assert_eq!(seen.0, "GET /v2/a/b/7?x=1");
    assert_eq!(
        seen.1,
        [
            "Content-MD5: x",
            "Forwarded: for=192.0.2.1;host=\"api.example\";proto=https",
            "Via: HTTP/1.1 AmazonAPIGateway"
        ]
    );
    let response = put.answered(500, &[("Server", "x")], b"oops").unwrap();
    assert_eq!((response.status, response.headers.find("server")), (500, Some(&b"x"[..])));
}

#[test]
fn what_a_backend_says_in_our_name_is_renamed() {
    let mut put = put(proxy("/"), &Asked("GET /pets/7/a", &[], b""));
    let fields = [("Server", "nginx"), ("Date", "now"), ("x-amzn-RequestId", "1"), ("Content-Type", "a/b")];
    let response = put.answered(201, &fields, b"whole").unwrap();
    let names: Vec<_> = response.headers.iter().map(|field| text(field.text)).collect();
    assert_eq!(
        names,
        [
            "Content-Type",
            "x-amzn-Remapped-Date",
            "x-amzn-Remapped-Server",
            "x-amzn-Remapped-x-amzn-RequestId"
        ]
    );
    assert_eq!((response.status, body(&response.body)), (201, "whole".into()));
    let mut response =
        Response { status: 200, headers: Headers::default(), body: Body::Stream(Length::Known(5)) };
    remap(&mut response);
    assert_eq!(response.headers.find("x-amzn-remapped-content-length"), Some(&b"5"[..]));
}

#[track_caller]
fn check_uri(text: &str, expected: Result<(bool, &str, u16, &str), &str>) {
    let variables = pairs(&[("host", "b.example:8080"), ("path", "v2/x"), ("q", "a=1")]);
    let uri = Uri::parse(text, &variables);
    match expected {
        Ok((tls, host, port, target)) => {
            assert_eq!(uri, Ok(Uri { tls, host: host.into(), port, target: target.into() }), "{text}");
        }
        Err(why) => assert!(uri.as_ref().is_err_and(|message| message.contains(why)), "{text}: {uri:?}"),
    }
}

/// Row 33: variables of the stage are put in anywhere, those that there are not are empty.
#[test]
fn uris_are_taken_apart() {
    check_uri("http://backend", Ok((false, "backend", 80, "/")));
    check_uri("HTTPS://Backend.example/a/{b}?c=d", Ok((true, "backend.example", 443, "/a/{b}?c=d")));
    check_uri("https://[::1]:8443?x", Ok((true, "::1", 8443, "/?x")));
    check_uri("http://[::1]/x", Ok((false, "::1", 80, "/x")));
    check_uri(
        "http://${stageVariables.host}/${stageVariables.path}/{id}?${stageVariables.q}",
        Ok((false, "b.example", 8080, "/v2/x/{id}?a=1")),
    );
    check_uri("http://a/${stageVariables.none}/b", Ok((false, "a", 80, "//b")));
    check_uri("http://${stageVariables.none}/b", Ok((false, "", 80, "/b")));
    check_uri("ftp://a", Err("must begin with"));
    check_uri("arn:aws:apigateway:eu-west-1:sqs:path/x", Err("must begin with"));
    check_uri("http://a:0/", Err("port of 1 to 65535"));
    check_uri("http://a:x/", Err("port of 1 to 65535"));
    check_uri("http://u@a/", Err("user"));
    check_uri("http://{tenant}.example/", Err("variable of the path in its host"));
    check_uri("http://a/b c", Err("no URI may send"));
    check_uri("http://a/${stageVariables.x", Err("not closed"));
}

#[test]
fn uris_that_nothing_fills_are_refused() {
    let bare = |target: &str| Settings { target: target.into(), ..settings(Kind::HttpProxy) };
    check_mistake(bare("/{id}"), "uri", "map `integration.request.path.id`");
    check_mistake(bare("/{id"), "uri", "without its `}`");
    check_mistake(bare("/id}"), "uri", "without its `{`");
    check_mistake(Settings { is_http_api: true, ..bare("/{none}") }, "uri", "no variable of the route");
    // Row 61.
    let nowhere = Settings { upstream: None, ..bare("/") };
    check_refused(nowhere, &Asked("GET /pets/7/a", &[], b""), &Reason::ApiConfiguration);
}

proptest! {
    #[test]
    fn nothing_a_client_sends_leaves_its_place(id in "[a-z.%&=?;/|{}\u{e9} ]{0,12}") {
        let mut escaped = String::new();
        uri::escape(&mut escaped, &id);
        prop_assume!(!escaped.is_empty() && !escaped.contains("%2F") && !matches!(&*id, "." | ".."));
        let put = put(proxy("/x/{id}/y?z={id}"), &Asked(&format!("GET /pets/{escaped}/a"), &[], b""));
        prop_assert_eq!(put.request.target.path().split('/').count(), 4);
        let query: Vec<_> = source::pairs(put.request.target.query().unwrap()).collect();
        let [(name, value)] = query[..] else { panic!("{query:?}") };
        uri::unescaped(value, true, |value| assert_eq!((name, value), ("z", &*id)));
    }

    #[test]
    fn any_text_is_a_uri_or_a_mistake(text in "(https?://|\\$\\{stageVariables\\.|\\PC|[{}:/?\\[\\]@]|env){0,12}") {
        let variables = pairs(&[("env", "a")]);
        let _ = resolve(&text, &variables);
        if let Ok(uri) = Uri::parse(&text, &variables) {
            prop_assert!(uri.target.starts_with('/') && uri.port > 0);
        }
    }
}
