//! Poisoning and deception: what one client made the backend say must not be said to another.

use super::*;

/// The first request is answered with `reply`; is the second one answered with it too?
#[track_caller]
fn check(settings: &Settings, first: &str, reply: &str, second: &str, expected: &str) {
    let cache = Cache::new(settings).unwrap();
    let mut gateway = Gateway::new();
    gateway.serve(&cache, request(first), response(reply));
    let shared = match gateway.serve(&cache, request(second), response("500")) {
        Served::Cached(_) => "shared",
        Served::Kept | Served::Fetched => "apart",
    };
    assert_eq!(shared, expected, "{first}\n--\n{reply}\n--\n{second}");
}

const REPLY: &str = "200\ncontent-type: text/html\nbody: for the first";

#[test]
fn what_is_for_all_is_shared() {
    let check = |first, second| check(&settings(Dialect::Proxy, None), first, REPLY, second, "shared");
    check("GET https://a/x", "GET https://a/x");
    check("GET https://a/x?a=1&b=2", "GET https://a/x?b=2&a=1");
    check("GET https://a/x\nuser-agent: curl", "GET https://a/x\nuser-agent: wget");
    check("GET https://a/x\nif-none-match: \"z\"", "GET https://a/x");
}

#[test]
fn hosts_schemes_methods_and_targets_are_apart() {
    for key in [None, Some(vec![query("q")])] {
        let check = |second| {
            check(&settings(Dialect::Proxy, key.clone()), "GET https://a/x?q=1", REPLY, second, "apart")
        };
        check("GET https://b/x?q=1");
        check("GET https://a.b/x?q=1");
        check("GET https://a:444/x?q=1");
        check("GET http://a/x?q=1");
        check("POST https://a/x?q=1");
        check("GET https://a/x?q=2");
        check("GET https://a/x?q=1&q=2");
        check("GET https://a/x");
    }
    let check = |second| check(&settings(Dialect::Proxy, None), "GET https://a/x/y", REPLY, second, "apart");
    check("GET https://a/x%3Fy");
    check("GET https://a/x/y;z");
    check("GET https://a/x/y.css");
    check("GET https://a/x/y/");
    check("GET https://a//x/y");
    check("GET https://a/x/y?");
}

#[test]
fn principals_are_apart_both_ways() {
    let anonymous = "GET https://a/x";
    for field in [
        "authorization: Bearer a",
        "Authorization: Basic YTpi",
        "cookie: session=a",
        "x-api-key: a",
        "proxy-authorization: Basic YTpi",
    ] {
        let known = format!("{anonymous}\n{field}");
        let other = format!("{known}x");
        for (first, second) in
            [(&*known, anonymous), (anonymous, &*known), (&*known, &*other), (&*known, &*known)]
        {
            check(&settings(Dialect::Proxy, None), first, REPLY, second, "apart");
        }
    }
    let declared = settings(Dialect::Proxy, Some(vec![header("authorization")]));
    let (one, other) = ("GET https://a/x\nauthorization: a", "GET https://a/x\nauthorization: b");
    check(&declared, one, REPLY, one, "shared");
    check(&declared, one, REPLY, other, "apart");
    check(&declared, one, REPLY, anonymous, "apart");
}

#[test]
fn what_the_backend_says_is_personal_is_not_shared() {
    for field in [
        "set-cookie: session=a",
        "cache-control: private",
        "cache-control: no-store",
        "cache-control: no-cache",
        "cache-control: max-age=0",
        "cache-control: public, max-age=60, s-maxage=0",
        "expires: Thu, 01 Jan 1970 00:00:00 GMT",
        "vary: *",
        "vary: cookie",
        "vary: user-agent",
        "vary: accept-encoding, accept-language",
    ] {
        let reply = format!("{REPLY}\n{field}");
        check(&settings(Dialect::Proxy, None), "GET https://a/x", &reply, "GET https://a/x", "apart");
        check(&settings(Dialect::Http, None), "GET https://a/x", &reply, "GET https://a/x", "apart");
    }
}

#[test]
fn unkeyed_fields_that_backends_look_at_do_not_reach_others() {
    for field in [
        "x-forwarded-host: evil",
        "x-forwarded-proto: http",
        "x-forwarded-port: 1",
        "x-original-url: /admin",
        "x-rewrite-url: /admin",
        "x-http-method-override: DELETE",
        "x-http-method: DELETE",
        "x-method-override: DELETE",
        "accept-encoding: evil",
        "range: bytes=0-0",
        "if-range: \"a\"",
        "if-match: \"a\"",
        "body: 4",
        "upgrade: websocket",
    ] {
        let first = format!("GET https://a/x\n{field}");
        check(&settings(Dialect::Proxy, None), &first, REPLY, "GET https://a/x", "apart");
        check(&settings(Dialect::Proxy, None), "GET https://a/x", REPLY, &first, "apart");
    }
}

#[test]
fn failures_and_parts_are_not_shared() {
    for status in
        ["206", "301", "304", "400", "401", "403", "404", "413", "414", "429", "500", "502", "503", "504"]
    {
        for dialect in [Dialect::Proxy, Dialect::Http, Dialect::Rest] {
            check(&settings(dialect, None), "GET https://a/x", status, "GET https://a/x", "apart");
        }
    }
}

#[test]
fn heads_leave_nothing_for_gets() {
    check(&settings(Dialect::Proxy, None), "HEAD https://a/x", "200", "GET https://a/x", "apart");
    check(&settings(Dialect::Rest, None), "HEAD https://a/x", "200", "GET https://a/x", "apart");
}

#[test]
fn tenants_are_apart() {
    let one = Cache::new(&settings(Dialect::Rest, None)).unwrap();
    let other = Settings { identity: "other/prod/route".into(), ..settings(Dialect::Rest, None) };
    let other = Cache::new(&other).unwrap();
    let mut gateway = Gateway::new();
    let text = "GET https://a/x";
    assert_eq!(gateway.serve(&one, request(text), response(REPLY)), Served::Kept);
    assert_eq!(gateway.serve(&other, request(text), response("500")), Served::Fetched);
    assert_eq!(gateway.serve(&one, request(text), response("500")), Served::Cached(response(REPLY)));
}

#[test]
fn rest_apis_share_what_aws_shares() {
    let check =
        |first, second, expected| check(&settings(Dialect::Rest, None), first, REPLY, second, expected);
    check("GET https://a/pets/1", "GET https://b/pets/2?x=1", "shared");
    check("GET https://a/x\nauthorization: a", "GET https://a/x\nauthorization: b", "shared");
}
