//! nghttp, which tells each frame.

use std::thread;

use harness::{Act, Frame, Gate, Gateway, Nghttp, Origin, nghttp, nghttp_until};

use super::{everything_over_http2, nginx_over_http2};
use crate::everything;

const MOCK: &str = "[[route]]\nmatch = \"$default\"\nmock = { body = \"small\" }\n";
const LARGE_BYTES: usize = 1 << 20;

/// All requests were answered with 200, and nothing was reset.
#[track_caller]
fn check_all_well(seen: &Nghttp, requests: usize) {
    assert_eq!((seen.code, &*seen.stderr), (0, ""), "{:#?}", seen.frames);
    assert_eq!(seen.statuses(), vec![200; requests]);
    assert!(seen.received("RST_STREAM").is_empty(), "{:#?}", seen.frames);
}

/// RFC 9113 §3.4: our first frame is SETTINGS, and we say what we take (reliability a2).
#[test]
fn settings_come_first() {
    let seen = nghttp(&[&Gateway::start(MOCK).url("/")]);
    check_all_well(&seen, 1);
    let first = seen.frames.iter().find(|frame| !frame.is_sent).unwrap();
    assert_eq!((&*first.kind, first.stream, first.flags), ("SETTINGS", 0, 0));
    assert!(first.says("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100"), "{first:#?}");
    assert!(
        first.says("SETTINGS_INITIAL_WINDOW_SIZE(0x04):65536")
            || first.says("SETTINGS_INITIAL_WINDOW_SIZE(0x04):65535"),
        "{first:#?}"
    );
    assert!(first.says("SETTINGS_MAX_HEADER_LIST_SIZE(0x06):"), "{first:#?}");
    assert!(!first.says("SETTINGS_ENABLE_PUSH(0x02):1"), "{first:#?}");
    let acknowledged = seen.received("SETTINGS").iter().filter(|frame| frame.flags == 1).count();
    assert_eq!(acknowledged, 1, "{:#?}", seen.frames);
    let streams = Gateway::with(MOCK).listener("http2_streams_max = 7").start();
    let seen = nghttp(&[&streams.url("/")]);
    assert!(seen.received("SETTINGS")[0].says("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):7"));
}

/// Priorities are read and ignored; padding, field blocks in pieces and a table of another size change nothing.
#[test]
fn what_may_vary() {
    let origin = Origin::fixed("small");
    for tls in [false, true] {
        // What nghttp makes a field block of pieces from is 32 KiB.
        let builder = Gateway::with(&format!("[limits]\nheaders = \"40KiB\"\n{}", everything(&origin.url())));
        let gateway = if tls { builder.tls().start() } else { builder.start() };
        let url = gateway.url("/small");
        let ways: [&[&str]; 6] = [
            &["--weight=1"],
            &["--no-dep"],
            &["--padding=255"],
            &["--continuation"],
            &["--header-table-size=0"],
            &["--header-table-size=65536", "--encoder-header-table-size=1024"],
        ];
        for way in ways {
            let seen = nghttp(&[way, &["--multiply=20", &url]].concat());
            check_all_well(&seen, 20);
            assert_eq!(seen.body_bytes(), 20 * 5, "{way:?}");
        }
    }
}

/// More requests than may be made at once, a hundred if nothing else is said: the client waits, and gets all.
#[test]
fn as_many_streams_as_were_said() {
    let origin = Origin::fixed("small");
    let gateway = Gateway::start(&everything(&origin.url()));
    check_all_well(&nghttp(&["--multiply=300", &gateway.url("/small")]), 300);
}

/// Windows far smaller than the body, of the stream and of the connection: what comes fits, all of it comes.
#[test]
fn small_windows_are_kept() {
    let origin = Origin::fixed(&"0123456789abcdef".repeat(LARGE_BYTES / 16));
    let gateway = Gateway::start(&everything(&origin.url()));
    for windows in [&["--window-bits=10"][..], &["--window-bits=14", "--connection-window-bits=14"], &[]] {
        let seen = nghttp(&[windows, &["--multiply=3", &gateway.url("/")]].concat());
        check_all_well(&seen, 3);
        assert_eq!(seen.body_bytes(), 3 * LARGE_BYTES, "{windows:?}");
        let longest = seen.received("DATA").iter().map(|frame| frame.length).max().unwrap();
        let window = if windows.first() == Some(&"--window-bits=10") { 1_023 } else { 16_384 };
        assert!(longest <= window, "{windows:?}: a frame of {longest} bytes");
    }
}

#[test]
fn who_expects_100_gets_it() {
    let origin = Origin::fixed("small");
    let gateway = Gateway::start(&everything(&origin.url()));
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    std::fs::write(&file, vec![b'x'; 100_000]).unwrap();
    let data = format!("--data={}", file.display());
    let seen = nghttp(&["--expect-continue", &data, &gateway.url("/")]);
    assert_eq!((seen.code, seen.statuses()), (0, vec![100, 200]), "{:#?}", seen.frames);
    assert_eq!(origin.answered(1)[0].body.len(), 100_000);
}

/// A body that is too long is answered whole, and the rest of it is not wanted (RFC 9113 §8.1): that is no fault. curl 7.88
/// loses such an answer, from nginx as from us.
#[test]
fn bodies_are_limited() {
    let origin = Origin::fixed("small");
    let config = format!("[limits]\nbody = \"1KiB\"\n{}", everything(&origin.url()));
    let gateway = Gateway::start(&config);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    let data = format!("--data={}", file.display());
    for (bytes, more, statuses) in [
        (1 << 20, "--no-dep", &[413][..]),
        (1 << 20, "--no-content-length", &[413]),
        (1 << 20, "--expect-continue", &[413]),
        (1_025, "--no-dep", &[413]),
        (1_024, "--no-dep", &[200]),
        (1_024, "--no-content-length", &[200]),
        (1_024, "--expect-continue", &[100, 200]),
    ] {
        std::fs::write(&file, vec![b'x'; bytes]).unwrap();
        let seen = nghttp(&[&data, more, &gateway.url("/")]);
        assert_eq!((seen.code, &seen.statuses()[..]), (0, statuses), "{bytes} {more}: {:#?}", seen.frames);
        assert_eq!(seen.received("DATA").last().unwrap().flags & 1, 1, "{bytes} {more}: the answer ends");
        let resets = seen.received("RST_STREAM");
        assert!(resets.iter().all(|frame| frame.says("NO_ERROR")), "{bytes} {more}: {resets:#?}");
    }
}

/// Trailers of a request end at a backend of HTTP/1.1, and never become fields.
#[test]
fn trailers_up_end_here() {
    let origin = Origin::fixed("small");
    let gateway = Gateway::start(&everything(&origin.url()));
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    std::fs::write(&file, "body").unwrap();
    let data = format!("--data={}", file.display());
    check_all_well(&nghttp(&[&*data, "--trailer", "x-late: 1", &gateway.url("/")]), 1);
    assert_eq!(origin.answered(1)[0].body, b"body");
    assert!(!String::from_utf8_lossy(&origin.raw(0)).contains("x-late"));
}

/// Trailers of a backend of HTTP/2 reach the client, behind the body.
#[test]
fn trailers_down_arrive() {
    // With SSI nginx does not know the length before.
    let (nginx, url) =
        nginx_over_http2("add_trailer x-late yes; add_trailer x-later $status; ssi on; ssi_types *;");
    std::fs::write(nginx.file("late"), "body").unwrap();
    let gateway = Gateway::start(&everything_over_http2(&url, ""));
    let seen = nghttp(&[&gateway.url("/files/late")]);
    assert_eq!((seen.code, seen.body_bytes()), (0, 4), "{:#?}", seen.frames);
    let heads = seen.received("HEADERS");
    let [head, trailers] = heads[..] else { panic!("{:#?}", seen.frames) };
    assert_eq!((head.field(":status"), head.field("x-late")), (Some("200"), None));
    let late: Vec<_> = trailers.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(late, [("x-late", "yes"), ("x-later", "200")]);
}

/// A drain is said in two steps (RFC 9113 §6.8), and what was begun is answered.
#[test]
fn a_drain_says_goodbye_twice() {
    let gate = Gate::default();
    let opened = gate.clone();
    let origin = Origin::start(move |_| {
        vec![Act::ReadBody, Act::Wait(opened.clone()), Act::answer(200, &[], "small")]
    });
    let gateway = Gateway::start(&everything(&origin.url()));
    let goodbyes =
        |frames: &[Frame]| frames.iter().filter(|frame| !frame.is_sent && frame.kind == "GOAWAY").count();
    let seen = thread::scope(|scope| {
        // The second one comes when the client has heard the first: it is in no hurry, and nothing is answered before.
        let url = gateway.url("/");
        let client =
            scope.spawn(move || nghttp_until(&[&url], |frames| goodbyes(frames) >= 2, || gate.open()));
        origin.received(1);
        gateway.ask_to_end();
        client.join().unwrap()
    });
    check_all_well(&seen, 1);
    let goodbyes = seen.received("GOAWAY");
    assert!(goodbyes.iter().all(|frame| frame.says("NO_ERROR")), "{goodbyes:#?}");
    assert!(goodbyes[0].says("last_stream_id=2147483647"), "{goodbyes:#?}");
    assert!(goodbyes.len() == 2 && goodbyes[1].says("last_stream_id=13"), "{goodbyes:#?}");
    assert_eq!(gateway.wait().code, Some(0));
}
