//! Bodies of APIs in AWS's shape: what is compressed for whom and what comes compressed (row 125), judged by curl and by
//! Python's zlib; how long payloads, fields and URLs may be, and what is said of longer ones (rows 135, 174, 176, 177).

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use harness::{Act, Gateway, Origin, Response, program};

over_all! {
    responses_are_compressed
    requests_come_compressed
    long_requests
    long_responses
    long_urls_and_fields
}

/// The payload of both kinds (row 174).
const PAYLOAD: usize = 10 << 20;

/// What Python's zlib makes of the input. `wbits`: 31 is gzip, 15 zlib's own format.
#[track_caller]
fn zlib(function: &str, wbits: u8, input: &[u8]) -> Vec<u8> {
    let code = match function {
        "compress" => {
            format!("c = zlib.compressobj(wbits={wbits}); out = c.compress(given) + c.flush()")
        }
        _ => format!("out = zlib.decompress(given, wbits={wbits})"),
    };
    let code =
        format!("import sys, zlib\ngiven = sys.stdin.buffer.read()\n{code}\nsys.stdout.buffer.write(out)");
    let mut child = Command::new(program("python3"))
        .args(["-c", &code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "Python can't {function}");
    output.stdout
}

/// A REST and an HTTP API in front of the same backend, by host; what both are told beside.
fn two_kinds(url: &str, api: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
        [upstream.origin]
        targets = ["{url}"]
        [[api]]
        name = "r"
        kind = "rest"
        {api}
        [[api.mapping]]
        host = "rest.test"
        stage = "prod"
        [[api.stage]]
        name = "prod"
        [[api.route]]
        key = "ANY /{{proxy+}}"
        integration = {{ type = "http_proxy", upstream = "origin" }}
        [[api]]
        name = "h"
        kind = "http"
        hosts = ["http.test"]
        [[api.route]]
        key = "ANY /{{proxy+}}"
        integration = {{ type = "http_proxy", upstream = "origin" }}
        "#
    ))
}

fn text(bytes: usize) -> String {
    "{\"name\": \"value\"}, ".chars().cycle().take(bytes).collect()
}

fn responses_are_compressed() {
    let origin = Origin::start(|request| {
        let bytes = request.target().rsplit('/').next().unwrap().parse().unwrap();
        vec![Act::answer(200, &[("ETag", "\"v1\""), ("Content-Type", "application/json")], &text(bytes))]
    });
    let gateway = two_kinds(&origin.url(), "minimum_compression = \"1KiB\"");
    let ask = |accepted: &str, bytes: usize| {
        gateway.ask(&format!("GET /{bytes}\nhost: rest.test\naccept-encoding: {accepted}"))
    };
    for (accepted, bytes, coding) in [
        ("gzip", 1_023, None),
        ("gzip", 1_024, Some(("gzip", 31))),
        ("deflate", 1_024, Some(("deflate", 15))),
        ("br, gzip;q=0.5, deflate;q=0.8", 500_000, Some(("deflate", 15))),
        ("*", 500_000, Some(("gzip", 31))),
        ("*;q=0", 500_000, None),
        ("br", 500_000, None),
    ] {
        let response = ask(accepted, bytes);
        assert_eq!(response.field("content-encoding"), coding.map(|(name, _)| name), "{accepted} {bytes}");
        let body = match coding {
            None => response.body.clone(),
            Some((_, wbits)) => zlib("decompress", wbits, &response.body),
        };
        assert_eq!(body, text(bytes).as_bytes(), "{accepted} {bytes}");
        let etag = if coding.is_some() { "W/\"v1\"" } else { "\"v1\"" };
        assert_eq!(response.field("etag"), Some(etag), "{accepted} {bytes}");
        let varies = response.all("vary").iter().any(|names| names.contains("Accept-Encoding"));
        assert_eq!(varies, bytes >= 1_024, "{accepted} {bytes}");
    }
    // It undoes what was done, whatever it asked for.
    let curled = gateway.curl(&["--compressed", "-H", "Host: rest.test"], "/300000");
    assert!(curled.response().field("content-encoding").is_some());
    assert_eq!(curled.response().body, text(300_000).as_bytes());
    // The other API compresses nothing.
    let plain = gateway.ask("GET /300000\nhost: http.test\naccept-encoding: gzip");
    assert_eq!((plain.field("content-encoding"), plain.body.len()), (None, 300_000));
}

fn requests_come_compressed() {
    let origin = Origin::fixed("ok");
    let gateway = two_kinds(&origin.url(), "minimum_compression = \"10MiB\"");
    let send = |coding: &str, body: &[u8]| {
        gateway.ask_with_body(&format!("POST /a\nhost: rest.test\ncontent-encoding: {coding}"), body)
    };
    let text = text(200_000).into_bytes();
    for (count, (coding, wbits)) in [("gzip", 31), ("deflate", 15), ("deflate", 9)].into_iter().enumerate() {
        assert_eq!(send(coding, &zlib("compress", wbits, &text)).status, 200, "{coding}");
        let asked = &origin.answered(count + 1)[count];
        assert_eq!(asked.body, text, "{coding}");
        assert_eq!(asked.field("content-length"), Some("200000"), "{coding}");
        assert_eq!(asked.field("content-encoding"), None, "{coding}");
    }
    // What is not what it says, was cut, or comes to too much.
    let coded = zlib("compress", 31, &text);
    let bomb = zlib("compress", 31, &vec![0; PAYLOAD + 1]);
    assert!(bomb.len() < 20_000);
    assert_eq!(send("gzip", &text[..100]).status, 400);
    assert_eq!(send("deflate", &coded).status, 400);
    assert_eq!(send("gzip", &coded[..coded.len() - 1]).status, 400);
    let refused = send("gzip", &bomb);
    assert_eq!(
        (refused.status, refused.text()),
        (413, format!("HTTP content length exceeded {PAYLOAD} bytes."))
    );
    assert_eq!(origin.requests().len(), 3);
}

/// Status, type of error and message, or text, that REST and HTTP APIs answer with.
#[track_caller]
fn check(rest: &Response, http: &Response, status: u16, rest_said: (Option<&str>, &str), http_said: &str) {
    assert_eq!((rest.status, rest.field("x-amzn-errortype")), (status, rest_said.0));
    assert_eq!((http.status, http.field("x-amzn-errortype")), (status, None));
    let is_json = |response: &Response| response.field("content-type") == Some("application/json");
    assert_eq!(if is_json(rest) { rest.message() } else { rest.text() }, rest_said.1);
    assert!(is_json(http) && http.message() == http_said, "{http:?}");
    assert!(rest.field("x-amzn-requestid").is_some() && http.field("apigw-requestid").is_some());
}

/// Row 174, and the answers of row 135.
fn long_requests() {
    let origin = Origin::fixed("ok");
    let gateway = two_kinds(&origin.url(), "");
    let body = vec![b'a'; PAYLOAD + 1];
    for host in ["rest.test", "http.test"] {
        let sent = gateway.ask_with_body(&format!("POST /a\nhost: {host}"), &body[1..]);
        assert_eq!(sent.status, 200, "{host}");
    }
    let long = |host: &str| gateway.ask_with_body(&format!("POST /a\nhost: {host}"), &body);
    let (rest, http) = (long("rest.test"), long("http.test"));
    check(
        &rest,
        &http,
        413,
        (None, "HTTP content length exceeded 10485760 bytes."),
        "Request Entity Too Large",
    );
    let lengths: Vec<_> = origin.answered(2).iter().map(|asked| asked.body.len()).collect();
    assert_eq!(lengths, [PAYLOAD, PAYLOAD]);
}

/// Row 174 the other way: section N's configuration fault.
fn long_responses() {
    let body = "a".repeat(PAYLOAD + 1);
    let origin = Origin::start(move |request| {
        let bytes = if request.target().contains("long") { PAYLOAD + 1 } else { PAYLOAD };
        vec![Act::answer(200, &[], &body[..bytes])]
    });
    let gateway = two_kinds(&origin.url(), "");
    for host in ["rest.test", "http.test"] {
        let told = gateway.ask(&format!("GET /just\nhost: {host}"));
        assert_eq!((told.status, told.body.len()), (200, PAYLOAD), "{host}");
    }
    let long = |host: &str| gateway.ask(&format!("GET /long\nhost: {host}"));
    check(
        &long("rest.test"),
        &long("http.test"),
        500,
        (Some("InternalServerErrorException"), "Internal server error"),
        "Internal Server Error",
    );
}

/// Rows 176 and 177; 431 is U (row 135).
fn long_urls_and_fields() {
    let origin = Origin::fixed("ok");
    for (endpoint, max) in [("regional", 10_240), ("edge", 8_192)] {
        let gateway = two_kinds(&origin.url(), &format!("endpoint = \"{endpoint}\""));
        let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        let ask = |host: &str, path: &str| gateway.ask(&format!("GET {path}\nhost: {host}"));
        assert_eq!(ask("rest.test", &path(max)).status, 200, "{endpoint}");
        let rest = ask("rest.test", &path(max + 1));
        let http = ask("http.test", &path(10_241));
        check(&rest, &http, 414, (Some("BadRequestException"), "URI Too Long"), "URI Too Long");
    }
    let gateway = two_kinds(&origin.url(), "");
    let ask = |host: &str, bytes: usize| {
        gateway.ask(&format!("GET /a\nhost: {host}\nx-long: {}", "a".repeat(bytes)))
    };
    // Names and values; an HTTP API counts the request line too.
    assert_eq!(ask("rest.test", 10_000).status, 200);
    let (rest, http) = (ask("rest.test", 10_240), ask("http.test", 10_240));
    let said = "Request Header Fields Too Large";
    check(&rest, &http, 431, (Some("BadRequestException"), said), said);
}
