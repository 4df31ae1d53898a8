//! Interim responses, and connections that change to another protocol (bug 2, rule S3).

use super::harness::check;

#[test]
fn interim_responses_are_passed_on_and_continue_is_not() {
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 103 Early Hints|Link: </a>||
         c< 103
         c has link: </a>
         1> HTTP/1.1 100 Continue||
         c sees nothing
         1> HTTP/1.1 102 Processing||HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 102
         c< 200 ok
         c> GET /b HTTP/1.1|Host: h||
         1< GET /b
         1> HTTP/1.1 204 No Content||
         c< 204",
    );
}

#[test]
fn a_client_of_1_0_gets_no_interim_response() {
    check(
        "c> GET / HTTP/1.0|Host: h||
         1< GET /
         1> HTTP/1.1 103 Early Hints|Link: </a>||HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 close ok",
    );
}

#[test]
fn too_many_interim_responses_are_a_fault() {
    let interim = "HTTP/1.1 100 Continue||";
    check(&format!(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> {}HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 ok",
        interim.repeat(8)
    ));
    check(&format!(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> {}HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 502 Bad Gateway
         1 sees reset",
        interim.repeat(9)
    ));
}

const UPGRADE: &str = "GET /chat HTTP/1.1|Host: h|Connection: upgrade|Upgrade: websocket||";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols|Connection: upgrade|Upgrade: websocket||";

#[test]
fn after_101_bytes_pass_both_ways_until_both_have_ended() {
    check(&format!(
        "c> {UPGRADE}
         1< GET /chat upgrade=websocket
         1> {SWITCH}
         c< 101 upgrade=websocket
         c> GET / HTTP/1.1||
         1= GET / HTTP/1.1||
         1> {{300000}}
         c= {{300000}}
         c ends
         1 sees fin
         1> last words
         1 ends
         c= last words
         c sees fin"
    ));
    check(&format!(
        "c> {UPGRADE}
         1< GET /chat upgrade=websocket
         1> {SWITCH}first words
         c< 101 upgrade=websocket
         c= first words
         1 ends
         c sees fin
         c> last words
         1= last words
         c ends
         1 sees fin"
    ));
}

#[test]
fn bytes_before_101_are_held() {
    check(&format!(
        "c> {UPGRADE}early
         1< GET /chat upgrade=websocket
         1 sees nothing
         1> {SWITCH}
         1= early
         c< 101 upgrade=websocket"
    ));
}

/// What was sent in the hope of a tunnel is a request like any other if there is none.
#[test]
fn a_refused_upgrade_is_a_plain_response() {
    check(&format!(
        "c> {UPGRADE}GET /mock HTTP/1.1|Host: h||
         1< GET /chat upgrade=websocket
         1> HTTP/1.1 200 OK|Content-Length: 2||no
         c< 200 no
         c< 200 mocked
         c> GET /b HTTP/1.1|Host: h||
         1< GET /b
         1> HTTP/1.1 204 No Content||
         c< 204"
    ));
}

#[test]
fn a_switch_to_what_nobody_asked_for_is_a_fault() {
    for (asked, said) in [
        (UPGRADE, "Connection: upgrade|Upgrade: h2c"),
        (UPGRADE, "Connection: upgrade"),
        (UPGRADE, "Upgrade: websocket"),
        ("GET /chat HTTP/1.1|Host: h||", "Connection: upgrade|Upgrade: websocket"),
        (
            "POST /chat HTTP/1.1|Host: h|Connection: upgrade|Upgrade: websocket||",
            "Connection: upgrade|Upgrade: websocket",
        ),
    ] {
        check(&format!(
            "c> {asked}
             1^ {}
             1> HTTP/1.1 101 Switching Protocols|{said}||poison
             c< 502 Bad Gateway
             c> GET /mock HTTP/1.1|Host: h||
             c< 200 mocked",
            match asked {
                UPGRADE => "GET /chat upgrade=websocket",
                _ if asked.starts_with('P') => "POST /chat",
                _ => "GET /chat",
            }
        ));
    }
}

#[test]
fn a_tunnel_that_is_silent_or_broken_ends() {
    let open = format!("c> {UPGRADE}\n1< GET /chat upgrade=websocket\n1> {SWITCH}\nc< 101 upgrade=websocket");
    check(&format!("{open}\nwait 500s\nc> ping\n1= ping\nc sees fin\ntook 600s\n1 sees fin"));
    check(&format!("{open}\n1 aborts\nc sees reset"));
    check(&format!("{open}\nc aborts\n1 sees reset"));
}
