//! Poisoning and deception of a cache on the backend's terms (rule S8): two principals, two hosts, and a backend that says
//! `max-age` to all. What one client made it say must not be said to another.

use super::rfc9111::{FIRST, Shared, request_of, response_of};
use super::*;

/// Cases that are to be played at least.
const CASES_MIN: usize = 80;

const KEPT: &str = "200 ~ cache-control: max-age=60";

/// The first request is answered with `reply`; whether the second one is answered with that too.
fn is_shared(first: &str, reply: &str, second: &str) -> bool {
    let mut shared = Shared::new();
    shared.serve(request_at(first), response_of(reply, FIRST, 0));
    shared.serve(request_at(second), response_of("500", "", 0)).asked.is_none()
}

/// `METHOD scheme://host/path ~ name: value`; without a host that of [`request_of`].
fn request_at(text: &str) -> Request {
    if text.contains("://") { request(&text.replace(" ~ ", "\n")) } else { request_of(text, 0) }
}

#[track_caller]
fn check(cases: &[(String, String, String)]) -> usize {
    for (first, reply, second) in cases {
        assert!(!is_shared(first, reply, second), "{first}\n{reply}\n{second}");
    }
    cases.len()
}

fn case(first: &str, reply: &str, second: &str) -> (String, String, String) {
    (first.to_owned(), reply.to_owned(), second.to_owned())
}

/// Each of these is shared, so that what is not is so for its own reason.
#[test]
fn what_is_for_all_is_shared() {
    assert!(is_shared("GET https://a/x", KEPT, "GET https://a/x"));
    assert!(is_shared("GET https://a/x ~ user-agent: one", KEPT, "GET https://a/x ~ user-agent: other"));
    assert!(is_shared("GET https://a/x ~ accept-encoding: gzip", KEPT, "GET https://a/x"));
}

#[test]
fn nobody_gets_what_was_not_for_him() {
    let plain = "GET https://a/x";
    let mut cases = Vec::new();
    // Principals, both ways, and each with himself: nobody has said that it is for more than one.
    for field in ["authorization: Bearer a", "Authorization: Basic YTpi", "x-api-key: a"] {
        let (one, other) = (format!("{plain} ~ {field}"), format!("{plain} ~ {field}x"));
        for (first, second) in [(&*one, plain), (plain, &*one), (&*one, &*other), (&*one, &*one)] {
            cases.push(case(first, KEPT, second));
        }
    }
    // Hosts, schemes, ports, targets.
    for second in [
        "https://b/x",
        "https://a.b/x",
        "https://a:444/x",
        "http://a/x",
        "https://a/x/",
        "https://a/x.css",
        "https://a/x/y.css",
        "https://a/x;y",
        "https://a/x%3Fy",
        "https://a//x",
        "https://a/x?",
        "https://a/x?q",
        "https://a/X",
    ] {
        cases.push(case(plain, KEPT, &format!("GET {second}")));
        cases.push(case(&format!("GET {second}"), KEPT, plain));
    }
    // Fields by which some backends serve another resource, another method, or less than the whole.
    for field in [
        "x-forwarded-host: evil",
        "x-forwarded-proto: http",
        "x-forwarded-port: 1",
        "x-original-url: /admin",
        "x-rewrite-url: /admin",
        "x-http-method-override: DELETE",
        "x-http-method: DELETE",
        "x-method-override: DELETE",
        "if-match: \"a\"",
        "if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT",
        "proxy-authorization: Basic YTpi",
        "body: 4",
        "upgrade: websocket",
    ] {
        let odd = format!("{plain} ~ {field}");
        cases.push(case(&odd, KEPT, plain));
        cases.push(case(plain, KEPT, &odd));
    }
    // A part is not the whole, nor is an answer to a condition.
    for (field, reply) in [
        ("range: bytes=0-0", "206 ~ cache-control: max-age=60 ~ content-range: bytes 0-0/10"),
        ("range: bytes=99-", "416 ~ cache-control: max-age=60"),
        ("if-none-match: \"a\"", "304 ~ cache-control: max-age=60 ~ etag: \"a\""),
        ("if-none-match: \"a\"", "412 ~ cache-control: max-age=60"),
    ] {
        cases.push(case(&format!("{plain} ~ {field}"), reply, plain));
    }
    // What the backend says is personal, or can't be told apart.
    for said in [
        "private",
        "private=\"x\"",
        "no-store",
        "PRIVATE",
        "max-age=60, private",
        "no-cache",
        "max-age=0",
        "s-maxage=0, max-age=60",
        "max-age=60, max-age=0",
        "max-age=60s",
        "max-age=60, x=\"y, private",
    ] {
        cases.push(case(plain, &format!("200 ~ cache-control: {said}"), plain));
    }
    for field in
        ["set-cookie: a=b", "vary: *", "vary: accept, *", "pragma: no-cache ~ cache-control: private"]
    {
        cases.push(case(plain, &format!("{KEPT} ~ {field}"), plain));
    }
    for (vary, one, other) in [
        ("cookie", "cookie: session=a", "cookie: session=b"),
        ("cookie", "cookie: session=a", "cookie: session=a; x=y"),
        ("Authorization", "x-user: a", "authorization: b"),
        ("x-user", "x-user: a", "x-user: b"),
        ("x-user", "x-user: a", "x-other: a"),
        ("x-user, accept", "x-user: a ~ accept: b", "accept: b"),
    ] {
        let (one, other) = (format!("{plain} ~ {one}"), format!("{plain} ~ {other}"));
        cases.push(case(&one, &format!("{KEPT} ~ vary: {vary}"), &other));
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "REPORT"] {
        cases.push(case(&format!("{method} https://a/x"), KEPT, plain));
    }
    let played = check(&cases);
    assert!(played >= CASES_MIN, "{played} cases");
}

/// A renewal is made with the fields of the client who met what was stale: what comes back is judged by them.
#[test]
fn a_renewal_shares_nothing_personal() {
    for (reply, expected) in [
        ("200 ~ cache-control: max-age=60", false),
        ("200 ~ cache-control: private, max-age=60", false),
        ("200 ~ cache-control: max-age=60 ~ set-cookie: a=b", false),
        ("200 ~ cache-control: max-age=60, public", true),
        ("304 ~ cache-control: max-age=60, public", true),
        ("304 ~ cache-control: max-age=60, private", false),
    ] {
        let mut shared = Shared::new();
        let first = "200 ~ cache-control: public, max-age=10, stale-while-revalidate=60 ~ etag: \"a\"";
        shared.serve(request_at("GET /x"), response_of(first, FIRST, 0));
        shared.now.mono_ns += 20_000_000_000;
        shared.now.unix_ns += 20_000_000_000;
        let known = request_at("GET /x ~ authorization: a ~ cookie: b");
        let got = shared.serve(known, response_of(reply, "personal", 0));
        assert!(
            got.renewed.is_some() && got.response.body == Body::Whole(Bytes::from_static(FIRST.as_bytes()))
        );
        let next = shared.serve(request_at("GET /x"), response_of("500", "", 0));
        assert_eq!(next.asked.is_none(), expected, "{reply}");
    }
}
