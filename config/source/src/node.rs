//! Sections said once for the whole process: `[node]`, `[admin]`, `[access_log]`, `[endpoint]`, `[templates]`, `[client]`,
//! `[cache]`, `[timeouts]`, `[quotas]`, `[demo]`.

use std::time::Duration;

use model::{
    AccessLog, Admin, Client, Demo, Driver, Endpoint, LogTarget, Node, NodeCache, PathRules, Templates,
    Timeouts,
};

use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    document::Document,
    ebpf, names, policy, quotas,
    reader::{Table, Value},
    units,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
/// The least that a node may be bound to.
const MEMORY_MIN: u64 = 32 << 20;
const DAY: Duration = Duration::from_hours(24);
const REGION_BYTES_MAX: usize = 63;
const ACCOUNT_DIGITS: usize = 12;
/// Row 166.
const LOG_FORMAT_BYTES_MAX: usize = 3_072;
/// What a line says unless it is told otherwise, as TOML: the common log format and the request's id.
const LOG_FORMAT: &str = concat!(
    "'$context.identity.sourceIp - $context.identity.user [$context.requestTime] ",
    r#""$context.httpMethod $context.path $context.protocol" $context.status $context.responseLength "#,
    "$context.requestId'"
);

pub(crate) static NODE: Section = Section {
    name: "node",
    doc: "The process.",
    keys: &[
        Key::new(
            "workers",
            Form::Count(1, 1_024),
            "Cores that serve. Left out: each core that the process may use.",
        ),
        Key::new(
            "driver",
            Form::Choice(&["auto", "uring", "epoll"]),
            "How the kernel is asked; `auto`: io_uring if it is allowed, else epoll.",
        )
        .or(r#""auto""#),
        Key::new(
            "state",
            Form::Path,
            "Folder of the local authority's certificates, the last good configuration and the node's lock. Left out: \
             /var/lib/floodgate, else $XDG_STATE_HOME/floodgate.",
        ),
        Key::new(
            "connections_max",
            Form::Count(1, 10_000_000),
            "Connections at once, on all listeners; more are reset. Left out: what the limit of descriptors allows.",
        ),
        Key::new(
            "memory_max",
            Form::Size(0, 1 << 46),
            "RAM that the process may come to take: near it caches shrink, then connections, then requests are refused; \
             `0B`: no bound. Left out: what the control group may have, else four fifths of the machine's.",
        ),
        Key::new(
            "drain",
            Form::Duration(Duration::ZERO, HOUR),
            "How long a stop waits for requests in flight.",
        )
        .or(r#""30s""#),
        Key::new(
            "watch",
            Form::Boolean,
            "Whether this file, what it includes and what it refers to are reloaded when they change.",
        )
        .or("false"),
    ],
};

pub(crate) static ADMIN: Section = Section {
    name: "admin",
    doc: "Metrics, health, reload. Never reachable through a data listener.",
    keys: &[
        Key::new(
            "socket",
            Form::Path,
            "Path of the Unix socket. Left out: in /run/floodgate, else $XDG_RUNTIME_DIR.",
        ),
        Key::new("listen", Form::Address, "A TCP address as well, loopback only. Left out: none."),
    ],
};

pub(crate) static ACCESS_LOG: Section = Section {
    name: "access_log",
    doc: "One line a request.",
    keys: &[
        Key::new(
            "target",
            Form::Text(r#""stdout""#),
            "`stdout`, or the path of a file that is appended to and \
             reopened on SIGHUP.",
        )
        .or(r#""stdout""#),
        Key::new(
            "format",
            Form::Text(r#""$context.requestId $context.status""#),
            "A line, with `$context` variables; at most 3 KiB.",
        )
        .or(LOG_FORMAT),
    ],
};

pub(crate) static PATH: Section = Section {
    name: "path",
    doc: "How paths are normalised, for backends that read two spellings as one.",
    keys: &[
        Key::new(
            "merge_slashes",
            Form::Boolean,
            "`//` becomes `/` before a route is looked for; say so where the backends merge slashes.",
        )
        .or("false"),
        Key::new(
            "encoded_slashes",
            Form::Boolean,
            "`%2F` and `%5C` pass as they are; else they are refused.",
        )
        .or("false"),
    ],
};

pub(crate) static ENDPOINT: Section = Section {
    name: "endpoint",
    doc: "Where the default endpoints of APIs in AWS's shape are, and whose they are.",
    keys: &[
        Key::new(
            "suffix",
            Form::Text(r#""example.net""#),
            "`{id}.execute-api.` and this is an API's host, beside AWS's own names in any region and \
             `{id}.execute-api.localhost`. Left out: those alone.",
        ),
        Key::new(
            "region",
            Form::Text(r#""us-east-1""#),
            "The region that the node says it is in: of URLs and ARNs.",
        )
        .or(r#""us-east-1""#),
        Key::new(
            "account_id",
            Form::Text(r#""000000000000""#),
            "The account that the node says it belongs to: twelve digits, `$context.accountId`.",
        )
        .or(r#""000000000000""#),
    ],
};

pub(crate) static TEMPLATES: Section = Section {
    name: "templates",
    doc: "What mapping templates have beside what AWS gives them.",
    keys: &[Key::new(
        "xml_to_json",
        Form::Boolean,
        "`$util.xmlToJson(text)`: an XML document as JSON, for backends that speak SOAP.",
    )
    .or("false")],
};

pub(crate) static CLIENT: Section = Section {
    name: "client",
    doc: "Who the client is when others stand between it and us, and how many connections it may have.",
    keys: &[
        Key::new(
            "trusted_proxies",
            Form::Texts(r#"["10.0.0.0/8"]"#),
            "Peers whose `X-Forwarded-For` is believed: addresses and networks.",
        )
        .or("[]"),
        Key::new(
            "connections_max",
            Form::Count(1, 10_000_000),
            "Connections of one client at once, trusted proxies left out; more are reset. Left out: no limit.",
        ),
        Key::new("ipv4_prefix", Form::Count(0, 32), "Bits of an IPv4 address that tell clients apart.")
            .or("32"),
        Key::new("ipv6_prefix", Form::Count(0, 128), "Bits of an IPv6 address that tell clients apart.")
            .or("64"),
    ],
};

pub(crate) static CACHE: Section = Section {
    name: "cache",
    doc: "The node's response cache.",
    keys: &[Key::new(
        "size",
        Form::Size(1 << 20, 1 << 40),
        "Bytes over all cores: bodies, keys, heads and book-keeping. At most what leaves room for all else: of `memory_max` all \
         but 1GiB, yet a quarter at least and three quarters at most; more is cut to that at the start.",
    )
    .or(r#""64MiB""#)],
};

pub(crate) static TIMEOUTS: Section = Section {
    name: "timeouts",
    doc: "Deadlines toward clients.",
    keys: &[
        Key::new(
            "handshake",
            Form::Duration(MS, HOUR),
            "From the first byte of a connection to the end of its TLS handshake.",
        )
        .or(r#""5s""#),
        Key::new(
            "first_byte",
            Form::Duration(MS, HOUR),
            "From a connection's begin, its handshake left out, to the first byte of its first request.",
        )
        .or(r#""10s""#),
        Key::new("head", Form::Duration(MS, HOUR), "From the first byte of a request's head to its last.")
            .or(r#""10s""#),
        Key::new("body_idle", Form::Duration(MS, HOUR), "Between two bytes of a body, in either direction.")
            .or(r#""30s""#),
        Key::new("keep_alive", Form::Duration(MS, HOUR), "Between two requests of an HTTP/1.1 connection.")
            .or(r#""60s""#),
        Key::new(
            "http2_idle",
            Form::Duration(MS, HOUR),
            "How long an HTTP/2 connection may have no request.",
        )
        .or(r#""180s""#),
        Key::new(
            "tunnel_idle",
            Form::Duration(MS, DAY),
            "How long an upgraded connection (a WebSocket) or a call of gRPC may be silent both ways.",
        )
        .or(r#""10m""#),
        Key::new("tunnel_max", Form::Duration(MS, DAY), "How long an upgraded connection may last.")
            .or(r#""2h""#),
        Key::new(
            "linger",
            Form::Duration(MS, HOUR),
            "How long a connection that we have ended is read on, so that our last answer is not lost.",
        )
        .or(r#""2s""#),
        Key::new(
            "request_rate_min",
            Form::Size(0, 1 << 30),
            "The least bytes a second of a request's body, on average; `0B`: no least.",
        )
        .or(r#""240B""#),
        Key::new(
            "response_rate_min",
            Form::Size(0, 1 << 30),
            "The least bytes a second that a client takes of a response, on average; `0B`: no least.",
        )
        .or(r#""240B""#),
        Key::new(
            "rate_grace",
            Form::Duration(MS, HOUR),
            "How long a client may bring or take nothing before its rate is looked at.",
        )
        .or(r#""10s""#),
    ],
};

pub(crate) static DEMO: Section = Section {
    name: "demo",
    doc: "A built-in backend to try the gateway with.",
    keys: &[Key::new("address", Form::Address, "Where it listens, loopback only.").required()],
};

/// All of them.
pub(crate) fn read(document: &Document<'_>) -> Node {
    let mut node = Node::default();
    if let Some(table) = document.single("node") {
        node.workers = table.opt("workers", Value::count);
        node.driver = table.opt("driver", Value::choice).map(driver).unwrap_or_default();
        node.state = table.opt("state", Value::path);
        node.connections_max = table.opt("connections_max", Value::count);
        node.memory_max = table.opt("memory_max", memory_max);
        node.drain = table.or("drain", Value::duration, node.drain);
        node.watch = table.or("watch", Value::boolean, node.watch);
    }
    if let Some(table) = document.single("admin") {
        node.admin =
            Admin { socket: table.opt("socket", Value::path), listen: table.opt("listen", Value::loopback) };
    }
    node.access_log = document.single("access_log").map(|table| access_log(&table));
    if let Some(table) = document.single("path") {
        node.path = PathRules {
            merge_slashes: table.or("merge_slashes", Value::boolean, false),
            encoded_slashes: table.or("encoded_slashes", Value::boolean, false),
        };
    }
    if let Some(table) = document.single("endpoint") {
        let default = Endpoint::default();
        node.endpoint = Endpoint {
            suffix: table.opt("suffix", |value| value.parse(names::host)),
            region: table.or("region", |value| value.parse(region), default.region),
            account_id: table.or("account_id", |value| value.parse(account_id), default.account_id),
        };
    }
    if let Some(table) = document.single("templates") {
        node.templates = Templates { xml_to_json: table.or("xml_to_json", Value::boolean, false) };
    }
    if let Some(table) = document.single("client") {
        let trusted_proxies = table.or("trusted_proxies", |value| value.list(names::network), Vec::new());
        node.client = Client {
            trusted_proxies,
            connections_max: table.opt("connections_max", Value::count),
            ipv4_prefix: table.or("ipv4_prefix", Value::count, node.client.ipv4_prefix),
            ipv6_prefix: table.or("ipv6_prefix", Value::count, node.client.ipv6_prefix),
        };
    }
    if let Some(table) = document.single("cache") {
        node.cache = NodeCache { size_bytes: table.or("size", Value::size, node.cache.size_bytes) };
    }
    if let Some(table) = document.single("timeouts") {
        node.timeouts = timeouts(&table, &node.timeouts);
    }
    if let Some(table) = document.single("limits") {
        node.limits = policy::limits(&table, &node.limits);
    }
    if let Some(table) = document.single("quotas") {
        node.quotas = quotas::read(&table);
    }
    node.throttle = document.single("throttle").and_then(|table| policy::throttle(&table));
    let admin_port = node.admin.listen.map(|address| address.port());
    node.ebpf = document.single("ebpf").and_then(|table| ebpf::read(&table, admin_port));
    if let Some(table) = document.single("demo") {
        let origin = Some(table.origin());
        node.demo = table.opt("address", Value::loopback).map(|address| Demo { address, origin });
    }
    node
}

/// One label of a name, as AWS's regions are.
fn region(text: &str) -> Result<String, Mistake> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.is_empty() && text.len() <= REGION_BYTES_MAX && text.bytes().all(is_part) {
        return Ok(text.to_owned());
    }
    Err(Mistake::new(format!("{} is no region", quote(text)))
        .help("write lower-case letters, digits and `-`, such as `eu-central-1`"))
}

fn account_id(text: &str) -> Result<String, Mistake> {
    if text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(Mistake::new(format!("{} is no account", quote(text))).help("write twelve digits: `000000000000`"))
}

/// No bound, or one that a node with nothing to do keeps far away from.
fn memory_max(value: &Value<'_>) -> Option<u64> {
    let bytes = value.size()?;
    if bytes > 0 && bytes < MEMORY_MIN {
        let (written, min) = (quote(&units::show_size(bytes)), units::show_size(MEMORY_MIN));
        let mistake = Mistake::new(format!("{written} is less than a node needs that has nothing to do"));
        value.mistake(mistake.help(format!("write `{min}` or more, or `0B` for no bound")));
        return None;
    }
    Some(bytes)
}

/// The driver of a name that [`NODE`] knows.
pub(crate) fn driver(name: &str) -> Driver {
    match name {
        "uring" => Driver::Uring,
        "epoll" => Driver::Epoll,
        _ => Driver::Auto,
    }
}

fn access_log(table: &Table<'_>) -> AccessLog {
    let target = table.get("target").and_then(|value| match value.text()?.as_str() {
        "stdout" => Some(LogTarget::Stdout),
        _ => value.path().map(LogTarget::File),
    });
    let format = table.opt("format", |value| value.parse(log_format));
    AccessLog {
        target: target.unwrap_or(LogTarget::Stdout),
        format: format.unwrap_or_else(|| LOG_FORMAT.trim_matches('\'').into()),
        origin: Some(table.origin()),
    }
}

fn log_format(text: &str) -> Result<String, Mistake> {
    if text.len() > LOG_FORMAT_BYTES_MAX {
        return Err(Mistake::new(format!("the format is longer than {LOG_FORMAT_BYTES_MAX} bytes")));
    }
    if text.contains(['\n', '\r']) || text.is_empty() {
        return Err(Mistake::new(format!("{} is not one line", quote(text)))
            .help("write `\\\\n` for an escaped newline"));
    }
    Ok(text.to_owned())
}

fn timeouts(table: &Table<'_>, default: &Timeouts) -> Timeouts {
    Timeouts {
        handshake: table.or("handshake", Value::duration, default.handshake),
        first_byte: table.or("first_byte", Value::duration, default.first_byte),
        head: table.or("head", Value::duration, default.head),
        body_idle: table.or("body_idle", Value::duration, default.body_idle),
        keep_alive: table.or("keep_alive", Value::duration, default.keep_alive),
        http2_idle: table.or("http2_idle", Value::duration, default.http2_idle),
        tunnel_idle: table.or("tunnel_idle", Value::duration, default.tunnel_idle),
        tunnel_max: table.or("tunnel_max", Value::duration, default.tunnel_max),
        linger: table.or("linger", Value::duration, default.linger),
        request_rate_min: table.or("request_rate_min", Value::size, default.request_rate_min),
        response_rate_min: table.or("response_rate_min", Value::size, default.response_rate_min),
        rate_grace: table.or("rate_grace", Value::duration, default.rate_grace),
    }
}
