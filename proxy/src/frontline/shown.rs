//! What is shown of the front line: to the log, to a scrape, and to who asks `floodgate ebpf status`.

use std::{fmt::Write as _, time::Duration};

use l4::{Counters, Happened, ListenQueues, Status, abi::Count, feed};
use telemetry::{ConnectionFacts, FeedFacts, FrontLineFacts, ListenFacts, PacketFacts};

use super::FrontLine;

impl FrontLine {
    /// For a scrape; `None` if the kernel can't be asked.
    pub(crate) fn facts(&self) -> Option<FrontLineFacts> {
        let status = self.line.status().ok()?;
        let programs = self.line.modes().iter().any(|interface| interface.step != l4::Step::Accept);
        let prefixes = &self.ebpf.prefixes;
        let blocks = |shut: bool| status.blocked.iter().filter(|it| (it.cost == 0) == shut).count();
        let counts = self.limiters.each.iter().flatten().map(|limiter| limiter.counts());
        let accepts = (!self.limiters.each.is_empty()).then(|| {
            counts.fold([0, 0], |[served, reset], (over, refused)| [served + over - refused, reset + refused])
        });
        Some(FrontLineFacts {
            interfaces: self.line.modes().iter().map(|it| (it.name.clone(), it.step.as_str())).collect(),
            trial_left_us: status.trial.map(|trial| micros(trial.left)),
            heartbeat_age_us: status.heartbeat_age.map(micros),
            flood: status.flood,
            counts: programs.then(|| packets(&status.counters)),
            prefixes: [prefixes.ipv4, prefixes.ipv6],
            blocks: [blocks(false), blocks(true)],
            top_sources: self
                .top
                .iter()
                .map(|it| (it.prefix.to_string(), it.syns_over + it.packets_over))
                .collect(),
            feed: self.feed.as_ref().map(|fed| FeedFacts {
                holds: fed.holds,
                sources: fed.feed.sources(),
                lost: fed.offences.lost(),
            }),
            connections: self.connections(),
            listeners: ListenQueues::read().ok().map(|it| ListenFacts {
                overflows: it.overflows,
                drops: it.drops,
                cookies: [it.cookies_sent, it.cookies_received, it.cookies_failed],
            }),
            accepts_over: accepts,
        })
    }

    fn connections(&self) -> Option<ConnectionFacts> {
        let told = self.line.connections().ok()??;
        let rtts = self.line.rtt().ok()??.0;
        Some(ConnectionFacts {
            opened: told.established,
            closed: told.closed,
            retransmits: told.retransmits,
            timeouts: told.timeouts,
            rtts,
            rtt_sum_us: told.rtt_us_sum,
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn packets(counters: &Counters) -> PacketFacts {
    let of = |count| counters.of(count);
    let syns = of(Count::Syns);
    let (passed, challenged) = (of(Count::SynsPassed), of(Count::SynsChallenged));
    PacketFacts {
        syns: [passed, challenged, syns.saturating_sub(passed + challenged)],
        syns_let_through: of(Count::SynsThrough),
        syns_over: [
            [of(Count::SynsOverNarrow4), of(Count::SynsOverWide4)],
            [of(Count::SynsOverNarrow6), of(Count::SynsOverWide6)],
        ],
        packets: of(Count::Packets),
        packets_over: [of(Count::PacketsOverNarrow), of(Count::PacketsOverWide)],
        dropped: of(Count::Dropped),
        blocked: [of(Count::Blocked), of(Count::BlockedForAWhile)],
        malformed: of(Count::Malformed),
        allowed: of(Count::Allowed),
        established: of(Count::Established),
        unparsed: of(Count::Unparsed),
        forwarded: of(Count::Forwarded),
        no_heartbeat: of(Count::NoHeartbeat),
        sources_full: of(Count::SourcesFull),
        unchallenged: of(Count::Unchallenged),
        events_lost: of(Count::EventsLost),
        steered: [of(Count::Steered), of(Count::Unsteered)],
    }
}

/// One line of the log.
pub(super) fn event(event: &Happened) -> String {
    let port = event.port;
    let Some(prefix) = event.prefix else {
        return format!(
            "front line: a flood of SYNs to port {port}: who connects must prove that he is there"
        );
    };
    let is_syn = u32::from(event.what) < Count::PacketsOverNarrow as u32;
    let what = if is_syn { "connects to" } else { "sends packets to" };
    format!("front line: {prefix} {what} port {port} more often than it may")
}

/// The cores' words in the feed's.
pub(super) fn conduct(told: shard::Conduct) -> feed::Conduct {
    let shard::Conduct { source, good, refused, malformed, handshakes } = told;
    feed::Conduct { source, good, refused, malformed, handshakes }
}

/// How things stand, for people.
pub(crate) fn status(status: &Status) -> String {
    let mut text = String::new();
    for interface in &status.interfaces {
        line(&mut text, &format!("interface {}", interface.name), super::described(interface.step));
    }
    let rules = match (status.in_force, status.committed, status.trial) {
        (Some(digest), _, Some(trial)) => {
            let then = if trial.has_before { "those before them hold again" } else { "everything passes" };
            let left = trial.left.as_secs_f64().ceil();
            format!("{digest}, on trial: in {left} s {then}, unless `floodgate ebpf commit` keeps them")
        }
        (Some(digest), committed, None) if committed == Some(digest) => format!("{digest}, committed"),
        (Some(digest), ..) => format!("{digest}, not committed"),
        (None, ..) => "none: everything passes".to_owned(),
    };
    line(&mut text, "rules", &rules);
    let heartbeat = match status.heartbeat_age {
        None => "none".to_owned(),
        Some(age) if age > Duration::from_nanos(l4::abi::HEARTBEAT_NS_MAX) => {
            format!("{:.0} s ago: no gateway looks after it, everything passes", age.as_secs_f64())
        }
        Some(age) => format!("{:.1} s ago", age.as_secs_f64()),
    };
    line(&mut text, "sign of life", &heartbeat);
    line(&mut text, "flood", if status.flood { "yes: new connections are challenged" } else { "no" });
    let counts = packets(&status.counters);
    let [passed, challenged, dropped] = counts.syns;
    line(&mut text, "SYNs", &format!("{passed} passed, {challenged} challenged, {dropped} dropped"));
    line(&mut text, "packets", &format!("{} looked at, {} dropped", counts.packets, counts.dropped));
    for it in &status.blocked {
        let why =
            feed::Reason::of(it.reason).map_or("for a reason of another version's", feed::Reason::as_str);
        let what = if it.cost == 0 { "shut out" } else { "slowed" };
        line(
            &mut text,
            &it.prefix.to_string(),
            &format!("{what} for {:.0} s more ({why})", it.left.as_secs_f64()),
        );
    }
    text.truncate(text.trim_end().len());
    text
}

fn line(text: &mut String, what: &str, how: &str) {
    // A string takes whatever is written to it.
    let _ = writeln!(text, "{what:<20} {how}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use l4::{Blocked, Interface, Step, Trial};

    fn quiet() -> Status {
        Status {
            interfaces: vec![Interface { name: "eth0".into(), step: Step::NativeXdp }],
            in_force: None,
            committed: None,
            trial: None,
            heartbeat_age: None,
            flood: false,
            counters: Counters::default(),
            blocked: Vec::new(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Status), expected: &str) {
        let mut asked = quiet();
        change(&mut asked);
        let text = status(&asked);
        assert!(text.lines().any(|line| line == expected), "no `{expected}` in\n{text}");
    }

    #[test]
    fn people_are_told_what_holds() {
        let digest: l4::Digest = "000000000000000000000000000000ff".parse().unwrap();
        check(|_| (), "interface eth0       XDP, in its driver");
        check(|_| (), "rules                none: everything passes");
        let trial = |has_before| Some(Trial { left: Duration::from_millis(41_200), has_before });
        for (has_before, then) in [(true, "those before them hold again"), (false, "everything passes")] {
            check(
                |it| (it.in_force, it.trial) = (Some(digest), trial(has_before)),
                &format!(
                    "rules                {digest}, on trial: in 42 s {then}, unless `floodgate ebpf commit` keeps them"
                ),
            );
        }
        let committed = format!("rules                {digest}, committed");
        check(|it| (it.in_force, it.committed) = (Some(digest), Some(digest)), &committed);
        let beat = |it: &mut Status| it.heartbeat_age = Some(Duration::from_secs(9));
        check(beat, "sign of life         9 s ago: no gateway looks after it, everything passes");
        let blocked = |it: &mut Status| {
            let (prefix, left) = ("192.0.2.0/24".parse().unwrap(), Duration::from_secs(60));
            it.blocked = vec![Blocked { prefix, left, cost: 0, reason: 1 }];
        };
        check(blocked, "192.0.2.0/24         shut out for 60 s more (refused)");
    }

    #[test]
    fn events_are_lines() {
        let of = |what: Count| {
            let prefix = (what != Count::SynsChallenged).then(|| "192.0.2.1/32".parse().unwrap());
            event(&Happened { at_ns: 0, prefix, port: 443, what: what as u16 })
        };
        assert_eq!(
            of(Count::SynsOverWide6),
            "front line: 192.0.2.1/32 connects to port 443 more often than it may"
        );
        assert_eq!(
            of(Count::PacketsOverNarrow),
            "front line: 192.0.2.1/32 sends packets to port 443 more often than it may"
        );
        assert!(of(Count::SynsChallenged).contains("a flood of SYNs to port 443"));
    }
}
