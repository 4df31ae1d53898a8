//! How many connections clients may have: on the node, on a listener, from one source prefix. The counts are shared by
//! all cores, so that limits are exact: an accept and a close each cost two or three atomic operations, a request none.
//!
//! A connection above a limit is reset at once. Left in the kernel's queue it would wait among those that may come in, and
//! its client would learn nothing; a FIN would leave the closing to be kept by us. Only where descriptors or memory have
//! run out does the runtime stop accepting.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use snapshot::{ClientConnections, Snapshot};

/// Places in which a prefix may be counted: two cache lines.
const WINDOW: usize = 16;
/// A home begins a cache line.
const HOME: usize = 8;
/// Places there may be: 8 MiB.
const PLACES_MAX: usize = 1 << 20;
/// The lower bits of a place hold its count, the others tell whose it is. A collision, once in a trillion pairs that meet
/// in a window, makes two prefixes share a limit.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The node's counts of connections.
#[derive(Debug)]
pub struct Gate {
    max: usize,
    open: AtomicUsize,
    /// By listener; they do not come and go while the node runs.
    listeners: Box<[AtomicUsize]>,
    /// Connections of a prefix; free where the count is 0.
    places: Box<[AtomicU64]>,
    /// Secret of this process: nobody outside can choose prefixes that meet in one window.
    key: RandomState,
    untracked: AtomicU64,
}

/// No place.
const UNTRACKED: u32 = u32::MAX;

/// A connection's place in the counts, to be given back with [`Gate::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    listener: u32,
    /// Below [`PLACES_MAX`]; [`UNTRACKED`] where its prefix is not counted.
    place: u32,
}

impl Permit {
    /// Number of its listener.
    pub(crate) fn listener(self) -> usize {
        self.listener as usize
    }
}

/// The limit at which a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Node,
    Listener,
    Client,
    Memory,
    /// How many its prefix begins, where the kernel does not look at that.
    Rate,
}

impl Full {
    /// The name in the metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Node => "connections_max",
            Self::Listener => "listener",
            Self::Client => "client",
            Self::Memory => "memory",
            Self::Rate => "rate",
        }
    }
}

impl Gate {
    /// Lets in so many connections, over so many listeners.
    pub fn new(max: usize, listeners: usize) -> Self {
        let places = max.saturating_mul(2).clamp(WINDOW, PLACES_MAX).next_power_of_two();
        Self {
            max,
            open: AtomicUsize::new(0),
            listeners: (0..listeners).map(|_| AtomicUsize::new(0)).collect(),
            places: (0..places).map(|_| AtomicU64::new(0)).collect(),
            key: RandomState::new(),
            untracked: AtomicU64::new(0),
        }
    }

    /// Connections that the node may have.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Connections there are.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Connections whose prefix could not be counted, since its places were taken by others: they were let in.
    pub fn untracked(&self) -> u64 {
        self.untracked.load(Relaxed)
    }

    /// Counts a connection, or says which limit forbids it. Peers that speak for others are not counted by prefix.
    pub(crate) fn enter(&self, snapshot: &Snapshot, listener: usize, peer: IpAddr) -> Result<Permit, Full> {
        let listener_max = snapshot.listeners.get(listener).and_then(|it| it.connections_max);
        let peer = peer.to_canonical();
        let client = &snapshot.client_connections;
        let prefix_max = client.max.filter(|_| !snapshot.client.is_trusted(peer));
        take(&self.open, self.max).ok_or(Full::Node)?;
        if let Some(count) = self.listeners.get(listener)
            && take(count, listener_max.unwrap_or(usize::MAX)).is_none()
        {
            self.open.fetch_sub(1, Relaxed);
            return Err(Full::Listener);
        }
        let listener = u32::try_from(listener).unwrap_or(u32::MAX);
        let mut permit = Permit { listener, place: UNTRACKED };
        if let Some(max) = prefix_max {
            match self.enter_prefix(prefix(peer, client), max) {
                Ok(place) => permit.place = place.map_or(UNTRACKED, |place| place as u32),
                Err(full) => {
                    self.leave(permit);
                    return Err(full);
                }
            }
        }
        Ok(permit)
    }

    /// A connection has ended.
    pub(crate) fn leave(&self, permit: Permit) {
        self.open.fetch_sub(1, Relaxed);
        if let Some(count) = self.listeners.get(permit.listener as usize) {
            count.fetch_sub(1, Relaxed);
        }
        if let Some(place) = self.places.get(permit.place as usize) {
            place.fetch_sub(1, Relaxed);
        }
    }

    /// Counts a prefix; `None` if all its places are taken by others.
    fn enter_prefix(&self, prefix: (u8, u128), max: u32) -> Result<Option<usize>, Full> {
        let hash = self.key.hash_one(prefix);
        let home = (hash as usize & (self.places.len() - 1)) / HOME * HOME;
        let tag = hash & !COUNT_MASK;
        loop {
            let (mut own, mut free, mut count) = (None, None, 0);
            for offset in 0..WINDOW {
                let place = (home + offset) & (self.places.len() - 1);
                let word = self.places[place].load(Relaxed);
                match word & COUNT_MASK {
                    0 => {
                        free.get_or_insert((place, word));
                    }
                    // Two cores that came at the same moment may have taken two places: both count.
                    of if word & !COUNT_MASK == tag => {
                        count += of;
                        own.get_or_insert((place, word));
                    }
                    _ => {}
                }
            }
            if count >= u64::from(max).min(COUNT_MASK - 1) {
                return Err(Full::Client);
            }
            let Some((place, word)) = own.or(free) else {
                self.untracked.fetch_add(1, Relaxed);
                return Ok(None);
            };
            let counted = if own.is_some() { word + 1 } else { tag | 1 };
            if self.places[place].compare_exchange_weak(word, counted, Relaxed, Relaxed).is_ok() {
                return Ok(Some(place));
            }
        }
    }
}

/// Counts one more, unless there are `max`.
fn take(count: &AtomicUsize, max: usize) -> Option<usize> {
    count.fetch_update(Relaxed, Relaxed, |count| (count < max).then(|| count + 1)).ok()
}

/// The part of an address that one client has.
fn prefix(peer: IpAddr, client: &ClientConnections) -> (u8, u128) {
    let masked = |bits: u128, width: u32, prefix: u8| match width.saturating_sub(prefix.into()) {
        128 => 0,
        rest => bits >> rest,
    };
    match peer {
        IpAddr::V4(address) => (4, masked(address.to_bits().into(), 32, client.ipv4_prefix)),
        IpAddr::V6(address) => (6, masked(address.to_bits(), 128, client.ipv6_prefix)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const RULES: ClientConnections = ClientConnections { max: Some(3), ipv4_prefix: 24, ipv6_prefix: 64 };

    fn of(address: &str) -> (u8, u128) {
        prefix(address.parse::<IpAddr>().unwrap().to_canonical(), &RULES)
    }

    #[test]
    fn a_client_is_a_prefix() {
        for (one, other, same) in [
            ("10.0.0.1", "10.0.0.255", true),
            ("10.0.0.1", "10.0.1.1", false),
            ("::ffff:10.0.0.1", "10.0.0.2", true),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::10.0.0.1", "10.0.0.1", false),
        ] {
            assert_eq!(of(one) == of(other), same, "{one} {other}");
        }
        let all = ClientConnections { max: None, ipv4_prefix: 0, ipv6_prefix: 0 };
        assert_eq!(prefix("::1".parse().unwrap(), &all), prefix("ff::".parse().unwrap(), &all));
        assert_eq!(prefix("1.1.1.1".parse().unwrap(), &all), prefix("9.9.9.9".parse().unwrap(), &all));
        let each = ClientConnections { max: None, ipv4_prefix: 32, ipv6_prefix: 128 };
        assert_ne!(prefix("::1".parse().unwrap(), &each), prefix("::2".parse().unwrap(), &each));
    }

    #[test]
    fn a_full_window_lets_in_and_says_so() {
        let gate = Gate::new(WINDOW / 2, 0);
        assert_eq!(gate.places.len(), WINDOW);
        for number in 0..WINDOW as u128 {
            assert!(gate.enter_prefix((4, number), 1).unwrap().is_some());
        }
        assert_eq!(gate.enter_prefix((4, 99), 1), Ok(None));
        assert_eq!(gate.untracked(), 1);
        assert_eq!(gate.enter_prefix((4, 0), 1), Err(Full::Client), "who is counted stays counted");
    }

    /// However many cores count at once: no more than the limit are in, and none is lost.
    #[test]
    fn cores_count_together() {
        const MAX: u32 = 40;
        let gate = Gate::new(1_000, 0);
        let inside = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..2_000_usize {
                        let entered: Vec<_> = (0..round % 23)
                            .filter_map(|_| gate.enter_prefix((4, 7), MAX).ok())
                            .inspect(|_| {
                                most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                            })
                            .collect();
                        for place in entered {
                            inside.fetch_sub(1, Relaxed);
                            gate.places[place.unwrap()].fetch_sub(1, Relaxed);
                        }
                    }
                });
            }
        });
        // Each core may have counted in the test's own number what it has just let go.
        assert!(most.into_inner() <= MAX as usize + 4, "too many");
        assert!(gate.places.iter().all(|place| place.load(Relaxed) & COUNT_MASK == 0));
    }

    proptest! {
        /// The table is a map of counts, whatever comes and goes.
        #[test]
        fn counts_are_those_of_a_map(steps in proptest::collection::vec((0..12_u128, any::<bool>()), 0..200)) {
            let gate = Gate::new(64, 0);
            let mut open: HashMap<u128, Vec<usize>> = HashMap::new();
            for (client, comes) in steps {
                let places = open.entry(client).or_default();
                if comes {
                    match gate.enter_prefix((4, client), 5) {
                        Ok(place) => places.push(place.unwrap()),
                        Err(full) => prop_assert_eq!((full, places.len()), (Full::Client, 5)),
                    }
                    prop_assert!(places.len() <= 5);
                } else if let Some(place) = places.pop() {
                    gate.places[place].fetch_sub(1, Relaxed);
                }
            }
        }
    }
}
