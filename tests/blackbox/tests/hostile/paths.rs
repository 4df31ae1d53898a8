//! Spellings of a protected path (`tests/conformance/paths.toml`): whoever reaches its backend does so under its one
//! name, and whoever does not has asked for something else, which the other backend gets as it was decided on.

use harness::{Gateway, Protocol, Watch, conformance, latin1, over};

use super::{ask_h2, backend};

over_both! {
    one_decision_however_a_path_is_spelled
}

const PROTECTED: &str = "/admin/secret";

/// What became of a spelling.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// The protected backend got this target.
    Protected(String),
    /// The other one did.
    Open(String),
    Refused,
}

fn one_decision_however_a_path_is_spelled() {
    for (kind, routes) in [
        (
            "proxy",
            "[[route]]\nmatch = \"/admin/secret\"\nurl = \"{P}\"\n[[route]]\nmatch = \"$default\"\nurl = \"{O}\"\n",
        ),
        (
            "http",
            "[[api]]\nname = \"a\"\nkind = \"http\"\n\
             [[api.route]]\nkey = \"ANY /admin/secret\"\nintegration = { type = \"http_proxy\", url = \"{P}/admin/secret\" }\n\
             [[api.route]]\nkey = \"ANY /\"\nintegration = { type = \"http_proxy\", url = \"{O}/\" }\n\
             [[api.route]]\nkey = \"ANY /{proxy+}\"\nintegration = { type = \"http_proxy\", url = \"{O}/{proxy}\" }\n",
        ),
    ] {
        check(kind, routes);
    }
}

#[track_caller]
fn check(kind: &str, routes: &str) {
    let (protected, open) = (backend(), backend());
    let gateway = Gateway::start(&routes.replace("{P}", &protected.url()).replace("{O}", &open.url()));
    let (mut at_protected, mut at_open) = (Watch::new(&protected), Watch::new(&open));
    let mut decide = |target: &str| -> Result<Decision, String> {
        let status = match over().clients {
            Protocol::Http1 => ask(&gateway, target)?,
            Protocol::Http2 => ask_h2(&gateway, latin1(target), &[])?,
        };
        let targets = |watch: &mut Watch<'_>| -> Result<Vec<String>, String> {
            let starts = watch.requests()?.into_iter().map(|request| request.start);
            Ok(starts.filter_map(|start| start.strip_prefix("GET ").map(str::to_owned)).collect())
        };
        match (status, &targets(&mut at_protected)?[..], &targets(&mut at_open)?[..]) {
            (200, [target], []) => Ok(Decision::Protected(target.clone())),
            (200, [], [target]) => Ok(Decision::Open(target.clone())),
            (400, [], []) => Ok(Decision::Refused),
            other => Err(format!("{other:?}")),
        }
    };
    let mut wrong = Vec::new();
    let mut expect = |target: &str, expected: &Decision| {
        let expected = match over().clients {
            // `:path` is a path and nothing else.
            Protocol::Http2 if !target.starts_with('/') => &Decision::Refused,
            Protocol::Http1 | Protocol::Http2 => expected,
        };
        let decided = decide(target);
        if decided.as_ref() != Ok(expected) {
            wrong.push(format!("{target:?}: {decided:?} instead of {expected:?}"));
        }
    };
    for row in conformance("paths", "same") {
        let target = row[0].as_str().unwrap();
        let query = target.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        expect(target, &Decision::Protected(format!("{PROTECTED}{query}")));
    }
    for row in conformance("paths", "refused") {
        expect(row[0].as_str().unwrap(), &Decision::Refused);
    }
    for row in conformance("paths", "other") {
        expect(row[0].as_str().unwrap(), &Decision::Open(row[1].as_str().unwrap().to_owned()));
    }
    assert!(wrong.is_empty(), "{kind}: {} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// The status.
fn ask(gateway: &Gateway, target: &str) -> Result<u16, String> {
    let head = [b"GET ", &latin1(target)[..], b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat();
    let mut connection = gateway.connect();
    connection.try_send(head);
    connection.try_response("GET").map(|response| response.status).map_err(|broken| format!("{broken:?}"))
}
