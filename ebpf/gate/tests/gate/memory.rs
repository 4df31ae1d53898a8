//! The tables in memory, with the kernel's rules: longest prefix wins, a table has so much room. One thread's own.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use gate::{
    Refused, Segment, Sightings, Tables, Torrent, Word,
    abi::{
        Address, Block, CONTROL_HEARTBEAT, CONTROL_IN_FORCE, CONTROLS, COUNTERS, Count, Event, InForce,
        POLICIES_MAX, PORTS, Policy, REFUSALS, Refusal, SETS, Source, SourceKey,
    },
};

/// A word among some.
#[derive(Clone)]
pub struct Place(Rc<[Cell<u64>; 6]>, usize);

impl Word for Place {
    fn get(&self) -> u64 {
        self.0[self.1].get()
    }

    fn swap_if(&self, old: u64, new: u64) -> u64 {
        let found = self.get();
        if found == old {
            self.set(new);
        }
        found
    }

    fn set(&self, value: u64) {
        self.0[self.1].set(value);
    }

    fn add(&self, more: u64) {
        self.set(self.get() + more);
    }
}

type Words = Rc<[Cell<u64>; 6]>;

/// All tables.
#[derive(Default)]
pub struct Memory {
    pub control: [u64; CONTROLS as usize],
    pub ports: HashMap<(u32, u16), u8>,
    pub policies: HashMap<u32, Policy>,
    /// Set, prefix, its bits, what holds.
    pub rules: Vec<(u32, Address, u32, u32)>,
    pub blocks: Vec<(Address, u32, Block)>,
    /// How many sources there is room for.
    pub sources_max: usize,
    /// Destinations to which this host forwards.
    pub forwarded: Vec<Address>,
    /// Source, its port, destination, its port.
    pub established: Vec<(Address, u16, Address, u16)>,
    pub counters: [Cell<u64>; COUNTERS as usize],
    pub events: RefCell<Vec<Event>>,
    sources: RefCell<HashMap<SourceKey, Words>>,
    floods: RefCell<HashMap<u32, (Words, Words)>>,
    refusals: RefCell<HashMap<u32, Words>>,
}

impl Memory {
    /// Empty tables of a gateway that lives, with set 0 in force.
    pub fn new() -> Self {
        let mut memory = Self { sources_max: usize::MAX, ..Self::default() };
        memory.control[CONTROL_HEARTBEAT as usize] = u64::MAX;
        memory.in_force(InForce { set: 0, before: InForce::NOTHING, trial_ends_ms: 0 });
        memory
    }

    pub fn in_force(&mut self, what: InForce) {
        self.control[CONTROL_IN_FORCE as usize] = what.word();
    }

    pub fn set_port(&mut self, set: u32, port: u16, policy: u8) {
        assert!(set < SETS && u32::from(port) < PORTS);
        self.ports.insert((set, port), policy);
    }

    pub fn set_policy(&mut self, set: u32, number: u8, policy: Policy) {
        assert!(set < SETS && u32::from(number) < POLICIES_MAX);
        self.policies.insert(set * POLICIES_MAX + u32::from(number), policy);
    }

    pub fn counted(&self, what: Count) -> u64 {
        self.counters[what as usize].get()
    }

    /// What is known of a source.
    pub fn sighting(&self, key: &SourceKey) -> Option<Source> {
        let sources = self.sources.borrow();
        let [syns_tat_ns, packets_tat_ns, syns, syns_over, packets_over, over_ns] =
            std::array::from_fn(|word| sources.get(key).map(|words| words[word].get()));
        Some(Source {
            syns_tat_ns: syns_tat_ns?,
            packets_tat_ns: packets_tat_ns?,
            syns: syns?,
            syns_over: syns_over?,
            packets_over: packets_over?,
            over_ns: over_ns?,
        })
    }

    /// What is in the place of a narrow prefix that begins so.
    pub fn refused(&self, address: &Address) -> Refusal {
        let number = gate::Place::new(*address).refusal();
        let words = Rc::clone(&self.refusals.borrow()[&number]);
        let [high, low, whose, until_ns, uncounted] = std::array::from_fn(|word| words[word].get());
        Refusal { high, low, whose, until_ns, uncounted }
    }

    pub fn sources(&self) -> usize {
        self.sources.borrow().len()
    }
}

/// Whether a prefix has an address.
fn has(prefix: &Address, bits: u32, address: &Address) -> bool {
    let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits) };
    (u128::from_be_bytes(*prefix) ^ u128::from_be_bytes(*address)) & mask == 0
}

impl Tables for Memory {
    type Word = Place;

    fn control(&self, word: u32) -> u64 {
        self.control[word as usize]
    }

    fn port(&self, set: u32, port: u16) -> u8 {
        self.ports.get(&(set, port)).copied().unwrap_or(0)
    }

    fn policy(&self, number: u32) -> Option<&Policy> {
        self.policies.get(&number)
    }

    fn torrent(&self, number: u32) -> Option<Torrent<Place>> {
        let mut floods = self.floods.borrow_mut();
        let (words, _) = floods.entry(number).or_default();
        let word = |index| Place(Rc::clone(words), index);
        Some(Torrent { syns_tat_ns: word(0), until_ns: word(1), through_tat_ns: word(2) })
    }

    fn lease(&self, number: u32) -> Option<Place> {
        Some(Place(Rc::clone(&self.floods.borrow_mut().entry(number).or_default().1), 0))
    }

    fn rule(&self, set: u32, address: &Address) -> u32 {
        let own = self.rules.iter().filter(|(of, prefix, bits, _)| *of == set && has(prefix, *bits, address));
        own.max_by_key(|(_, _, bits, _)| *bits).map_or(0, |(.., rule)| *rule)
    }

    fn block(&self, address: &Address, bits_max: u32) -> Option<Block> {
        let own =
            self.blocks.iter().filter(|(prefix, bits, _)| *bits <= bits_max && has(prefix, *bits, address));
        own.max_by_key(|(_, bits, _)| *bits).map(|(_, bits, block)| Block { bits: *bits, ..*block })
    }

    fn source(&self, key: &SourceKey) -> Option<Sightings<Place>> {
        let words = Rc::clone(self.sources.borrow().get(key)?);
        let word = |index| Place(Rc::clone(&words), index);
        Some(Sightings {
            syns_tat_ns: word(0),
            packets_tat_ns: word(1),
            syns: word(2),
            syns_over: word(3),
            packets_over: word(4),
            over_ns: word(5),
        })
    }

    fn refusal(&self, number: u32) -> Option<Refused<Place>> {
        assert!(number < REFUSALS);
        let words = Rc::clone(self.refusals.borrow_mut().entry(number).or_default());
        let word = |index| Place(Rc::clone(&words), index);
        Some(Refused { high: word(0), low: word(1), whose: word(2), until_ns: word(3), uncounted: word(4) })
    }

    fn add_source(&self, key: &SourceKey) {
        let mut sources = self.sources.borrow_mut();
        if sources.len() < self.sources_max {
            sources.entry(*key).or_default();
        }
    }

    fn count(&self, what: u32) {
        let counter = &self.counters[what as usize];
        counter.set(counter.get() + 1);
    }

    fn tell(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn is_established(&self, segment: &Segment) -> bool {
        let own =
            (segment.source.address(), segment.source_port, segment.destination.address(), segment.port);
        self.established.contains(&own)
    }

    fn is_forwarded(&self, segment: &Segment, _now_ns: u64) -> bool {
        self.forwarded.contains(&segment.destination.address())
    }
}
