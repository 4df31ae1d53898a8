//! HTTP/2: its rules by a peer that can break each of them, and peers that are not ours, on either side: curl, nghttp,
//! h2load, a browser, grpcio, nginx and HAProxy. That they and their scripts are right the harness's own tests show, where
//! they talk to each other.

mod browser;
mod curl;
pub(crate) mod floods;
mod flow;
mod frames;
mod grpc;
mod h2load;
mod nghttp;
mod peers;
pub(crate) mod stalled;

use harness::{Gateway, Nginx, free_port};

/// A gateway that is asked over HTTP/2: how curl is told to, and where it is.
struct Way {
    gateway: Gateway,
    arguments: Vec<String>,
    base: String,
}

impl Way {
    /// The same configuration without TLS, where curl begins with HTTP/2, and with TLS, where both agree on it.
    fn both(config: &str) -> [Self; 2] {
        let plain = Gateway::with(config).workers(2).start();
        let tls = Gateway::with(config).workers(2).tls().start();
        let authority = tls.state("authority/ca.pem").to_str().unwrap().to_owned();
        [
            Self {
                base: format!("http://{}", plain.address()),
                gateway: plain,
                arguments: vec!["--http2-prior-knowledge".into()],
            },
            Self {
                base: format!("https://localhost:{}", tls.address().port()),
                gateway: tls,
                arguments: ["--http2", "--cacert", &authority].map(str::to_owned).to_vec(),
            },
        ]
    }

    /// Asks for a path with these arguments; the answer came over HTTP/2.
    #[track_caller]
    fn ask(&self, path: &str, more: &[&str]) -> harness::Response {
        let url = format!("{}{path}", self.base);
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).chain([&*url]).collect();
        let answer = harness::curl(&[&arguments[..], more].concat());
        let response = answer.response().clone();
        assert_eq!(response.version, "HTTP/2", "{url}");
        response
    }
}

/// A route for everything, to this backend over HTTP/2.
pub(crate) fn everything_over_http2(url: &str, upstream: &str) -> String {
    crate::everything_with(url, &format!("http2 = true\n{upstream}"))
}

/// nginx that has HTTP/2 alone at a port of its own, without TLS, and these lines in its server block. Its URL is the
/// second.
fn nginx_over_http2(lines: &str) -> (Nginx, String) {
    let port = free_port();
    let nginx = Nginx::start_with(&format!("listen 127.0.0.1:{port} http2; {lines}"));
    (nginx, format!("http://127.0.0.1:{port}"))
}
