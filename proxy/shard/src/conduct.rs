//! What clients did, for who holds sources back before they connect: a core adds up what it sees of those that offend and tells it
//! once a second, without waiting; where nobody wants to know nothing is added up. It does not know what is made of it.
//!
//! A source has a place of its core's once it has offended, and keeps it for a minute after its last offence. As long as it does its
//! good requests are counted as well: they speak for it. Nothing is counted of anybody else.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crossbeam::queue::ArrayQueue;

/// Sources that a core adds up at once. One that comes to a place that is taken makes the core tell of the other at once.
const PLACES: usize = 256;
/// Tales of a core that may wait for who takes them; what comes on top is lost, and counted.
const TOLD_MAX: usize = 1_024;
/// So many rounds without an offence and a source has no place any more. A round is a second.
const ROUNDS_MAX: u8 = 60;

/// What became of requests and handshakes of a source since it was told of last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// The first address of its prefix.
    pub source: IpAddr,
    /// Requests that were answered and are no offence.
    pub good: u32,
    /// Requests that were answered with 401, 403 or 429.
    pub refused: u32,
    /// Requests that could not be read.
    pub malformed: u32,
    /// TLS handshakes that failed, those left out in which a client just went away: so does whoever looks whether a port is open.
    pub handshakes: u32,
}

/// Where cores tell what clients did. Shared by all of them.
#[derive(Debug)]
pub struct Offences {
    told: ArrayQueue<Conduct>,
    lost: AtomicU64,
    ipv4_mask: u32,
    ipv6_mask: u128,
}

impl Offences {
    /// For so many cores. Addresses of which the first so many bits are the same are one source.
    pub fn new(cores: usize, ipv4_bits: u8, ipv6_bits: u8) -> Self {
        let mask =
            |width: u32, bits: u8| u128::MAX.checked_shl(width.saturating_sub(bits.into())).unwrap_or(0);
        Self {
            told: ArrayQueue::new(cores.max(1) * TOLD_MAX),
            lost: AtomicU64::new(0),
            ipv4_mask: mask(32, ipv4_bits) as u32,
            ipv6_mask: mask(128, ipv6_bits),
        }
    }

    /// Adds to `conducts` what was told since it was called last.
    pub fn take(&self, conducts: &mut Vec<Conduct>) {
        // While it is read more may come: one round is enough.
        conducts.extend((0..self.told.capacity()).map_while(|_| self.told.pop()));
    }

    /// Tales that found no room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    fn tell(&self, conduct: Conduct) {
        if self.told.push(conduct).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    fn source(&self, peer: IpAddr) -> IpAddr {
        match peer.to_canonical() {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & self.ipv4_mask).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & self.ipv6_mask).into(),
        }
    }
}

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Asked, and was answered.
    Good,
    /// Was told that it may not, or not so often.
    Refused,
    /// Sent what is no request.
    Malformed,
    /// Did not come through the handshake.
    Handshake,
}

/// What a core has seen since it told last.
pub(crate) struct Notes {
    offences: Arc<Offences>,
    /// Nobody outside can choose sources that meet in one place.
    key: RandomState,
    places: Box<[Place]>,
}

#[derive(Clone, Copy)]
struct Place {
    /// All 0: nobody's.
    conduct: Conduct,
    /// Rounds since its last offence; [`ROUNDS_MAX`]: it is free.
    rounds: u8,
}

impl Notes {
    pub(crate) fn new(offences: Arc<Offences>) -> Self {
        let places =
            vec![Place { conduct: nothing(Ipv4Addr::UNSPECIFIED.into()), rounds: ROUNDS_MAX }; PLACES];
        Self { offences, key: RandomState::new(), places: places.into() }
    }

    /// Adds one.
    pub(crate) fn note(&mut self, peer: IpAddr, deed: Deed) {
        let Self { offences, key, places } = self;
        let source = offences.source(peer);
        let place = &mut places[key.hash_one(source) as usize % PLACES];
        if place.is_free() || place.conduct.source != source {
            if deed == Deed::Good {
                return;
            }
            place.tell(offences);
            place.conduct = nothing(source);
        }
        let Conduct { good, refused, malformed, handshakes, .. } = &mut place.conduct;
        let count = match deed {
            Deed::Good => good,
            Deed::Refused => refused,
            Deed::Malformed => malformed,
            Deed::Handshake => handshakes,
        };
        *count = count.saturating_add(1);
        if deed != Deed::Good {
            place.rounds = 0;
        }
    }

    /// Tells all that was added up. To be called once a second.
    pub(crate) fn tell(&mut self) {
        for place in self.places.iter_mut().filter(|place| !place.is_free()) {
            place.tell(&self.offences);
            place.rounds += 1;
        }
    }
}

impl Place {
    fn is_free(&self) -> bool {
        self.rounds >= ROUNDS_MAX
    }

    /// Tells of its source, unless there is nothing to tell.
    fn tell(&mut self, offences: &Offences) {
        let nothing = nothing(self.conduct.source);
        if self.conduct != nothing {
            offences.tell(std::mem::replace(&mut self.conduct, nothing));
        }
    }
}

fn nothing(source: IpAddr) -> Conduct {
    Conduct { source, good: 0, refused: 0, malformed: 0, handshakes: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `deeds` are letters: a good request, one that is refused, one that is malformed, a handshake that fails; `.` tells.
    /// What comes of it is shown in the same letters, with their counts.
    #[track_caller]
    fn check(deeds: &[(&str, &str)], expected: &[&str]) {
        let offences = Arc::new(Offences::new(1, 24, 64));
        let mut notes = Notes::new(offences.clone());
        let mut told = Vec::new();
        for (peer, deeds) in deeds {
            for deed in deeds.chars() {
                let deed = match deed {
                    'g' => Deed::Good,
                    'r' => Deed::Refused,
                    'm' => Deed::Malformed,
                    'h' => Deed::Handshake,
                    _ => {
                        notes.tell();
                        offences.take(&mut told);
                        continue;
                    }
                };
                notes.note(peer.parse().unwrap(), deed);
            }
        }
        let shown: Vec<_> = told.iter().map(shown).collect();
        assert_eq!(shown, expected);
        assert_eq!(offences.lost(), 0);
    }

    fn shown(told: &Conduct) -> String {
        let Conduct { source, good, refused, malformed, handshakes } = told;
        format!("{source} {good}g {refused}r {malformed}m {handshakes}h")
    }

    #[test]
    fn offences_of_a_prefix_are_added_up() {
        check(&[("192.0.2.1", "rrmrhh."), ("192.0.2.1", ".")], &["192.0.2.0 0g 3r 1m 2h"]);
        check(
            &[("192.0.2.1", "r"), ("192.0.2.2", "r"), ("::ffff:192.0.2.3", "r."), ("192.0.2.4", "r.")],
            &["192.0.2.0 0g 3r 0m 0h", "192.0.2.0 0g 1r 0m 0h"],
        );
        check(&[("2001:db8::1", "m"), ("2001:db8::ffff:1", "m.")], &["2001:db8:: 0g 0r 2m 0h"]);
    }

    #[test]
    fn good_requests_count_for_who_has_offended_lately() {
        check(&[("192.0.2.1", "ggg.")], &[]);
        check(&[("192.0.2.1", "gggrgg.gg.")], &["192.0.2.0 2g 1r 0m 0h", "192.0.2.0 2g 0r 0m 0h"]);
        let quiet = ".".repeat(ROUNDS_MAX.into());
        check(&[("192.0.2.1", "r"), ("192.0.2.1", &quiet), ("192.0.2.1", "gg.")], &["192.0.2.0 0g 1r 0m 0h"]);
        check(
            &[("192.0.2.1", "r"), ("192.0.2.1", &quiet[1..]), ("192.0.2.1", "gg.")],
            &["192.0.2.0 0g 1r 0m 0h", "192.0.2.0 2g 0r 0m 0h"],
        );
    }

    #[test]
    fn many_sources_are_told_at_once_or_counted_as_lost() {
        let offences = Arc::new(Offences::new(2, 32, 128));
        let mut notes = Notes::new(offences.clone());
        let (mut told, mut sum) = (Vec::new(), 0);
        for round in 0..20_u32 {
            for number in 0..1_000 {
                notes.note(Ipv4Addr::from_bits(round << 16 | number).into(), Deed::Refused);
            }
            notes.tell();
            offences.take(&mut told);
            sum += 1_000;
            assert_eq!(told.iter().map(|it| it.refused).sum::<u32>(), sum);
        }
        assert_eq!(offences.lost(), 0);
        let room = 2 * TOLD_MAX as u32;
        for number in 0..room + 1_000 {
            notes.note(Ipv4Addr::from_bits(number).into(), Deed::Refused);
        }
        notes.tell();
        told.clear();
        offences.take(&mut told);
        assert_eq!((told.len() as u32, offences.lost()), (room, 1_000));
    }

    #[test]
    fn any_length_of_a_prefix_will_do() {
        for (bits, ipv4, ipv6) in
            [(0, "0.0.0.0", "::"), (8, "203.0.0.0", "2000::"), (255, "203.0.113.9", "2001:db8::9")]
        {
            let offences = Offences::new(0, bits, bits);
            assert_eq!(offences.source("203.0.113.9".parse().unwrap()).to_string(), ipv4);
            assert_eq!(offences.source("2001:db8::9".parse().unwrap()).to_string(), ipv6);
        }
    }
}
