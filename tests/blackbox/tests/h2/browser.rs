//! A browser that trusts the local authority: it agrees on HTTP/2 and loads a page of a hundred parts over it.

use harness::{Gateway, Nginx, browse};

use crate::everything;

const PARTS: usize = 100;

/// Loads its parts, then writes down over what each thing came.
const PAGE: &str = r#"<!doctype html>
<title>loading</title>
<body>
<script>
addEventListener('load', async () => {
  const part = async number => {
    const answer = await fetch('/files/part?' + number);
    return await answer.text() === 'a part' && answer.status === 200;
  };
  const well = (await Promise.all([...Array(PARTS).keys()].map(part))).filter(Boolean).length;
  const came = performance.getEntries().filter(entry => entry.nextHopProtocol !== undefined);
  const said = document.body.appendChild(document.createElement('pre'));
  said.textContent = 'well ' + well + '\n'
    + came.map(entry => entry.nextHopProtocol + ' ' + new URL(entry.name).pathname).join('\n') + '\nend';
});
</script>
"#;

#[test]
fn a_page_of_a_hundred_parts() {
    let nginx = Nginx::start_with("types { text/html html; }");
    std::fs::write(nginx.file("page.html"), PAGE.replace("PARTS", &PARTS.to_string())).unwrap();
    std::fs::write(nginx.file("part"), "a part").unwrap();
    for (listener, protocol) in [("", "h2"), ("http2 = false", "http/1.1")] {
        let gateway = Gateway::with(&everything(&nginx.url())).tls().listener(listener).start();
        let authority = gateway.state("authority/ca.pem");
        let url = format!("https://localhost:{}/files/page.html", gateway.address().port());
        let document = browse(&url, Some(&authority)).unwrap_or_else(|said| panic!("{said}"));
        let count = |line: String| document.lines().filter(|it| it.contains(&line)).count();
        assert_eq!(count(format!("well {PARTS}")), 1, "{document}");
        assert_eq!(count(format!("{protocol} /files/page.html")), 1, "{document}");
        assert_eq!(count(format!("{protocol} /files/part")), PARTS, "{document}");
    }
}

/// Who trusts nobody but the public authorities gets none of it.
#[test]
fn a_stranger_gets_no_page() {
    let gateway =
        Gateway::with("[[route]]\nmatch = \"$default\"\nmock = { body = \"secret\" }\n").tls().start();
    let refused = browse(&format!("https://localhost:{}/", gateway.address().port()), None);
    assert!(refused.is_err_and(|said| said.contains("ERR_CERT_AUTHORITY_INVALID")));
}
