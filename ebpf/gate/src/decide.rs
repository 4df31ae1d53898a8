//! What becomes of a frame. It does not know where the tables are.

use crate::{
    Place,
    abi::{
        ADMIN_PORT, ALLOW, Address, BLOCK, BLOCKS_NESTED_MAX, Block, CONTROL_HEARTBEAT, CONTROL_IN_FORCE,
        Count, EDGE_NS, Event, FLOOD_NS, HEARTBEAT_NS_MAX, InForce, Limit, Mode, POLICIES_MAX, Policy,
        REFUSAL_NS_MAX, SourceKey,
    },
    limit::{Word, take, take_leased},
    packet::{Packet, Parsed, Segment, parse},
};

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel gets it.
    Pass,
    /// Nobody gets it.
    Drop,
    /// It is answered with a SYN cookie, where that can be done.
    Challenge(Segment),
}

/// The words of a [`Flood`](crate::abi::Flood).
pub struct Torrent<W> {
    /// [`Flood::syns_tat_ns`](crate::abi::Flood::syns_tat_ns).
    pub syns_tat_ns: W,
    /// [`Flood::until_ns`](crate::abi::Flood::until_ns).
    pub until_ns: W,
    /// [`Flood::through_tat_ns`](crate::abi::Flood::through_tat_ns).
    pub through_tat_ns: W,
}

/// The words of a [`Source`](crate::abi::Source).
pub struct Sightings<W> {
    /// [`Source::syns_tat_ns`](crate::abi::Source::syns_tat_ns).
    pub syns_tat_ns: W,
    /// [`Source::packets_tat_ns`](crate::abi::Source::packets_tat_ns).
    pub packets_tat_ns: W,
    /// [`Source::syns`](crate::abi::Source::syns).
    pub syns: W,
    /// [`Source::syns_over`](crate::abi::Source::syns_over).
    pub syns_over: W,
    /// [`Source::packets_over`](crate::abi::Source::packets_over).
    pub packets_over: W,
    /// [`Source::over_ns`](crate::abi::Source::over_ns).
    pub over_ns: W,
}

/// The words of a [`Refusal`](crate::abi::Refusal).
pub struct Refused<W> {
    /// [`Refusal::high`](crate::abi::Refusal::high).
    pub high: W,
    /// [`Refusal::low`](crate::abi::Refusal::low).
    pub low: W,
    /// [`Refusal::whose`](crate::abi::Refusal::whose).
    pub whose: W,
    /// [`Refusal::until_ns`](crate::abi::Refusal::until_ns).
    pub until_ns: W,
    /// [`Refusal::uncounted`](crate::abi::Refusal::uncounted).
    pub uncounted: W,
}

impl<W: Word> Refused<W> {
    #[inline(always)]
    fn is_of(&self, prefix: Place, whose: u64) -> bool {
        self.low.get() == prefix.low && self.high.get() == prefix.high && self.whose.get() == whose
    }
}

/// The tables of [`abi`](crate::abi), and what only the kernel knows.
pub trait Tables {
    /// A word in one of them.
    type Word: Word;
    /// A word of `CONTROL`; 0 if there is none.
    fn control(&self, word: u32) -> u64;
    /// What `PORTS` has for a port in a set.
    fn port(&self, set: u32, port: u16) -> u8;
    /// An entry of `POLICIES`.
    fn policy(&self, number: u32) -> Option<&Policy>;
    /// An entry of `FLOODS`.
    fn torrent(&self, number: u32) -> Option<Torrent<Self::Word>>;
    /// This CPU's word of `LEASES`.
    fn lease(&self, number: u32) -> Option<Self::Word>;
    /// What `RULES` has for an address in a set; 0: nothing.
    fn rule(&self, set: u32, address: &Address) -> u32;
    /// The narrowest entry of `BLOCKS` that has an address and a key of at most so many bits.
    fn block(&self, address: &Address, bits_max: u32) -> Option<Block>;
    /// An entry of `SOURCES`.
    fn source(&self, key: &SourceKey) -> Option<Sightings<Self::Word>>;
    /// This CPU's entry of `REFUSALS`.
    fn refusal(&self, number: u32) -> Option<Refused<Self::Word>>;
    /// Makes an entry of `SOURCES` that is all 0, if there is none and room for it.
    fn add_source(&self, key: &SourceKey);
    /// Adds one to a word of `COUNTERS`.
    fn count(&self, what: u32);
    /// Puts a record into `EVENTS`.
    fn tell(&self, event: Event);
    /// Whether a socket that is no listener has such a segment as its own.
    fn is_established(&self, segment: &Segment) -> bool;
    /// Whether it would be sent on to another host, and not be for this one.
    fn is_forwarded(&self, segment: &Segment, now_ns: u64) -> bool;
}

/// Says what becomes of a frame that came at `now_ns` by `CLOCK_MONOTONIC`. What makes it pass stands before what could drop it.
#[inline(always)]
pub fn decide<T: Tables>(packet: &impl Packet, tables: &T, now_ns: u64) -> Verdict {
    tables.count(Count::Packets as u32);
    if now_ns.saturating_sub(tables.control(CONTROL_HEARTBEAT)) > HEARTBEAT_NS_MAX {
        tables.count(Count::NoHeartbeat as u32);
        return Verdict::Pass;
    }
    let Some(set) = InForce::from_word(tables.control(CONTROL_IN_FORCE)).now(now_ns) else {
        return Verdict::Pass;
    };
    let segment = match parse(packet) {
        Parsed::Segment(segment) => segment,
        Parsed::Other => return Verdict::Pass,
        Parsed::Unparsed => {
            tables.count(Count::Unparsed as u32);
            return Verdict::Pass;
        }
        Parsed::Malformed => {
            tables.count(Count::Malformed as u32);
            return Verdict::Pass;
        }
    };
    let number = tables.port(set, segment.port);
    if number == 0 || number == ADMIN_PORT || u32::from(number) >= POLICIES_MAX {
        return Verdict::Pass;
    }
    let index = set * POLICIES_MAX + u32::from(number);
    let Some(policy) = tables.policy(index) else {
        return Verdict::Pass;
    };
    if policy.mode == Mode::Off as u32 || segment.source.is_loopback() || segment.destination.is_loopback() {
        return Verdict::Pass;
    }
    let gate = Gate { tables, policy, number, index, set, segment, now_ns };
    let syn = segment.is_syn();
    if syn {
        // Before it is counted against anybody: what is for another host makes no flood here, and spends no limit.
        if gate.is_forwarded() {
            return Verdict::Pass;
        }
        tables.count(Count::Syns as u32);
    }
    // In one place, as the limits are: the program has it inline.
    let again = if syn { gate.refused_again() } else { None };
    // Who is refused already is neither allowed nor blocked.
    let ruled = if again.is_some() { Ruled::Costs(1) } else { gate.ruled() };
    let verdict = match if syn { gate.syn(ruled, again) } else { gate.other(ruled) } {
        Step::Done(verdict) => verdict,
        Step::Limit { cost, known_only } => gate.limit(syn, cost, known_only),
    };
    if syn && matches!(verdict, Verdict::Pass) {
        tables.count(Count::SynsPassed as u32);
    }
    verdict
}

/// What a prefix is charged with.
struct Charge {
    syn: bool,
    wide: bool,
    bits: u8,
    limit: Limit,
    cost: u32,
    /// A [`Count`], if it has not so much.
    what: u32,
    known_only: bool,
}

/// The [`Count`] of what is above the limit of a narrow prefix; the next is that of wide ones.
#[inline(always)]
const fn over_narrow(syn: bool, v4: bool) -> u32 {
    match (syn, v4) {
        (true, true) => Count::SynsOverNarrow4 as u32,
        (true, false) => Count::SynsOverNarrow6 as u32,
        (false, _) => Count::PacketsOverNarrow as u32,
    }
}

/// One segment before one policy.
struct Gate<'a, T> {
    tables: &'a T,
    policy: &'a Policy,
    number: u8,
    index: u32,
    set: u32,
    segment: Segment,
    now_ns: u64,
}

/// What the operator's rules, and blocks that hold for a while, say of a source.
enum Ruled {
    Allowed,
    Blocked,
    /// Neither; a SYN costs so much.
    Costs(u32),
}

/// How it goes on.
enum Step {
    Done(Verdict),
    /// The limits of its prefixes decide. In one place for all that comes there, since the program has it inline.
    Limit {
        cost: u32,
        known_only: bool,
    },
}

impl<T: Tables> Gate<'_, T> {
    #[inline(always)]
    fn syn(&self, ruled: Ruled, again: Option<Refused<T::Word>>) -> Step {
        let cost = match ruled {
            Ruled::Allowed => return Step::Done(Verdict::Pass),
            Ruled::Blocked => return Step::Done(self.refuse()),
            Ruled::Costs(cost) => cost,
        };
        if self.segment.is_malformed() {
            self.tables.count(Count::Malformed as u32);
            return Step::Done(self.refuse());
        }
        let flood = self.is_flood();
        if flood && self.policy.mode == Mode::Challenge as u32 {
            return Step::Done(self.challenge());
        }
        // What is above its limit still is so for all that comes at once.
        if let Some(refused) = again {
            refused.uncounted.set(refused.uncounted.get() + 1);
            self.tables.count(over_narrow(true, self.segment.source.is_v4()));
            return Step::Done(self.refuse());
        }
        // In a flood of invented sources an entry for each costs more than it spares.
        Step::Limit { cost, known_only: flood }
    }

    /// What is no SYN: before it is dropped the kernel is asked whether anybody waits for it.
    #[inline(always)]
    fn other(&self, ruled: Ruled) -> Step {
        let blocked = match ruled {
            Ruled::Allowed => return Step::Done(Verdict::Pass),
            Ruled::Blocked => true,
            Ruled::Costs(_) => false,
        };
        let malformed = self.segment.is_malformed();
        let policy = self.policy;
        let limited = policy.packets_narrow.interval_ns | policy.packets_wide.interval_ns != 0;
        if !(blocked || malformed || limited) {
            return Step::Done(Verdict::Pass);
        }
        if self.tables.is_established(&self.segment) {
            if blocked || malformed {
                self.tables.count(Count::Established as u32);
            }
            return Step::Done(Verdict::Pass);
        }
        if self.is_forwarded() {
            return Step::Done(Verdict::Pass);
        }
        if malformed {
            self.tables.count(Count::Malformed as u32);
        }
        if blocked || malformed {
            return Step::Done(self.refuse());
        }
        Step::Limit { cost: 1, known_only: false }
    }

    /// Whether it is somebody else's; counts it.
    #[inline(always)]
    fn is_forwarded(&self) -> bool {
        let forwarded = self.tables.is_forwarded(&self.segment, self.now_ns);
        if forwarded {
            self.tables.count(Count::Forwarded as u32);
        }
        forwarded
    }

    #[inline(always)]
    fn ruled(&self) -> Ruled {
        let address = self.segment.source.address();
        let rule = self.tables.rule(self.set, &address);
        if rule == ALLOW {
            self.tables.count(Count::Allowed as u32);
            return Ruled::Allowed;
        }
        if rule == BLOCK {
            self.tables.count(Count::Blocked as u32);
            return Ruled::Blocked;
        }
        let cost = self.held_back(&address);
        if cost == 0 {
            self.tables.count(Count::BlockedForAWhile as u32);
            return Ruled::Blocked;
        }
        Ruled::Costs(cost)
    }

    /// What the hardest of the blocks that cover an address makes a SYN cost; 0: it is not let in. Mostly there is none, and it ends
    /// with the first look.
    #[inline(always)]
    fn held_back(&self, address: &Address) -> u32 {
        let mut cost = 1;
        let mut bits_max = u128::BITS;
        let mut looks = 0;
        while looks < BLOCKS_NESTED_MAX {
            let Some(block) = self.tables.block(address, bits_max) else { break };
            if self.now_ns < block.expires_ns {
                if block.cost == 0 {
                    return 0;
                }
                if cost < block.cost {
                    cost = block.cost;
                }
            }
            if block.bits == 0 || block.bits > bits_max {
                break;
            }
            bits_max = block.bits - 1;
            looks += 1;
        }
        cost
    }

    /// The narrow prefix, and [`Refusal::whose`](crate::abi::Refusal::whose) it would be.
    #[inline(always)]
    fn narrow(&self) -> (Place, u64) {
        let bits = self.policy.narrow_bits;
        let bits = if self.segment.source.is_v4() { bits[0] } else { bits[1] };
        (self.segment.source.prefix(bits), u64::from(bits) << 32 | u64::from(self.index))
    }

    /// Whether its narrow prefix is known to have nothing left.
    #[inline(always)]
    fn refused_again(&self) -> Option<Refused<T::Word>> {
        let (prefix, whose) = self.narrow();
        let refused = self.tables.refusal(prefix.refusal())?;
        (self.now_ns < refused.until_ns.get() && refused.is_of(prefix, whose)).then_some(refused)
    }

    /// Remembers that a narrow prefix has nothing left until its theoretical arrival time is near enough again. How many of its
    /// SYNs were above the limit before and are not counted yet.
    #[inline(always)]
    fn remember(&self, tat_ns: u64, limit: Limit) -> u64 {
        let (prefix, whose) = self.narrow();
        let Some(refused) = self.tables.refusal(prefix.refusal()) else { return 0 };
        let is_own = refused.is_of(prefix, whose);
        if !is_own && self.now_ns < refused.until_ns.get() {
            return 0;
        }
        let uncounted = if is_own { refused.uncounted.get() } else { 0 };
        refused.high.set(prefix.high);
        refused.low.set(prefix.low);
        refused.whose.set(whose);
        refused.uncounted.set(0);
        let (until_ns, latest_ns) = (tat_ns.saturating_sub(limit.burst_ns), self.now_ns + REFUSAL_NS_MAX);
        refused.until_ns.set(if until_ns < latest_ns { until_ns } else { latest_ns });
        uncounted
    }

    /// Charges the narrow prefix, then the wide one.
    #[inline(always)]
    fn limit(&self, syn: bool, cost: u32, known_only: bool) -> Verdict {
        let policy = self.policy;
        let v4 = self.segment.source.is_v4();
        let mut wide = false;
        loop {
            let bits = if wide { policy.wide_bits } else { policy.narrow_bits };
            let bits = if v4 { bits[0] } else { bits[1] };
            let limit = match (syn, wide) {
                (true, false) => policy.syns_narrow,
                (true, true) => policy.syns_wide,
                (false, false) => policy.packets_narrow,
                (false, true) => policy.packets_wide,
            };
            let what = over_narrow(syn, v4) + u32::from(wide);
            // What one source has earned its neighbours do not pay for.
            let cost = if wide { 1 } else { cost };
            if self.is_over(&Charge { syn, wide, bits, limit, cost, what, known_only }) {
                return self.refuse();
            }
            if wide {
                return Verdict::Pass;
            }
            wide = true;
        }
    }

    /// Drops, where that is asked for.
    #[inline(always)]
    fn refuse(&self) -> Verdict {
        if self.policy.mode != Mode::Enforce as u32 && self.policy.mode != Mode::Challenge as u32 {
            return Verdict::Pass;
        }
        self.tables.count(Count::Dropped as u32);
        Verdict::Drop
    }

    /// Counts this SYN for all; whether there are too many, or were a moment ago.
    #[inline(always)]
    fn is_flood(&self) -> bool {
        if self.policy.flood.interval_ns == 0 {
            return false;
        }
        let (Some(torrent), Some(lease)) = (self.tables.torrent(self.index), self.tables.lease(self.index))
        else {
            return false;
        };
        let until_ns = torrent.until_ns.get();
        if take_leased(&lease, &torrent.syns_tat_ns, self.policy.flood, self.now_ns) {
            return self.now_ns < until_ns;
        }
        // Not with every SYN, since all CPUs read this line.
        if until_ns < self.now_ns + FLOOD_NS / 2 {
            torrent.until_ns.set(self.now_ns + FLOOD_NS);
            if until_ns <= self.now_ns {
                self.tell(
                    SourceKey { policy: self.number, ..SourceKey::default() },
                    Count::SynsChallenged as u16,
                );
            }
        }
        true
    }

    #[inline(always)]
    fn challenge(&self) -> Verdict {
        if let Some(torrent) = self.tables.torrent(self.index)
            && take(&torrent.through_tat_ns, self.policy.through, 1, self.now_ns)
        {
            self.tables.count(Count::SynsThrough as u32);
            return Verdict::Pass;
        }
        Verdict::Challenge(self.segment)
    }

    /// Charges a prefix; whether that is above its limit.
    #[inline(always)]
    fn is_over(&self, charge: &Charge) -> bool {
        let Charge { syn, wide, bits, limit, cost, what, known_only } = *charge;
        if limit.interval_ns == 0 {
            return false;
        }
        let address = self.segment.source.prefix(bits).address();
        let key = SourceKey { address, bits, policy: self.number, pad: [0; 2] };
        let mut found = self.tables.source(&key);
        if found.is_none() {
            if known_only {
                return false;
            }
            self.tables.add_source(&key);
            found = self.tables.source(&key);
        }
        let Some(source) = found else {
            self.tables.count(Count::SourcesFull as u32);
            return false;
        };
        let tat = if syn { &source.syns_tat_ns } else { &source.packets_tat_ns };
        if take(tat, limit, u64::from(cost), self.now_ns) {
            if syn {
                source.syns.add(1);
            }
            return false;
        }
        self.tables.count(what);
        let uncounted = if syn && !wide { self.remember(tat.get(), limit) } else { 0 };
        if syn { &source.syns_over } else { &source.packets_over }.add(1 + uncounted);
        let before_ns = source.over_ns.get();
        source.over_ns.set(self.now_ns);
        if before_ns == 0 || self.now_ns.saturating_sub(before_ns) > EDGE_NS {
            self.tell(key, what as u16);
        }
        true
    }

    #[inline(always)]
    fn tell(&self, source: SourceKey, what: u16) {
        self.tables.tell(Event { at_ns: self.now_ns, source, port: self.segment.port, what });
    }
}
