//! `[[listener]]` and `[[certificate]]`: where clients connect, and as whom we answer.

use std::net::{Ipv4Addr, SocketAddr};

use model::{Certificate, Listener};

use crate::{
    Form, Key, Section,
    context::{Mistake, place, quote},
    document::Document,
    names,
    reader::{Table, Value},
};

/// Where a gateway listens that was told nothing.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
/// Requests at once on an HTTP/2 connection where nothing is said: what Envoy's guide for edge proxies says.
const STREAMS_MAX: u32 = 100;

pub(crate) static LISTENER: Section = Section {
    name: "listener",
    doc: "Where clients connect: HTTPS, unless it is asked for plain.",
    keys: &[
        Key::new(
            "name",
            Form::Text(r#""public""#),
            "Its name in metrics and messages. Left out: its address.",
        ),
        Key::new("address", Form::Address, "Address and port; `0.0.0.0` and `[::]` are all addresses.")
            .required(),
        Key::new(
            "connections_max",
            Form::Count(1, 10_000_000),
            "Connections at once; more are reset. Left out: as many as the node takes.",
        ),
        Key::new("plain", Form::Boolean, "Without TLS.").or("false"),
        Key::new(
            "http2",
            Form::Boolean,
            "Whether HTTP/2 is spoken beside HTTP/1.1: by ALPN, on a plain listener by prior knowledge.",
        )
        .or("true"),
        Key::new(
            "http2_streams_max",
            Form::Count(1, 1_000),
            "Requests at once on an HTTP/2 connection; fewer while memory is short.",
        )
        .or("100"),
        Key::new("security_policy", Form::Text(r#""TLS_1_2""#), "AWS's name of what TLS may negotiate.")
            .or(r#""TLS_1_2""#),
        Key::new(
            "names",
            Form::Texts(r#"["localhost"]"#),
            "Host names for the certificate that the local authority makes where no `[[certificate]]` \
             is given.",
        )
        .or(r#"["localhost"]"#),
    ],
};

pub(crate) static CERTIFICATE: Section = Section {
    name: "certificate",
    doc: "A certificate of one's own, chosen by the name that a client asks for.",
    keys: &[
        Key::new("chain", Form::Path, "The chain in PEM, leaf first.").required(),
        Key::new("key", Form::Path, "The private key in PEM.").required(),
        Key::new(
            "hosts",
            Form::Texts(r#"["*.example.com"]"#),
            "Host names it is for. Left out: those that stand in it.",
        ),
        Key::new(
            "security_policy",
            Form::Text(r#""TLS_1_3""#),
            "A policy of its own. Left out: the listener's.",
        ),
    ],
};

/// All listeners; HTTPS on loopback if there is none.
pub(crate) fn listeners(document: &Document<'_>) -> Vec<Listener> {
    let tables = document.tables("listener");
    if tables.is_empty() {
        if document.values("listener").next().is_none() && !document.is_broken() {
            let mistake = Mistake::new(format!("no `[[listener]]`: listening on {ADDRESS} with TLS"));
            document.cx.warn(
                None,
                "",
                mistake.help(format!("add `[[listener]]` with `address = \"{ADDRESS}\"`")),
            );
        }
        return vec![default()];
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for listener in tables.iter().filter_map(listener) {
        let clash = |other: &&Listener| {
            other.name == listener.name || (other.address == listener.address && listener.address.port() != 0)
        };
        if let Some(other) = listeners.iter().find(clash) {
            let what = if other.name == listener.name {
                quote(&listener.name)
            } else {
                quote(&listener.address.to_string())
            };
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let mistake =
                Mistake::new(format!("two listeners are {what}")).help(format!("the first is at {first}"));
            document.cx.mistake(listener.origin.as_ref(), "listener", mistake);
        }
        listeners.push(listener);
    }
    listeners
}

/// The listener of a gateway that was told nothing.
pub(crate) fn default() -> Listener {
    Listener {
        name: "default".into(),
        address: ADDRESS,
        connections_max: None,
        plain: false,
        http2: true,
        http2_streams_max: STREAMS_MAX,
        security_policy: None,
        names: vec!["localhost".into()],
        origin: None,
    }
}

/// All certificates.
pub(crate) fn certificates(document: &Document<'_>) -> Vec<Certificate> {
    document.tables("certificate").iter().filter_map(certificate).collect()
}

fn listener(table: &Table<'_>) -> Option<Listener> {
    let address = table.opt("address", Value::address);
    let connections_max = table.opt("connections_max", Value::count);
    let name = table.opt("name", |value| value.parse(names::label));
    let plain = table.or("plain", Value::boolean, false);
    let http2 = table.or("http2", Value::boolean, true);
    let http2_streams_max = table.or("http2_streams_max", Value::count, STREAMS_MAX);
    if let (false, Some(unused)) = (http2, table.get("http2_streams_max")) {
        let mistake = Mistake::new("this listener has no HTTP/2");
        unused.mistake(mistake.help("leave it out, or leave out `http2`"));
    }
    let security_policy = table.opt("security_policy", Value::text);
    let hosts = table.opt("names", |value| value.list(names::host_pattern));
    for unused in ["security_policy", "names"].iter().filter(|_| plain).filter_map(|key| table.get(key)) {
        unused
            .mistake(Mistake::new("a plain listener has no TLS").help("leave it out, or leave out `plain`"));
    }
    if hosts.as_ref().is_some_and(Vec::is_empty)
        && let Some(value) = table.get("names")
    {
        value.mistake(Mistake::new("a certificate needs a name").help(r#"write `names = ["localhost"]`"#));
    }
    let address = address?;
    Some(Listener {
        name: name.unwrap_or_else(|| address.to_string()),
        address,
        connections_max,
        plain,
        http2,
        http2_streams_max,
        security_policy,
        names: hosts.unwrap_or_else(|| vec!["localhost".into()]),
        origin: Some(table.origin()),
    })
}

fn certificate(table: &Table<'_>) -> Option<Certificate> {
    let hosts = table.or("hosts", |value| value.list(names::host_pattern), Vec::new());
    let security_policy = table.opt("security_policy", Value::text);
    let (chain, key) = (table.opt("chain", Value::path), table.opt("key", Value::path));
    Some(Certificate { chain: chain?, key: key?, hosts, security_policy, origin: Some(table.origin()) })
}
