//! nginx and HAProxy as peers over HTTP/2: behind the gateway, and in front of it.

use harness::{
    GRPC_CASES, Gateway, GrpcServer, Haproxy, Nginx, Origin, curl, grpc_agree, grpc_missing, skip,
};

use super::{Way, everything_over_http2, nginx_over_http2};
use crate::{everything, everything_with, tls::certificate};

const LARGE_BYTES: usize = 1 << 20;

/// What is asked of any backend: it has `/show` (the version it is spoken to in, first), `/small`, `/empty`, `/large`.
#[track_caller]
fn check_backend(config: &str) {
    for way in &Way::both(config) {
        let show = way.ask("/show?a=b", &[]).text();
        assert!(show.contains("/show?a=b HTTP/2"), "{show}");
        assert_eq!(way.ask("/small", &[]).text(), "small");
        let head = way.ask("/small", &["--head"]);
        assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some("5"), 0));
        assert_eq!(way.ask("/empty", &[]).status, 204);
        assert_eq!(way.ask("/large", &[]).body.len(), LARGE_BYTES);
        // A client of HTTP/1.1 before a backend of HTTP/2.
        assert_eq!(way.gateway.ask_as_curl_does("/small"), "small");
    }
}

trait AsCurl {
    fn ask_as_curl_does(&self, path: &str) -> String;
}

impl AsCurl for Gateway {
    #[track_caller]
    fn ask_as_curl_does(&self, path: &str) -> String {
        let answer = curl(&["--http1.1", "--insecure", &self.url(path)]);
        assert_eq!(answer.response().version, "HTTP/1.1");
        answer.response().text()
    }
}

#[test]
fn nginx_behind() {
    let (nginx, url) = nginx_over_http2("");
    check_backend(&everything_over_http2(&url, ""));
    // Bodies go up, too.
    let body = "0123456789abcdef".repeat(LARGE_BYTES / 16);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    std::fs::write(&file, &body).unwrap();
    for way in &Way::both(&everything_over_http2(&url, "")) {
        for more in ["x: 1", "transfer-encoding: chunked", "expect: 100-continue"] {
            let put = way.ask("/files/up", &["--upload-file", file.to_str().unwrap(), "--header", more]);
            assert!([201, 204].contains(&put.status), "{} {more}: {put:?}", way.base);
            assert!(std::fs::read_to_string(nginx.file("up")).unwrap() == body, "{} {more}", way.base);
            std::fs::remove_file(nginx.file("up")).unwrap();
        }
    }
}

#[test]
fn nginx_behind_with_tls() {
    let folder = tempfile::TempDir::new().unwrap();
    let (chain, key) = certificate(folder.path(), "backend", &["backend.test"]);
    let port = harness::free_port();
    let _nginx = Nginx::start_with(&format!(
        "listen 127.0.0.1:{port} ssl http2; ssl_certificate {chain}; ssl_certificate_key {key};"
    ));
    check_backend(&everything_over_http2(
        &format!("https://127.0.0.1:{port}"),
        &format!("ca = {chain:?}\nserver_name = \"backend.test\"\n"),
    ));
}

/// A frontend of HAProxy that answers by itself, at a port that it is bound to like this.
fn haproxy_that_answers(bind: &str, nginx: &Nginx) -> Haproxy {
    Haproxy::start(&format!(
        "frontend in\n  bind 127.0.0.1:{{PORT}} {bind}\n  http-request return status 200 content-type text/plain \
         lf-string \"%[method] %[url] HTTP/%[req.ver]\" if {{ path /show }}\n  default_backend nginx\n\
         backend nginx\n  server nginx {}\n",
        nginx.url().trim_start_matches("http://")
    ))
}

#[test]
fn haproxy_behind() {
    let nginx = Nginx::start();
    let haproxy = haproxy_that_answers("proto h2", &nginx);
    check_backend(&everything_over_http2(&haproxy.url(), ""));
    let folder = tempfile::TempDir::new().unwrap();
    let (chain, key) = certificate(folder.path(), "backend", &["backend.test"]);
    let both = folder.path().join("both.pem");
    std::fs::write(&both, [std::fs::read(&chain).unwrap(), std::fs::read(&key).unwrap()].concat()).unwrap();
    let haproxy = haproxy_that_answers(&format!("ssl crt {} alpn h2", both.display()), &nginx);
    check_backend(&everything_over_http2(
        &format!("https://{}", haproxy.address()),
        &format!("ca = {chain:?}\nserver_name = \"backend.test\"\n"),
    ));
}

/// A backend that has no HTTP/2 is none for an upstream that asks for it: the client is told so, and nothing hangs.
#[test]
fn a_backend_without_http2() {
    let folder = tempfile::TempDir::new().unwrap();
    let (chain, key) = certificate(folder.path(), "backend", &["backend.test"]);
    let port = harness::free_port();
    let nginx = Nginx::start_with(&format!(
        "listen 127.0.0.1:{port} ssl; ssl_certificate {chain}; ssl_certificate_key {key};"
    ));
    let trust = format!("ca = {chain:?}\nserver_name = \"backend.test\"\n");
    let tls = Gateway::start(&everything_over_http2(&format!("https://127.0.0.1:{port}"), &trust));
    let plain = Gateway::start(&everything_over_http2(&nginx.url(), ""));
    for gateway in [&tls, &plain] {
        for _ in 0..3 {
            assert_eq!(gateway.ask("GET /small").status, 502);
        }
    }
}

/// HAProxy speaks HTTP/2 with the gateway, by prior knowledge and by ALPN; its own clients come as they like.
#[test]
fn haproxy_in_front() {
    let origin = Origin::fixed("small");
    let body = "0123456789abcdef".repeat(LARGE_BYTES / 16);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    std::fs::write(&file, &body).unwrap();
    let upload = format!("@{}", file.display());
    let log = "[access_log]\nformat = \"$context.protocol $context.requestId\"\n";
    for way in &Way::both(&format!("{log}{}", everything(&origin.url()))) {
        let authority = way.gateway.state("authority/ca.pem");
        let server = if way.base.starts_with("https") {
            format!("ssl alpn h2 verify required ca-file {} sni str(localhost)", authority.display())
        } else {
            "proto h2".to_owned()
        };
        let haproxy = Haproxy::start(&format!(
            "frontend in\n  bind 127.0.0.1:{{PORT}}\n  default_backend gateway\nbackend gateway\n  \
             server gateway {} {server}\n",
            way.gateway.address()
        ));
        for _ in 0..20 {
            assert_eq!(curl(&[&haproxy.url()]).response().text(), "small");
        }
        let up = ["--data-binary", &upload, &haproxy.url()];
        assert_eq!(curl(&up).response().status, 200);
        let asked = origin.requests();
        assert!(asked.last().unwrap().body == body.as_bytes());
        let lines = harness::eventually("all is logged", || {
            let said = way.gateway.said();
            let lines = said.lines().filter(|line| line.starts_with("HTTP/"));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            (lines.len() >= 21).then_some(lines)
        });
        assert!(lines.iter().all(|line| line.starts_with("HTTP/2.0 ")), "{lines:?}");
    }
}

/// gRPC through proxies that are not ours before the gateway: all that works without them works.
#[test]
fn grpc_through_others_in_front() {
    if let Some(why) = grpc_missing() {
        return skip("grpc_through_others_in_front", &why);
    }
    let server = GrpcServer::start();
    let gateway = Gateway::with(&super::grpc::before(&server)).workers(2).start();
    let haproxy = Haproxy::start(&format!(
        "frontend in\n  bind 127.0.0.1:{{PORT}} proto h2\n  default_backend gateway\nbackend gateway\n  \
         server gateway {} proto h2\n",
        gateway.address()
    ));
    grpc_agree(haproxy.address(), None, &GRPC_CASES);
    let (_nginx, url) =
        nginx_over_http2(&format!("location /floodgate.Test/ {{ grpc_pass grpc://{}; }}", gateway.address()));
    let address = url.trim_start_matches("http://").parse().unwrap();
    grpc_agree(address, None, &GRPC_CASES);
}

/// `floodgate run URL --http2`.
#[test]
fn a_backend_from_flags() {
    let (_nginx, url) = nginx_over_http2("");
    let flags = ["--plain", "--listen", "127.0.0.1:0"];
    let show = |more: &[&str]| {
        let gateway = Gateway::from_flags(&[&[&*url], more, &flags].concat());
        gateway.ask("GET /show")
    };
    let two = show(&["--http2"]);
    assert_eq!((two.status, two.text().contains("HTTP/2.0")), (200, true), "{two:?}");
    // nginx has nothing else at this port.
    assert_eq!(show(&[]).status, 502);
}

/// What is spoken, with clients and with backends, changes with a reload: connections that there are stay what they are,
/// and no request fails.
#[test]
fn what_is_spoken_changes() {
    let (nginx, over_http2) = nginx_over_http2("");
    let config = |url: &str, http2: bool| everything_with(url, &format!("http2 = {http2}\n"));
    let gateway = Gateway::with(&config(&nginx.url(), false)).tls().listener("http2 = false").start();
    let ask = || {
        let answer = curl(&["--http2", "--insecure", &gateway.url("/show")]);
        let response = answer.response();
        assert_eq!(response.status, 200, "{response:?}");
        (response.version.clone(), response.text().split(' ').nth(2).unwrap_or_default().to_owned())
    };
    let of = |client: &str, backend: &str| (client.to_owned(), backend.to_owned());
    assert_eq!(ask(), of("HTTP/1.1", "HTTP/1.1"));
    for (url, http2, backend) in
        [(&over_http2, true, "HTTP/2.0"), (&nginx.url(), false, "HTTP/1.1"), (&over_http2, true, "HTTP/2.0")]
    {
        gateway.configure(&config(url, http2));
        let reloaded = gateway.reload();
        assert!(reloaded.status.success(), "{reloaded:?}");
        assert_eq!(ask(), of("HTTP/1.1", backend));
        assert_eq!(ask(), of("HTTP/1.1", backend));
    }
    let text = std::fs::read_to_string(gateway.config_file()).unwrap();
    std::fs::write(gateway.config_file(), text.replacen("http2 = false", "http2 = true", 1)).unwrap();
    assert!(gateway.reload().status.success());
    assert_eq!(ask(), of("HTTP/2", "HTTP/2.0"));
}

/// Probes speak what calls speak.
#[test]
fn backends_are_probed_over_http2() {
    let (nginx, over_http2) = nginx_over_http2("");
    for (url, well) in [(&over_http2, 1.0), (&nginx.url(), 0.0)] {
        let health = "health = { path = \"/small\", interval = \"500ms\", timeout = \"500ms\", healthy = 1, unhealthy = 1 }\n";
        let gateway = Gateway::start(&everything_over_http2(url, health));
        let result = if well > 0.0 { "passed" } else { "failed" };
        harness::eventually("it was probed", || {
            let metrics = gateway.metrics();
            let probes = metrics.sum("floodgate_upstream_probes_total", &[("result", result)]);
            (probes >= 3.0 && metrics.sum("floodgate_upstream_target_healthy", &[]) == well).then_some(())
        });
    }
}
