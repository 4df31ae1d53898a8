//! Who misbehaves above the transport is held back below it: what the cores tell of sources becomes, for a while, a higher price
//! of their SYNs, and only then drops. It decides and keeps accounts; it knows no table of the kernel's, no clock and no request.
//!
//! Each offence gives its prefix points, half of which are forgotten each [`Terms::half_life`]. With [`Terms::points`] of them the
//! prefix is *slowed*: a SYN takes [`Terms::cost`] times its tokens. What comes while that takes effect does not count; with as many
//! points again while it holds the prefix is *shut out*. Each time holds twice as long as the one before, within bounds; that, too, is
//! forgotten.
//!
//! Many may live behind one prefix. Their requests that were no offence are told as well, and as long as offences are less than
//! [`Terms::share`] of what is remembered of a prefix it is left alone. Who mixes good requests into an attack buys himself out of this
//! with requests that layer 7 has found good; its own limits go on to hold for him.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, net::IpAddr, time::Duration};

use ipnet::IpNet;

/// Prefixes of which something is remembered: some 2 MiB.
pub const SOURCES_MAX: usize = 16_384;
/// Of so many in a row the one that weighs least gives its place to a newcomer.
const PROBES: usize = 8;
/// A step takes so many offences at least, whatever points they give: one event holds nobody back.
const OFFENCES_MIN: u32 = 3;
/// So long after a step points don't count: they are for what was under way before it took effect. Two rounds of the cores' tales.
const SETTLE: Duration = Duration::from_secs(2);
/// Below this weight nothing is worth remembering.
const WEIGHT_MIN: f64 = 0.01;

/// What an operator wants of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Points with which a prefix goes a step further.
    pub points: u32,
    /// After so long half of the points is forgotten.
    pub half_life: Duration,
    /// Offences among all that is remembered of a prefix, in percent; with less nothing happens.
    pub share_percent: u8,
    /// Tokens that a SYN of a slowed prefix takes.
    pub cost: u32,
    /// For how long a step holds at first.
    pub expiry_min: Duration,
    /// And at most.
    pub expiry_max: Duration,
    /// Points of an answer that refuses (401, 403, 429); 0: it is no offence.
    pub refused: u32,
    /// Points of a malformed request.
    pub malformed: u32,
    /// Points of a failed handshake.
    pub handshake: u32,
    /// Bits of an IPv4 address that are one source, at most 32.
    pub ipv4_bits: u8,
    /// Bits of an IPv6 address that are one source, at most 128.
    pub ipv6_bits: u8,
    /// Whom it never touches.
    pub allow: Vec<IpNet>,
}

/// What became of requests and handshakes of a source since it was told of last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// Whose.
    pub source: IpAddr,
    /// Requests that were no offence.
    pub good: u32,
    /// Answered with 401, 403 or 429.
    pub refused: u32,
    /// That could not be read.
    pub malformed: u32,
    /// Handshakes that failed.
    pub handshakes: u32,
}

/// A prefix is held back from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub prefix: IpNet,
    /// Tokens that its SYNs take; 0: none is let in.
    pub cost: u32,
    /// For how long.
    pub expiry: Duration,
    /// For what mostly.
    pub reason: Reason,
}

/// Why a prefix is held back. The numbers stand in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// By hand.
    Operator = 0,
    /// Requests that were refused.
    Refused = 1,
    /// Requests that could not be read.
    Malformed = 2,
    /// Handshakes that failed.
    Handshake = 3,
}

impl Reason {
    /// As messages call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::Handshake => "handshake",
        }
    }

    /// The one of a number; `None`: another version's.
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Operator),
            1 => Some(Self::Refused),
            2 => Some(Self::Malformed),
            3 => Some(Self::Handshake),
            _ => None,
        }
    }
}

/// What is remembered of sources.
#[derive(Debug)]
pub struct Feed {
    terms: Terms,
    /// Of [`Terms::allow`]: first and last address, none in another, in order.
    allowed: Vec<(u128, u128)>,
    places: HashMap<IpNet, usize>,
    records: Vec<Record>,
    sources_max: usize,
    /// Where the next newcomer looks for a place.
    hand: usize,
    forgotten: u64,
}

/// How far a prefix is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Free,
    Slowed,
    ShutOut,
}

/// What is remembered of a prefix. Sums fade.
#[derive(Clone, Copy, Debug)]
struct Record {
    prefix: IpNet,
    at_ns: u64,
    stage: Stage,
    /// When points began to count for the next step, and when the stage ends.
    settled_ns: u64,
    ends_ns: u64,
    /// Points since then, by what gave them: refused, malformed, handshakes.
    points: [f64; 3],
    /// Offences since then; they don't fade.
    since_step: u32,
    offences: f64,
    good: f64,
    /// Steps, which fade more slowly.
    steps: f64,
    is_touched: bool,
}

impl Feed {
    /// Nothing is known of anybody.
    pub fn new(terms: Terms) -> Self {
        Self::with_room(terms, SOURCES_MAX)
    }

    fn with_room(terms: Terms, sources_max: usize) -> Self {
        let allowed = merged(&terms.allow);
        let (places, records) = (HashMap::new(), Vec::new());
        Self { terms, allowed, places, records, sources_max, hand: 0, forgotten: 0 }
    }

    /// Goes on by other terms. What is known stays, unless a source is something else now.
    pub fn adopt(&mut self, terms: Terms) {
        let bits = |terms: &Terms| (terms.ipv4_bits, terms.ipv6_bits);
        if bits(&terms) != bits(&self.terms) {
            self.places.clear();
            self.records.clear();
        }
        self.allowed = merged(&terms.allow);
        self.terms = terms;
    }

    /// Prefixes of which something is remembered.
    pub fn sources(&self) -> usize {
        self.records.len()
    }

    /// Prefixes that were forgotten to make room for others.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Takes in what the cores have told since it was called last, and says who is held back now. `now_ns` is of a clock that does
    /// not go back. A prefix goes one step a call at most.
    pub fn take(&mut self, told: &[Conduct], now_ns: u64) -> Vec<Hold> {
        let mut touched = Vec::new();
        for conduct in told {
            let weights = [self.terms.refused, self.terms.malformed, self.terms.handshake];
            let mut counts = [conduct.refused, conduct.malformed, conduct.handshakes];
            counts
                .iter_mut()
                .zip(weights)
                .filter(|(_, weight)| *weight == 0)
                .for_each(|(count, _)| *count = 0);
            if counts == [0; 3] || self.is_spared(conduct.source) {
                continue;
            }
            let place = self.place(conduct.source, now_ns);
            let record = &mut self.records[place];
            record.add(counts, weights, now_ns);
            if !std::mem::replace(&mut record.is_touched, true) {
                touched.push(place);
            }
        }
        // Behind all offences: only of who offends anything has to be remembered.
        for conduct in told.iter().filter(|conduct| conduct.good > 0) {
            if let Some(place) = self.prefix(conduct.source).and_then(|prefix| self.places.get(&prefix)) {
                let record = &mut self.records[*place];
                record.fade(&self.terms, now_ns);
                record.good += f64::from(conduct.good);
            }
        }
        let Self { records, terms, .. } = self;
        let step = |place: usize| {
            let record = &mut records[place];
            record.is_touched = false;
            record.step(terms, now_ns)
        };
        touched.into_iter().filter_map(step).collect()
    }

    fn is_spared(&self, source: IpAddr) -> bool {
        let canonical = source.to_canonical();
        if canonical.is_loopback() || canonical.is_unspecified() {
            return true;
        }
        let bits = bits(source);
        let behind = self.allowed.partition_point(|(first, _)| *first <= bits);
        behind > 0 && bits <= self.allowed[behind - 1].1
    }

    /// `None` for lengths that no address has; terms have none.
    fn prefix(&self, source: IpAddr) -> Option<IpNet> {
        let source = source.to_canonical();
        let bits = if source.is_ipv4() { self.terms.ipv4_bits } else { self.terms.ipv6_bits };
        IpNet::new(source, bits).ok().map(|net| net.trunc())
    }

    /// Where a source's record is; there is one from now on, and what was remembered has faded to this moment.
    fn place(&mut self, source: IpAddr, now_ns: u64) -> usize {
        let prefix = self.prefix(source).unwrap_or_else(|| source.to_canonical().into());
        if let Some(place) = self.places.get(&prefix) {
            self.records[*place].fade(&self.terms, now_ns);
            return *place;
        }
        let record = Record::new(prefix, now_ns);
        let place = if self.records.len() < self.sources_max {
            self.records.push(record);
            self.records.len() - 1
        } else {
            let place = self.least(now_ns);
            let gone = std::mem::replace(&mut self.records[place], record);
            self.places.remove(&gone.prefix);
            self.forgotten += u64::from(gone.weight(now_ns) >= WEIGHT_MIN);
            // It may be among those of this call, which will find the newcomer in its place.
            self.records[place].is_touched = gone.is_touched;
            place
        };
        self.places.insert(prefix, place);
        place
    }

    /// The one that weighs least of some: who comes with many prefixes drives out others of that kind, and not who is held back.
    fn least(&mut self, now_ns: u64) -> usize {
        let mut least = (f64::INFINITY, self.hand);
        for probe in 0..PROBES.min(self.records.len()) {
            let place = (self.hand + probe) % self.records.len();
            let record = &mut self.records[place];
            record.fade(&self.terms, now_ns);
            let weight = record.weight(now_ns);
            if weight < least.0 {
                least = (weight, place);
            }
        }
        self.hand = (self.hand + PROBES) % self.records.len();
        least.1
    }
}

impl Record {
    fn new(prefix: IpNet, now_ns: u64) -> Self {
        Self {
            prefix,
            at_ns: now_ns,
            stage: Stage::Free,
            settled_ns: now_ns,
            ends_ns: now_ns,
            points: [0.0; 3],
            since_step: 0,
            offences: 0.0,
            good: 0.0,
            steps: 0.0,
            is_touched: false,
        }
    }

    /// What it would cost to forget it.
    fn weight(&self, now_ns: u64) -> f64 {
        let held = if now_ns < self.ends_ns { 1e9 } else { 0.0 };
        self.points.iter().sum::<f64>() + self.steps + held
    }

    /// Forgets what time makes forgotten.
    fn fade(&mut self, terms: &Terms, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        if passed_ns == 0 {
            return;
        }
        let left = |half_life: Duration| {
            let halves = passed_ns as f64 / half_life.as_nanos().max(1) as f64;
            (-halves).exp2()
        };
        let (soon, late) = (left(terms.half_life), left(terms.expiry_max));
        self.points.iter_mut().for_each(|points| *points *= soon);
        (self.offences, self.good, self.steps) = (self.offences * soon, self.good * soon, self.steps * late);
        if self.points.iter().sum::<f64>() < WEIGHT_MIN {
            self.since_step = 0;
        }
        self.at_ns = now_ns;
        if now_ns >= self.ends_ns {
            self.stage = Stage::Free;
        }
    }

    fn add(&mut self, counts: [u32; 3], weights: [u32; 3], now_ns: u64) {
        let count = counts.iter().fold(0, |sum: u32, count| sum.saturating_add(*count));
        self.offences += f64::from(count);
        if now_ns < self.settled_ns {
            return;
        }
        self.since_step = self.since_step.saturating_add(count);
        for ((points, count), weight) in self.points.iter_mut().zip(counts).zip(weights) {
            *points += f64::from(count) * f64::from(weight);
        }
    }

    /// The next step, if there is reason for it.
    fn step(&mut self, terms: &Terms, now_ns: u64) -> Option<Hold> {
        let share = self.offences * 100.0 < f64::from(terms.share_percent) * (self.offences + self.good);
        let few = self.since_step < OFFENCES_MIN;
        if share || few || self.points.iter().sum::<f64>() < f64::from(terms.points) {
            return None;
        }
        let [refused, malformed, handshake] = self.points;
        let reason = match () {
            () if handshake > refused.max(malformed) => Reason::Handshake,
            () if malformed > refused => Reason::Malformed,
            () => Reason::Refused,
        };
        self.stage = if self.stage == Stage::Free { Stage::Slowed } else { Stage::ShutOut };
        let expiry = expiry(terms, self.steps);
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.steps += 1.0;
        (self.points, self.since_step) = ([0.0; 3], 0);
        self.settled_ns = now_ns.saturating_add(ns(SETTLE));
        self.ends_ns = now_ns.saturating_add(ns(expiry));
        // A cost of 0 would be a drop.
        let cost = if self.stage == Stage::Slowed { terms.cost.max(1) } else { 0 };
        Some(Hold { prefix: self.prefix, cost, expiry, reason })
    }
}

/// Twice as long for each step that is remembered.
fn expiry(terms: &Terms, steps: f64) -> Duration {
    let max = terms.expiry_max.max(terms.expiry_min);
    let seconds = terms.expiry_min.as_secs_f64() * steps.round().exp2();
    if seconds < max.as_secs_f64() { Duration::from_secs_f64(seconds) } else { max }
}

/// An address as a number, IPv4 as the IPv6 it maps to.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// First and last address of networks, in order and none in another.
fn merged(networks: &[IpNet]) -> Vec<(u128, u128)> {
    let mut ranges: Vec<_> =
        networks.iter().map(|net| (bits(net.network()), bits(net.broadcast()))).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}
