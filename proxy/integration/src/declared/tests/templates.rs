//! Which template is rendered, with what, and what passes without (rows 19, 57, 117, 129).

use super::*;

fn templates(templates: &[(&str, &str)], passthrough: Passthrough) -> Settings {
    Settings { request_templates: pairs(templates), passthrough, ..settings(Kind::Http) }
}

/// What becomes of a body of `content_type` with these templates: the body and its type, or the reason.
#[track_caller]
fn check(
    own: &[(&str, &str)],
    passthrough: Passthrough,
    content_type: Option<&str>,
    expected: Result<&str, Reason>,
) {
    let fields: Vec<_> = content_type.iter().map(|value| ("Content-Type", *value)).collect();
    let put = put(templates(own, passthrough), &Asked("POST /pets/7/a", &fields, b"{\"a\": 1}"));
    let got = match &put.outbound {
        Outbound::Refuse(reason) => Err(reason.clone()),
        _ => {
            let (_, fields, body) = put.seen();
            Ok(format!("{} {body}", fields.join("")))
        }
    };
    assert_eq!(got, expected.map(Into::into), "{own:?} {passthrough:?} {content_type:?}");
}

/// Row 117.
#[test]
fn a_template_is_chosen_by_content_type_or_the_body_passes_or_is_refused() {
    use Passthrough::{Never, WhenNoMatch, WhenNoTemplates};
    let json = [("application/json", "json")];
    let both = [("application/json", "json"), ("text/xml", "xml")];
    let default = [("text/xml", "xml"), ("$default", "default")];
    let refused = || Err(Reason::UnsupportedMediaType);
    for passthrough in [WhenNoMatch, WhenNoTemplates, Never] {
        check(&json, passthrough, None, Ok("Content-Type: application/json json"));
        check(&json, passthrough, Some("application/json"), Ok("Content-Type: application/json json"));
        check(
            &json,
            passthrough,
            Some("Application/JSON; charset=utf-8"),
            Ok("Content-Type: application/json json"),
        );
        check(&both, passthrough, Some("text/xml"), Ok("Content-Type: text/xml xml"));
        check(&default, passthrough, Some("a/b"), Ok("Content-Type: application/json default"));
    }
    check(&json, WhenNoMatch, Some("text/xml"), Ok("Content-Type: text/xml {\"a\": 1}"));
    check(&json, WhenNoTemplates, Some("text/xml"), refused());
    check(&json, Never, Some("text/xml"), refused());
    check(&[], WhenNoMatch, Some("text/xml"), Ok("Content-Type: text/xml {\"a\": 1}"));
    check(&[], WhenNoTemplates, None, Ok("Content-Type: application/json {\"a\": 1}"));
    check(&[], Never, Some("text/xml"), refused());
    check(&[], Never, None, refused());
}

#[track_caller]
fn check_rendered(template: &str, expected: &str) {
    let asked = Asked(
        "POST /prod/pets/7?x=1&x=l+t&y=%26",
        &[("X-Token", "t"), ("User-Agent", "curl/8"), ("Content-Type", "application/json")],
        br#"{"name": "Rex", "n": [1, {"b": 2}]}"#,
    );
    let settings = templates(&[("application/json", template)], Passthrough::Never);
    assert_eq!(put(settings, &asked).seen().2, expected, "{template}");
}

#[test]
fn templates_see_the_request() {
    check_rendered("$input.body", r#"{"name": "Rex", "n": [1, {"b": 2}]}"#);
    check_rendered("$input.json('$.n[1]') $input.path('$.name')", r#"{"b":2} Rex"#);
    check_rendered("$input.params('x') $input.params('y') $input.params('x-token')", "l t & t");
    check_rendered("$input.params().querystring.x $input.params().header.get('X-Token')", "l t t");
    check_rendered("$stageVariables.env $stageVariables.get('env')", "blue blue");
    check_rendered(
        "$context.apiId $context.stage $context.resourcePath",
        "a1b2c3d4e5 prod /pets/{id}/{rest+}",
    );
    check_rendered(
        "$context.path $context.httpMethod $context.identity.sourceIp",
        "/prod/pets/7 POST 192.0.2.1",
    );
    check_rendered(
        "$context.protocol $context.identity.userAgent $context.domainName",
        "HTTP/1.1 curl/8 api.example",
    );
    check_rendered("[$context.identity.caller]", "[]");
    check_rendered("$util.base64Encode($input.path('$.name'))", "UmV4");
}

#[test]
fn path_parameters_are_decoded() {
    let settings = templates(
        &[("application/json", "$input.params('id') $input.params().path.rest")],
        Passthrough::Never,
    );
    assert_eq!(put(settings, &Asked("GET /pets/a%20b/c/d", &[], b"")).seen().2, "a b c/d");
}

#[test]
fn mistakes_of_templates_have_their_line() {
    let open = templates(&[("application/json", "{\n  #if($a)\n}")], Passthrough::Never);
    let mistakes = Declared::new(open, &mut Selections::default()).unwrap_err();
    assert!(mistakes[0].key.starts_with("request_templates.application/json:"), "{mistakes:?}");
    let settings = Settings {
        responses: vec![ResponseSettings {
            templates: pairs(&[("application/json", "a\n#end")]),
            ..response(None, 200)
        }],
        ..settings(Kind::Http)
    };
    check_mistake(settings, "responses[0].templates.application/json:2:1", "nothing is open here");
}

/// Rows 117 and 129: a client's mistakes are 400, a template's 500.
#[test]
fn what_a_template_cannot_render_is_told_apart() {
    let check = |template: &str, reason: Reason| {
        let settings = templates(&[("application/json", template)], Passthrough::Never);
        check_refused(settings, &Asked("POST /pets/7/a", &[], b"no json"), &reason);
    };
    check("$input.json('$.a')", Reason::InvalidJson);
    check("#set($a = $util.parseJson('{'))$a", Reason::ApiConfiguration);
    check("#foreach($i in [1..5000])$i#end", Reason::ApiConfiguration);
}

/// Row 19: SOAP both ways, where the key is set.
#[test]
fn soap_both_ways() {
    let to_soap = "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
                   <Price><Item>$input.path('$.item')</Item></Price></soap:Body></soap:Envelope>";
    let from_soap = "#set($answer = $util.parseJson($util.xmlToJson($input.body)))\
                     {\"price\": $answer.Envelope.Body.PriceResponse.Price}";
    let both = |xml| Settings {
        xml,
        responses: vec![ResponseSettings {
            templates: pairs(&[("application/json", from_soap)]),
            ..response(None, 200)
        }],
        ..templates(&[("application/json", to_soap)], Passthrough::Never)
    };
    let asked = Asked("POST /pets/7/a", &[("Content-Type", "application/json")], br#"{"item": "Apples"}"#);
    let mut call = put(both(true), &asked);
    assert!(call.seen().2.contains("<Item>Apples</Item>"), "{}", call.seen().2);
    let answer = b"<s:Envelope xmlns:s=\"x\"><s:Body><m:PriceResponse><m:Price>1.90</m:Price></m:PriceResponse></s:Body></s:Envelope>";
    let response = call.answered(200, &[("Content-Type", "text/xml")], answer).unwrap();
    assert_eq!(body(&response.body), "{\"price\": 1.90}");
    assert_eq!(response.headers.find("content-type"), Some(&b"application/json"[..]));
    let without = templates(&[("application/json", "$util.xmlToJson('<a>1</a>')")], Passthrough::Never);
    let mistakes = Declared::new(without.clone(), &mut Selections::default()).unwrap_err();
    assert!(mistakes[0].why.contains("xmlToJson"), "{mistakes:?}");
    assert_eq!(put(Settings { xml: true, ..without }, &asked).seen().2, "{\"a\":\"1\"}");
}

/// Row 57.
#[test]
fn a_mock_answers_by_its_template() {
    let mock = |template: &str| Settings {
        request_templates: pairs(&[("application/json", template)]),
        responses: vec![
            ResponseSettings {
                templates: pairs(&[("application/json", "found [$input.body]")]),
                ..response(Some("200"), 200)
            },
            response(Some("4\\d\\d"), 418),
        ],
        ..settings(Kind::Mock)
    };
    let check = |template: &str, expected: Result<(u16, &str), Reason>| {
        let put = put(mock(template), &Asked("POST /pets/7/a", &[], b"secret"));
        let got = match put.outbound {
            Outbound::Answer => Ok((put.answer.status, body(&put.answer.body))),
            Outbound::Refuse(reason) => Err(reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(got, expected.map(|(status, body)| (status, body.to_owned())), "{template}");
    };
    check("{\"statusCode\": 200}", Ok((200, "found []")));
    check("{statusCode: 200}", Ok((200, "found []")));
    check("#set($code = 404){ \"statusCode\": $code }", Ok((418, "")));
    check("{\"statusCode\": 500}", Err(Reason::ApiConfiguration));
    check("{\"statusCode\": \"200\"}", Err(Reason::ApiConfiguration));
    check("nothing", Err(Reason::ApiConfiguration));
    let unsupported = Settings { passthrough: Passthrough::Never, ..mock("{statusCode: 200}") };
    check_refused(
        unsupported,
        &Asked("POST /pets/7/a", &[("Content-Type", "a/b")], b"x"),
        &Reason::UnsupportedMediaType,
    );
}
