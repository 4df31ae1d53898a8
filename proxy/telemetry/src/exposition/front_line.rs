//! The kernel front line: what the kernel saw of SYNs, packets and connections, who is held back, and on what step of its ladder it
//! stands. It is given numbers, and knows neither kernel nor table.

use crate::text::{Page, Seconds};

/// Sources that are shown by themselves: each is a series.
pub const TOP_SOURCES_MAX: usize = 10;

/// Counts of [`ConnectionFacts::rtts`].
pub const RTT_BUCKETS: usize = 24;

/// RTTs below 2⁴ µs are shown as one.
const RTT_FIRST: usize = 4;

/// What is known of the front line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontLineFacts {
    /// Names of interfaces, and where their packets are looked at: `xdp`, `generic`, `tcx`, `nftables`, `accept`.
    pub interfaces: Vec<(String, &'static str)>,
    /// What is left of the trial of new rules; `None`: there is none.
    pub trial_left_us: Option<u64>,
    /// How long ago the kernel had a sign of life; `None`: never.
    pub heartbeat_age_us: Option<u64>,
    /// Whether new connections are challenged now.
    pub flood: bool,
    /// What programs in the kernel have counted; `None`: there are none.
    pub counts: Option<PacketFacts>,
    /// Lengths of narrow and wide prefixes of IPv4 and IPv6.
    pub prefixes: [[u8; 2]; 2],
    /// Prefixes whose SYNs cost more now, and those of which none is let in.
    pub blocks: [usize; 2],
    /// Prefixes that were above a limit, with how often; those that were so most.
    pub top_sources: Vec<(String, u64)>,
    /// The verdict feed; `None`: there is none.
    pub feed: Option<FeedFacts>,
    /// Of the gateway's own connections; `None`: the kernel does not tell.
    pub connections: Option<ConnectionFacts>,
    /// Of all listeners of the network namespace; `None`: the kernel does not tell.
    pub listeners: Option<ListenFacts>,
    /// Accepted connections that were above a limit and served, and those that were reset; `None`: no limit is kept there.
    pub accepts_over: Option<[u64; 2]>,
}

/// Counts of the programs in the kernel, over all interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketFacts {
    /// SYNs for ports with limits that were passed, answered with a cookie, dropped.
    pub syns: [u64; 3],
    /// Of those passed, let through unchallenged in a flood.
    pub syns_let_through: u64,
    /// SYNs above a limit: of a narrow and a wide prefix of IPv4, and of IPv6.
    pub syns_over: [[u64; 2]; 2],
    /// Frames looked at.
    pub packets: u64,
    /// Other packets above a limit of a narrow and of a wide prefix.
    pub packets_over: [u64; 2],
    /// Dropped, SYNs too.
    pub dropped: u64,
    /// From prefixes that the rules block, and from those that are held back for a while.
    pub blocked: [u64; 2],
    /// TCP whose header can't be.
    pub malformed: u64,
    /// Passed by the allow list.
    pub allowed: u64,
    /// Passed as part of an established connection, where they were to be dropped.
    pub established: u64,
    /// Passed since they could not be read.
    pub unparsed: u64,
    /// For other hosts, which they are sent on to.
    pub forwarded: u64,
    /// Passed since the gateway gave no sign of life.
    pub no_heartbeat: u64,
    /// Passed since the table of sources was full.
    pub sources_full: u64,
    /// Passed since they could not be challenged.
    pub unchallenged: u64,
    /// Events that found no room.
    pub events_lost: u64,
    /// Connections that went to the core of their prefix, and to one that the kernel chose.
    pub steered: [u64; 2],
}

/// What the verdict feed has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedFacts {
    /// Times that a prefix was slowed, and that one was shut out.
    pub holds: [u64; 2],
    /// Prefixes of which offences are remembered.
    pub sources: usize,
    /// What cores wanted to tell and could not.
    pub lost: u64,
}

/// What the kernel tells of the gateway's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Established.
    pub opened: u64,
    /// Ended.
    pub closed: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Retransmission time-outs.
    pub timeouts: u64,
    /// Samples of the smoothed RTT: number `n` counts those below 2ⁿ µs and not below the one before, the last all above.
    pub rtts: [u64; RTT_BUCKETS],
    /// Their sum.
    pub rtt_sum_us: u64,
}

/// What the kernel tells of listeners (`TcpExt` of `/proc/net/netstat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenFacts {
    /// Connections refused since a queue was full (`ListenOverflows`).
    pub overflows: u64,
    /// SYNs dropped for that or another reason (`ListenDrops`).
    pub drops: u64,
    /// Cookies of the kernel's own: sent, returned, returned wrong.
    pub cookies: [u64; 3],
}

const EFFECTS: [&str; 2] = ["slowed", "shut_out"];

pub(super) fn metrics(page: &mut Page, facts: &FrontLineFacts) {
    standing(page, facts);
    if let Some(counts) = &facts.counts {
        syns(page, counts, facts.prefixes);
        packets(page, counts);
    }
    held_back(page, facts);
    if let Some(connections) = &facts.connections {
        self::connections(page, connections);
    }
    listeners(page, facts);
}

fn standing(page: &mut Page, facts: &FrontLineFacts) {
    let mut modes = page.gauge("floodgate_l4_mode", "Where packets of an interface are looked at; always 1.");
    for (interface, mode) in &facts.interfaces {
        modes.put(&[("interface", interface), ("mode", mode)], 1);
    }
    if let Some(us) = facts.trial_left_us {
        page.gauge("floodgate_l4_trial_seconds", "Time until new rules give way unless they are committed.")
            .put(&[], Seconds(us));
    }
    if let Some(us) = facts.heartbeat_age_us {
        page.gauge("floodgate_l4_heartbeat_age_seconds", "Time since the kernel had a sign of life.")
            .put(&[], Seconds(us));
    }
    page.gauge("floodgate_l4_flood", "1 while new connections are challenged.")
        .put(&[], u8::from(facts.flood));
}

fn syns(page: &mut Page, counts: &PacketFacts, prefixes: [[u8; 2]; 2]) {
    let mut results =
        page.counter("floodgate_l4_syns_total", "SYNs for ports with limits, by what became of them.");
    for (result, count) in ["passed", "challenged", "dropped"].into_iter().zip(counts.syns) {
        results.put(&[("result", result)], count);
    }
    page.counter(
        "floodgate_l4_syns_let_through_total",
        "SYNs let through unchallenged in a flood; among those passed.",
    )
    .put(&[], counts.syns_let_through);
    let mut over = page.counter(
        "floodgate_l4_syns_over_limit_total",
        "SYNs above a limit, by the prefix that it is for; in mode monitor they pass.",
    );
    for ((family, bits), counts) in ["ipv4", "ipv6"].into_iter().zip(prefixes).zip(counts.syns_over) {
        for (bits, count) in bits.into_iter().zip(counts) {
            over.put(&[("prefix", &format!("{family}/{bits}"))], count);
        }
    }
}

fn packets(page: &mut Page, counts: &PacketFacts) {
    page.counter("floodgate_l4_packets_total", "Frames that the programs in the kernel looked at.")
        .put(&[], counts.packets);
    let [narrow, wide] = counts.packets_over;
    page.counter(
        "floodgate_l4_packets_over_limit_total",
        "Packets other than SYNs above a limit, by how wide a prefix it is for.",
    )
    .put(&[("prefix", "narrow")], narrow)
    .put(&[("prefix", "wide")], wide);
    page.counter("floodgate_l4_packets_dropped_total", "Packets dropped, SYNs too.").put(&[], counts.dropped);
    page.counter("floodgate_l4_packets_malformed_total", "TCP whose header can't be.")
        .put(&[], counts.malformed);
    let mut passed = page.counter(
        "floodgate_l4_packets_passed_total",
        "Packets passed without a look at their limits, or against them, by why.",
    );
    for (reason, count) in [
        ("allowed", counts.allowed),
        ("established", counts.established),
        ("unparsed", counts.unparsed),
        ("forwarded", counts.forwarded),
        ("no_heartbeat", counts.no_heartbeat),
        ("sources_full", counts.sources_full),
        ("unchallenged", counts.unchallenged),
    ] {
        passed.put(&[("reason", reason)], count);
    }
    let [rules, blocks] = counts.blocked;
    page.counter(
        "floodgate_l4_blocked_total",
        "Packets from prefixes that the rules block, or that are held back for a while.",
    )
    .put(&[("by", "rules")], rules)
    .put(&[("by", "blocks")], blocks);
    page.counter(
        "floodgate_l4_events_lost_total",
        "Sources above a limit that were not told of, for want of room.",
    )
    .put(&[], counts.events_lost);
    let [prefix, kernel] = counts.steered;
    page.counter("floodgate_l4_connections_steered_total", "Connections, by who chose their core.")
        .put(&[("by", "prefix")], prefix)
        .put(&[("by", "kernel")], kernel);
}

fn held_back(page: &mut Page, facts: &FrontLineFacts) {
    let mut blocks = page.gauge("floodgate_l4_blocks", "Prefixes held back now, by how.");
    for (effect, count) in EFFECTS.into_iter().zip(facts.blocks) {
        blocks.put(&[("effect", effect)], count);
    }
    let mut top = page.gauge(
        "floodgate_l4_top_source_dropped",
        "Packets above a limit of the ten sources that brought most of them; in mode monitor they passed.",
    );
    for (source, count) in facts.top_sources.iter().take(TOP_SOURCES_MAX) {
        top.put(&[("source", source)], count);
    }
    let Some(feed) = &facts.feed else { return };
    let mut holds = page
        .counter("floodgate_l4_holds_total", "Times that a prefix was held back for its requests, by how.");
    for (effect, count) in EFFECTS.into_iter().zip(feed.holds) {
        holds.put(&[("effect", effect)], count);
    }
    page.gauge("floodgate_l4_feed_sources", "Prefixes of which offences are remembered.")
        .put(&[], feed.sources);
    page.counter(
        "floodgate_l4_feed_lost_total",
        "Tales of offences that cores could not tell, for want of room.",
    )
    .put(&[], feed.lost);
}

fn connections(page: &mut Page, connections: &ConnectionFacts) {
    let counts = [
        (
            "floodgate_l4_connections_opened_total",
            "Connections that the kernel established.",
            connections.opened,
        ),
        ("floodgate_l4_connections_closed_total", "Those that have ended.", connections.closed),
        (
            "floodgate_l4_retransmits_total",
            "Segments sent again to clients and backends.",
            connections.retransmits,
        ),
        ("floodgate_l4_retransmission_timeouts_total", "Retransmission time-outs.", connections.timeouts),
    ];
    for (name, help, count) in counts {
        page.counter(name, help).put(&[], count);
    }
    let mut buckets = [(0, 0); RTT_BUCKETS - 1 - RTT_FIRST];
    let (mut below, mut rtts) = (0, connections.rtts.into_iter().enumerate());
    for (bucket, count) in rtts.by_ref().take(RTT_BUCKETS - 1) {
        below += count;
        if let Some(shown) = bucket.checked_sub(RTT_FIRST) {
            buckets[shown] = (1_u64 << bucket, below);
        }
    }
    let all = below + rtts.map(|(_, count)| count).sum::<u64>();
    page.histogram("floodgate_l4_rtt_seconds", "Smoothed round-trip times, as the kernel measured them.")
        .put_buckets(&[], &buckets, all, connections.rtt_sum_us);
}

fn listeners(page: &mut Page, facts: &FrontLineFacts) {
    if let Some(listeners) = &facts.listeners {
        page.counter(
            "floodgate_l4_listen_overflows_total",
            "Connections refused since a listener's queue was full.",
        )
        .put(&[], listeners.overflows);
        page.counter("floodgate_l4_listen_drops_total", "SYNs that listeners dropped, for whatever reason.")
            .put(&[], listeners.drops);
        let mut cookies = page.counter("floodgate_l4_cookies_total", "SYN cookies of the kernel's own.");
        for (result, count) in ["sent", "returned", "wrong"].into_iter().zip(listeners.cookies) {
            cookies.put(&[("result", result)], count);
        }
    }
    if let Some([passed, refused]) = facts.accepts_over {
        page.counter(
            "floodgate_l4_accepts_over_limit_total",
            "Accepted connections above a limit that the kernel could not keep, by what became of them.",
        )
        .put(&[("result", "passed")], passed)
        .put(&[("result", "refused")], refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of these facts, without help and types.
    fn shown(facts: &FrontLineFacts) -> Vec<String> {
        let mut page = Page::default();
        metrics(&mut page, facts);
        page.finish().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(facts: &FrontLineFacts, expected: &[&str]) {
        assert_eq!(shown(facts), expected);
    }

    const NOTHING: [&str; 3] = [
        "floodgate_l4_flood 0",
        "floodgate_l4_blocks{effect=\"slowed\"} 0",
        "floodgate_l4_blocks{effect=\"shut_out\"} 0",
    ];

    #[test]
    fn what_is_not_known_is_not_shown() {
        check(&FrontLineFacts::default(), &NOTHING);
        let trial = FrontLineFacts { trial_left_us: Some(59_500_000), ..FrontLineFacts::default() };
        assert_eq!(shown(&trial)[0], "floodgate_l4_trial_seconds 59.5");
        let accepts = FrontLineFacts { accepts_over: Some([3, 4]), ..FrontLineFacts::default() };
        assert_eq!(
            shown(&accepts)[3..],
            [
                "floodgate_l4_accepts_over_limit_total{result=\"passed\"} 3",
                "floodgate_l4_accepts_over_limit_total{result=\"refused\"} 4",
            ]
        );
    }

    #[test]
    fn each_count_has_its_series() {
        let counts = PacketFacts {
            syns: [1, 2, 3],
            syns_let_through: 4,
            syns_over: [[5, 6], [7, 8]],
            packets: 9,
            packets_over: [10, 11],
            dropped: 12,
            blocked: [13, 14],
            malformed: 15,
            allowed: 16,
            established: 17,
            unparsed: 18,
            forwarded: 27,
            no_heartbeat: 19,
            sources_full: 20,
            unchallenged: 21,
            events_lost: 22,
            steered: [23, 24],
        };
        let facts = FrontLineFacts {
            interfaces: vec![("eth0".into(), "xdp"), ("br\"0".into(), "tcx")],
            heartbeat_age_us: Some(250_000),
            flood: true,
            counts: Some(counts),
            prefixes: [[32, 24], [64, 48]],
            blocks: [25, 26],
            feed: Some(FeedFacts { holds: [27, 28], sources: 29, lost: 30 }),
            listeners: Some(ListenFacts { overflows: 31, drops: 32, cookies: [33, 34, 35] }),
            ..FrontLineFacts::default()
        };
        check(
            &facts,
            &[
                r#"floodgate_l4_mode{interface="eth0",mode="xdp"} 1"#,
                r#"floodgate_l4_mode{interface="br\"0",mode="tcx"} 1"#,
                "floodgate_l4_heartbeat_age_seconds 0.25",
                "floodgate_l4_flood 1",
                r#"floodgate_l4_syns_total{result="passed"} 1"#,
                r#"floodgate_l4_syns_total{result="challenged"} 2"#,
                r#"floodgate_l4_syns_total{result="dropped"} 3"#,
                "floodgate_l4_syns_let_through_total 4",
                r#"floodgate_l4_syns_over_limit_total{prefix="ipv4/32"} 5"#,
                r#"floodgate_l4_syns_over_limit_total{prefix="ipv4/24"} 6"#,
                r#"floodgate_l4_syns_over_limit_total{prefix="ipv6/64"} 7"#,
                r#"floodgate_l4_syns_over_limit_total{prefix="ipv6/48"} 8"#,
                "floodgate_l4_packets_total 9",
                r#"floodgate_l4_packets_over_limit_total{prefix="narrow"} 10"#,
                r#"floodgate_l4_packets_over_limit_total{prefix="wide"} 11"#,
                "floodgate_l4_packets_dropped_total 12",
                "floodgate_l4_packets_malformed_total 15",
                r#"floodgate_l4_packets_passed_total{reason="allowed"} 16"#,
                r#"floodgate_l4_packets_passed_total{reason="established"} 17"#,
                r#"floodgate_l4_packets_passed_total{reason="unparsed"} 18"#,
                r#"floodgate_l4_packets_passed_total{reason="forwarded"} 27"#,
                r#"floodgate_l4_packets_passed_total{reason="no_heartbeat"} 19"#,
                r#"floodgate_l4_packets_passed_total{reason="sources_full"} 20"#,
                r#"floodgate_l4_packets_passed_total{reason="unchallenged"} 21"#,
                r#"floodgate_l4_blocked_total{by="rules"} 13"#,
                r#"floodgate_l4_blocked_total{by="blocks"} 14"#,
                "floodgate_l4_events_lost_total 22",
                r#"floodgate_l4_connections_steered_total{by="prefix"} 23"#,
                r#"floodgate_l4_connections_steered_total{by="kernel"} 24"#,
                r#"floodgate_l4_blocks{effect="slowed"} 25"#,
                r#"floodgate_l4_blocks{effect="shut_out"} 26"#,
                r#"floodgate_l4_holds_total{effect="slowed"} 27"#,
                r#"floodgate_l4_holds_total{effect="shut_out"} 28"#,
                "floodgate_l4_feed_sources 29",
                "floodgate_l4_feed_lost_total 30",
                "floodgate_l4_listen_overflows_total 31",
                "floodgate_l4_listen_drops_total 32",
                r#"floodgate_l4_cookies_total{result="sent"} 33"#,
                r#"floodgate_l4_cookies_total{result="returned"} 34"#,
                r#"floodgate_l4_cookies_total{result="wrong"} 35"#,
            ],
        );
    }

    #[test]
    fn round_trips_are_a_histogram() {
        let mut rtts = [0; RTT_BUCKETS];
        // 0 µs, 8 to 15, 16 to 31, 2 to 4 s, longer.
        (rtts[0], rtts[4], rtts[5], rtts[22], rtts[23]) = (1, 2, 4, 8, 16);
        let facts =
            ConnectionFacts { opened: 1, closed: 2, retransmits: 3, timeouts: 4, rtts, rtt_sum_us: 1_500 };
        let lines = shown(&FrontLineFacts { connections: Some(facts), ..FrontLineFacts::default() });
        assert_eq!(
            lines[3..9],
            [
                "floodgate_l4_connections_opened_total 1",
                "floodgate_l4_connections_closed_total 2",
                "floodgate_l4_retransmits_total 3",
                "floodgate_l4_retransmission_timeouts_total 4",
                "floodgate_l4_rtt_seconds_bucket{le=\"0.000016\"} 3",
                "floodgate_l4_rtt_seconds_bucket{le=\"0.000032\"} 7",
            ]
        );
        assert_eq!(
            lines[lines.len() - 5..],
            [
                "floodgate_l4_rtt_seconds_bucket{le=\"2.097152\"} 7",
                "floodgate_l4_rtt_seconds_bucket{le=\"4.194304\"} 15",
                "floodgate_l4_rtt_seconds_bucket{le=\"+Inf\"} 31",
                "floodgate_l4_rtt_seconds_sum 0.0015",
                "floodgate_l4_rtt_seconds_count 31",
            ]
        );
    }

    #[test]
    fn few_sources_are_shown() {
        let top_sources = (0..20).map(|number| (format!("192.0.2.{number}/32"), 100 - number)).collect();
        let facts = FrontLineFacts { top_sources, ..FrontLineFacts::default() };
        let lines = shown(&facts);
        assert_eq!(lines.len(), NOTHING.len() + TOP_SOURCES_MAX);
        assert_eq!(lines[3], r#"floodgate_l4_top_source_dropped{source="192.0.2.0/32"} 100"#);
    }
}
