//! Which requests ask the cache, which responses are kept and for how long, and what a hit looks like.

use super::*;
use crate::cache::directives;

/// What is asked: `use`, `refresh`, `peek`, or `pass`.
#[track_caller]
fn check_request(settings: &Settings, text: &str, expected: &str) {
    let cache = Cache::new(settings).unwrap();
    let verdict = decide(seconds(1), &[], &mut Slot::Empty, |cx| cache.on_request(&mut request(text), cx));
    let asked = match verdict {
        Verdict::Ask(Question::Cache(Lookup { mode: Mode::Use, .. })) => "use",
        Verdict::Ask(Question::Cache(Lookup { mode: Mode::Refresh, .. })) => "refresh",
        Verdict::Ask(Question::Cache(Lookup { mode: Mode::Peek, .. })) => "peek",
        Verdict::Continue => "pass",
        other => panic!("{other:?}"),
    };
    assert_eq!(asked, expected, "{text}");
}

/// A ticket such as a store gives.
fn ticket() -> Ticket {
    let cache = Cache::new(&settings(Dialect::Proxy, None)).unwrap();
    let mut request = request("GET https://a/x");
    let verdict = decide(seconds(1), &[], &mut Slot::Empty, |cx| cache.on_request(&mut request, cx));
    let Verdict::Ask(Question::Cache(lookup)) = verdict else { panic!("{verdict:?}") };
    match Store::<()>::new(1 << 20).lookup(lookup, || (), seconds(1)) {
        Outcome::Fill(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// For how many seconds the response is kept; `Err(lasting)` if it is declined.
#[track_caller]
fn check_response(settings: &Settings, text: &str, expected: Result<u64, bool>) {
    let cache = Cache::new(settings).unwrap();
    let slot = &mut Slot::Cache(Fate::Fill(ticket()));
    let mut reply = response(text);
    let before = reply.clone();
    decide(seconds(1), &[], slot, |cx| cache.on_response(&mut reply, cx));
    assert_eq!(reply, before, "the client's response is left as it is");
    let kept = match std::mem::take(slot) {
        Slot::Cache(Fate::Keep(keep)) => {
            let stored = keep.finish().map(|(_, stored)| stored).unwrap();
            Ok((0..4_000).find(|s| !stored.is_fresh(seconds(1 + s))).unwrap())
        }
        Slot::Cache(Fate::Decline { lasting, .. }) => Err(lasting),
        other => panic!("{other:?}"),
    };
    assert_eq!(kept, expected, "{text}");
}

#[test]
fn shared_caches_leave_alone_what_is_not_for_all() {
    let check = |text: &str, expected| check_request(&settings(Dialect::Proxy, None), text, expected);
    check("GET https://a/x", "use");
    check("HEAD https://a/x", "peek");
    check("POST https://a/x", "pass");
    check("get https://a/x", "pass");
    check("GET https://a/x\nauthorization: Bearer x", "pass");
    check("GET https://a/x\ncookie: session=1", "pass");
    check("GET https://a/x\nx-api-key: k", "pass");
    check("GET https://a/x\nproxy-authorization: Basic x", "pass");
    check("GET https://a/x\nrange: bytes=0-1", "pass");
    check("GET https://a/x\nif-range: \"a\"", "pass");
    check("GET https://a/x\nif-match: \"a\"", "pass");
    check("GET https://a/x\nif-unmodified-since: x", "pass");
    check("GET https://a/x\nif-none-match: \"a\"", "use");
    check("GET https://a/x\nbody: 1", "pass");
    check("GET https://a/x\nbody: 0", "use");
    check("GET https://a/x\nupgrade: websocket", "pass");
    for name in
        ["x-http-method", "X-HTTP-Method-Override", "x-method-override", "x-original-url", "x-rewrite-url"]
    {
        check(&format!("GET https://a/x\n{name}: y"), "pass");
    }
}

#[test]
fn declared_credentials_are_told_apart_and_cached() {
    let declared = |parts: &[KeyPart]| settings(Dialect::Proxy, Some(parts.to_vec()));
    let request = "GET https://a/x\nauthorization: Bearer x";
    check_request(&declared(&[header("Authorization")]), request, "use");
    check_request(&declared(&[header("x-tenant")]), request, "pass");
    check_request(&declared(&[header("x-tenant")]), "GET https://a/x\ncookie: a=b\nx-api-key: k", "use");
}

#[test]
fn rest_apis_cache_as_aws_does() {
    let check = |text, expected| check_request(&settings(Dialect::Rest, None), text, expected);
    check("GET https://a/x\nauthorization: Bearer x\ncookie: a=b", "use");
    check("GET https://a/x\nrange: bytes=0-1\nbody: 3", "use");
    check("GET https://a/x\nupgrade: websocket", "pass");
    check("HEAD https://a/x", "pass");
    let posts = Settings { methods: vec![Method::Post], ..settings(Dialect::Rest, None) };
    check_request(&posts, "POST https://a/x\nbody: 3", "use");
    check_request(&posts, "GET https://a/x", "pass");
}

#[test]
fn clients_refresh_only_where_they_may() {
    let may = settings(Dialect::Rest, None);
    let may_not = Settings { client_invalidation: false, ..may.clone() };
    check_request(&may, "GET https://a/x\ncache-control: max-age=0", "refresh");
    check_request(&may, "GET https://a/x\ncache-control: no-transform, Max-Age=\"0\"", "refresh");
    check_request(&may, "GET https://a/x\ncache-control: max-age=10", "use");
    check_request(&may, "GET https://a/x\nx-cache-control: max-age=0", "use");
    check_request(&may_not, "GET https://a/x\ncache-control: max-age=0", "use");
    let proxy = settings(Dialect::Proxy, None);
    check_request(&proxy, "HEAD https://a/x\ncache-control: max-age=0", "pass");
}

#[test]
fn a_ttl_of_zero_caches_nothing() {
    let off = Settings { ttl: Duration::ZERO, ..settings(Dialect::Rest, None) };
    check_request(&off, "GET https://a/x", "pass");
}

#[test]
fn successes_are_kept_unless_the_backend_minds() {
    let check = |text: &str, expected| check_response(&settings(Dialect::Proxy, None), text, expected);
    check("200\nbody: hello", Ok(300));
    check("203", Ok(300));
    check("204", Ok(300));
    for status in ["206", "301", "302", "304", "400", "404", "500", "502", "503", "504"] {
        check(status, Err(false));
    }
    check("200\nset-cookie: a=b", Err(true));
    for value in [
        "no-store",
        "private",
        "no-cache",
        "No-Store",
        "max-age=60, private",
        "private=\"x-user\"",
        "no-cache=\"set-cookie\"",
        "foo=\"a,b\", no-store",
        "foo=\"a, no-store",
        "a=\"\\\"\", no-store",
        ",, no-store",
    ] {
        check(&format!("200\ncache-control: {value}"), Err(true));
    }
    check("200\ncache-control: public\ncache-control: no-store", Err(true));
    check("200\ncache-control: public, foo=\"no-store\"", Ok(300));
    check("200\ncache-control: foo=\"\\\", no-store, \\\"\"", Ok(300));
    check("200\ncache-control: x-no-store", Ok(300));
}

#[test]
fn backends_shorten_the_ttl_and_never_lengthen_it() {
    let check = |text, expected| check_response(&settings(Dialect::Proxy, None), text, expected);
    check("200\ncache-control: max-age=60", Ok(60));
    check("200\ncache-control: max-age=3600", Ok(300));
    check("200\ncache-control: max-age=60, s-maxage=10", Ok(10));
    check("200\ncache-control: max-age=10, s-maxage=60", Ok(60));
    check("200\ncache-control: max-age=60\ncache-control: max-age=20", Ok(20));
    check("200\ncache-control: max-age=\"60\"", Ok(60));
    check("200\ncache-control: max-age=0", Err(true));
    check("200\ncache-control: max-age=-1", Err(true));
    check("200\ncache-control: max-age", Err(true));
    check("200\ncache-control: max-age=1.5", Err(true));
    check("200\ncache-control: max-age=99999999999999999999999", Ok(300));
    check("200\ncache-control: max-age=60\nage: 50", Ok(10));
    check("200\ncache-control: max-age=60\nage: 60", Err(true));
    check("200\nage: 1000", Ok(300));
    check("200\nexpires: 0", Err(true));
    check("200\nexpires: Tue, 14 Nov 2023 22:14:20 GMT\ndate: Tue, 14 Nov 2023 22:13:20 GMT", Ok(60));
    check("200\nexpires: Tue, 14 Nov 2023 22:13:31 GMT", Ok(10));
    check("200\nexpires: Tue, 14 Nov 2023 22:13:20 GMT", Err(true));
    check("200\nexpires: 0\ncache-control: max-age=60", Ok(60));
}

#[test]
fn varying_responses_are_kept_when_the_key_varies_too() {
    let check = |text, expected| check_response(&settings(Dialect::Proxy, None), text, expected);
    check("200\nvary: *", Err(true));
    check("200\nvary: accept", Err(true));
    check("200\nvary: accept-encoding, cookie", Err(true));
    check("200\nvary: accept-encoding\nvary: origin", Err(true));
    check("200\nvary: \u{e9}", Err(true));
    check("200\nvary: Accept-Encoding", Ok(300));
    check("200\nvary:", Ok(300));
    let declared = settings(Dialect::Proxy, Some(vec![header("origin")]));
    check_response(&declared, "200\nvary: Origin", Ok(300));
    check_response(&declared, "200\nvary: accept-encoding", Err(true));
}

#[test]
fn rest_apis_do_not_listen_to_the_backend() {
    let check = |text, expected| check_response(&settings(Dialect::Rest, None), text, expected);
    check("200\ncache-control: no-store, max-age=0\nset-cookie: a=b\nvary: *\nexpires: 0", Ok(300));
    check("206", Err(false));
    check("500", Err(false));
}

#[test]
fn what_is_too_long_is_not_kept() {
    let short = Settings { body_bytes_max: 4, ..settings(Dialect::Rest, None) };
    check_response(&short, "200\nbody: four", Ok(300));
    check_response(&short, "200\nbody: fives", Err(true));
    check_response(&short, "200\nlength: 5", Err(true));
}

/// Pushes the pieces and finishes: the stored body, or `None` when the ticket came back.
#[track_caller]
fn check_body(text: &str, pieces: &[&str], expected: Option<&str>) {
    let mut keep = Keep::new(ticket(), &response(text), 1, 8, seconds(1));
    let pushed = pieces.iter().all(|piece| keep.push(piece.as_bytes()));
    let body = keep.finish().ok().map(|(_, stored)| stored.response().body);
    let expected = expected.map(|text| match text {
        "" => Body::Empty,
        text => Body::Whole(Bytes::copy_from_slice(text.as_bytes())),
    });
    assert_eq!(body, expected);
    assert!(pushed || expected.is_none());
}

#[test]
fn bodies_are_gathered_whole_or_not_at_all() {
    check_body("200\nlength: 5", &["he", "llo"], Some("hello"));
    check_body("200\nlength: unknown", &["he", "", "llo"], Some("hello"));
    check_body("200\nlength: unknown", &[], Some(""));
    check_body("200\nbody: hello", &[], Some("hello"));
    check_body("204", &[], Some(""));
    check_body("200\nlength: unknown", &["12345678"], Some("12345678"));
    check_body("200\nlength: unknown", &["12345678", "9"], None);
    check_body("200\nlength: unknown", &["123456789"], None);
    check_body("200\nlength: 5", &["hell"], None);
    check_body("200\nlength: 5", &["hello", "!"], None);
}

#[test]
fn nobody_pushes_past_the_bound() {
    let mut keep = Keep::new(ticket(), &response("200\nlength: unknown"), 1, 8, seconds(1));
    assert!(keep.push(b"12345678"));
    assert!(!keep.push(b"9"));
    assert!(!keep.push(b"1"), "nothing is gathered any more");
    let ticket = keep.finish().unwrap_err();
    assert_eq!(ticket.key.identity(), b"api/prod/route");
}

/// Keeps `stored`, asks again after ten seconds.
#[track_caller]
fn check_hit(dialect: Dialect, stored: &str, asked: &str, expected: &str) {
    let cache = Cache::new(&settings(dialect, None)).unwrap();
    let mut gateway = Gateway::new();
    assert_eq!(gateway.serve(&cache, request("GET https://a/x"), response(stored)), Served::Kept);
    gateway.now = seconds(11);
    let served = gateway.serve(&cache, request(asked), response("500"));
    assert_eq!(served, Served::Cached(response(expected)), "{stored}\n--\n{asked}");
}

#[test]
fn hits_of_the_proxy_tell_their_age() {
    let check = |stored, expected| check_hit(Dialect::Proxy, stored, "GET https://a/x", expected);
    check("200\nx-own: 1\nbody: hello", "200\nx-own: 1\nAge: 10\nbody: hello");
    check("200\nage: 7\nbody: hello", "200\nAge: 17\nbody: hello");
    check("200\nage: x", "200\nAge: 10");
    check("204\ndate: then", "204\ndate: then\nAge: 10");
}

#[test]
fn hits_of_rest_apis_are_what_the_backend_said() {
    let check = |stored| check_hit(Dialect::Rest, stored, "GET https://b/y\nif-none-match: \"a\"", stored);
    check("200\netag: \"a\"\nage: 7\nset-cookie: a=b\nbody: hello");
}

#[test]
fn heads_are_answered_from_what_get_left() {
    let check = |stored, expected| check_hit(Dialect::Proxy, stored, "HEAD https://a/x", expected);
    check("200\nbody: hello", "200\nAge: 10\nbody: hello");
}

#[test]
fn clients_that_have_it_are_told_so() {
    let stored = "200\ncontent-type: text/plain\netag: \"a\"\nlast-modified: Mon\nbody: hello";
    let whole = "200\ncontent-type: text/plain\netag: \"a\"\nlast-modified: Mon\nAge: 10\nbody: hello";
    let not_modified = "304\netag: \"a\"\nlast-modified: Mon\nAge: 10";
    let check = |fields: &str, expected| {
        check_hit(Dialect::Proxy, stored, &format!("GET https://a/x\n{fields}"), expected);
    };
    check("if-none-match: \"a\"", not_modified);
    check("if-none-match: W/\"a\"", not_modified);
    check("if-none-match: \"b\", \"a\"", not_modified);
    check("if-none-match: \"b\"\nif-none-match: \"a\"", not_modified);
    check("if-none-match: *", not_modified);
    check("if-modified-since: Mon", not_modified);
    check("if-none-match: \"b\"", whole);
    check("if-none-match: a", whole);
    check("if-none-match: \"b\"\nif-modified-since: Mon", whole);
    check("if-modified-since: Tue", whole);
}

#[test]
fn only_a_200_becomes_a_304() {
    let asked = "GET https://a/x\nif-none-match: \"a\"";
    check_hit(
        Dialect::Proxy,
        "203\netag: \"a\"\nbody: hello",
        asked,
        "203\netag: \"a\"\nAge: 10\nbody: hello",
    );
}

#[test]
fn what_is_fetched_is_fetched_whole() {
    let cache = Cache::new(&settings(Dialect::Rest, None)).unwrap();
    let text =
        "GET https://a/x\nif-none-match: \"a\"\nif-modified-since: x\nif-match: x\nIf-Unmodified-Since: x
        if-range: x\nrange: bytes=0-1\naccept: y";
    let answer = |found| {
        let (mut request, slot) = (request(text), &mut Slot::Empty);
        let verdict =
            decide(seconds(1), &[], slot, |cx| cache.on_answer(&mut request, Answer::Cache(found), cx));
        assert!(matches!(verdict, Verdict::Continue));
        (request.headers, matches!(slot, Slot::Cache(Fate::Fill(_))))
    };
    assert_eq!(answer(Found::Fill(ticket())), (headers("accept: y"), true));
    assert_eq!(answer(Found::Pass), (request(text).headers, false));
}

#[test]
fn other_responses_are_none_of_its_business() {
    let cache = Cache::new(&settings(Dialect::Rest, None)).unwrap();
    let slot = &mut Slot::Empty;
    decide(seconds(1), &[], slot, |cx| cache.on_response(&mut response("200"), cx));
    assert!(matches!(slot, Slot::Empty));
}

#[track_caller]
fn check_settings(change: impl FnOnce(&mut Settings), expected: Error) {
    let mut settings = settings(Dialect::Rest, None);
    change(&mut settings);
    assert_eq!(Cache::new(&settings).map(|_| ()), Err(expected));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    check_settings(|settings| settings.identity.clear(), Error::NoIdentity);
    check_settings(|settings| settings.ttl = Duration::from_secs(3_601), Error::TtlTooLong { ttl_s: 3_601 });
    check_settings(
        |settings| settings.methods.push(Method::Connect),
        Error::MethodNotCacheable { method: "CONNECT".into() },
    );
    check_settings(|settings| settings.key = Some(vec![header("")]), Error::NamelessPart);
}

proptest::proptest! {
    /// Whatever stands in the fields, reading them neither panics nor hides a directive behind another.
    #[test]
    fn directives_are_read_whatever_they_are(value in "[a-z=,\"\\\\ ]{0,24}") {
        let headers = |text: &str| [("cache-control", text.as_bytes())].into_iter().collect::<Headers>();
        let hidden = format!("{value}, no-store");
        let quotes = value.bytes().filter(|byte| *byte == b'"').count();
        proptest::prop_assert!(quotes > 0 || directives::forbids_storing(&headers(&hidden)));
        let leading = format!("no-store, {value}");
        proptest::prop_assert!(directives::forbids_storing(&headers(&leading)));
    }
}
