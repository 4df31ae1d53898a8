//! The tables that kernel and user space share: names, keys, values. All numbers are in the machine's order, addresses in the
//! network's. A change of anything here is another [`LAYOUT`].

/// Number of this layout; part of the path where tables are pinned, so that a program never meets another's tables.
pub const LAYOUT: u32 = 2;

/// An address as the tables have it: IPv6, or IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2). Network order.
pub type Address = [u8; 16];

/// Programs and tables, as the object calls them.
pub mod names {
    /// The gate before the kernel's own memory: an XDP program.
    pub const XDP: &str = "xdp_gate";
    /// The same for an interface that has no XDP: a tcx program.
    pub const TCX: &str = "tcx_gate";
    /// The same for an interface whose packets begin with IP's header.
    pub const TCX_IP: &str = "tcx_gate_ip";
    /// Which listener gets a connection: `sk_reuseport`, with `migrate`.
    pub const STEER: &str = "steer";
    /// What the kernel tells of connections: `sock_ops`.
    pub const OBSERVE: &str = "observe";

    /// All tables; what each holds stands below, with its keys and values.
    pub const TABLES: [&str; 17] = [
        CONTROL,
        PORTS,
        POLICIES,
        FLOODS,
        LEASES,
        RULES,
        BLOCKS,
        SOURCES,
        REFUSALS,
        EVENTS,
        COUNTERS,
        STEERING,
        STEERED,
        LISTENERS,
        GROUPS,
        CONNECTIONS,
        RTT,
    ];
    /// Words that say what holds now.
    pub const CONTROL: &str = "CONTROL";
    /// Whose policy holds for a port.
    pub const PORTS: &str = "PORTS";
    /// Limits.
    pub const POLICIES: &str = "POLICIES";
    /// Whether there is a flood.
    pub const FLOODS: &str = "FLOODS";
    /// What CPUs have taken of the flood's limit.
    pub const LEASES: &str = "LEASES";
    /// The operator's prefixes.
    pub const RULES: &str = "RULES";
    /// Prefixes held back for a while.
    pub const BLOCKS: &str = "BLOCKS";
    /// Who was seen lately.
    pub const SOURCES: &str = "SOURCES";
    /// Who is above its limit for a moment still.
    pub const REFUSALS: &str = "REFUSALS";
    /// Who went above a limit.
    pub const EVENTS: &str = "EVENTS";
    /// How many of what.
    pub const COUNTERS: &str = "COUNTERS";
    /// Which core a bucket of sources goes to.
    pub const STEERING: &str = "STEERING";
    /// How many connections a bucket brought.
    pub const STEERED: &str = "STEERED";
    /// Sockets.
    pub const LISTENERS: &str = "LISTENERS";
    /// Which sockets belong together.
    pub const GROUPS: &str = "GROUPS";
    /// The gateway's own connections.
    pub const CONNECTIONS: &str = "CONNECTIONS";
    /// Their round trips.
    pub const RTT: &str = "RTT";
}

/// Bits in front of an IPv4 address in an [`Address`]: an IPv4 prefix of `n` bits is one of `96 + n`.
pub const V4_BITS: u32 = 96;

/// Rule sets that there are at once: one in force, one beside it.
pub const SETS: u32 = 2;
/// Policies in a set. Number 0 means that a port is nobody's and everything for it passes.
pub const POLICIES_MAX: u32 = 16;
/// Table `PORTS`: array of [`SETS`] × so many bytes; number `set * PORTS + port`. Value: number of a policy, or [`ADMIN_PORT`].
pub const PORTS: u32 = 65_536;
/// In table `PORTS`: everything for this port passes under any rules (`ssh`, the admin listener).
pub const ADMIN_PORT: u8 = 255;

/// Table `CONTROL`: array of [`CONTROLS`] words of 64 bits, each changed at once.
pub const CONTROLS: u32 = 2;
/// Word of `CONTROL`: when all of the gateway is known to have lived last, by `CLOCK_MONOTONIC` in ns: each of its cores turned then
/// or later. 0: it never has. Older than [`HEARTBEAT_NS_MAX`]: everything passes.
pub const CONTROL_HEARTBEAT: u32 = 0;
/// Word of `CONTROL`: which rule set is in force, see [`InForce`].
pub const CONTROL_IN_FORCE: u32 = 1;

/// So old may a heartbeat be: a gateway that is dead or hangs holds nobody back for longer. The gateway beats four times a second.
pub const HEARTBEAT_NS_MAX: u64 = 3_000_000_000;

/// How long a flood lasts after the last SYN above the threshold.
pub const FLOOD_NS: u64 = 1_000_000_000;

/// Which rule set is in force, in one word: rules on trial give way by themselves, whoever is dead by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Number of the set, below [`SETS`]; [`InForce::NOTHING`]: everything passes.
    pub set: u8,
    /// What is in force after the trial.
    pub before: u8,
    /// When the trial ends, by `CLOCK_MONOTONIC` in ms; 0: there is none.
    pub trial_ends_ms: u64,
}

impl InForce {
    /// No set: everything passes.
    pub const NOTHING: u8 = 15;

    /// As in `CONTROL`.
    pub const fn word(self) -> u64 {
        self.trial_ends_ms << 8 | (self.before as u64 & 15) << 4 | self.set as u64 & 15
    }

    /// From `CONTROL`.
    pub const fn from_word(word: u64) -> Self {
        Self { set: word as u8 & 15, before: (word >> 4) as u8 & 15, trial_ends_ms: word >> 8 }
    }

    /// The set in force now; `None`: everything passes.
    pub const fn now(self, now_ns: u64) -> Option<u32> {
        let over = self.trial_ends_ms != 0 && now_ns / 1_000_000 >= self.trial_ends_ms;
        let set = if over { self.before } else { self.set };
        if (set as u32) < SETS { Some(set as u32) } else { None }
    }
}

/// What is done about who is above a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    /// Nothing is even counted.
    Off = 0,
    /// It is counted, and passes.
    Monitor = 1,
    /// It is dropped.
    Enforce = 2,
    /// The same, and in a flood of SYNs everybody proves by a cookie that he is there.
    Challenge = 3,
}

/// GCRA: one event each `interval_ns`, and `burst_ns / interval_ns` more at once. `interval_ns` 0: no limit.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Time that one event takes.
    pub interval_ns: u64,
    /// How far the theoretical arrival time may be ahead of now.
    pub burst_ns: u64,
}

/// Table `POLICIES`: array of [`SETS`] × [`POLICIES_MAX`]; number `set * POLICIES_MAX + policy`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// A [`Mode`].
    pub mode: u32,
    /// Bits of a narrow prefix in an [`Address`], for IPv4 and IPv6: 128 (`/32`) and 64.
    pub narrow_bits: [u8; 2],
    /// Bits of a wide one: 120 (`/24`) and 48.
    pub wide_bits: [u8; 2],
    /// SYNs of a narrow prefix.
    pub syns_narrow: Limit,
    /// SYNs of a wide prefix.
    pub syns_wide: Limit,
    /// Other packets of a narrow prefix that belong to no established connection.
    pub packets_narrow: Limit,
    /// The same of a wide one.
    pub packets_wide: Limit,
    /// SYNs of everybody: above it there is a flood.
    pub flood: Limit,
    /// SYNs of everybody that are let through in a flood, so that the kernel knows that it has sent cookies.
    pub through: Limit,
}

/// Table `FLOODS`: array of [`SETS`] × [`POLICIES_MAX`], numbered as `POLICIES` are; written by the programs alone. A line of
/// its own for each policy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flood {
    /// Theoretical arrival time, in ns, of the next SYN that [`Policy::flood`] counts.
    pub syns_tat_ns: u64,
    /// Until when, by `CLOCK_MONOTONIC` in ns, there is a flood.
    pub until_ns: u64,
    /// Theoretical arrival time of the next SYN that [`Policy::through`] lets in.
    pub through_tat_ns: u64,
    /// Fills the line.
    pub pad: [u64; 5],
}

/// So many SYNs a CPU takes at once from [`Policy::flood`]. Table `LEASES`: per-CPU array of as many 64-bit words as
/// `FLOODS` has entries, what is left of them; the programs' own.
pub const LEASE: u64 = 64;

/// Table `RULES`: LPM trie of the operator's prefixes. Key: [`RuleKey`] with `32 + bits`. Value: [`ALLOW`] or [`BLOCK`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleKey {
    /// Number of the set, in network order.
    pub set: [u8; 4],
    /// A prefix.
    pub address: Address,
}

/// Value in `RULES`: everything passes.
pub const ALLOW: u32 = 1;
/// Value in `RULES`: nothing but established connections passes.
pub const BLOCK: u32 = 2;

/// Table `BLOCKS`: LPM trie of prefixes that the gateway itself, or the operator by hand, holds back for a while. Key: an
/// [`Address`]. Of all entries that have an address the hardest holds, be it the narrowest or not. One that has expired holds for
/// nobody, whether it was taken out or not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// When it ends, by `CLOCK_MONOTONIC` in ns.
    pub expires_ns: u64,
    /// What is left of the rate: a SYN takes the time of so many. 0: nothing is let in.
    pub cost: u32,
    /// Why: number of a reason that user space knows.
    pub reason: u32,
    /// Bits of its own key, by which what is wider is found behind it.
    pub bits: u32,
    /// 0.
    pub pad: u32,
}

/// So many entries of `BLOCKS`, one in another, are looked at for one address; wider ones hold once narrower ones are gone.
pub const BLOCKS_NESTED_MAX: u32 = 8;

/// Key of table `SOURCES`, an LRU hash of who was seen lately.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey {
    /// A prefix: bits behind it are 0.
    pub address: Address,
    /// How long it is.
    pub bits: u8,
    /// By whose limits.
    pub policy: u8,
    /// 0.
    pub pad: [u8; 2],
}

/// Value in `SOURCES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Theoretical arrival time of the next SYN, by `CLOCK_MONOTONIC` in ns.
    pub syns_tat_ns: u64,
    /// Of the next other packet.
    pub packets_tat_ns: u64,
    /// SYNs within its limits.
    pub syns: u64,
    /// SYNs above them.
    pub syns_over: u64,
    /// Other packets above a limit.
    pub packets_over: u64,
    /// When it was above a limit last, by `CLOCK_MONOTONIC`; 0: never.
    pub over_ns: u64,
}

/// Table `REFUSALS`: per-CPU array of so many, by [`Place::refusal`](crate::Place::refusal).
pub const REFUSALS: u32 = 256;

/// A narrow prefix that has nothing left of its limit on SYNs: what else comes from it is known to be above, without a look at
/// rules, blocks and `SOURCES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The prefix, its first 64 bits and its last.
    pub high: u64,
    /// …
    pub low: u64,
    /// Number of the policy in `POLICIES`, and from bit 32 on how long the prefix is.
    pub whose: u64,
    /// Until when, by `CLOCK_MONOTONIC` in ns; 0: the place is free.
    pub until_ns: u64,
    /// SYNs above the limit that are not in [`Source::syns_over`] yet. Lost if the place is another's before the next.
    pub uncounted: u64,
}

/// So long is a refusal believed, whatever rules and blocks have become meanwhile.
pub const REFUSAL_NS_MAX: u64 = 100_000_000;

/// So long must a source have stayed below its limits for its next step above them to be an event.
pub const EDGE_NS: u64 = 1_000_000_000;

/// A record of ring buffer `EVENTS`: somebody went from below a limit to above it, or a flood began ([`Event::source`] has 0
/// bits then).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// By `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// Who.
    pub source: SourceKey,
    /// Where to; machine order.
    pub port: u16,
    /// A [`Count`]; of a flood [`Count::SynsChallenged`].
    pub what: u16,
}

/// Table `COUNTERS`: per-CPU array of [`COUNTERS`] words.
pub const COUNTERS: u32 = 32;

/// Numbers of `COUNTERS`. A limit's group is how wide its prefix is: narrow or wide, of IPv4 or of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Count {
    /// Frames looked at.
    Packets = 0,
    /// SYNs for ports with a policy.
    Syns = 1,
    /// Of those, passed, for whatever reason.
    SynsPassed = 2,
    /// Of those, answered with a cookie.
    SynsChallenged = 3,
    /// In a flood let through without.
    SynsThrough = 4,
    /// Above a limit of a narrow IPv4 prefix.
    SynsOverNarrow4 = 5,
    /// … of a wide one.
    SynsOverWide4 = 6,
    /// … of a narrow IPv6 prefix.
    SynsOverNarrow6 = 7,
    /// … of a wide one.
    SynsOverWide6 = 8,
    /// Other packets above a limit of a narrow prefix.
    PacketsOverNarrow = 9,
    /// … of a wide one.
    PacketsOverWide = 10,
    /// From a prefix that the operator blocks.
    Blocked = 11,
    /// From one that is blocked for a while.
    BlockedForAWhile = 12,
    /// Passed by the allow list.
    Allowed = 13,
    /// Passed since it belongs to an established connection, and was to be dropped.
    Established = 14,
    /// Dropped; what was only counted, in monitor mode, is not in it.
    Dropped = 15,
    /// TCP whose header can't be: dropped where there is a policy to enforce.
    Malformed = 16,
    /// Fragments behind the first, or headers of IPv6 that are not looked behind: passed.
    Unparsed = 17,
    /// `SOURCES` took no more: passed.
    SourcesFull = 18,
    /// `EVENTS` was full.
    EventsLost = 19,
    /// Passed since the gateway gave no sign of life.
    NoHeartbeat = 20,
    /// Was to be challenged, and could not be: passed.
    Unchallenged = 21,
    /// Connections that [`STEERING_BUCKETS`] gave a core.
    Steered = 22,
    /// Connections for which the kernel chose, since no listener stood where they were steered to.
    Unsteered = 23,
    /// For a port with a policy, and passed since it is for another host that this one forwards to.
    Forwarded = 24,
}

/// Table `STEERING`: array of so many buckets of source prefixes; value: number of a core, 32 bits. Table `STEERED`: per-CPU
/// array of as many words of 64 bits: connections that each bucket brought.
pub const STEERING_BUCKETS: u32 = 1024;
/// Cores that can be steered to.
pub const CORES_MAX: u32 = 64;
/// Listeners that can be steered to. Table `LISTENERS`: sockets by `group * CORES_MAX + core`. Table `GROUPS`: hash from
/// `port << 8 | 4` or `| 6` (the listening socket's family: one of IPv6 takes IPv4 too) to a group, both of 32 bits.
pub const GROUPS_MAX: u32 = 64;

/// Table `CONNECTIONS`: per-CPU array of one; what the kernel tells of the gateway's own connections.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Accepted.
    pub established: u64,
    /// Ended.
    pub closed: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Retransmission time-outs.
    pub timeouts: u64,
    /// Sum of the smoothed RTTs of [`Connections::rtt_samples`].
    pub rtt_us_sum: u64,
    /// Samples of the RTT.
    pub rtt_samples: u64,
}

/// Table `RTT`: per-CPU array of so many counts; number `n` is for RTTs below 2ⁿ µs and not below the one before, the last for all
/// above.
pub const RTT_BUCKETS: u32 = 24;

/// Which bucket of `RTT` a sample is counted in.
#[inline(always)]
pub const fn rtt_bucket(rtt_us: u64) -> u32 {
    let mut bucket = 0;
    while bucket < RTT_BUCKETS - 1 && rtt_us >> bucket != 0 {
        bucket += 1;
    }
    bucket
}
