//! Bodies that are had as a whole: a request's before its backend hears of it, a response's before its client does
//! (`responses`), what stands in for them, and how much of that there may be at once.

mod responses;

use std::time::Duration;

use bytes::Bytes;
use integration::{Context, Integration, Outbound, ReadContext};
use message::{Body, Reason, Request, Response};
use runtime::simulated::Faults;
use snapshot::Snapshot;

use super::harness::{Lab, Setup, check_on, in_http2, route, run, standard};
use crate::{
    pressure::Level,
    whole::{WHOLE_BYTES_CORE_MAX, WHOLE_BYTES_SHORT_MAX},
};

/// How a route of these tests has its bodies.
#[derive(Clone, Copy, Debug, Default)]
struct Wants {
    request: Option<u64>,
    response: Option<u64>,
    /// Another body goes to the backend, whatever the client sends.
    replaces: bool,
    timeout: Option<Duration>,
}

/// Puts a request's body in angle brackets, and a response's in square ones with the length of the request's.
#[derive(Debug)]
struct Bracketing(Wants, Box<dyn Integration>);

impl Integration for Bracketing {
    fn prepare(&self, request: &mut Request, cx: &mut Context<'_>) -> Outbound {
        let Self(wants, inner) = self;
        if wants.request.is_some() {
            let body = whole(&request.body);
            *cx.state = Some(Box::new(body.len()));
            if !body.is_empty() {
                request.body = Body::Whole([b"<", &body[..], b">"].concat().into());
            }
        }
        if wants.replaces {
            request.body = Body::Whole(Bytes::from_static(b"instead"));
        }
        inner.prepare(request, cx)
    }

    fn read(&self, response: &mut Response, cx: &mut ReadContext<'_>) -> Result<(), Reason> {
        if self.0.response.is_some() {
            let body = whole(&response.body);
            let length = cx.state.take().and_then(|state| state.downcast::<usize>().ok());
            let length = length.map_or_else(String::new, |length| format!("{length}:"));
            response.body = Body::Whole([b"[", length.as_bytes(), &body, b"]"].concat().into());
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        self.1.kind()
    }

    fn request_body_max(&self) -> Option<u64> {
        self.0.request
    }

    fn response_body_max(&self) -> Option<u64> {
        self.0.response
    }

    fn timeout_ns(&self) -> Option<u64> {
        self.0.timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap())
    }
}

fn whole(body: &Body) -> Bytes {
    match body {
        Body::Empty => Bytes::new(),
        Body::Whole(bytes) => bytes.clone(),
        Body::Stream(length) => panic!("streams: {length:?}"),
    }
}

const BIG: u64 = 10 << 20;

const WANTS: [(&str, Wants); 6] = [
    ("/both", Wants { request: Some(20), response: Some(20), replaces: false, timeout: None }),
    ("/asked", Wants { request: Some(20), response: None, replaces: false, timeout: None }),
    ("/read", Wants { request: None, response: Some(20), replaces: false, timeout: None }),
    ("/instead", Wants { request: None, response: None, replaces: true, timeout: None }),
    ("/big", Wants { request: Some(BIG), response: Some(BIG), replaces: false, timeout: None }),
    (
        "/timed",
        Wants { request: None, response: Some(20), replaces: false, timeout: Some(Duration::from_secs(3)) },
    ),
];

fn setup(mut model: model::Model) -> Setup {
    for (path, _) in WANTS {
        let mut route = route(&format!("ANY {path}"), "A");
        route.limits = Some(model::Limits { body_bytes_max: 100 << 20, ..model::Limits::default() });
        model.apis[0].definition.routes.push(route);
    }
    let adapt = |snapshot: &mut Snapshot| {
        for route in &mut snapshot.apis[0].stages[0].routes {
            let wants = WANTS.iter().find(|(path, _)| route.key == format!("ANY {path}"));
            if let Some((_, wants)) = wants {
                let nobody = Bracketing(
                    Wants::default(),
                    Box::new(integration::mock::Mock::new(500, Default::default(), Bytes::new())),
                );
                let inner = std::mem::replace(&mut route.integration, Box::new(nobody));
                route.integration = Box::new(Bracketing(*wants, inner));
            }
        }
    };
    Setup { model, adapt, ..Setup::default() }
}

/// Plays a script where all comes at once, and where it comes late and in pieces.
#[track_caller]
fn check_in(model: impl Fn() -> model::Model, script: &str) {
    check_on(setup(model()), script);
    for seed in 1..=4 {
        let faults = Faults { slow_links_per_1000: 0, accept_failures_per_1000: 0, ..Faults::lossless(seed) };
        check_on(Setup { faults: Some(faults), ..setup(model()) }, script);
    }
}

#[track_caller]
fn check(script: &str) {
    check_in(standard, script);
}

#[track_caller]
fn check_http2(script: &str) {
    check_in(in_http2, script);
}

/// The connection is in step: another request gets its own answer.
const NEXT: &str = "c> GET /mock HTTP/1.1|Host: h||\nc< 200 mocked";

#[test]
fn a_whole_request_goes_with_its_length() {
    for (framing, body) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "2|he|3|llo|0|T: u||")]
    {
        check(&format!(
            "c> POST /both HTTP/1.1|Host: h|{framing}||{body}
             1< POST /both <hello>
             1 has content-length: 7
             1 lacks transfer-encoding
             1> HTTP/1.1 200 OK|Content-Length: 5||world
             c< 200 [5:world]
             c has content-length: 9
             c> POST /asked HTTP/1.1|Host: h|{framing}||{body}
             1< POST /asked <hello>
             1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|world|0||
             c< 200 chunked world
             c> GET /read HTTP/1.1|Host: h||
             1< GET /read
             1> HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|wo|3|rld|0||
             c< 200 [world]
             {NEXT}"
        ));
    }
    check(
        "c speaks h2
         c.1> POST /both||hello
         1< POST /both <hello>
         1 has content-length: 7
         1> HTTP/1.1 200 OK|Content-Length: 5||world
         c.1< 200 [5:world]
         c has content-length: 9
         c.3> GET /both
         1< GET /both
         1> HTTP/1.1 200 OK|Content-Length: 0||
         c.3< 200 [0:]",
    );
}

#[test]
fn over_http2_to_backends_too() {
    check_http2(
        "c speaks h2
         c.1> POST /both||hello
         1 speaks h2
         1.1< POST /both <hello>
         1 has content-length: 7
         1.1> 200||world
         c.1< 200 [5:world]
         d> POST /both HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|0||
         1.3< POST /both <hello>
         1 has content-length: 7
         1.3> 200|content-length: 5||world
         d< 200 [5:world]
         c.3> GET /read
         1.5< GET /read
         1.5+ 200||wor
         1.5+ ld
         1.5 trails a: b
         c.3< 200 [world]",
    );
    check_http2(
        "c speaks h2
         c.1> POST /big||{2000000}
         1 speaks h2
         1.1^ POST /big
         1 has content-length: 2000002
         1.1= <{2000000}>
         1.1> 200||{3000000}
         c.1^ 200
         c.1= [2000000:{3000000}]",
    );
}

/// Nobody asks a backend before all of a request is there.
#[test]
fn a_request_that_is_not_whole_reaches_no_backend() {
    for then in ["c ends", "c aborts", "c leaves"] {
        run(setup(standard()), async |lab| {
            lab.talk("c> POST /both HTTP/1.1|Host: h|Content-Length: 5||hell").await;
            assert_eq!(whole_bytes(lab), 4);
            lab.talk(then).await;
            assert_eq!((whole_bytes(lab), lab.connections('A').await), (0, 0), "{then}");
        });
    }
    run(setup(standard()), async |lab| {
        lab.talk(
            "c speaks h2
             c.1+ POST /both||hell
             c.1 resets CANCEL",
        )
        .await;
        assert_eq!((whole_bytes(lab), lab.connections('A').await), (0, 0));
    });
    for bad in ["x|", "4;a|hell|", "99999999999999999|"] {
        check(&format!(
            "c> POST /both HTTP/1.1|Host: h|Transfer-Encoding: chunked||4|hell|{bad}
             c< 400 close Bad Request
             c sees fin"
        ));
    }
    check(
        "c> POST /both HTTP/1.1|Host: h|Content-Length: 5||hell
         c< 408 close Request Timeout
         took 10s
         c sees fin",
    );
    check(
        "c speaks h2
         c.1+ POST /both||hell
         c.1< 408 Request Timeout
         took 10s",
    );
}

#[test]
fn a_request_that_is_too_long_reaches_no_backend() {
    // It is said before, and a short rest is read over.
    check(&format!(
        "c> POST /both HTTP/1.1|Host: h|Content-Length: 21||{{21}}
         c< 413 Content Too Large
         {NEXT}"
    ));
    check(
        "c> POST /both HTTP/1.1|Host: h|Content-Length: 21|Expect: 100-continue||
         c< 413 close Content Too Large
         c sees fin",
    );
    check(
        "c> POST /both HTTP/1.1|Host: h|Transfer-Encoding: chunked||14|{20}|1|x|0||
         c< 413 close Content Too Large
         c sees fin",
    );
    check(
        "c speaks h2
         c.1> POST /both||{21}
         c.1< 413 Content Too Large
         c.3> POST /both||{20}
         1< POST /both <xxxxxxxxxxxxxxxxxxxx>
         1> HTTP/1.1 204 No Content||
         c.3< 204",
    );
    check(&format!(
        "c> POST /both HTTP/1.1|Host: h|Transfer-Encoding: chunked||14|{{20}}|0||
         1< POST /both <xxxxxxxxxxxxxxxxxxxx>
         1> HTTP/1.1 204 No Content||
         c< 204
         {NEXT}"
    ));
}

#[test]
fn a_body_is_asked_for_before_it_is_read() {
    check(&format!(
        "c> POST /both HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||
         c< 100
         c> hello
         1< POST /both <hello>
         1 lacks expect
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 [5:ok]
         {NEXT}"
    ));
}

/// Another body goes in place of the client's, which is nobody's: the next request is found behind it, and the backend's
/// connection is kept.
#[test]
fn what_stands_in_for_a_body_goes_alone() {
    check(&format!(
        "c> POST /instead HTTP/1.1|Host: h|Content-Length: 5||hello
         1< POST /instead instead
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 ok
         c> POST /instead HTTP/1.1|Host: h|Content-Length: 5||hel
         1< POST /instead instead
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 ok
         c> lo
         {NEXT}
         1 sees nothing"
    ));
    check(
        "c speaks h2
         c.1+ POST /instead||hel
         1< POST /instead instead
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c.1< 200 ok
         d> GET /asked HTTP/1.1|Host: h||
         1< GET /asked
         1> HTTP/1.1 204 No Content||
         d< 204",
    );
    check(
        "c> POST /instead HTTP/1.1|Host: h|Content-Length: 1000000||begin
         1< POST /instead instead
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 close ok",
    );
}

/// A whole body is sent once more as one that is not there: to another connection where a kept one was closed under it, if
/// its method does no harm twice; and over HTTP/2 whatever it is, where it was not looked at.
#[test]
fn a_whole_request_may_be_put_again() {
    check(
        "c> PUT /asked HTTP/1.1|Host: h|Content-Length: 5||first
         1< PUT /asked <first>
         1> HTTP/1.1 204 No Content||
         c< 204
         c> PUT /asked HTTP/1.1|Host: h|Content-Length: 6||second
         1< PUT /asked <second>
         1 aborts
         2< PUT /asked <second>
         2> HTTP/1.1 204 No Content||
         c< 204
         c> POST /asked HTTP/1.1|Host: h|Content-Length: 5||third
         2< POST /asked <third>
         2 aborts
         c< 502 Bad Gateway",
    );
    for (refusal, again) in
        [("1.1 resets REFUSED_STREAM", "1.3"), ("1 goes away 0 NO_ERROR\n2 speaks h2", "2.1")]
    {
        check_http2(&format!(
            "c speaks h2
             c.1> POST /big||{{50000}}
             1 speaks h2
             1.1^ POST /big
             {refusal}
             {again}^ POST /big
             {again}= <{{50000}}>
             {again}> 200||ok
             c.1< 200 [50000:ok]"
        ));
    }
}

fn whole_bytes(lab: &Lab) -> usize {
    lab.cores[0].whole_bytes.get()
}

/// What is in memory counts until its client has it; what would be too much is refused, and all of it comes back.
#[test]
fn whole_bodies_of_a_core_are_bounded() {
    run(setup(standard()), async |lab| {
        lab.talk("c> POST /big HTTP/1.1|Host: h|Content-Length: 100000||{100000}\n1^ POST /big").await;
        assert_eq!(whole_bytes(lab), 100_000);
        lab.talk("1= <{100000}>\n1> HTTP/1.1 200 OK|Content-Length: 3000000||{3000000}").await;
        // The client has not read it.
        for _ in 0..100 {
            lab.settle().await;
        }
        assert_eq!(whole_bytes(lab), 3_100_000);
        lab.talk("c^ 200\nc= [100000:{3000000}]").await;
        lab.settle().await;
        assert_eq!(whole_bytes(lab), 0);
    });
    for (level, bytes_max) in [(Level::Enough, WHOLE_BYTES_CORE_MAX), (Level::Trim, WHOLE_BYTES_SHORT_MAX)] {
        run(setup(standard()), async |lab| {
            lab.press(level).await;
            // Others'.
            lab.cores[0].whole_bytes.set(bytes_max - 100);
            lab.talk(
                "d> POST /big HTTP/1.1|Host: h|Content-Length: 101||{101}
                 d< 503 close Service Unavailable
                 d sees fin
                 c> POST /asked HTTP/1.1|Host: h|Content-Length: 20||{20}
                 1< POST /asked <xxxxxxxxxxxxxxxxxxxx>
                 1> HTTP/1.1 204 No Content||
                 c< 204
                 c> GET /big HTTP/1.1|Host: h||
                 1< GET /big
                 1> HTTP/1.1 200 OK|Content-Length: 101||{101}
                 c< 503 Service Unavailable",
            )
            .await;
            assert_eq!(whole_bytes(lab), bytes_max - 100);
            lab.cores[0].whole_bytes.set(0);
        });
    }
}
