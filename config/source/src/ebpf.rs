//! `[ebpf]`: the kernel front line. Whether an interface is there is not asked: it may come later.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use ipnet::IpNet;
use model::{
    Ebpf, EbpfDriver, EbpfFeed, EbpfMode, EbpfPolicy, EbpfPortPolicy, EbpfPrefixes, EbpfRates, Origin,
};

use crate::{
    Form, Key, Section,
    context::{Mistake, place, quote},
    names,
    reader::{Table, Value},
    units,
};

const S: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Bytes of an interface's name: the kernel's `IFNAMSIZ` with its zero byte left out.
const INTERFACE_BYTES_MAX: usize = 15;
const INTERFACES_MAX: usize = 16;
/// Beside that of `[ebpf]` itself.
const POLICIES_MAX: usize = 14;
/// Networks of `allow` and of `block` together.
const NETWORKS_MAX: usize = 32_768;
/// An hour holds one: what a burst takes fits into 64 bits of nanoseconds.
const RATE_MIN: f64 = 1.0 / 3_600.0;
const BURST_MAX: u64 = 1_000_000;
const PORTS: Form = Form::Counts(1, 65_535, "[443]");

pub(crate) static EBPF: Section = Section {
    name: "ebpf",
    doc: "The kernel front line: limits before packets become connections.",
    keys: &[
        Key::new(
            "interfaces",
            Form::Texts(r#"["eth0"]"#),
            "Network interfaces where packets are looked at; no other is touched.",
        )
        .required(),
        Key::new("mode", MODE, MODE_DOC).or(r#""monitor""#),
        Key::new(
            "driver",
            Form::Choice(&["auto", "xdp", "generic", "tcx", "nftables", "accept"]),
            "Where packets are looked at: `auto`, the first that works of `xdp` (in the network driver), `tcx`, \
             `nftables` and `accept` (by the gateway itself); `generic`: XDP behind the driver, for tests. `steer` and \
             `connections` have programs of their own, whatever stands here.",
        )
        .or(r#""auto""#),
        Key::new(
            "ports",
            PORTS,
            "TCP ports that the limits are for. Left out: those of the listeners that no `[[ebpf.policy]]` names.",
        ),
        Key::new(
            "admin_ports",
            Form::Counts(1, 65_535, "[22]"),
            "Ports for which everything passes under any rules, beside the admin listener's.",
        )
        .or("[22]"),
        Key::new(
            "prefixes",
            Form::Table(&PREFIXES),
            "Lengths of the prefixes that are counted, first the narrow one, then the wide one.",
        ),
        Key::new(
            "syns",
            Form::Table(&RATES),
            "New connections of a source. Left out: `{ rate = \"300/s\" }`.",
        ),
        Key::new(
            "packets",
            Form::Table(&RATES),
            "Other packets of a source that belong to no established connection. Left out: no limit.",
        ),
        Key::new("flood", Form::Rate, "New connections of everybody; above it there is a flood.")
            .or(r#""20000/s""#),
        Key::new(
            "let_through",
            Form::Rate,
            "New connections that are let through unchallenged in a flood, so that the kernel knows its cookies again.",
        )
        .or(r#""50/s""#),
        Key::new(
            "allow",
            Form::Texts(r#"["10.0.0.0/8"]"#),
            "Sources of which everything passes: addresses and networks.",
        )
        .or("[]"),
        Key::new(
            "block",
            Form::Texts(r#"["192.0.2.0/24"]"#),
            "Sources that get no new connection: addresses and networks.",
        )
        .or("[]"),
        Key::new(
            "pins",
            Form::Path,
            "Folder of a bpffs where programs and tables stay while no process holds them.",
        )
        .or(r#""/sys/fs/bpf/floodgate""#),
        Key::new(
            "trial",
            Form::Duration(S, HOUR),
            "How long new rules are in force unless `floodgate ebpf commit` keeps them.",
        )
        .or(r#""60s""#),
        Key::new("steer", Form::Boolean, "Whether a client's prefix always comes to the same core.")
            .or("true"),
        Key::new(
            "connections",
            Form::Boolean,
            "Whether the kernel measures RTTs and retransmits of the gateway's connections.",
        )
        .or("true"),
        Key::new("policy", Form::Tables(&POLICY), "Ports with limits of their own."),
        Key::new(
            "feed",
            Form::Table(&FEED),
            "Holds prefixes back whose requests are refused or malformed. Left out: none is.",
        ),
    ],
};

const MODE: Form = Form::Choice(&["monitor", "enforce", "challenge"]);
const MODE_DOC: &str = "What is done about who is above a limit: `monitor`, it is counted; `enforce`, it is dropped; \
                        `challenge`, the same, and in a flood everybody proves by a SYN cookie that he is there.";

pub(crate) static PREFIXES: Section = Section {
    name: "ebpf.prefixes",
    doc: "Lengths of the prefixes that are counted: a narrow one, then a wide one.",
    keys: &[
        Key::new("ipv4", Form::Counts(1, 32, "[32, 24]"), "Of IPv4.").or("[32, 24]"),
        Key::new("ipv6", Form::Counts(1, 128, "[64, 48]"), "Of IPv6.").or("[64, 48]"),
    ],
};

pub(crate) static RATES: Section = Section {
    name: "ebpf.rates",
    doc: "How much a source may bring.",
    keys: &[
        Key::new("rate", Form::Rate, "Of a narrow prefix by time, on average; at least `1/h`.").required(),
        Key::new(
            "burst",
            Form::Count(1, BURST_MAX),
            "Of a narrow prefix at once. Left out: as many as two seconds'.",
        ),
        Key::new("prefix_rate", Form::Rate, "Of a wide prefix by time. Left out: ten times `rate`."),
        Key::new(
            "prefix_burst",
            Form::Count(1, BURST_MAX),
            "Of a wide prefix at once. Left out: as many as two seconds'.",
        ),
    ],
};

pub(crate) static POLICY: Section = Section {
    name: "ebpf.policy",
    doc: "Ports with limits of their own; what is left out is that of `[ebpf]`.",
    keys: &[
        Key::new("ports", PORTS, "TCP ports that it is for.").required(),
        Key::new("mode", MODE, MODE_DOC),
        Key::new("syns", Form::Table(&RATES), "New connections of a source."),
        Key::new("packets", Form::Table(&RATES), "Other packets of a source."),
        Key::new("flood", Form::Rate, "New connections of everybody; above it there is a flood."),
        Key::new("let_through", Form::Rate, "New connections that are let through unchallenged in a flood."),
    ],
};

pub(crate) static FEED: Section = Section {
    name: "ebpf.feed",
    doc: "Prefixes whose requests are refused or malformed get points: with enough of them their new connections cost \
          more, with as many again none is let in, for a while.",
    keys: &[
        Key::new("points", Form::Count(10, 1_000_000), "Points with which a prefix is held back.").or("100"),
        Key::new("half_life", Form::Duration(S, HOUR), "After so long half of its points is forgotten.")
            .or(r#""1m""#),
        Key::new(
            "share",
            Form::Count(0, 100),
            "Nobody is held back of whose requests fewer than so many are offences, in percent: many may share a prefix.",
        )
        .or("50"),
        Key::new("cost", Form::Count(2, 1_000), "Tokens that a SYN of a prefix takes that is held back.")
            .or("10"),
        Key::new("expiry_min", Form::Duration(S, DAY), "For how long at first; twice as long each time.")
            .or(r#""1m""#),
        Key::new("expiry_max", Form::Duration(S, DAY), "And at most.").or(r#""1h""#),
        Key::new("refused", Form::Count(0, 100), "Points of an answer of 401, 403 or 429; 0: it is none.")
            .or("1"),
        Key::new("malformed", Form::Count(0, 100), "Points of a request that can't be read; 0: it is none.")
            .or("5"),
        Key::new("handshake", Form::Count(0, 100), "Points of a TLS handshake that fails; 0: it is none.")
            .or("5"),
    ],
};

/// The section; `admin_port` is that of the admin listener.
pub(crate) fn read(table: &Table<'_>, admin_port: Option<u16>) -> Option<Ebpf> {
    let interfaces = table.opt("interfaces", interfaces);
    let default = Ebpf::new(Vec::new());
    let policy = policy(table, &default.policy);
    let driver = table.opt("driver", Value::choice).map(driver).unwrap_or_default();
    let mut named = Ports::new(table, admin_port);
    let ports = table.get("ports").map(|value| named.take(&value));
    let tables = table.tables("policy");
    if let Some(table) = tables.get(POLICIES_MAX) {
        table.mistake(Mistake::new(format!("there may be {POLICIES_MAX} policies beside that of `[ebpf]`")));
    }
    let of_ports = |table: &Table<'_>| EbpfPortPolicy {
        ports: table.get("ports").map(|value| named.take(&value)).unwrap_or_default(),
        policy: self::policy(table, &policy),
        origin: Some(table.origin()),
    };
    let policies = tables.iter().map(of_ports).collect();
    for table in std::iter::once(table).chain(&tables) {
        check_mode(table, driver);
    }
    let (allow, block) = networks(table);
    Some(Ebpf {
        driver,
        pins: table.or("pins", Value::path, default.pins),
        trial: table.or("trial", Value::duration, default.trial),
        steer: table.or("steer", Value::boolean, default.steer),
        connections: table.or("connections", Value::boolean, default.connections),
        admin_ports: named.admin,
        ports,
        policy,
        policies,
        prefixes: table.get("prefixes").and_then(|value| value.table()).map(prefixes).unwrap_or_default(),
        allow,
        block,
        feed: table.get("feed").and_then(|value| value.table()).map(feed),
        origin: Some(table.origin()),
        // Last, so that all that is wrong is found.
        interfaces: interfaces?,
    })
}

/// A name that the kernel gives interfaces (`dev_valid_name`).
pub(crate) fn interface(text: &str) -> Result<String, Mistake> {
    let is_wrong = |char: char| char == '/' || char == ':' || char.is_whitespace() || char.is_control();
    if text.is_empty() || [".", ".."].contains(&text) || text.contains(is_wrong) {
        let mistake = Mistake::new(format!("{} is no name of a network interface", quote(text)));
        return Err(mistake.help("write one that `ip link` shows: `eth0`"));
    }
    if text.len() > INTERFACE_BYTES_MAX {
        let message = format!("{} is longer than the {INTERFACE_BYTES_MAX} bytes", quote(text));
        return Err(Mistake::new(format!("{message} that an interface's name may have")));
    }
    Ok(text.to_owned())
}

fn interfaces(value: &Value<'_>) -> Option<Vec<String>> {
    let interfaces = value.list(interface)?;
    if interfaces.is_empty() {
        let mistake = Mistake::new("no interface is named");
        value.mistake(mistake.help("name one that `ip link` shows, or leave `[ebpf]` out"));
    }
    if interfaces.len() > INTERFACES_MAX {
        value.mistake(Mistake::new(format!("more than {INTERFACES_MAX} interfaces are named")));
    }
    let items = value.items();
    for (at, name) in interfaces.iter().enumerate() {
        if interfaces[..at].contains(name) {
            items[at].mistake(Mistake::new(format!("{} is named twice", quote(name))));
        }
    }
    Some(interfaces)
}

/// The ports that were named so far.
struct Ports {
    admin: Vec<u16>,
    taken: HashMap<u16, Origin>,
    /// Of the admin listener.
    listener: Option<u16>,
}

impl Ports {
    fn new(table: &Table<'_>, listener: Option<u16>) -> Self {
        let default = || Ebpf::new(Vec::new()).admin_ports;
        let admin = table.opt("admin_ports", Value::counts).unwrap_or_else(default);
        Self { admin, taken: HashMap::new(), listener }
    }

    /// Those of a policy.
    fn take(&mut self, value: &Value<'_>) -> Vec<u16> {
        let Some(ports) = value.counts::<u16>() else { return Vec::new() };
        if ports.is_empty() {
            value.mistake(Mistake::new("no port is named").help("write `ports = [443]`, or leave it out"));
        }
        for (port, item) in ports.iter().zip(value.items()) {
            let named = quote(&port.to_string());
            if self.admin.contains(port) {
                let mistake = Mistake::new(format!("{named} is an admin port: everything for it passes"));
                item.mistake(mistake.help("take it out of `ports`, or write `admin_ports` without it"));
            } else if self.listener == Some(*port) {
                let mistake =
                    Mistake::new(format!("{named} is the admin listener's: everything for it passes"));
                item.mistake(mistake.help("take it out of `ports`"));
            } else if let Some(first) = self.taken.insert(*port, item.origin()) {
                let help = format!("the first is at {}: keep one of them", place(&first));
                item.mistake(Mistake::new(format!("the port {named} is named twice")).help(help));
            }
        }
        ports
    }
}

/// What a table says of it; what it leaves out is that of `default`.
fn policy(table: &Table<'_>, default: &EbpfPolicy) -> EbpfPolicy {
    let rates = |name| table.get(name).and_then(|value| value.table()).and_then(|table| rates(&table));
    EbpfPolicy {
        mode: table.opt("mode", Value::choice).map_or(default.mode, mode),
        syns: rates("syns").unwrap_or(default.syns),
        packets: rates("packets").or(default.packets),
        flood: table.or("flood", rate, default.flood),
        let_through: table.or("let_through", rate, default.let_through),
    }
}

fn rates(table: &Table<'_>) -> Option<EbpfRates> {
    let burst = table.opt("burst", Value::count);
    let prefix_rate = table.opt("prefix_rate", rate);
    let prefix_burst = table.opt("prefix_burst", Value::count);
    let rate = table.opt("rate", rate)?;
    if let Some(value) = table.get("prefix_rate").filter(|_| prefix_rate.is_some_and(|wide| wide < rate)) {
        let mistake = Mistake::new("a wide prefix may bring less than a narrow one in it");
        value.mistake(mistake.help("make `prefix_rate` at least `rate`"));
    }
    let default = EbpfRates::of(rate);
    let prefix_rate = prefix_rate.unwrap_or(default.prefix_rate);
    Some(EbpfRates {
        rate,
        burst: burst.unwrap_or(default.burst),
        prefix_rate,
        prefix_burst: prefix_burst.unwrap_or_else(|| EbpfRates::burst_of(prefix_rate)),
    })
}

/// A rate that lets something pass.
fn rate(value: &Value<'_>) -> Option<f64> {
    let rate = value.rate()?;
    if rate < RATE_MIN {
        let mistake = Mistake::new(format!("{} lets hardly anything pass", quote(&value.text()?)));
        value.mistake(mistake.help("write at least `1/h`; what shall not pass at all goes into `block`"));
        return None;
    }
    Some(rate)
}

/// A challenge is an answer, which only XDP can give.
fn check_mode(table: &Table<'_>, driver: EbpfDriver) {
    let Some(value) = table.get("mode").filter(|value| value.is_one_of(&["challenge"])) else { return };
    let advice = "write `enforce`, or a `driver` of `auto`, `xdp` or `generic`";
    match driver {
        EbpfDriver::Nftables | EbpfDriver::Accept => {
            value.mistake(Mistake::new("a challenge needs XDP, which this `driver` is not").help(advice));
        }
        EbpfDriver::Tcx => {
            value.warn(Mistake::new("tcx can't answer: the kernel's own cookies do").help(advice));
        }
        EbpfDriver::Auto | EbpfDriver::Xdp | EbpfDriver::Generic => {}
    }
}

fn networks(table: &Table<'_>) -> (Vec<IpNet>, Vec<IpNet>) {
    let mut named = HashMap::new();
    let mut read = |key: &'static str| {
        let Some(value) = table.get(key) else { return Vec::new() };
        let Some(networks) = value.list(names::network) else { return Vec::new() };
        for (network, item) in networks.iter().zip(value.items()) {
            match named.insert(as_ipv6(network), (key, item.origin())) {
                Some((other, first)) if other != key => {
                    let help = format!("the other is at {}: keep one of them", place(&first));
                    let message = format!("{} is allowed and blocked", quote(&network.to_string()));
                    item.mistake(Mistake::new(message).help(help));
                }
                _ => {}
            }
        }
        if named.len() > NETWORKS_MAX {
            value.mistake(Mistake::new(format!("more than {NETWORKS_MAX} networks are allowed and blocked")));
        }
        networks
    };
    (read("allow"), read("block"))
}

/// A network as the kernel's tables have it, where IPv4 is mapped into IPv6.
fn as_ipv6(network: &IpNet) -> (u128, u8) {
    match network.addr() {
        IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), network.prefix_len() + 96),
        IpAddr::V6(address) => (address.to_bits(), network.prefix_len()),
    }
}

fn prefixes(table: Table<'_>) -> EbpfPrefixes {
    let default = EbpfPrefixes::default();
    let lengths = |value: &Value<'_>| match value.counts::<u8>()?[..] {
        [narrow, wide] if narrow > wide => Some([narrow, wide]),
        _ => {
            let mistake = Mistake::new("this is not the length of a narrow prefix and of a wide one");
            value.mistake(mistake.help("write two numbers, the greater one first: `[32, 24]`"));
            None
        }
    };
    EbpfPrefixes {
        ipv4: table.or("ipv4", lengths, default.ipv4),
        ipv6: table.or("ipv6", lengths, default.ipv6),
    }
}

fn feed(table: Table<'_>) -> EbpfFeed {
    let default = EbpfFeed::default();
    let feed = EbpfFeed {
        points: table.or("points", Value::count, default.points),
        half_life: table.or("half_life", Value::duration, default.half_life),
        share: table.or("share", Value::count, default.share),
        cost: table.or("cost", Value::count, default.cost),
        expiry_min: table.or("expiry_min", Value::duration, default.expiry_min),
        expiry_max: table.or("expiry_max", Value::duration, default.expiry_max),
        refused: table.or("refused", Value::count, default.refused),
        malformed: table.or("malformed", Value::count, default.malformed),
        handshake: table.or("handshake", Value::count, default.handshake),
    };
    let said = table.get("expiry_max").or(table.get("expiry_min"));
    if let Some(value) = said.filter(|_| feed.expiry_min > feed.expiry_max) {
        let (min, max) = (units::show_duration(feed.expiry_min), units::show_duration(feed.expiry_max));
        let mistake = Mistake::new(format!("`{min}` at first is longer than `{max}` at most"));
        value.mistake(mistake.help("make `expiry_min` at most `expiry_max`"));
    }
    let weights = [feed.refused, feed.malformed, feed.handshake];
    if let Some(value) = table.get("refused").filter(|_| weights == [0; 3]) {
        let mistake = Mistake::new("nothing is an offence");
        value.mistake(mistake.help("leave `[ebpf.feed]` out"));
    }
    feed
}

fn mode(name: &str) -> EbpfMode {
    match name {
        "enforce" => EbpfMode::Enforce,
        "challenge" => EbpfMode::Challenge,
        _ => EbpfMode::Monitor,
    }
}

fn driver(name: &str) -> EbpfDriver {
    match name {
        "xdp" => EbpfDriver::Xdp,
        "generic" => EbpfDriver::Generic,
        "tcx" => EbpfDriver::Tcx,
        "nftables" => EbpfDriver::Nftables,
        "accept" => EbpfDriver::Accept,
        _ => EbpfDriver::Auto,
    }
}
