//! The table of what a shared cache on the backend's terms does (`tests/conformance/http_cache.txt`), with a clock that is
//! moved, and what takes more than two requests to show.

use message::Reason;

use super::*;

const TABLE: &str = include_str!("../../../../../tests/conformance/http_cache.txt");

/// Cases that the table is to have at least.
const CASES_MIN: usize = 200;

fn respect(keeps: bool) -> Respect {
    let settings = RespectSettings {
        dialect: Dialect::Proxy,
        identity: "api/prod/".into(),
        client_invalidation: true,
        body_bytes_max: MAX,
        path_rules: PathRules::default(),
        keeps,
    };
    Respect::new(&settings).unwrap()
}

/// A gateway of one core and one route on the backend's terms.
pub(super) struct Shared {
    store: Store<()>,
    policy: Respect,
    pub(super) now: Now,
}

/// What a client got, and what the backend was asked for it, if it was.
pub(super) struct Got {
    pub(super) response: Response,
    pub(super) asked: Option<Request>,
    /// What the backend was asked afterwards.
    pub(super) renewed: Option<Request>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { store: Store::new(1 << 20), policy: respect(true), now: seconds(1_000) }
    }

    /// Serves a request; the backend would answer with `reply`, or not at all.
    pub(super) fn serve(&mut self, mut request: Request, reply: Option<Response>) -> Got {
        let (now, slot) = (self.now, &mut Slot::Empty);
        let mut verdict = decide(now, &[], slot, |cx| self.policy.on_request(&mut request, cx));
        while let Verdict::Ask(Question::Cache(lookup)) = verdict {
            let found = self.store.lookup(lookup, || (), now).into_found().expect("nobody fetches");
            verdict =
                decide(now, &[], slot, |cx| self.policy.on_answer(&mut request, Answer::Cache(found), cx));
        }
        match verdict {
            Verdict::Answer(response) => {
                let renewed = match std::mem::take(slot) {
                    Slot::Renew(renewal) => {
                        self.arrive(Slot::Respect(renewal.journey), reply);
                        Some(renewal.request)
                    }
                    _ => None,
                };
                return Got { response, asked: None, renewed };
            }
            Verdict::Replay(replay) => {
                return Got { response: written(&replay), asked: None, renewed: None };
            }
            Verdict::Refuse(reason) => {
                assert_eq!(reason, Reason::NotCached);
                return Got { response: Response::new(504), asked: None, renewed: None };
            }
            Verdict::Continue => {}
            Verdict::Ask(question) => panic!("{question:?}"),
        }
        let response = self.arrive(std::mem::take(slot), reply);
        Got { response, asked: Some(request), renewed: None }
    }

    /// The backend answers, or not.
    fn arrive(&mut self, mut slot: Slot, reply: Option<Response>) -> Response {
        let unanswered = reply.is_none();
        let mut response = reply.unwrap_or_else(|| Response::new(502));
        decide(self.now, &[], &mut slot, |cx| {
            cx.unanswered = unanswered;
            self.policy.on_response(&mut response, cx);
        });
        self.settle(slot);
        response
    }

    fn settle(&mut self, slot: Slot) {
        let now = self.now;
        let told = match slot {
            Slot::Cache(Fate::Keep(keep)) => {
                let (ticket, stored) = keep.finish().unwrap();
                self.store.fill(ticket, stored, now)
            }
            Slot::Cache(Fate::Decline { ticket, lasting }) => self.store.decline(ticket, lasting, now),
            Slot::Cache(Fate::Stale { ticket, stored, failure }) => {
                let told = ticket.map(|ticket| self.store.stand_in(&ticket, &stored, failure, now));
                told.unwrap_or_default()
            }
            Slot::Cache(Fate::Invalidate(changed)) => {
                for key in changed.iter() {
                    self.store.invalidate(key);
                }
                Replies::new()
            }
            Slot::Empty => Replies::new(),
            other => panic!("{other:?}"),
        };
        assert!(told.is_empty(), "nobody waits");
        assert_eq!(self.store.stats().flights, 0, "every right is given back");
    }
}

/// `@AGO(n)` and `@IN(n)` as dates before and after `base_s`.
fn dated(text: &str, base_s: u64) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        out.push_str(&rest[..at]);
        let (word, tail) = rest[at + 1..].split_once('(').unwrap();
        let (number, tail) = tail.split_once(')').unwrap();
        let offset: u64 = number.parse().unwrap();
        let unix_s = if word == "AGO" { base_s - offset } else { base_s + offset };
        let time = std::time::UNIX_EPOCH + Duration::from_secs(unix_s);
        out.push_str(&httpdate::fmt_http_date(time));
        rest = tail;
    }
    out + rest
}

pub(super) fn request_of(text: &str, base_s: u64) -> Request {
    let (line, fields) = text.split_once(" ~ ").unwrap_or((text, ""));
    let (method, path) = line.trim().split_once(' ').unwrap();
    let fields = dated(fields, base_s).replace(" ~ ", "\n");
    request(format!("{method} https://a{path}\n{fields}").trim_end())
}

pub(super) fn response_of(text: &str, body: &str, base_s: u64) -> Option<Response> {
    let text = text.trim();
    let has_body = !text.starts_with("304");
    let fields = dated(text, base_s).replace(" ~ ", "\n");
    (text != "-").then(|| {
        let mut response = response(&fields);
        if has_body {
            response.body = Body::Whole(Bytes::copy_from_slice(body.as_bytes()));
        }
        response
    })
}

pub(super) const FIRST: &str = "0123456789";
const SECOND: &str = "abcdefghij";

fn text(response: &Response) -> &str {
    match &response.body {
        Body::Whole(bytes) => std::str::from_utf8(bytes).unwrap(),
        Body::Empty | Body::Stream(_) => "",
    }
}

/// What the second client got, in the table's words. Whether the backend failed is known from the table alone.
fn described(got: &Got, has_failed: bool) -> String {
    let called = got.asked.as_ref().map(|asked| {
        let headers = &asked.headers;
        headers.get(Name::IfNoneMatch).is_some() || headers.get(Name::IfModifiedSince).is_some()
    });
    let has_age = got.response.headers.get(Name::Age).is_some();
    match (got.response.status, called, text(&got.response)) {
        (304, None, _) => "none".into(),
        (304, Some(true), _) => "valid-none".into(),
        (206, None, part) => {
            let from = FIRST.find(part).unwrap();
            let to = from + part.len() - 1;
            let range = format!("bytes {from}-{to}/10");
            assert_eq!(got.response.headers.find("content-range"), Some(range.as_bytes()));
            format!("part {from}-{to}")
        }
        (416, None, _) => "416".into(),
        (504, None, _) => "504".into(),
        (502, Some(_), "") => "error".into(),
        (_, None, FIRST) => {
            assert!(has_age, "what comes from the cache has an age (§5.1)");
            "hit".into()
        }
        (200, Some(_), FIRST) if has_failed => "stale".into(),
        (200, Some(true), FIRST) => "valid".into(),
        (_, Some(_), SECOND) => "fetch".into(),
        (status, called, body) => panic!("{status} {called:?} {body:?}"),
    }
}

fn check(row: &str) {
    let columns: Vec<_> = row.split(" | ").collect();
    let [id, _section, first, reply, seconds, second, next, expected] = columns[..] else {
        panic!("{row}");
    };
    let mut shared = Shared::new();
    let base_s = shared.now.unix_ns / 1_000_000_000;
    shared.serve(request_of(first, base_s), response_of(reply, FIRST, base_s));
    let elapsed_ns = seconds.parse::<u64>().unwrap() * 1_000_000_000;
    shared.now.mono_ns += elapsed_ns;
    shared.now.unix_ns += elapsed_ns;
    let got = shared.serve(request_of(second, base_s), response_of(next, SECOND, base_s));
    assert_eq!(described(&got, next.starts_with(['-', '5'])), expected, "{id}: {row}");
}

#[test]
fn every_case_of_the_table_holds() {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let ids: std::collections::BTreeSet<_> = rows.clone().map(|row| row.split(" | ").next()).collect();
    assert_eq!(ids.len(), rows.clone().count(), "each case has a name of its own");
    assert!(ids.len() >= CASES_MIN, "{}", ids.len());
    rows.for_each(check);
}

/// A script of a cache: `path fields -> reply fields = body that comes back`; `+n` lets seconds pass.
#[track_caller]
fn check_script(script: &[&str]) {
    let mut shared = Shared::new();
    for (number, line) in script.iter().enumerate() {
        if let Some(seconds) = line.strip_prefix('+') {
            let elapsed_ns = seconds.parse::<u64>().unwrap() * 1_000_000_000;
            shared.now.mono_ns += elapsed_ns;
            shared.now.unix_ns += elapsed_ns;
            continue;
        }
        let base_s = shared.now.unix_ns / 1_000_000_000;
        let (exchange, expected) = line.rsplit_once(" = ").unwrap();
        let (asked, reply) = exchange.split_once(" -> ").unwrap();
        let own = number.to_string();
        let got = shared.serve(request_of(asked, base_s), response_of(reply, &own, base_s));
        assert_eq!(text(&got.response), expected, "{line} in {script:#?}");
    }
}

#[test]
fn changes_are_seen() {
    for (change, expected) in [
        ("POST /x -> 200", "2"),
        ("PUT /x -> 204", "2"),
        ("DELETE /x -> 302", "2"),
        ("PATCH /x -> 201", "2"),
        ("M-SEARCH /x -> 200", "2"),
        ("POST /x -> 400", "0"),
        ("POST /x -> 500", "0"),
        ("POST /x -> -", "0"),
        ("POST /y -> 200", "0"),
        ("OPTIONS /x -> 200", "0"),
        ("POST /y -> 201 ~ location: /x", "2"),
        ("POST /y -> 200 ~ content-location: /x", "2"),
        ("POST /y -> 201 ~ location: https://a/x", "2"),
        ("POST /y -> 201 ~ location: //a/x", "2"),
        ("POST /y -> 201 ~ location: HTTPS://A/x", "2"),
        ("POST /y -> 201 ~ location: x", "2"),
        ("POST /y/z -> 201 ~ location: ../x", "2"),
        ("POST /y -> 201 ~ location: /x#part", "2"),
        ("POST /y -> 201 ~ location: /%78", "2"),
        ("POST /y -> 201 ~ location: /x?a", "0"),
        ("POST /y -> 201 ~ location: https://b/x", "0"),
        ("POST /y -> 201 ~ location: http://a/x", "0"),
        ("POST /y -> 201 ~ location: https://a.b/x", "0"),
        ("POST /y -> 201 ~ location: https://a:444/x", "0"),
        ("POST /y -> 201 ~ location: mailto:a", "0"),
        ("POST /y -> 500 ~ location: /x", "0"),
    ] {
        let told = if change.ends_with('-') { "" } else { "1" };
        check_script(&[
            "GET /x -> 200 ~ cache-control: max-age=60 = 0",
            &format!("{change} = {told}"),
            &format!("GET /x -> 200 = {expected}"),
        ]);
    }
}

#[test]
fn variants_stand_beside_one_another_and_go_together() {
    const FRESH: &str = "200 ~ cache-control: max-age=60 ~ vary: foo";
    let get = |foo: &str, expected: &str| format!("GET /x ~ foo: {foo} -> {FRESH} = {expected}");
    check_script(&[
        &get("1", "0"),
        &get("2", "1"),
        &get("1", "0"),
        &get("2", "1"),
        "POST /x -> 200 = 4",
        &get("1", "5"),
        &get("2", "6"),
    ]);
    // One more name: what was told apart by less is not found any more.
    check_script(&[
        &get("1", "0"),
        "GET /x ~ foo: 2 ~ bar: 1 -> 200 ~ cache-control: max-age=60 ~ vary: bar = 1",
        &get("1", "2"),
        "GET /x ~ foo: 2 ~ bar: 1 -> 200 = 1",
        "GET /x ~ foo: 2 ~ bar: 2 -> 200 = 4",
    ]);
}

#[test]
fn a_304_renews_what_is_kept() {
    check_script(&[
        "GET /x -> 200 ~ cache-control: max-age=10 ~ etag: \"a\" = 0",
        "+20",
        "GET /x -> 304 ~ cache-control: max-age=60 = 0",
        "+50",
        "GET /x -> 200 = 0",
        "+20",
        "GET /x -> 200 ~ etag: \"b\" = 6",
    ]);
    // It may also end it.
    check_script(&[
        "GET /x -> 200 ~ cache-control: max-age=10 ~ etag: \"a\" = 0",
        "+20",
        "GET /x -> 304 ~ cache-control: no-store = 0",
        "GET /x -> 200 = 3",
    ]);
}

#[test]
fn fields_of_a_304_take_the_place_of_their_namesakes() {
    let mut shared = Shared::new();
    let first = "200 ~ cache-control: max-age=1 ~ etag: \"a\" ~ x-a: 1 ~ x-b: 1 ~ content-encoding: x ~ proxy-authenticate: b";
    shared.serve(request_of("GET /x", 0), response_of(first, FIRST, 0));
    shared.now.mono_ns += 5_000_000_000;
    shared.now.unix_ns += 5_000_000_000;
    let reply =
        "304 ~ cache-control: max-age=60 ~ etag: \"b\" ~ x-a: 2 ~ content-encoding: y ~ content-length: 3";
    shared.serve(request_of("GET /x", 0), response_of(reply, "", 0));
    let got = shared.serve(request_of("GET /x", 0), response_of("500", "", 0));
    let field = |name| got.response.headers.find(name).map(|value| std::str::from_utf8(value).unwrap());
    for (name, expected) in [
        ("x-a", Some("2")),
        ("x-b", Some("1")),
        ("etag", Some("\"a\"")),
        ("content-encoding", Some("x")),
        ("content-length", None),
        ("cache-control", Some("max-age=60")),
        ("proxy-authenticate", None),
        ("age", Some("0")),
    ] {
        assert_eq!(field(name), expected, "{name}");
    }
    assert!(field("date").is_some(), "what came without a date has that of its arrival");
}

/// Many variants of one resource: the oldest go, and the others are found.
#[test]
fn variants_are_bounded() {
    let mut shared = Shared::new();
    let reply = "200 ~ cache-control: max-age=60 ~ vary: foo";
    for foo in 0..200 {
        shared.serve(request_of(&format!("GET /x ~ foo: {foo}"), 0), response_of(reply, FIRST, 0));
    }
    assert_eq!(shared.store.stats().entries, 64 + 1, "the variants and the rule");
    let got = |shared: &mut Shared, foo: u32| {
        let got = shared.serve(request_of(&format!("GET /x ~ foo: {foo}"), 0), response_of("500", "", 0));
        got.asked.is_none()
    };
    assert!(got(&mut shared, 199) && got(&mut shared, 136) && !got(&mut shared, 135));
}

/// While one asks the backend again, others get what is kept, if the backend lets them.
#[test]
fn others_are_answered_meanwhile() {
    for (control, expected) in [("max-age=1, stale-while-revalidate=30", "hit"), ("max-age=1", "wait")] {
        let mut shared = Shared::new();
        let reply = format!("200 ~ cache-control: {control} ~ etag: \"a\"");
        shared.serve(request_of("GET /x", 0), response_of(&reply, FIRST, 0));
        shared.now.mono_ns += 5_000_000_000;
        let mut ask = || {
            let mut request = request_of("GET /x", 0);
            let verdict =
                decide(shared.now, &[], &mut Slot::Empty, |cx| shared.policy.on_request(&mut request, cx));
            let Verdict::Ask(Question::Cache(lookup)) = verdict else { panic!("{verdict:?}") };
            shared.store.lookup(lookup, || (), shared.now)
        };
        let first = ask();
        let is_answered = matches!(first, Outcome::Renew(..));
        assert!(is_answered == (expected == "hit"), "{first:?}");
        assert!(is_answered || matches!(first, Outcome::Validate(_, Some(_))), "{first:?}");
        let second = ask();
        let met = match second {
            Outcome::Hit(_) => "hit",
            Outcome::Wait => "wait",
            other => panic!("{other:?}"),
        };
        assert_eq!(met, expected, "{control}");
    }
}

const MEANWHILE: &str =
    "GET /x -> 200 ~ cache-control: max-age=10, stale-while-revalidate=60 ~ etag: \"a\" = 0";

/// Who asks first gets what is kept like all others; what the backend says of it afterwards is for those who follow.
#[test]
fn what_may_be_stale_is_renewed_afterwards() {
    check_script(&[
        MEANWHILE,
        "+20",
        "GET /x -> 200 ~ cache-control: max-age=10 = 0",
        "GET /x -> 500 = 2",
        "+20",
        "GET /x -> 500 = 5",
    ]);
    check_script(&[
        MEANWHILE,
        "+20",
        "GET /x -> 304 ~ cache-control: max-age=60 = 0",
        "+50",
        "GET /x -> 500 = 0",
    ]);
    // What is not to be kept any more is gone.
    check_script(&[MEANWHILE, "+20", "GET /x -> 200 ~ cache-control: no-store = 0", "GET /x -> 200 = 3"]);
    // Neither a HEAD nor a part brings home what could be kept; and past its time it is as stale as all else.
    check_script(&[MEANWHILE, "+20", "HEAD /x -> 500 = 0", "GET /x ~ range: bytes=0-0 -> 500 = 0"]);
    check_script(&[MEANWHILE, "+80", "GET /x -> 200 = 2"]);
    // A client that wants to know waits for it.
    check_script(&[MEANWHILE, "+20", "GET /x ~ cache-control: no-cache -> 200 = 2"]);
    check_script(&[
        "GET /x -> 200 ~ cache-control: max-age=10, stale-while-revalidate=60, must-revalidate = 0",
        "+20",
        "GET /x -> 200 = 2",
    ]);
}

#[test]
fn a_renewal_asks_with_our_validator() {
    let mut shared = Shared::new();
    let reply = "200 ~ cache-control: max-age=1, stale-while-revalidate=30 ~ etag: \"a\"";
    shared.serve(request_of("GET /x", 0), response_of(reply, FIRST, 0));
    shared.now.mono_ns += 5_000_000_000;
    let got = shared.serve(request_of("GET /x ~ if-none-match: \"a\"", 0), response_of("304", "", 0));
    assert_eq!(got.response.status, 304, "the client's own condition");
    let renewed = got.renewed.expect("the backend is asked");
    assert_eq!(renewed.headers.get(Name::IfNoneMatch), Some(&b"\"a\""[..]));
    let again = shared.serve(request_of("GET /x ~ if-none-match: \"b\"", 0), None);
    assert_eq!((again.response.status, again.asked, again.renewed), (200, None, None));
}

/// `+n` and how a request for what is stale is met: `call`, the backend is asked, and fails; `rest`, it is not.
#[track_caller]
fn check_rests(control: &str, failure: &str, steps: &[(u64, &str)]) {
    let mut shared = Shared::new();
    let reply = format!("200 ~ cache-control: {control} ~ etag: \"a\"");
    shared.serve(request_of("GET /x", 0), response_of(&reply, FIRST, 0));
    for (number, (elapsed_s, expected)) in steps.iter().enumerate() {
        shared.now.mono_ns += elapsed_s * 1_000_000_000;
        let got = shared.serve(request_of("GET /x", 0), response_of(failure, "", 0));
        assert_eq!(text(&got.response), FIRST, "{control}, {failure}: step {number}");
        let met = if got.asked.or(got.renewed).is_some() { "call" } else { "rest" };
        assert_eq!(met, *expected, "{control}, {failure}: step {number}");
    }
}

/// A backend that fails while what is kept stands in for it is left alone: 1 s, 2 s, 4 s … 30 s, or for as long as it says.
#[test]
fn a_backend_that_fails_is_left_alone_for_a_while() {
    let doubling = [
        (20, "call"),
        (0, "rest"),
        (1, "call"),
        (1, "rest"),
        (1, "call"),
        (3, "rest"),
        (1, "call"),
        (8, "call"),
        (16, "call"),
        (29, "rest"),
        (1, "call"),
        (29, "rest"),
        (1, "call"),
        // Long after the last one it is the first again.
        (100, "call"),
        (1, "call"),
    ];
    for control in ["max-age=10, stale-while-revalidate=3600", "max-age=10"] {
        check_rests(control, "-", &doubling);
    }
    for control in ["max-age=10, stale-while-revalidate=3600", "max-age=10, stale-if-error=3600"] {
        check_rests(control, "503", &doubling);
        let told = [(20, "call"), (6, "rest"), (1, "call")];
        check_rests(control, "503 ~ retry-after: 7", &told);
        check_rests(control, "503 ~ retry-after: 9999", &[(20, "call"), (29, "rest"), (1, "call")]);
        check_rests(control, "503 ~ retry-after: soon", &[(20, "call"), (1, "call"), (1, "rest")]);
    }
    // A client that wants to know has it asked, and an answer ends the rest.
    check_script(&[
        "GET /x -> 200 ~ cache-control: max-age=10 = 0",
        "+20",
        "GET /x -> - = 0",
        "GET /x ~ cache-control: no-cache -> - = 0",
        "GET /x -> 500 = 0",
        "+2",
        "GET /x -> 200 ~ cache-control: max-age=10 = 6",
        "+11",
        "GET /x -> - = 6",
        "+1",
        "GET /x -> 200 = 10",
    ]);
    // What may not be answered with is no reason to leave anybody alone.
    check_script(&[
        "GET /x -> 200 ~ cache-control: max-age=10, must-revalidate ~ etag: \"a\" = 0",
        "+20",
        "GET /x -> - = ",
        "GET /x -> 200 = 3",
    ]);
}

#[test]
fn a_route_that_keeps_nothing_makes_stale() {
    let mut shared = Shared::new();
    let fresh = || response_of("200 ~ cache-control: max-age=60", FIRST, 0);
    shared.serve(request_of("GET /x", 0), fresh());
    shared.policy = respect(false);
    assert!(shared.serve(request_of("GET /x", 0), fresh()).asked.is_some());
    shared.serve(request_of("POST /x", 0), fresh());
    shared.policy = respect(true);
    assert!(shared.serve(request_of("GET /x", 0), fresh()).asked.is_some());
}
