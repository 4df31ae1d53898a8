//! TLS as clients see it: curl trusts the local authority, openssl looks at names, versions and tickets.

use std::{fs, path::Path};

use harness::{Gateway, Origin, curl, openssl, over, s_client};

use crate::everything;

over_both! {
    curl_trusts_the_local_authority
    large_bodies_through_tls
    plain_bytes_at_a_tls_port
    what_is_strict_is_served_to_who_names_its_host
}

const MOCK: &str = "[[route]]\nmatch = \"$default\"\nmock = { status = 200, body = \"secret\" }\n";

fn curl_trusts_the_local_authority() {
    let gateway = Gateway::with(MOCK).tls().start();
    let port = gateway.address().port();
    let ca = gateway.state("authority/ca.pem");
    let url = format!("https://localhost:{port}/");
    let resolve = format!("localhost:{port}:127.0.0.1");
    let spoken = over().clients;
    let arguments = [spoken.curl_flag(), "--resolve", &resolve, "--cacert", ca.to_str().unwrap(), &url];
    let answer = curl(&arguments);
    assert_eq!(
        (answer.response().text().as_str(), answer.response().version.as_str()),
        ("secret", spoken.curl_name())
    );
    assert_eq!(curl(&["--resolve", &resolve, &url]).code, 60, "nobody else vouches for it");
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let max = version.trim_start_matches("--tlsv");
        let arguments = [&arguments[..], &[version, "--tls-max", max]].concat();
        assert_eq!(curl(&arguments).response().status, 200, "{version}");
    }
    let old = [&arguments[..], &["--tlsv1.0", "--tls-max", "1.1"]].concat();
    assert_ne!(curl(&old).code, 0);
}

fn large_bodies_through_tls() {
    let body = "0123456789abcdef".repeat(1 << 16);
    let origin = Origin::fixed(&body);
    let gateway = Gateway::with(&everything(&origin.url())).tls().start();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("up");
    fs::write(&file, &body).unwrap();
    let upload = format!("@{}", file.display());
    let answer = gateway.curl(&["--insecure", "--data-binary", &upload], "/");
    assert!(answer.response().text() == body, "the answer is not what the backend sent");
    assert!(origin.answered(1)[0].body == body.as_bytes(), "the backend did not get what was sent");
}

/// A plain request to a TLS port, and the other way round: neither gets an answer that it could mistake.
fn plain_bytes_at_a_tls_port() {
    let gateway = Gateway::with(MOCK).tls().start();
    let said = gateway.exchange_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!String::from_utf8_lossy(&said).contains("secret"));
    assert_eq!(gateway.curl(&["--insecure"], "/").response().text(), "secret");
}

/// Row 13: by the name in TLS and the host of the request, whichever certificate stands for both. U: the answers.
fn what_is_strict_is_served_to_who_names_its_host() {
    let config = r#"
[[api]]
name = "shop"
kind = "rest"
hosts = ["shop.example.com"]
endpoint_access_mode = "strict"
[[api.stage]]
name = "prod"
[[api.route]]
key = "GET /"
integration = { type = "mock", status = 200, body = "shop" }
[[api]]
name = "web"
kind = "http"
hosts = ["web.example.com", "closed.example.com"]
[[api.route]]
key = "GET /prod"
integration = { type = "mock", status = 200, body = "web" }
[[domain]]
name = "closed.example.com"
endpoint_access_mode = "strict"
"#;
    let gateway = Gateway::with(config).tls().start();
    let spoken = over().clients;
    let ask = |name: &str, host: &str| {
        let port = gateway.address().port();
        let (url, to) = (format!("https://{name}:{port}/prod"), format!("{name}:{port}:127.0.0.1"));
        let host = format!("Host: {host}");
        let answer = curl(&[spoken.curl_flag(), "--insecure", "--resolve", &to, "-H", &host, &url]);
        let response = answer.response();
        let error = response.field("x-amzn-errortype").unwrap_or_default().to_owned();
        (response.status, response.text(), error)
    };
    let (forbidden, none) = ("{\"message\":\"Forbidden\"}", String::new);
    let [shop, web, closed] = ["shop.example.com", "web.example.com", "closed.example.com"];
    assert_eq!(ask(shop, shop), (200, "shop".into(), none()));
    assert_eq!(ask(shop, "Shop.example.com:443"), (200, "shop".into(), none()));
    assert_eq!(ask(closed, closed), (200, "web".into(), none()));
    assert_eq!(ask(shop, web), (200, "web".into(), none()), "it is not strict itself");
    let refused = (403, forbidden.to_owned(), "ForbiddenException".to_owned());
    assert_eq!([ask(web, shop), ask("127.0.0.1", shop)], [refused.clone(), refused]);
    let refused = (403, forbidden.to_owned(), none());
    assert_eq!([ask(web, closed), ask("127.0.0.1", closed)], [refused.clone(), refused]);
    // Without TLS nobody has named a host in it.
    let plain = Gateway::with(config).start();
    let asked = |host: &str| plain.curl(&["-H", &format!("Host: {host}")], "/prod").response().status;
    assert_eq!([shop, web, closed].map(asked), [403, 200, 403]);
}

/// A certificate and its key, made by openssl for these names.
pub(crate) fn certificate(folder: &Path, name: &str, hosts: &[&str]) -> (String, String) {
    let at = |ending: &str| folder.join(format!("{name}.{ending}")).to_str().unwrap().to_owned();
    let (config, chain, key) = (at("cnf"), at("pem"), at("key"));
    let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
    let text = format!(
        "[req]\nprompt = no\ndistinguished_name = dn\nx509_extensions = ext\n[dn]\nCN = {}\n[ext]\n\
         subjectAltName = {}\nbasicConstraints = critical, CA:FALSE\n",
        hosts[0],
        names.join(",")
    );
    fs::write(&config, text).unwrap();
    let new = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ];
    let made = openssl(&[&new[..], &["-config", &config, "-keyout", &key, "-out", &chain]].concat(), b"");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (chain, key)
}

#[test]
fn the_certificate_follows_the_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut config = MOCK.to_owned();
    for (name, hosts) in [("a", &["a.example.com"][..]), ("wild", &["*.example.com"])] {
        let (chain, key) = certificate(folder.path(), name, hosts);
        config.push_str(&format!("[[certificate]]\nchain = {chain:?}\nkey = {key:?}\n"));
    }
    let gateway = Gateway::with(&config).tls().start();
    let subject = |name: &str| {
        let said = s_client(
            gateway.address(),
            &["-servername", name],
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        said.lines()
            .find_map(|line| line.split_once("subject=").map(|(_, subject)| subject.replace(' ', "")))
            .unwrap_or(said)
    };
    assert_eq!(subject("a.example.com"), "CN=a.example.com");
    assert_eq!(subject("b.example.com"), "CN=*.example.com");
}

/// A reload takes new certificates; nothing is restarted.
#[test]
fn certificates_are_reloaded() {
    let folder = tempfile::TempDir::new().unwrap();
    let (chain, key) = certificate(folder.path(), "one", &["one.example.com"]);
    let config = format!("{MOCK}[[certificate]]\nchain = {chain:?}\nkey = {key:?}\n");
    let gateway = Gateway::with(&config).tls().start();
    let shown = || {
        s_client(
            gateway.address(),
            &["-servername", "one.example.com"],
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
    };
    let serial = || {
        let said = shown();
        let from = said.find("-----BEGIN CERTIFICATE-----").expect("a certificate");
        said[from..].split("-----END").next().unwrap_or_default().to_owned()
    };
    let before = serial();
    certificate(folder.path(), "one", &["one.example.com"]);
    assert!(gateway.reload().status.success());
    assert_ne!(serial(), before);
}

#[test]
fn tickets_resume() {
    let gateway = Gateway::with(MOCK).tls().workers(2).start();
    let folder = tempfile::TempDir::new().unwrap();
    let session = folder.path().join("session").to_str().unwrap().to_owned();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let first = s_client(
            gateway.address(),
            &[version, "-servername", "localhost", "-sess_out", &session],
            request,
        );
        assert!(first.contains("New, TLSv1."), "{first}");
        // Whichever core it meets.
        for _ in 0..4 {
            let again = s_client(
                gateway.address(),
                &[version, "-servername", "localhost", "-sess_in", &session],
                request,
            );
            assert!(again.contains("Reused, TLSv1."), "{version}: {again}");
        }
    }
}

/// HTTP/2 is agreed on with who offers it, unless a listener has none.
#[test]
fn alpn_says_what_is_spoken() {
    for (listener, offered, agreed) in [
        ("", "h2,http/1.1", "h2"),
        ("", "http/1.1,h2", "h2"),
        ("", "http/1.1", "http/1.1"),
        ("http2 = false", "h2,http/1.1", "http/1.1"),
    ] {
        let gateway = Gateway::with(MOCK).tls().listener(listener).start();
        let said = s_client(
            gateway.address(),
            &["-alpn", offered, "-servername", "localhost"],
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        assert!(said.contains(&format!("ALPN protocol: {agreed}")), "{listener} {offered}: {said}");
        assert_eq!(said.contains("200 OK"), agreed == "http/1.1", "{listener} {offered}: {said}");
    }
}

/// A backend over TLS: its certificate is checked against its own authority and name.
#[test]
fn tls_to_the_backend() {
    let folder = tempfile::TempDir::new().unwrap();
    let (chain, key) = certificate(folder.path(), "backend", &["backend.test"]);
    let port = harness::free_port();
    let nginx = harness::Nginx::start_with(&format!(
        "listen 127.0.0.1:{port} ssl; ssl_certificate {chain}; ssl_certificate_key {key}; location = /tls {{ return 200 '$https $ssl_server_name'; }}"
    ));
    let gateway = |more: &str| {
        Gateway::start(&crate::everything_with(
            &format!("https://127.0.0.1:{port}"),
            &format!("ca = {chain:?}\n{more}"),
        ))
    };
    assert_eq!(gateway("server_name = \"backend.test\"\n").ask("GET /tls").text(), "on backend.test");
    assert_eq!(gateway("server_name = \"other.test\"\n").ask("GET /tls").status, 502);
    assert_eq!(gateway("").ask("GET /tls").status, 502);
    assert!(!nginx.url().is_empty());
}
