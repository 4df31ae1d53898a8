//! Header trust: what a client says of who it is, by whichever name and spelling, does not reach a backend. There, only
//! the gateway speaks of the client.

use harness::{Gateway, Protocol, Watch, over};

use super::{ask_h2, backend};

over_both! {
    only_the_gateway_speaks_of_the_client
}

/// Fields by which backends learn who asked.
const TRUSTED: [&str; 16] = [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Prefix",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-User",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Uri",
    "X-Forwarded-Anything",
    "Forwarded",
    "X-Real-IP",
    "X-Real-Ip-Of-Mine",
    "Proxy",
];

/// The value that must not arrive.
const CLAIM: &str = "evil.example";

/// A name's field lines.
type Spelling = fn(&str) -> String;

/// Spellings of a claim.
const SPELLINGS: [(&str, Spelling); 9] = [
    ("as it is", |name| format!("{name}: {CLAIM}\r\n")),
    ("lower case", |name| format!("{}: {CLAIM}\r\n", name.to_ascii_lowercase())),
    ("upper case", |name| format!("{}: {CLAIM}\r\n", name.to_ascii_uppercase())),
    ("twice", |name| format!("{name}: 127.0.0.1\r\n{name}: {CLAIM}\r\n")),
    ("as a list", |name| format!("{name}: 127.0.0.1, {CLAIM}\r\n")),
    ("with underscores", |name| format!("{}: {CLAIM}\r\n", name.replace('-', "_"))),
    ("with one underscore", |name| format!("{}: {CLAIM}\r\n", name.replacen('-', "_", 1))),
    ("named in Connection", |name| format!("Connection: {name}\r\n{name}: {CLAIM}\r\n")),
    ("with a blank before the colon", |name| format!("{name} : {CLAIM}\r\n")),
];

/// Kind, routes, and the fields that the gateway itself sets there.
const KINDS: [(&str, &str, &[&str]); 3] = [
    (
        "proxy",
        "[[route]]\nmatch = \"$default\"\nurl = \"{O}\"\n",
        &["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"],
    ),
    (
        "http",
        "[[api]]\nname = \"a\"\nkind = \"http\"\n\
         [[api.route]]\nkey = \"$default\"\nintegration = { type = \"http_proxy\", url = \"{O}\" }\n",
        &["forwarded"],
    ),
    (
        "rest",
        "[[api]]\nname = \"a\"\nkind = \"rest\"\n[[api.stage]]\nname = \"s\"\n\
         [[api.route]]\nkey = \"ANY /\"\nintegration = { type = \"http_proxy\", url = \"{O}\" }\n",
        &["x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"],
    ),
];

fn only_the_gateway_speaks_of_the_client() {
    for (kind, routes, ours) in KINDS {
        check(kind, routes, ours);
    }
}

#[track_caller]
fn check(kind: &str, routes: &str, ours: &[&str]) {
    let origin = backend();
    let gateway = Gateway::start(&routes.replace("{O}", &origin.url()));
    let path = if kind == "rest" { "/s" } else { "/" };
    let mut watch = Watch::new(&origin);
    let mut wrong = Vec::new();
    for name in TRUSTED {
        for (spelling, write) in SPELLINGS {
            let fields = write(name);
            let status = match over().clients {
                Protocol::Http1 => {
                    let mut connection = gateway.connect();
                    connection.try_send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
                    let response = connection.try_response("GET");
                    response.map(|response| response.status).map_err(|broken| format!("{broken:?}"))
                }
                Protocol::Http2 => {
                    let fields: Vec<_> = fields.lines().filter_map(|line| line.split_once(": ")).collect();
                    ask_h2(&gateway, path.into(), &fields)
                }
            };
            match (status, watch.requests().as_deref()) {
                (Ok(400), Ok([])) => {}
                (Ok(200), Ok([request])) => {
                    let text = format!("{:?}", request.fields);
                    let claims = text.to_ascii_lowercase().contains(CLAIM);
                    if claims || ours.iter().any(|field| request.all(field).len() != 1) {
                        wrong.push(format!("{name} {spelling}: {text}"));
                    }
                }
                other => wrong.push(format!("{name} {spelling}: {other:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{kind}: {} findings:\n{}", wrong.len(), wrong.join("\n"));
}
