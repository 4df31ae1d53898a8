//! What a template is given: `$input`, `$context`, `$stageVariables`, `$util`, and what it overrides.

use super::*;

const PET: &str = r#" {"id": 7, "name": "Fl\u00f6h \"F\"", "tags": ["a", {"b": [1, 2.50]}], "owner": {"name": "Ann", "age": null}, "big": 12345678901234567890123 , "ok":true} "#;

#[test]
fn input_json() {
    check_body(PET, "$input.json('$.tags')", r#"["a",{"b":[1,2.50]}]"#);
    check_body(
        PET,
        "$input.json('$.name') $input.json('$.id') $input.json('$.owner.age') $input.json('$.ok')",
        "\"Fl\u{f6}h \\\"F\\\"\" 7 null true",
    );
    check_body(
        PET,
        "$input.json(\"$.owner\")$input.json('$.owner').length()",
        r#"{"name":"Ann","age":null}25"#,
    );
    check_body(PET, "#set($p = '$.owner.name')$input.json($p) $input.json('owner.name')", "\"Ann\" \"Ann\"");
    check_body(
        PET,
        "$input.json('$.nothing') $input.json('$.tags[*].x') $input.json('$..name')",
        "\"\" [] [\"Fl\u{f6}h \\\"F\\\"\",\"Ann\"]",
    );
    check_body(
        "",
        "$input.json('$') $input.json('$.x') <$input.body> $input.path('$')",
        "{} \"\" <> $input.path('$')",
    );
    check_body("[1, 2]", "$input.json('$') $input.json('$[1]') $input.json('$.length()')", "[1,2] 2 2");
}

#[test]
fn input_path() {
    check_body(
        PET,
        "#set($p = $input.path('$'))$p.name $p.owner.name $p.tags[0] $p.tags[1].b[1] $p.big $!p.owner.age.",
        "Fl\u{f6}h \"F\" Ann a 2.5 12345678901234567890123 .",
    );
    // Row 116: maps as Java writes them, lists as JSON (localstack#12379).
    check_body(
        PET,
        "$input.path('$.owner') $input.path('$.tags')",
        r#"{name=Ann, age=null} ["a",{"b":[1,2.50]}]"#,
    );
    check_body(r#"{"a": 1, "b": [{"c": 5}]}"#, "$input.path('$')", r#"{a=1, b=[{"c":5}]}"#);
    check_body(
        PET,
        "$input.path('$.nothing') $!input.path('$.nothing').x#if($input.path('$.nothing'))y#end",
        "$input.path('$.nothing') ",
    );
    check_body(
        PET,
        "#foreach($t in $input.path('$.tags'))$t;#end#foreach($v in $input.path('$.owner'))$!v;#end",
        "a;{b=[1,2.50]};Ann;;",
    );
    check_body(PET, "#foreach($k in $input.path('$').keySet())$k #end", "id name tags owner big ok ");
    check_body(
        PET,
        "$input.path('$.tags').size() $input.path('$.id').class.name $input.path('$.tags[*].b').size()",
        "2 java.lang.Integer 1",
    );
    // What is changed stays changed, wherever it is looked at from.
    check_body(
        PET,
        "#set($p = $input.path('$'))#set($o = $p.owner)#set($p.owner.age = 5)$!o.put('x', [1])$o $p.owner.x",
        "{name=Ann, age=5, x=[1]} [1]",
    );
    check_body(
        PET,
        "#set($p = $input.path('$.tags'))#set($x = $p.add({'n': 'q\"'}))$p",
        r#"["a",{"b":[1,2.50]},{"n":"q\""}]"#,
    );
    check_body(
        r#"{"a": 1, "b": 2, "a": 3}"#,
        "#set($p = $input.path('$'))$p.a $p.size() $p",
        "3 2 {a=3, b=2}",
    );
}

#[test]
fn bodies_that_are_not_json() {
    check_body("text & more", "<$input.body>", "<text & more>");
    check_body(
        "{\"a\": }",
        "\n $input.json('$.a')",
        "error: 2:13: the body is no JSON at byte 6: a value is wanted",
    );
    check_body(
        "{\"a\": 1",
        "$input.path('$')",
        "error: 1:12: the body is no JSON at byte 7: `,` or `}` is wanted",
    );
    let (text, _) = render_with(
        "$input.body",
        &Settings::default(),
        &Request { body: vec![b'a', 0xFF, b'b'], ..Request::default() },
    );
    assert_eq!(text, "a\u{fffd}b");
}

#[test]
fn input_params() {
    // Path before query before header.
    check(
        "$input.params('id') $input.params('q') $input.params('X-One') <$input.params('none')>",
        "42 a b 1 <>",
    );
    check(
        "$input.params().path.id $input.params().querystring.get('q') $input.params().header['X-One'] $input.params().header.none",
        "42 a b 1 $input.params().header.none",
    );
    check(
        "#foreach($t in $input.params().keySet())$t: #foreach($n in $input.params().get($t).keySet())$n #end#end",
        "path: id querystring: id q header: q X-One ",
    );
    check(
        "$input.params().querystring.size() $input.params().path $input.params().header.containsKey('q')",
        "2 {id=42} true",
    );
    check("$!input.params().path.put('x', 'y')$input.params().path.x $input.params().path", "y {id=42, x=y}");
}

#[test]
fn context() {
    check(
        "$context.requestId $context.stage $context.identity.sourceIp $context.identity.clientCert.validity.notAfter",
        "r-1 test 192.0.2.1 never",
    );
    // Section O: a name without a value is empty, a name that there is not stands as it is written.
    check(
        "<$context.identity.apiKey><$context.error.message><$context.nothing><$context.identity.nothing>",
        "<><><$context.nothing><$context.identity.nothing>",
    );
    check(
        "$context.authorizer.principalId $context.authorizer.level $context.authorizer.claims.sub <$context.authorizer.claims.x>",
        "me 7 s-1 <>",
    );
    check(
        "$context.get('stage') $context['stage'] $context.identity.get('sourceIp') $context.authorizer.keySet() $context.authorizer.claims",
        "test test 192.0.2.1 [principalId, level] {sub=s-1}",
    );
    check(
        "$context.identity.clientCert.keySet() $context.identity.clientCert.validity",
        "[clientCertPem, issuerDN, serialNumber, subjectDN, validity] {notAfter=never, notBefore=}",
    );
    check(
        "$stageVariables.table <$stageVariables.none> $stageVariables.get('table') $stageVariables",
        "pets <> pets {table=pets}",
    );
}

#[test]
fn overrides() {
    let source = "#set($context.requestOverride.header.X-A = 'one')\
        #set($context.requestOverride.header['X-B'] = [1, 'two'])\
        #set($context.requestOverride.path.id = 5)#set($context.requestOverride.querystring.q = true)\
        #set($context.requestOverride.header.X-A = 'again')#set($context.responseOverride.header.Y = $u)\
        #set($context.responseOverride.header.Z = \"z\")#set($context.responseOverride.status = 404)\
        #set($context.requestOverride.nothing.a = 1)#set($context.stage = 'x')\
        $context.requestOverride.header.X-A $context.requestOverride.header.X-B $context.responseOverride.status $context.stage";
    let (text, overrides) = render_with(source, &Settings::default(), &request(""));
    assert_eq!(text, "again [1, two] 404 test");
    let mut expected = Overrides { response_status: Some(404), ..Overrides::default() };
    expected.request_headers.add("X-A").value("again");
    let mut list = expected.request_headers.add("X-B");
    list.list();
    list.value("1");
    list.value("two");
    expected.request_path.add("id").value("5");
    expected.request_query.add("q").value("true");
    expected.response_headers.add("Z").value("z");
    assert_eq!(overrides, expected);
    assert!(overrides.kept_bytes() > 0);
    let mut overrides = overrides;
    overrides.clear();
    assert_eq!(overrides, Overrides::default());
}

/// Row 119: an integer from 100 to 599 counts, all else does not.
#[test]
fn statuses() {
    for (value, status) in [
        ("100", Some(100)),
        ("599", Some(599)),
        ("99", None),
        ("600", None),
        ("'404'", None),
        ("404.0", None),
    ] {
        let source = format!("#set($context.responseOverride.status = {value})");
        let (text, overrides) = render_with(&source, &Settings::default(), &request(""));
        assert_eq!((text.as_str(), overrides.response_status), ("", status), "{value}");
    }
}

#[test]
fn utilities() {
    check(
        "$util.escapeJavaScript(\"it's \"\"q\"\" a/b \u{e9}\n\t\u{1}\")",
        "it\\'s \\\"q\\\" a\\/b \\u00E9\\n\\t\\u0001",
    );
    check(
        "$util.escapeJavaScript('plain') $util.escapeJavaScript($u) $util.escapeJavaScript(1)",
        "plain $util.escapeJavaScript($u) 1",
    );
    check(
        "$util.urlEncode('a b&c=\u{e9}*~') $util.urlDecode('a+b%26c%C3%A9')",
        "a+b%26c%3D%C3%A9*%7E a b&c\u{e9}",
    );
    check(
        "$util.base64Encode('Hello') $util.base64Encode('') $util.base64Encode('ab') $util.base64Encode('abc')",
        "SGVsbG8=  YWI= YWJj",
    );
    check(
        "$util.base64Decode('SGVsbG8=') $util.base64Decode('YWI') $util.base64Decode('-_-_').length()",
        "Hello ab 3",
    );
    check(
        "#set($o = $util.parseJson('{\"a\": [1, {\"b\": \"x\"}]}'))$o.a[1].b $o $util.parseJson('[1, 2]')",
        "x {a=[1,{\"b\":\"x\"}]} [1,2]",
    );
    check(
        "$util.parseJson('{')",
        "error: 1:16: $util.parseJson was given no JSON at byte 1: a key in quotes is wanted",
    );
    check("$util.urlDecode('%4')", "error: 1:16: urlDecode: a `%` without two hexadecimal digits behind it");
    check("$util.base64Decode('a')", "error: 1:19: base64Decode: base64 ends in the middle of a byte");
    check("$util.nothing('x')", "$util.nothing('x')");
    check_body(
        PET,
        "#set($o = $util.parseJson($input.json('$.owner')))$o.name|#set($o = $util.parseJson($input.body))$o.id",
        "Ann|7",
    );
    check_body(
        PET,
        "$util.escapeJavaScript($input.json('$.owner'))",
        "{\\\"name\\\":\\\"Ann\\\",\\\"age\\\":null}",
    );
}

/// The template that AWS's console offers for passing all through.
#[test]
fn the_pass_through_template() {
    let source = include_str!("pass_through.vm");
    let (text, _) = render_with(source, &Settings::default(), &request(r#"{"a": [1, 2]}"#));
    let json: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(json["body-json"]["a"][1], 2);
    assert_eq!(json["params"]["path"]["id"], "42");
    assert_eq!(json["params"]["querystring"]["q"], "a b");
    assert_eq!(json["params"]["header"]["X-One"], "1");
    assert_eq!(json["stage-variables"]["table"], "pets");
    assert_eq!(json["context"]["stage"], "test");
    assert_eq!(json["context"]["source-ip"], "192.0.2.1");
    assert_eq!(json["context"]["api-key"], "");
}

/// Row 19: a SOAP backend behind a JSON API.
#[test]
fn soap_both_ways() {
    let to_soap = "#set($order = $input.path('$.order'))\
        <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><Place customer=\"$order.customer\">\
        #foreach($i in $order.items)<item sku=\"$i.sku\">$i.count</item>#end</Place></s:Body></s:Envelope>";
    let body =
        r#"{"order": {"customer": "c1", "items": [{"sku": "a", "count": 2}, {"sku": "b", "count": 1}]}}"#;
    let settings = Settings { xml: true, ..Settings::default() };
    let (soap, _) = render_with(to_soap, &settings, &request(body));
    assert_eq!(
        soap,
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><Place customer=\"c1\"><item sku=\"a\">2</item><item sku=\"b\">1</item></Place></s:Body></s:Envelope>"
    );
    let from_soap = "$util.xmlToJson($input.body)";
    let (json, _) = render_with(from_soap, &settings, &request(&soap));
    assert_eq!(
        json,
        r##"{"Envelope":{"Body":{"Place":{"@customer":"c1","item":[{"@sku":"a","#text":"2"},{"@sku":"b","#text":"1"}]}}}}"##
    );
    let picked = "#set($e = $util.parseJson($util.xmlToJson($input.body)))#foreach($i in $e.Envelope.Body.Place.item)$i['@sku']=$i['#text'] #end";
    let (text, _) = render_with(picked, &settings, &request(&soap));
    assert_eq!(text, "a=2 b=1 ");
}

#[test]
fn xml() {
    let xml = |xml: &str, expected: &str| check_body(xml, "$util.xmlToJson($input.body)", expected);
    xml("<?xml version=\"1.0\"?><a/>", r#"{"a":null}"#);
    xml("<a>x &amp; &#65;<![CDATA[<y>]]></a>", r#"{"a":"x & A<y>"}"#);
    xml("<a><b>1</b> t <b/></a>", r##"{"a":{"b":["1",null],"#text":"t"}}"##);
    xml(
        "<a><b></a>",
        "error: 1:16: $util.xmlToJson: at byte 6: ill-formed document: expected `</b>`, but `</a>` was found",
    );
    xml("<a>&evil;</a>", "error: 1:16: $util.xmlToJson: at byte 3: the entity `evil` is not XML's own");
    xml(
        "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
        "error: 1:16: $util.xmlToJson: at byte 0: a DTD is not read",
    );
    xml("text", "error: 1:16: $util.xmlToJson: there is no single root element");
    xml("<a>", "error: 1:16: $util.xmlToJson: `a` is not closed");
    xml(&"<a>".repeat(70), "error: 1:16: $util.xmlToJson: nested deeper than 64 (limit: XML depth)");
    let (text, _) = render_with("\n $util.xmlToJson('<a/>')", &Settings::default(), &request(""));
    assert_eq!(
        text,
        "mistakes: 2:8: `$util.xmlToJson` is an extension of this gateway and has to be switched on"
    );
}
