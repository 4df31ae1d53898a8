//! What a client gets of a backend's answer (rows 64, 119 to 122).

use super::*;

fn http(responses: Vec<ResponseSettings>) -> Settings {
    Settings { responses, ..settings(Kind::Http) }
}

/// Row 120: which of the patterns takes a status; `None`: 500.
#[test]
fn patterns_take_a_whole_status_in_their_order() {
    let responses = vec![
        response(Some("2\\d{2}"), 201),
        response(Some("404|410"), 404),
        response(Some("5.."), 502),
        response(Some("40"), 599),
        response(Some("[4].*"), 400),
    ];
    let with_default = [responses.clone(), vec![response(None, 200)]].concat();
    let with_empty = [vec![response(Some(""), 203)], responses.clone()].concat();
    for (own, default) in [(responses, None), (with_default, Some(200)), (with_empty, Some(203))] {
        let table = [
            (200, Some(201)),
            (299, Some(201)),
            (404, Some(404)),
            (410, Some(404)),
            (411, Some(400)),
            (500, Some(502)),
            (599, Some(502)),
            (302, default),
            (100, default),
            (600, None),
        ];
        for (status, expected) in table {
            let mut put = put(http(own.clone()), &Asked("GET /pets/7/a", &[], b""));
            let got = put.answered(status, &[], b"").map(|response| response.status);
            assert_eq!(got, expected.ok_or(Reason::ApiConfiguration), "{status}");
        }
    }
}

#[test]
fn bad_answers_are_mistakes() {
    check_mistake(http(vec![response(Some("("), 200)]), "responses[0].selection_pattern", "can't be used");
    check_mistake(http(vec![response(None, 200), response(None, 201)]), "responses[1]", "selection pattern");
    let map = |destination: &str, source: &str| {
        let parameters = pairs(&[(destination, source)]);
        http(vec![ResponseSettings { parameters, declared: vec!["X".into()], ..response(None, 200) }])
    };
    let check = |destination: &str, source: &str, why: &str| {
        check_mistake(map(destination, source), &format!("responses[0].parameters.{destination}"), why);
    };
    check("method.response.header.Y", "'a'", "no header of the method's response 200");
    check("method.response.body", "'a'", "the destination");
    check("integration.request.header.X", "'a'", "the destination");
    check("method.response.header.X", "method.request.header.a", "no source");
    check("method.response.header.X", "integration.response.header.", "no source");
    check("method.response.header.X", "integration.response.cookie.a", "no source");
}

#[track_caller]
fn check_header(source: &str, expected: &[&str]) {
    let parameters = pairs(&[("method.response.header.X", source)]);
    let settings =
        http(vec![ResponseSettings { parameters, declared: vec!["x".into()], ..response(None, 200) }]);
    let mut put = put(settings, &Asked("GET /prod/pets/7", &[], b""));
    let fields = [("Y", "1"), ("Set-Cookie", "a"), ("set-cookie", "b"), ("Content-Type", "application/json")];
    let response = put.answered(200, &fields, br#"{"a": {"b": "c"}}"#).unwrap();
    let found: Vec<_> = response.headers.find_all("x").map(text).collect();
    assert_eq!(found, expected, "{source}");
    assert_eq!((response.headers.find("y"), response.headers.find("set-cookie")), (None, None));
    assert_eq!(response.headers.find("content-type"), Some(&b"application/json"[..]));
}

/// Row 121.
#[test]
fn headers_of_the_answer_are_mapped() {
    check_header("integration.response.header.y", &["1"]);
    check_header("integration.response.header.Set-Cookie", &["b"]);
    check_header("integration.response.multivalueheader.Set-Cookie", &["a", "b"]);
    check_header("integration.response.header.none", &[]);
    check_header("integration.response.body.a.b", &["c"]);
    check_header("integration.response.body", &["{\"a\": {\"b\": \"c\"}}"]);
    check_header("stageVariables.env", &["blue"]);
    check_header("context.requestId", &["00000000-0000-4000-8000-000000000000"]);
    check_header("'*'", &["*"]);
}

/// Row 64: what may not be said in our name is renamed, what frames a message is not said.
#[test]
fn names_that_are_ours_are_renamed() {
    let names = ["Date", "Server", "WWW-Authenticate", "Content-Length", "Transfer-Encoding", "Fine"];
    let parameters: Vec<_> =
        names.iter().map(|name| (format!("method.response.header.{name}"), "'v'".to_owned())).collect();
    let declared = names.map(Into::into).to_vec();
    let settings = http(vec![ResponseSettings { parameters, declared, ..response(None, 200) }]);
    let response = put(settings, &Asked("GET /pets/7/a", &[], b"")).answered(200, &[], b"").unwrap();
    let names: Vec<_> = response.headers.iter().map(|field| text(field.text)).collect();
    assert_eq!(
        names,
        [
            "x-amzn-Remapped-Date",
            "x-amzn-Remapped-Server",
            "x-amzn-Remapped-WWW-Authenticate",
            "x-amzn-Remapped-Content-Length",
            "Fine",
            "Content-Type"
        ]
    );
}

/// Row 122: by the last `Accept`, else JSON, else the first; without templates the body passes.
#[test]
fn a_template_is_chosen_by_what_the_client_accepts() {
    let check = |templates: &[(&str, &str)], accept: &[&str], expected: (&str, &str)| {
        let settings = http(vec![ResponseSettings { templates: pairs(templates), ..response(None, 200) }]);
        let fields: Vec<_> = accept.iter().map(|value| ("Accept", *value)).collect();
        let mut put = put(settings, &Asked("GET /pets/7/a", &fields, b""));
        let response = put.answered(200, &[("Content-Type", "a/b")], b"own").unwrap();
        let content_type = text(response.headers.find("content-type").unwrap());
        assert_eq!(
            (content_type.as_str(), body(&response.body).as_str()),
            expected,
            "{templates:?} {accept:?}"
        );
    };
    let both = [("text/xml", "xml"), ("application/json", "json")];
    let others = [("text/xml", "xml"), ("text/plain", "plain")];
    check(&both, &[], ("application/json", "json"));
    check(&both, &["text/xml"], ("text/xml", "xml"));
    check(&both, &["text/xml;q=0.5"], ("text/xml", "xml"));
    check(&both, &["text/xml", "application/json"], ("application/json", "json"));
    check(&both, &["image/png"], ("application/json", "json"));
    check(&others, &["image/png"], ("text/xml", "xml"));
    check(&others, &["text/plain"], ("text/plain", "plain"));
    check(&[], &["text/plain"], ("a/b", "own"));
}

/// Row 119.
#[test]
fn a_template_overrides_status_and_headers() {
    let check = |template: &str, status: u16, x: &[&str]| {
        let settings = http(vec![ResponseSettings {
            templates: pairs(&[("application/json", template)]),
            parameters: pairs(&[("method.response.header.X", "'mapped'")]),
            declared: vec!["X".into()],
            ..response(None, 200)
        }]);
        let response = put(settings, &Asked("GET /pets/7/a", &[], b"")).answered(500, &[], b"{}").unwrap();
        let found: Vec<_> = response.headers.find_all("x").map(text).collect();
        assert_eq!(
            (response.status, found),
            (status, x.iter().map(ToString::to_string).collect()),
            "{template}"
        );
    };
    check("a", 200, &["mapped"]);
    check("#set($context.responseOverride.status = 404)", 404, &["mapped"]);
    check("#set($context.responseOverride.status = 99)", 200, &["mapped"]);
    check("#set($context.responseOverride.status = 101)", 200, &["mapped"]);
    check("#set($context.responseOverride.header.x = 'template')", 200, &["template"]);
    check("#set($context.responseOverride.header.X = ['a', 'b'])", 200, &["a", "b"]);
    check("#set($context.responseOverride.header.X = \"a\nb\")", 200, &["a b"]);
}

#[test]
fn the_requests_template_speaks_for_the_answer_too() {
    let settings = Settings {
        request_templates: pairs(&[(
            "application/json",
            "#set($context.responseOverride.header.seen = 'yes')x",
        )]),
        ..http(vec![response(None, 200)])
    };
    let response = put(settings, &Asked("GET /pets/7/a", &[], b"")).answered(200, &[], b"").unwrap();
    assert_eq!(response.headers.find("seen"), Some(&b"yes"[..]));
}

#[test]
fn a_backends_broken_json_is_no_clients_fault() {
    let template = ResponseSettings {
        templates: pairs(&[("application/json", "$input.json('$.a')")]),
        ..response(None, 200)
    };
    let parameters = pairs(&[("method.response.header.X", "integration.response.body.a")]);
    let mapped = ResponseSettings { parameters, declared: vec!["X".into()], ..response(None, 200) };
    for own in [template, mapped] {
        let mut put = put(http(vec![own]), &Asked("GET /pets/7/a", &[], b""));
        assert_eq!(put.answered(200, &[], b"<html>").unwrap_err(), Reason::ApiConfiguration);
    }
}

#[test]
fn statuses_without_a_body_have_none() {
    for status in [204, 304] {
        let mut put = put(http(vec![response(None, status)]), &Asked("GET /pets/7/a", &[], b""));
        assert_eq!(put.answered(200, &[], b"own").unwrap().body, Body::Empty);
    }
}
