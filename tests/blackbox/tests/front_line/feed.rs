//! Verdicts of layer 7: who is refused again and again is first slowed in the kernel, then kept out, and let in again when that
//! has expired. Once is never enough, and nobody pays for a neighbour.

use std::{io::Write, net::TcpStream};

use harness::{PATIENCE, eventually};

use super::{PORT, ROUTE, Site, heard};

/// A route that refuses everybody.
const TIGHT: &str =
    "[[route]]\nmatch = \"GET /tight\"\nmock = { status = 200 }\nthrottle = { rate = \"0/s\" }\n";
/// Who offends, and another of the same network.
const OFFENDER: u16 = 0x0501;
const NEIGHBOUR: u16 = 0x0502;
const OFFENDER_ADDRESS: &str = "10.77.5.1";
/// With so many a prefix is slowed, with as many again while it is it is kept out.
const POINTS: usize = 20;
/// A SYN of who is slowed takes 300 tokens of 1,000, which come back in a second: three get in at once, not all of eight.
const LINES: &str = "mode = \"enforce\"\nsyns = { rate = \"1000/s\", burst = 1000 }\n[ebpf.feed]\npoints = 20\nhalf_life = \"1h\"\n\
                     cost = 300\nshare = 1\nexpiry_min = \"8s\"\nexpiry_max = \"8s\"\nrefused = 1\n";
const KNOCKS: usize = 8;

#[track_caller]
fn check(test: &str, driver: &str) {
    let Some(site) = Site::new(test) else { return };
    let lines = format!("driver = \"{driver}\"\n{LINES}");
    let gateway = site.start(site.with_routes(&lines, &format!("{TIGHT}{ROUTE}")));
    site.stands(&gateway, driver);
    // What it has, it keeps: nobody established is cut.
    let mut talk = site.knock(OFFENDER, PORT).unwrap();
    offend(&mut talk, 1);
    assert_eq!(let_in(&site, OFFENDER), KNOCKS, "one refusal is no verdict");
    offend(&mut talk, POINTS - 1);
    let listed = |text: &str| {
        let said = site.by_hand(&gateway, &["status"]);
        said.lines().any(|line| line.contains(OFFENDER_ADDRESS) && line.contains(text)).then_some(())
    };
    eventually("it is slowed", || listed("slowed"));
    let slowed = let_in(&site, OFFENDER);
    assert!((1..KNOCKS).contains(&slowed), "{slowed} of {KNOCKS} got in");
    assert_eq!(let_in(&site, NEIGHBOUR), KNOCKS);
    eventually("it is kept out", || {
        offend(&mut talk, 1);
        listed("shut out")
    });
    assert_eq!(let_in(&site, OFFENDER), 0);
    assert_eq!(let_in(&site, NEIGHBOUR), KNOCKS);
    offend(&mut talk, 1);
    eventually("it is let in again", || site.gets_in(OFFENDER, PORT).then_some(()));
    assert_eq!(let_in(&site, OFFENDER), KNOCKS);
}

#[test]
fn who_offends_is_slowed_then_kept_out_in_xdp() {
    check("who_offends_is_slowed_then_kept_out_in_xdp", "xdp");
}

#[test]
fn who_offends_is_slowed_then_kept_out_by_nftables() {
    check("who_offends_is_slowed_then_kept_out_by_nftables", "nftables");
}

#[test]
fn who_offends_is_slowed_then_kept_out_at_accept() {
    check("who_offends_is_slowed_then_kept_out_at_accept", "accept");
}

/// How many of some connections come about and are answered.
fn let_in(site: &Site, number: u16) -> usize {
    (0..KNOCKS).filter(|_| site.gets_in(number, PORT)).count()
}

/// So many requests that are refused, on a connection that is there.
#[track_caller]
fn offend(stream: &mut TcpStream, times: usize) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..times {
        stream.write_all(b"GET /tight HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 2048];
        let length = heard(stream, &mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    }
}
