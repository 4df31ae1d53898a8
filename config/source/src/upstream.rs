//! `[upstream.NAME]`: groups of backends, and the groups that a route makes by naming a URL.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    time::Duration,
};

use model::{Origin, Target, Upstream};

use crate::{
    Form, Key, Section, care,
    context::{Context, Mistake, place, quote},
    document::Document,
    names::{self, Url},
    reader::{Named, Value},
    suggest,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
/// More calls than any node has at once.
const BOUND_MAX: u64 = 1 << 24;
/// Backends of one group.
const TARGETS_MAX: usize = 256;

pub(crate) static UPSTREAM: Section = Section {
    name: "upstream",
    doc: "A group of equal backends: a call goes to the one with the least in flight.",
    keys: &[
        Key::new(
            "targets",
            Form::Texts(r#"["http://127.0.0.1:8080"]"#),
            "The backends: `http://host:port` or `https://host:port`.",
        )
        .required(),
        Key::new(
            "http2",
            Form::Boolean,
            "HTTP/2 in place of HTTP/1.1: `https://` targets by ALPN, `http://` targets by prior knowledge.",
        )
        .or("false"),
        Key::new("ca", Form::Path, "A CA bundle (PEM) for `https://` targets. Left out: the public roots."),
        Key::new(
            "server_name",
            Form::Text(r#""backend.internal""#),
            "The name asked for and checked in TLS. Left out: the target's host.",
        ),
        Key::new("host", Form::Text(r#""backend.internal""#), "The `Host` sent. Left out: the target's own."),
        Key::new("connect_timeout", Form::Duration(MS, HOUR), "To make a connection, TLS included.")
            .or(r#""2s""#),
        Key::new(
            "first_byte_timeout",
            Form::Duration(MS, HOUR),
            "From the end of the request to the first byte of the response; then 504.",
        )
        .or(r#""29s""#),
        Key::new("idle_timeout", Form::Duration(MS, HOUR), "Between two bytes of a response.").or(r#""60s""#),
        Key::new(
            "total_timeout",
            Form::Duration(MS, HOUR),
            "The whole call. Left out: no bound beside the others.",
        ),
        Key::new(
            "keep_alive",
            Form::Duration(Duration::ZERO, HOUR),
            "How long an unused connection is kept.",
        )
        .or(r#""60s""#),
        Key::new("idle_connections_max", Form::Count(0, 65_536), "Unused connections kept on each core.")
            .or("256"),
        Key::new(
            "connections_max",
            Form::Count(1, BOUND_MAX),
            "Connections to one address, over all cores; with no other address left 503. Left out: no bound.",
        ),
        Key::new(
            "in_flight_max",
            Form::Count(1, BOUND_MAX),
            "Calls at once, over all cores; above it 503. Left out: no bound but that of clients' connections.",
        ),
        Key::new(
            "slow_start",
            Form::Duration(Duration::ZERO, HOUR),
            "How long an address that is new or back takes to its full share of calls.",
        )
        .or(r#""10s""#),
        Key::new(
            "panic_threshold",
            Form::Count(0, 100),
            "With a smaller share of addresses to choose from than this, in percent, all are asked; 0: with none.",
        )
        .or("0"),
        Key::new("health", Form::Table(&care::HEALTH), "Probes of each address. Left out: none are made."),
        Key::new("outlier", Form::Table(&care::OUTLIER), "When an address that fails is left out."),
        Key::new("breaker", Form::Table(&care::BREAKER), "When no call is made for a while. Left out: never."),
        Key::new("retries", Form::Table(&care::RETRIES), "What is asked of another address."),
    ],
};

/// All groups.
#[derive(Default)]
pub(crate) struct Upstreams {
    groups: Vec<Upstream>,
    /// Where each name stands in `groups`.
    places: HashMap<String, usize>,
    /// Those that a route names.
    used: RefCell<HashSet<String>>,
    /// Whether some may be missing because they could not be read.
    is_broken: bool,
    /// Whether every name is taken for that of a group.
    is_trusting: bool,
}

/// What a group that a URL makes is called over HTTP/2.
const HTTP2_SUFFIX: &str = " (HTTP/2)";

/// The URL that a group of this name was made of, without its path, and whether it is called over HTTP/2; `None` for one
/// that has a section, whose name has no slash.
pub(crate) fn made_of(name: &str) -> Option<(&str, bool)> {
    let (base, http2) = match name.strip_suffix(HTTP2_SUFFIX) {
        Some(base) => (base, true),
        None => (name, false),
    };
    base.contains("://").then_some((base, http2))
}

/// The groups that have a section.
pub(crate) fn read(document: &Document<'_>) -> Upstreams {
    let mut upstreams = Upstreams { is_broken: document.is_broken(), ..Upstreams::default() };
    for named in document.values("upstream").flat_map(|value| value.named()) {
        if let Err(mistake) = names::label(&named.name) {
            document.cx.mistake(Some(&named.origin), &format!("upstream.{}", named.name), mistake);
        }
        if let Some(other) = upstreams.find(&named.name) {
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let mistake = Mistake::new(format!("two upstreams are {}", quote(&named.name)));
            let key = format!("upstream.{}", named.name);
            document.cx.mistake(Some(&named.origin), &key, mistake.help(format!("the first is at {first}")));
            continue;
        }
        upstreams.push(upstream(named));
    }
    upstreams
}

impl Upstreams {
    /// None yet, where those that have a section are not known.
    pub(crate) fn trusting() -> Self {
        Self { is_trusting: true, ..Self::default() }
    }

    /// The groups as they are.
    pub(crate) fn into_groups(self) -> Vec<Upstream> {
        self.groups
    }

    /// The name of the group that a value names.
    pub(crate) fn named(&self, value: &Value<'_>) -> Option<String> {
        let name = value.text()?;
        if self.is_trusting || self.find(&name).is_some() {
            self.used.borrow_mut().insert(name.clone());
            return Some(name);
        }
        if !self.is_broken {
            let mistake = Mistake::new(format!("there is no upstream {}", quote(&name)));
            let near = suggest::nearest(&name, self.groups.iter().map(|group| &*group.name));
            value.mistake(mistake.help(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if name.contains("://") => format!("write `url = {name:?}`"),
                None => format!("add `[upstream.{name}]` with `targets = [\"http://…\"]`"),
            }));
        }
        None
    }

    /// The name of the group that a URL makes: one for all routes that name the same scheme, host and port, and
    /// call it alike.
    pub(crate) fn made(&mut self, url: &Url, http2: bool, origin: Option<Origin>) -> String {
        // A name with a blank is never an operator's.
        let name = if http2 { url.base() + HTTP2_SUFFIX } else { url.base() };
        self.used.borrow_mut().insert(name.clone());
        if self.find(&name).is_none() {
            let targets = vec![target(url.clone(), origin.clone())];
            self.push(Upstream { name: name.clone(), targets, http2, origin, ..Upstream::default() });
        }
        name
    }

    /// The groups, and a word about those that nobody uses.
    pub(crate) fn finish(self, cx: &Context<'_>) -> Vec<Upstream> {
        let used = self.used.into_inner();
        let unused = self.groups.iter().filter(|group| !used.contains(&group.name));
        for group in unused.filter(|_| !self.is_broken) {
            let mistake = Mistake::new(format!("no route uses the upstream {}", quote(&group.name)));
            cx.warn(group.origin.as_ref(), &format!("upstream.{}", group.name), mistake);
        }
        self.groups
    }

    fn find(&self, name: &str) -> Option<&Upstream> {
        self.places.get(name).and_then(|place| self.groups.get(*place))
    }

    fn push(&mut self, group: Upstream) {
        self.places.insert(group.name.clone(), self.groups.len());
        self.groups.push(group);
    }
}

fn upstream(named: Named<'_>) -> Upstream {
    let Named { name, origin, table } = named;
    let default = Upstream::default();
    let targets = table.get("targets").map(|value| targets(&value)).unwrap_or_default();
    let upstream = Upstream {
        name,
        http2: table.or("http2", Value::boolean, default.http2),
        ca: table.opt("ca", Value::path),
        server_name: table.opt("server_name", |value| value.parse(names::host)),
        host: table.opt("host", |value| value.parse(host_and_port)),
        connect_timeout: table.or("connect_timeout", Value::duration, default.connect_timeout),
        first_byte_timeout: table.or("first_byte_timeout", Value::duration, default.first_byte_timeout),
        idle_timeout: table.or("idle_timeout", Value::duration, default.idle_timeout),
        total_timeout: table.opt("total_timeout", Value::duration),
        keep_alive: table.or("keep_alive", Value::duration, default.keep_alive),
        idle_connections_max: table.or("idle_connections_max", Value::count, default.idle_connections_max),
        connections_max: table.opt("connections_max", Value::count),
        in_flight_max: table.opt("in_flight_max", Value::count),
        slow_start: table.or("slow_start", Value::duration, default.slow_start),
        panic_threshold: table.or("panic_threshold", Value::count, default.panic_threshold),
        health: table.opt("health", Value::table).map(|table| care::health(&table)),
        outlier: table.opt("outlier", Value::table).map(|table| care::outlier(&table)).unwrap_or_default(),
        breaker: table.opt("breaker", Value::table).map(|table| care::breaker(&table)),
        retries: table.opt("retries", Value::table).map(|table| care::retries(&table)).unwrap_or_default(),
        targets,
        origin: Some(origin),
    };
    if !upstream.targets.is_empty() && !upstream.targets.iter().any(|target| target.tls) {
        for unused in ["ca", "server_name"].iter().filter_map(|key| table.get(key)) {
            let mistake = Mistake::new("no target of this upstream is called over TLS");
            unused.mistake(mistake.help("write `https://` before the targets, or leave it out"));
        }
    }
    upstream
}

fn targets(value: &Value<'_>) -> Vec<Target> {
    let items = value.items();
    if items.is_empty() && value.is_array() {
        value.mistake(
            Mistake::new("an upstream needs a target").help(r#"write `targets = ["http://127.0.0.1:8080"]`"#),
        );
    }
    if items.len() > TARGETS_MAX {
        value.mistake(Mistake::new(format!("an upstream has at most {TARGETS_MAX} targets")));
    }
    let mut targets: Vec<Target> = Vec::new();
    for item in items {
        let Some(url) = item.parse(names::url) else { continue };
        if !url.path.is_empty() {
            let mistake = Mistake::new(format!("a target has no path, this one has {}", quote(&url.path)));
            item.mistake(mistake.help(format!("write `{}` here, and the path in the route", url.base())));
        }
        let target = target(url, Some(item.origin()));
        let same =
            |other: &Target| (other.tls, &other.host, other.port) == (target.tls, &target.host, target.port);
        if targets.iter().any(same) {
            item.mistake(Mistake::new("this target is there twice").help("leave one of them out"));
        }
        targets.push(target);
    }
    targets
}

fn target(url: Url, origin: Option<Origin>) -> Target {
    Target { tls: url.tls, host: url.host, port: url.port, origin }
}

/// What may stand in `Host`.
fn host_and_port(text: &str) -> Result<String, Mistake> {
    if text.contains(['/', '@']) {
        return names::host(text);
    }
    let url = names::url(&format!("http://{text}"))?;
    Ok(url.base().trim_start_matches("http://").to_owned())
}
