//! The peers of HTTP/2 with each other, no gateway between them: who judges it has to be right himself.

use harness::{
    GRPC_CASES, GrpcServer, Haproxy, Nginx, browse, curl, curl_says, free_port, grpc_agree, grpc_client,
    grpc_missing, h2load, nghttp, skip,
};

/// nginx, and its URL where it speaks HTTP/2 alone.
fn nginx(lines: &str) -> (Nginx, String) {
    let port = free_port();
    (
        Nginx::start_with(&format!("listen 127.0.0.1:{port} http2; {lines}")),
        format!("http://127.0.0.1:{port}"),
    )
}

#[test]
fn curl_reads_http2() {
    let (_nginx, url) = nginx("");
    let answer = curl(&["--http2-prior-knowledge", &format!("{url}/show")]);
    let response = answer.response();
    assert_eq!((&*response.version, response.status), ("HTTP/2", 200));
    assert!(response.text().starts_with("GET /show HTTP/2.0"), "{}", response.text());
    let told = ["--output", "/dev/null", "--write-out", "%{http_version} %{num_connects}"];
    let one = ["--http2-prior-knowledge", &format!("{url}/small")].map(str::to_owned);
    let said = curl_says(&[&told[..], &one.each_ref().map(|it| &**it)].concat());
    assert_eq!(said, ("2 1".to_owned(), true));
    assert!(!curl_says(&["--http2-prior-knowledge", "http://127.0.0.1:1/"]).1);
}

#[test]
fn nghttp_tells_frames() {
    let (nginx, url) = nginx("add_trailer x-late yes; ssi on; ssi_types *;");
    std::fs::write(nginx.file("late"), "body").unwrap();
    let seen = nghttp(&[&format!("{url}/files/late")]);
    assert_eq!((seen.code, seen.statuses(), seen.body_bytes()), (0, vec![200], 4), "{:#?}", seen.frames);
    assert_eq!(seen.received("HEADERS")[1].field("x-late"), Some("yes"), "{:#?}", seen.frames);
    assert!(seen.received("SETTINGS")[0].says("MAX_CONCURRENT_STREAMS(0x03):128"));
    assert!(seen.frames.iter().any(|frame| frame.is_sent && frame.kind == "PRIORITY"));
    assert_eq!(nghttp(&[&format!("{url}/none")]).statuses(), [404]);
}

#[test]
fn h2load_counts() {
    let (_nginx, url) = nginx("location = /no { return 404; }");
    let seen = h2load(&format!("{url}/small"), 4, 4, 100, &[]);
    assert_eq!((&*seen.protocol, seen.total, seen.succeeded, seen.of_2xx), ("h2c", 100, 100, 100));
    assert_eq!((seen.failed, seen.errored, seen.timed_out, seen.body_bytes), (0, 0, 0, 500));
    let seen = h2load(&format!("{url}/no"), 1, 1, 10, &[]);
    assert_eq!((seen.succeeded, seen.failed, seen.of_2xx), (0, 10, 0));
}

#[test]
fn the_browser_runs_scripts() {
    let nginx = Nginx::start_with("types { text/html html; }");
    let page = "<body><script>fetch('/small').then(it => it.text()).then(it => document.body.innerText = it + '!')</script>";
    std::fs::write(nginx.file("page.html"), page).unwrap();
    let document = browse(&format!("{}/files/page.html", nginx.url()), None);
    assert!(document.as_ref().is_ok_and(|document| document.contains("small!")), "{document:?}");
    let refused = browse("http://127.0.0.1:1/", None);
    assert!(refused.as_ref().is_err_and(|said| said.contains("ERR_")), "{refused:?}");
}

#[test]
fn grpcio_agrees_with_itself_and_others() {
    if let Some(why) = grpc_missing() {
        return skip("grpcio_agrees_with_itself_and_others", &why);
    }
    let server = GrpcServer::start();
    grpc_agree(server.address(), None, &GRPC_CASES);
    let haproxy = Haproxy::start(&format!(
        "frontend in\n  bind 127.0.0.1:{{PORT}} proto h2\n  default_backend grpc\nbackend grpc\n  \
         server grpc {} proto h2\n",
        server.address()
    ));
    grpc_agree(haproxy.address(), None, &GRPC_CASES);
    let (_nginx, url) =
        nginx(&format!("location /floodgate.Test/ {{ grpc_pass grpc://{}; }}", server.address()));
    let address = url.trim_start_matches("http://").parse().unwrap();
    grpc_agree(address, None, &GRPC_CASES);
    // One that is no gRPC is told apart.
    let (_nginx, url) = nginx("");
    let said = grpc_client(url.trim_start_matches("http://").parse().unwrap(), None, &["unary", "refused:X"]);
    assert!(said[0].1.contains("StatusCode.UNIMPLEMENTED"), "{said:?}");
    assert_eq!(said[1].1, "UNIMPLEMENTED Received http2 header with status: 404");
}
