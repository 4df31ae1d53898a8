//! The step without programs: a table of nftables with the same rates, made as text and loaded by `nft`. Of packets only SYNs are
//! limited, since who has a connection can't be told so early without tracking it. The ports stand in sets that forget them after
//! [`LIVE`]: who dies takes the limits along. Knows no tables of ours.
//!
//! Who is held back for a while stands in sets too, which are written anew when that changes. Who is slowed has a second, slower rate
//! beside his own, since nothing here takes several tokens at once.

use crate::rules::Rules;
use crate::verdicts::Verdicts;
use crate::{Counters, Error};
use gate::abi::{self, Count, Limit, Mode, Policy};
use ipnet::IpNet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Our table; no other is looked at.
const TABLE: &str = "netdev floodgate";
/// How long ports are limited after a sign of life, as the programs do it.
const LIVE: Duration = Duration::from_nanos(abi::HEARTBEAT_NS_MAX);
/// `nft` is a program that is started: what it is told holds from some time after it was reckoned.
const SLACK: Duration = Duration::from_millis(250);
/// How long a source is remembered after its last SYN.
const SOURCE_TIMEOUT: &str = "60s";
/// Sources in a set; one that is full takes no more, and who is not in it passes.
const SOURCES_MAX: u32 = 65_536;
/// Before other chains on the same hook, and before the kernel's own.
const PRIORITY: i32 = -450;

/// What is counted, and by which name.
const COUNTERS: [(&str, Count); 9] = [
    ("syns", Count::Syns),
    ("syns_over_narrow4", Count::SynsOverNarrow4),
    ("syns_over_wide4", Count::SynsOverWide4),
    ("syns_over_narrow6", Count::SynsOverNarrow6),
    ("syns_over_wide6", Count::SynsOverWide6),
    ("blocked", Count::Blocked),
    ("blocked_for_a_while", Count::BlockedForAWhile),
    ("allowed", Count::Allowed),
    ("dropped", Count::Dropped),
];

/// Who is held back for a while, as sets take it: no two of one overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// None of them is let in, and when that ends.
    shut: Vec<(IpNet, u64)>,
    /// They are slowed.
    slow: Vec<(IpNet, u64)>,
    /// What a SYN of those costs, the highest of all; 0: nobody is.
    cost: u32,
    /// Who is let in by hand.
    allowed: Vec<IpNet>,
}

impl Held {
    /// Of prefixes inside of each other the widest: the others come when it has gone.
    pub(crate) fn of(verdicts: &Verdicts, now_ns: u64) -> Self {
        let mut held = Self { allowed: verdicts.allowed().iter().copied().collect(), ..Self::default() };
        for (prefix, one) in verdicts.held(now_ns) {
            let list = if one.cost == 0 { &mut held.shut } else { &mut held.slow };
            if list.last().is_none_or(|(widest, _)| !widest.contains(&prefix)) {
                list.push((prefix, one.expires_ns));
            }
            held.cost = held.cost.max(one.cost);
        }
        held
    }

    /// Whether rules that were made for others do for these: they know what a SYN costs, and who is let in.
    pub(crate) fn fits(&self, rules: &Self) -> bool {
        (self.cost == 0 || self.cost == rules.cost) && self.allowed == rules.allowed
    }

    /// The sets, anew.
    pub(crate) fn text(&self, now_ns: u64) -> String {
        let mut text = String::new();
        for (name, prefixes) in [("held", &self.shut), ("slow", &self.slow)] {
            for v4 in [true, false] {
                let set = format!("{TABLE} {name}{}", digit(v4));
                let _ = writeln!(text, "flush set {set}");
                let own = prefixes.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == v4);
                let elements: Vec<_> = own
                    .map(|(prefix, expires_ns)| {
                        let left_s = expires_ns.saturating_sub(now_ns).div_ceil(1_000_000_000).max(1);
                        format!("{prefix} timeout {left_s}s")
                    })
                    .collect();
                if !elements.is_empty() {
                    let _ = writeln!(text, "add element {set} {{ {} }}", elements.join(", "));
                }
            }
        }
        text
    }
}

/// Everything for these rules on these interfaces, in place of what there was; counts go on from these. The ports come with [`beat`],
/// who is held back with [`Held::text`].
pub(crate) fn ruleset(rules: &Rules, interfaces: &[&str], held: &Held, counted: &Counters) -> String {
    let mut text = format!("table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n");
    for (name, count) in COUNTERS {
        let _ = writeln!(text, "    counter {name} {{ packets {} bytes 0 }}", counted.of(count));
    }
    let allow: Vec<_> = rules.allow.iter().chain(&held.allowed).copied().collect();
    // As in the kernel's tries, a block inside of what is allowed would hold only if it were looked at first.
    for (name, nets) in [("allow", &allow), ("block", &rules.block)] {
        for v4 in [true, false] {
            let family =
                nets.iter().filter(|net| net.addr().is_ipv4() == v4).map(|net| net.trunc().to_string());
            let mut elements: Vec<_> = family.collect();
            elements.sort();
            elements.dedup();
            set(&mut text, &format!("{name}{}", digit(v4)), v4, "interval", Some("auto-merge"), &elements);
        }
    }
    for name in ["held", "slow"] {
        for v4 in [true, false] {
            set(&mut text, &format!("{name}{}", digit(v4)), v4, "interval,timeout", None, &[]);
        }
    }
    for (number, policy) in (1_u8..).zip(&rules.policies) {
        let _ = writeln!(
            text,
            "    set live_{number} {{ type inet_service; flags timeout; timeout {}s; size {}; }}",
            LIVE.as_secs(),
            abi::PORTS
        );
        for (name, v4, _, limit) in limits(&policy.policy, held.cost) {
            if limit.interval_ns != 0 {
                let kind = if v4 { "ipv4_addr" } else { "ipv6_addr" };
                let _ = writeln!(
                    text,
                    "    set {name}_{number} {{ type {kind}; flags dynamic,timeout; timeout {SOURCE_TIMEOUT}; size {SOURCES_MAX}; }}"
                );
            }
        }
        chain(&mut text, number, &policy.policy, held.cost);
    }
    text.push_str("    chain gate {\n");
    if !rules.admin_ports.is_empty() {
        let mut ports: Vec<_> = rules.admin_ports.clone();
        ports.sort_unstable();
        ports.dedup();
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        let _ = writeln!(text, "        tcp dport {{ {} }} accept", ports.join(", "));
    }
    text.push_str("        ip saddr 127.0.0.0/8 accept\n");
    text.push_str("        ip6 saddr ::1 accept\n");
    text.push_str("        ip saddr @allow4 counter name allowed accept\n");
    text.push_str("        ip6 saddr @allow6 counter name allowed accept\n");
    text.push_str("        tcp flags & (fin | syn | rst | ack) != syn accept\n");
    for number in 1..=rules.policies.len() {
        let _ = writeln!(text, "        tcp dport @live_{number} jump policy_{number}");
    }
    text.push_str("    }\n");
    for (number, interface) in interfaces.iter().enumerate() {
        let _ = writeln!(
            text,
            "    chain interface_{number} {{ type filter hook ingress device \"{interface}\" priority {PRIORITY}; policy accept; jump gate; }}"
        );
    }
    text.push_str("}\n");
    text
}

/// One policy's chain.
fn chain(text: &mut String, number: u8, policy: &Policy, cost: u32) {
    let _ = writeln!(text, "    chain policy_{number} {{");
    if policy.mode != Mode::Off as u32 {
        let drop = if policy.mode == Mode::Monitor as u32 { "" } else { " counter name dropped drop" };
        // What is for another host is none of ours.
        text.push_str("        fib daddr type != local accept\n");
        text.push_str("        counter name syns\n");
        for (set, counter) in [("block", "blocked"), ("held", "blocked_for_a_while")] {
            let _ = writeln!(text, "        ip saddr @{set}4 counter name {counter}{drop}");
            let _ = writeln!(text, "        ip6 saddr @{set}6 counter name {counter}{drop}");
        }
        for (name, v4, bits, limit) in limits(policy, cost) {
            if limit.interval_ns != 0 {
                let (who, counter) = match name.strip_prefix("slow_") {
                    Some(narrow) => (format!("{} @slow{} ", field(v4), digit(v4)), narrow),
                    None => (String::new(), name),
                };
                let _ = writeln!(
                    text,
                    "        {who}update @{name}_{number} {{ {} limit rate over {} }} counter name syns_over_{counter}{drop}",
                    masked(v4, bits),
                    rate(limit)
                );
            }
        }
    }
    text.push_str("    }\n");
}

fn digit(v4: bool) -> char {
    if v4 { '4' } else { '6' }
}

fn set(text: &mut String, name: &str, v4: bool, flags: &str, merge: Option<&str>, elements: &[String]) {
    let kind = if v4 { "ipv4_addr" } else { "ipv6_addr" };
    let merge = merge.map(|merge| format!(" {merge};")).unwrap_or_default();
    let elements = if elements.is_empty() {
        String::new()
    } else {
        format!(" elements = {{ {} }};", elements.join(", "))
    };
    let _ = writeln!(text, "    set {name} {{ type {kind}; flags {flags};{merge}{elements} }}");
}

/// A policy's limits on SYNs: name, family, bits in an address of ours, rate. Those who are slowed come first.
fn limits(policy: &Policy, cost: u32) -> [(&'static str, bool, u8, Limit); 6] {
    let narrow = policy.syns_narrow;
    let slow = Limit { interval_ns: narrow.interval_ns.saturating_mul(cost.into()), ..narrow };
    [
        ("slow_narrow4", true, policy.narrow_bits[0], slow),
        ("slow_narrow6", false, policy.narrow_bits[1], slow),
        ("narrow4", true, policy.narrow_bits[0], narrow),
        ("narrow6", false, policy.narrow_bits[1], narrow),
        ("wide4", true, policy.wide_bits[0], policy.syns_wide),
        ("wide6", false, policy.wide_bits[1], policy.syns_wide),
    ]
}

const fn field(v4: bool) -> &'static str {
    if v4 { "ip saddr" } else { "ip6 saddr" }
}

/// The expression for who is counted as one.
fn masked(v4: bool, bits: u8) -> String {
    let field = field(v4);
    if bits >= 128 {
        return field.to_owned();
    }
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    if v4 {
        format!("{field} & {}", std::net::Ipv4Addr::from(mask as u32))
    } else {
        format!("{field} & {}", std::net::Ipv6Addr::from(mask))
    }
}

/// The largest unit that nftables has in which the rate is not below one.
fn rate(limit: Limit) -> String {
    let units = [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)];
    let of = |seconds: u64| (seconds * 1_000_000_000).checked_div(limit.interval_ns).unwrap_or(0);
    let (name, seconds) = units.into_iter().find(|&(_, seconds)| of(seconds) >= 1).unwrap_or(("day", 86_400));
    let rounded =
        (seconds * 1_000_000_000 + limit.interval_ns / 2).checked_div(limit.interval_ns).unwrap_or(0);
    // All that come at once, where GCRA counts those behind the first.
    let burst = limit.burst_ns.checked_div(limit.interval_ns).unwrap_or(0).saturating_add(1);
    let burst = burst.min(u32::MAX.into());
    format!("{}/{name} burst {burst} packets", rounded.clamp(1, u32::MAX.into()))
}

/// How long ports may be limited from now on, if who serves has turned at `turned_ns` last.
pub(crate) fn left(turned_ns: u64, now_ns: u64) -> Duration {
    let silent = Duration::from_nanos(now_ns.saturating_sub(turned_ns));
    LIVE.saturating_sub(SLACK).saturating_sub(silent)
}

/// What says that somebody lives: the ports, anew, for so long.
pub(crate) fn beat(rules: &Rules, left: Duration) -> String {
    let mut text = String::new();
    for (number, policy) in (1..).zip(&rules.policies) {
        let _ = writeln!(text, "flush set {TABLE} live_{number}");
        if !policy.ports.is_empty() && left.as_millis() > 0 {
            let element = |port| format!("{port} timeout {}ms", left.as_millis());
            let ports: Vec<_> = policy.ports.iter().map(element).collect();
            let _ = writeln!(text, "add element {TABLE} live_{number} {{ {} }}", ports.join(", "));
        }
    }
    text
}

/// Everything passes at once.
pub(crate) fn rest(rules: &Rules) -> String {
    let flush = |number| format!("flush set {TABLE} live_{number}\n");
    (1..=rules.policies.len()).map(flush).collect()
}

/// Lets a prefix pass from now on, beside those of the rules.
pub(crate) fn allow(prefix: IpNet) -> String {
    let digit = digit(prefix.addr().is_ipv4());
    format!("add element {TABLE} allow{digit} {{ {} }}\n", prefix.trunc())
}

/// Takes our table away; nothing if there is none.
pub(crate) fn delete() -> String {
    format!("table {TABLE}\ndelete table {TABLE}\n")
}

/// Loads text, whole or not at all.
pub(crate) fn load(text: &str) -> Result<(), Error> {
    run(&["-f", "-"], text).map(|_| ())
}

/// Whether our table is there.
pub(crate) fn is_there() -> bool {
    run(&["list", "table", "netdev", "floodgate"], "").is_ok()
}

/// What was counted; 0 what this step does not count.
pub(crate) fn counters() -> Result<Counters, Error> {
    Ok(parse_counters(&run(&["list", "counters", "table", "netdev", "floodgate"], "")?))
}

fn parse_counters(text: &str) -> Counters {
    let mut counters = Counters::default();
    let mut name = "";
    for line in text.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["counter", of, "{"] => name = of,
            ["packets", packets, ..] => {
                if let Some((_, count)) = COUNTERS.iter().find(|(known, _)| *known == name) {
                    counters.0[*count as usize] = packets.parse().unwrap_or(0);
                }
            }
            _ => {}
        }
    }
    let of = |count| counters.of(count);
    counters.0[Count::SynsPassed as usize] = of(Count::Syns).saturating_sub(of(Count::Dropped));
    counters
}

fn run(arguments: &[&str], input: &str) -> Result<String, Error> {
    let failed = |what: &dyn std::fmt::Display| Error::Nft(what.to_string());
    // Where it lies is often not on the path of who is not root.
    let program = ["/usr/sbin/nft", "/sbin/nft"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .unwrap_or("nft");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&format_args!("can't be run: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends before it has read everything says why by its status.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(failed(&error)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().next().unwrap_or("it says nothing").to_owned();
        return Err(Error::Nft(first));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{policy, rules};

    #[test]
    fn a_ruleset_reads_so() {
        let mut rules = rules(&[80, 443]);
        rules.policies.push(crate::PortPolicy { ports: vec![8443], policy: policy(Mode::Monitor) });
        rules.allow.push("2001:db8::/32".parse().unwrap());
        let mut counted = Counters::default();
        counted.0[Count::Syns as usize] = 12;
        let text = ruleset(&rules, &["eth0", "eth1.7"], &Held::default(), &counted);
        assert_eq!(text, include_str!("nft.golden"));
        assert_eq!(
            beat(&rules, Duration::from_millis(2_500)),
            "flush set netdev floodgate live_1\n\
             add element netdev floodgate live_1 { 80 timeout 2500ms, 443 timeout 2500ms }\n\
             flush set netdev floodgate live_2\nadd element netdev floodgate live_2 { 8443 timeout 2500ms }\n"
        );
        let nothing = "flush set netdev floodgate live_1\nflush set netdev floodgate live_2\n";
        assert_eq!((beat(&rules, Duration::ZERO).as_str(), rest(&rules).as_str()), (nothing, nothing));
    }

    /// Both in ms.
    #[track_caller]
    fn check_left(silent: u64, expected: u64) {
        let ns = |ms: u64| ms * 1_000_000;
        assert_eq!(left(ns(9_000), ns(9_000 + silent)), Duration::from_millis(expected));
    }

    #[test]
    fn ports_are_forgotten_three_seconds_after_the_last_turn() {
        check_left(0, 2_750);
        check_left(400, 2_350);
        check_left(2_749, 1);
        check_left(2_750, 0);
        check_left(9_000, 0);
    }

    /// Verdicts as a prefix, its end in s and its cost; at 10 s.
    #[track_caller]
    fn check_held(verdicts: &[(&str, u64, u32)], expected: &str) {
        let mut all = Verdicts::default();
        for &(prefix, end_s, cost) in verdicts {
            let held = crate::verdicts::Held { expires_ns: end_s * 1_000_000_000, cost, reason: 0 };
            all.hold(prefix.parse().unwrap(), held, 0).unwrap();
        }
        let now_ns = 10_000_000_000;
        let text = Held::of(&all, now_ns).text(now_ns);
        let flushed = |name| format!("flush set netdev floodgate {name}\n");
        let mut lines = text.as_str();
        for name in ["held4", "held6", "slow4", "slow6"] {
            lines = lines.strip_prefix(&flushed(name)).unwrap();
            let own = lines.find("flush").unwrap_or(lines.len());
            let found =
                lines[..own].strip_prefix(&format!("add element netdev floodgate {name} ")).unwrap_or("-");
            lines = &lines[own..];
            let line = expected
                .lines()
                .find_map(|line| line.trim().strip_prefix(&format!("{name} ")))
                .unwrap_or("-");
            assert_eq!(found.trim_end(), line, "{name}");
        }
    }

    #[test]
    fn no_two_who_are_held_back_overlap() {
        check_held(&[], "");
        check_held(
            &[("192.0.2.0/24", 10, 0), ("198.51.100.0/24", 11, 0)],
            "held4 { 198.51.100.0/24 timeout 1s }",
        );
        let both = [("192.0.2.0/24", 12, 0), ("192.0.2.7/32", 99, 0), ("192.0.3.0/24", 13, 0)];
        check_held(&both, "held4 { 192.0.2.0/24 timeout 2s, 192.0.3.0/24 timeout 3s }");
        // The wider has gone.
        check_held(&[("192.0.2.0/24", 9, 0), ("192.0.2.7/32", 99, 0)], "held4 { 192.0.2.7/32 timeout 89s }");
        // Who is slowed may be shut out as well.
        check_held(
            &[
                ("192.0.2.0/24", 12, 5),
                ("192.0.2.7/32", 99, 0),
                ("2001:db8::/48", 20, 0),
                ("2001:db8:1::/64", 20, 9),
            ],
            "held4 { 192.0.2.7/32 timeout 89s }\nheld6 { 2001:db8::/48 timeout 10s }\n\
             slow4 { 192.0.2.0/24 timeout 2s }\nslow6 { 2001:db8:1::/64 timeout 10s }",
        );
    }

    /// Who is slowed has a rate of his own before his usual one.
    #[test]
    fn what_slowing_costs_stands_in_the_rules() {
        let held = Held { cost: 100, allowed: vec!["192.0.2.0/24".parse().unwrap()], ..Held::default() };
        let rules = rules(&[80]);
        let text = ruleset(&rules, &["eth0"], &held, &Counters::default());
        for line in [
            "    set allow4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/8, 192.0.2.0/24 }; }",
            "    set slow_narrow6_1 { type ipv6_addr; flags dynamic,timeout; timeout 60s; size 65536; }",
            "        ip saddr @slow4 update @slow_narrow4_1 { ip saddr limit rate over 3/second burst 7 packets } \
             counter name syns_over_narrow4 counter name dropped drop",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
        assert!(text.find("slow_narrow4_1 {") < text.find("update @narrow4_1 {"));
        let other = |cost, allowed: &[&str]| Held {
            cost,
            allowed: allowed.iter().map(|prefix| prefix.parse().unwrap()).collect(),
            ..Held::default()
        };
        let fits =
            [(100, &["192.0.2.0/24"][..]), (0, &["192.0.2.0/24"]), (99, &["192.0.2.0/24"]), (100, &[])]
                .map(|(cost, allowed)| other(cost, allowed).fits(&held));
        assert_eq!(fits, [true, true, false, false]);
    }

    /// `interval_ns` and burst, as nftables has them.
    #[track_caller]
    fn check(interval_ns: u64, burst: u64, expected: &str) {
        assert_eq!(rate(Limit { interval_ns, burst_ns: interval_ns * burst }), expected);
    }

    #[test]
    fn rates_keep_their_value() {
        check(3_333_333, 599, "300/second burst 600 packets");
        check(1_000_000_000, 0, "1/second burst 1 packets");
        check(1_500_000_000, 0, "40/minute burst 1 packets");
        check(3_600_000_000_000, 1, "1/hour burst 2 packets");
        check(86_400_000_000_000, 1, "1/day burst 2 packets");
        check(1, 4, "1000000000/second burst 5 packets");
        check(100 * 86_400_000_000_000, 1, "1/day burst 2 packets");
    }

    #[test]
    fn masks_are_those_of_the_prefixes() {
        assert_eq!(masked(true, 128), "ip saddr");
        assert_eq!(masked(true, 120), "ip saddr & 255.255.255.0");
        assert_eq!(masked(true, 97), "ip saddr & 128.0.0.0");
        assert_eq!(masked(false, 64), "ip6 saddr & ffff:ffff:ffff:ffff::");
        assert_eq!(masked(false, 48), "ip6 saddr & ffff:ffff:ffff::");
        assert_eq!(masked(false, 128), "ip6 saddr");
    }

    #[test]
    fn counters_are_read() {
        let text = "table netdev floodgate {\n\tcounter syns {\n\t\tpackets 12 bytes 720\n\t}\n\tcounter dropped {\n\t\tpackets 5 bytes 300\n\t}\n\
            \tcounter other {\n\t\tpackets 99 bytes 1\n\t}\n}\n";
        let counters = parse_counters(text);
        assert_eq!(counters.of(Count::Syns), 12);
        assert_eq!(counters.of(Count::Dropped), 5);
        assert_eq!(counters.of(Count::SynsPassed), 7);
        assert_eq!(counters.0.iter().sum::<u64>(), 24);
        assert_eq!(parse_counters("packets x\ncounter"), Counters::default());
    }
}
