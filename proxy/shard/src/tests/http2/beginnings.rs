//! How a connection comes to speak HTTP/2: by what is agreed on in the handshake, or by its first bytes; and for whom it
//! may ask then.

use tls::{ALPN_HTTP1, ALPN_HTTP2};

use super::secure;
use crate::tests::harness::{Setup, check, check_on, standard, strict};

/// What such a client begins with, before anything else that it says.
const PREFACE_BYTES: usize = 24;

#[test]
fn a_preface_may_come_in_any_two_pieces() {
    for cut in 1..=PREFACE_BYTES + 12 {
        check(&format!("c speaks h2 cut={cut}\nc.1> GET /mock\nc.1< 200 mocked"));
    }
}

#[test]
fn a_preface_that_does_not_go_on_is_not_waited_for() {
    // As long as it may be HTTP/1.1 it is answered in that.
    for begin in ["P", "PRI * HTTP/2.0"] {
        check_on(Setup::default(), &format!("c> {begin}\nc^ 408 close\ntook 10s"));
    }
    for cut in [16, 18, 22, PREFACE_BYTES - 1, PREFACE_BYTES, PREFACE_BYTES + 3] {
        check_on(Setup::default(), &format!("c speaks h2 cut={cut} staying\nc sees fin\ntook 10s"));
    }
}

#[test]
fn who_may_not_speak_it_is_told() {
    let mut model = standard();
    model.listeners[0].http2 = false;
    for begin in ["PRI * HTTP/2.0||SM||", "PRI * HTTP/2.0||"] {
        check_on(
            Setup { model: model.clone(), ..Setup::default() },
            &format!("c> {begin}\nc< 505 close HTTP Version Not Supported\nc sees fin"),
        );
    }
    // Not in the middle of HTTP/1.1 either.
    check(
        "c> GET /mock HTTP/1.1|Host: h||PRI * HTTP/2.0||SM||
         c< 200 mocked
         c< 505 close HTTP Version Not Supported
         c sees fin",
    );
    for begin in ["PRI / HTTP/2.0||SM||", "GET / HTTP/2.0|Host: h||", "PRI * HTTP/2.1||SM||"] {
        check(&format!("c> {begin}\nc< 505 close HTTP Version Not Supported\nc sees fin"));
    }
}

#[test]
fn over_tls_it_is_agreed_on() {
    let name = ["gateway.test"];
    for clients in [&[ALPN_HTTP2, ALPN_HTTP1][..], &[ALPN_HTTP2], &[ALPN_HTTP1, ALPN_HTTP2]] {
        check_on(
            secure(clients, &[ALPN_HTTP2], &name),
            "c speaks h2
             c.1> POST /a|:authority: gateway.test||{100000}
             1 speaks h2
             1.1< POST /a {100000}
             1 has :scheme: https
             1 has x-forwarded-proto: https
             1.1> 200||{200000}
             c.1< 200 {200000}",
        );
    }
    for clients in [&[ALPN_HTTP1][..], &[]] {
        check_on(
            secure(clients, &[ALPN_HTTP2], &name),
            "c> GET /a HTTP/1.1|Host: gateway.test||
             1 speaks h2
             1.1< GET /a
             1.1> 204
             c< 204
             d> PRI * HTTP/2.0||SM||
             d< 505 close HTTP Version Not Supported",
        );
    }
    let mut setup = secure(&[ALPN_HTTP2, ALPN_HTTP1], &[ALPN_HTTP2], &name);
    setup.model.listeners[0].http2 = false;
    check_on(setup, "c> GET /mock HTTP/1.1|Host: gateway.test||\nc< 200 mocked");
    // A backend that does not speak it.
    for (backend, end) in [(&[ALPN_HTTP1][..], "reset"), (&[], "reset")] {
        check_on(
            secure(&[ALPN_HTTP1], backend, &name),
            &format!(
                "c> GET /a HTTP/1.1|Host: gateway.test||
                 1 sees {end}
                 c< 502 Bad Gateway"
            ),
        );
    }
}

/// One connection asks for those that its certificate stands for, and for nobody else (RFC 9113 §9.1.1).
#[test]
fn a_request_for_another_is_misdirected_and_harms_no_other() {
    check_on(
        secure(&[ALPN_HTTP2], &[ALPN_HTTP2], &["gateway.test", "other.test"]),
        "c speaks h2
         c.1> GET /mock|:authority: gateway.test
         c.3> GET /mock|:authority: other.test
         c.5> GET /mock|:authority: gateway.test:443
         c.7+ POST /mock|:authority: other.test||hello
         c.1< 200 mocked
         c.3< 421 Misdirected Request
         c.5< 200 mocked
         c.7< 421 Misdirected Request
         c.7 then NO_ERROR
         c.9> GET /mock|:authority: gateway.test
         c.9< 200 mocked",
    );
}

/// Row 13, over HTTP/2: what comes on a connection that was made for another host is refused, whatever its certificate stands for, and
/// harms no other. U: the answer.
#[test]
fn a_strict_api_goes_by_the_name_of_the_connection() {
    let mut setup = secure(&[ALPN_HTTP2], &[ALPN_HTTP2], &["gateway.test"]);
    strict(&mut setup.model);
    check_on(
        setup,
        "c speaks h2
         c.1> GET /mock|:authority: gateway.test
         c.3> GET /mock|:authority: other.test
         c.5> GET /mock|:authority: gateway.test.:443
         c.1< 200 mocked
         c.3< 403 Forbidden
         c.5< 200 mocked",
    );
}
