//! The tables in the kernel, opened: typed access and nothing decided. Needs `CAP_BPF` at each call, since the kernel asks at each.

use crate::contents::{Contents, net};
use crate::rules::Digest;
use crate::trial::Now;
use crate::values::{
    self, BlockBytes, ConnectionsBytes, FloodBytes, PolicyBytes, RefusalBytes, RuleBytes, SourceBytes,
    SourceKeyBytes,
};
use crate::{Blocked, Connections, Counters, Error, Happened, Rtt, Source, kernel};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{
    Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues, ReusePortSockArray, RingBuf,
};
use gate::abi::{self, Address, Block, InForce, SourceKey, names};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

/// All of them but the ring of events.
pub(crate) struct Tables {
    control: Array<MapData, u64>,
    ports: Array<MapData, u8>,
    policies: Array<MapData, PolicyBytes>,
    floods: Array<MapData, FloodBytes>,
    rules: LpmTrie<MapData, RuleBytes, u32>,
    blocks: LpmTrie<MapData, Address, BlockBytes>,
    sources: HashMap<MapData, SourceKeyBytes, SourceBytes>,
    refusals: PerCpuArray<MapData, RefusalBytes>,
    counters: PerCpuArray<MapData, u64>,
    steering: Array<MapData, u32>,
    steered: PerCpuArray<MapData, u64>,
    groups: HashMap<MapData, u32, u32>,
    listeners: ReusePortSockArray<MapData>,
    connections: PerCpuArray<MapData, ConnectionsBytes>,
    rtt: PerCpuArray<MapData, u64>,
}

/// An error of aya's with all that lies below it.
pub(crate) fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    // A verifier's log is many lines; the first says what it is.
    text.lines().next().unwrap_or_default().to_owned()
}

fn kernel<E: std::error::Error>(what: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Kernel { what, why: why(&error) }
}

/// Opens a table that is pinned.
pub(crate) fn pinned(folder: &Path, name: &str) -> Result<Map, Error> {
    let path = folder.join(name);
    if !path.exists() {
        return Err(Error::NotAttached { path: folder.to_owned() });
    }
    let open = MapData::from_pin(path).and_then(Map::from_map_data);
    open.map_err(|error| {
        let rights = crate::rights::missing()
            .map(|missing| format!(" (this process lacks {missing})"))
            .unwrap_or_default();
        Error::Kernel {
            what: "a pinned table can't be opened",
            why: format!("{name}: {}{rights}", why(&error)),
        }
    })
}

impl Tables {
    /// Opens them all by name.
    pub(crate) fn open(mut get: impl FnMut(&str) -> Result<Map, Error>) -> Result<Self, Error> {
        macro_rules! table {
            ($name:ident) => {
                get(names::$name)?
                    .try_into()
                    .map_err(kernel::<MapError>(concat!(stringify!($name), " is of another shape")))?
            };
        }
        Ok(Self {
            control: table!(CONTROL),
            ports: table!(PORTS),
            policies: table!(POLICIES),
            floods: table!(FLOODS),
            rules: table!(RULES),
            blocks: table!(BLOCKS),
            sources: table!(SOURCES),
            refusals: table!(REFUSALS),
            counters: table!(COUNTERS),
            steering: table!(STEERING),
            steered: table!(STEERED),
            groups: table!(GROUPS),
            listeners: table!(LISTENERS),
            connections: table!(CONNECTIONS),
            rtt: table!(RTT),
        })
    }

    /// Those pinned in a folder.
    pub(crate) fn pinned(folder: &Path) -> Result<Self, Error> {
        Self::open(|name| pinned(folder, name))
    }

    /// Which set is in force.
    pub(crate) fn word(&self) -> Result<InForce, Error> {
        self.control
            .get(&abi::CONTROL_IN_FORCE, 0)
            .map(InForce::from_word)
            .map_err(kernel("CONTROL can't be read"))
    }

    /// Puts a set in force: one store.
    pub(crate) fn set_word(&mut self, word: InForce) -> Result<(), Error> {
        self.control.set(abi::CONTROL_IN_FORCE, word.word(), 0).map_err(kernel("CONTROL can't be written"))
    }

    /// What [`crate::trial`] wants to know.
    pub(crate) fn now(&self, sets: [Option<Digest>; 2], committed: Option<Digest>) -> Result<Now, Error> {
        Ok(Now { word: self.word()?, now_ns: kernel::now_ns(), sets, committed })
    }

    /// Says that somebody lived then. Of two that say so, one taking over from the other, the one who lived last counts.
    pub(crate) fn live(&mut self, then_ns: u64) -> Result<(), Error> {
        let known_ns =
            self.control.get(&abi::CONTROL_HEARTBEAT, 0).map_err(kernel("CONTROL can't be read"))?;
        if known_ns >= then_ns {
            return Ok(());
        }
        self.control.set(abi::CONTROL_HEARTBEAT, then_ns, 0).map_err(kernel("CONTROL can't be written"))
    }

    /// How old the last sign of life is; `None`: there was none.
    pub(crate) fn heartbeat_age(&self, now_ns: u64) -> Result<Option<Duration>, Error> {
        let beat = self.control.get(&abi::CONTROL_HEARTBEAT, 0).map_err(kernel("CONTROL can't be read"))?;
        Ok((beat != 0).then(|| Duration::from_nanos(now_ns.saturating_sub(beat))))
    }

    /// Writes a set that is not in force. `is_fresh`: nobody has written it yet.
    pub(crate) fn fill(&mut self, set: u32, contents: &Contents, is_fresh: bool) -> Result<(), Error> {
        let first = set * abi::PORTS;
        let write = kernel::<MapError>("PORTS can't be written");
        if is_fresh {
            for (&port, &value) in &contents.ports {
                self.ports.set(first + u32::from(port), value, 0).map_err(&write)?;
            }
        } else {
            for port in 0..=u16::MAX {
                let value = contents.ports.get(&port).copied().unwrap_or(0);
                let index = first + u32::from(port);
                if self.ports.get(&index, 0).map_err(&write)? != value {
                    self.ports.set(index, value, 0).map_err(&write)?;
                }
            }
        }
        for (number, policy) in (set * abi::POLICIES_MAX..).zip(&contents.policies) {
            self.policies
                .set(number, values::policy(policy), 0)
                .map_err(kernel("POLICIES can't be written"))?;
            self.floods.set(number, [0; _], 0).map_err(kernel("FLOODS can't be written"))?;
        }
        self.fill_rules(set, &contents.prefixes)?;
        self.forget_refusals()
    }

    fn fill_rules(&mut self, set: u32, wanted: &BTreeMap<(Address, u32), u32>) -> Result<(), Error> {
        let write = kernel::<MapError>("RULES can't be written");
        let prefix = set.to_be_bytes();
        let mut old = Vec::new();
        for key in self.rules.keys() {
            let key = key.map_err(kernel("RULES can't be read"))?;
            let data = key.data();
            if data[..4] == prefix {
                old.push(((data[4..].try_into().unwrap_or([0; 16])), key.prefix_len() - 32));
            }
        }
        for key in old.into_iter().filter(|key| !wanted.contains_key(key)) {
            self.rules.remove(&rule_key(set, key)).map_err(&write)?;
        }
        for (key, value) in wanted {
            self.rules.insert(&rule_key(set, *key), value, 0).map_err(&write)?;
        }
        Ok(())
    }

    /// Lets a prefix pass in both sets, and what is blocked inside of it.
    pub(crate) fn allow(&mut self, prefix: ipnet::IpNet) -> Result<(), Error> {
        let write = kernel::<MapError>("RULES can't be written");
        let mut blocked = Vec::new();
        for entry in self.rules.iter() {
            let (key, value) = entry.map_err(kernel("RULES can't be read"))?;
            let address: Address = key.data()[4..].try_into().unwrap_or([0; 16]);
            if value == abi::BLOCK && prefix.contains(&net(address, key.prefix_len() - 32)) {
                blocked.push(Key::new(key.prefix_len(), key.data()));
            }
        }
        for set in 0..abi::SETS {
            for key in crate::contents::keys(prefix) {
                self.rules.insert(&rule_key(set, key), abi::ALLOW, 0).map_err(&write)?;
            }
        }
        // What is the same prefix has just become one to allow.
        for key in blocked {
            if self.rules.get(&key, 0).is_ok_and(|value| value == abi::BLOCK) {
                self.rules.remove(&key).map_err(&write)?;
            }
        }
        self.forget_refusals()
    }

    /// Holds a prefix back.
    pub(crate) fn block(&mut self, prefix: ipnet::IpNet, block: &Block) -> Result<(), Error> {
        for (address, bits) in crate::contents::keys(prefix) {
            let insert =
                self.blocks.insert(&Key::new(bits, address), values::block(&Block { bits, ..*block }), 0);
            insert.map_err(kernel("BLOCKS takes no more"))?;
        }
        Ok(())
    }

    /// Whether this very prefix is shut out now, until then or later.
    pub(crate) fn is_shut_out(&self, prefix: ipnet::IpNet, until_ns: u64) -> bool {
        let is_shut = |(address, bits)| {
            let block = self.blocks.get(&Key::new(bits, address), 0).map(|block| values::read_block(&block));
            block.is_ok_and(|block| block.cost == 0 && block.expires_ns >= until_ns)
        };
        crate::contents::keys(prefix).all(is_shut)
    }

    /// Whether it was held back.
    pub(crate) fn unblock(&mut self, prefix: ipnet::IpNet) -> Result<bool, Error> {
        let mut was_there = false;
        for (address, bits) in crate::contents::keys(prefix) {
            match self.blocks.remove(&Key::new(bits, address)) {
                Ok(()) => was_there = true,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(kernel("BLOCKS can't be written")(error)),
            }
        }
        Ok(was_there)
    }

    /// Takes out what has expired; how many those were.
    pub(crate) fn sweep(&mut self, now_ns: u64) -> Result<usize, Error> {
        let mut expired = Vec::new();
        for entry in self.blocks.iter() {
            let (key, value) = entry.map_err(kernel("BLOCKS can't be read"))?;
            if values::read_block(&value).expires_ns <= now_ns {
                expired.push(key);
            }
        }
        for key in &expired {
            match self.blocks.remove(key) {
                Err(error) if !is_absent(&error) => return Err(kernel("BLOCKS can't be written")(error)),
                _ => {}
            }
        }
        Ok(expired.len())
    }

    /// Prefixes that are held back now.
    pub(crate) fn blocked(&self, now_ns: u64) -> Result<Vec<Blocked>, Error> {
        let mut blocked = Vec::new();
        for entry in self.blocks.iter() {
            let (key, value) = entry.map_err(kernel("BLOCKS can't be read"))?;
            let Block { expires_ns, cost, reason, .. } = values::read_block(&value);
            if let Some(left) = expires_ns.checked_sub(now_ns).filter(|&left| left > 0) {
                let prefix = net(key.data(), key.prefix_len());
                blocked.push(Blocked { prefix, left: Duration::from_nanos(left), cost, reason });
            }
        }
        Ok(blocked)
    }

    /// Sums over all CPUs.
    pub(crate) fn counters(&self) -> Result<Counters, Error> {
        let mut counters = Counters::default();
        for (number, count) in (0..).zip(&mut counters.0) {
            *count = sum(&self.counters, number)?;
        }
        Ok(counters)
    }

    /// Whether SYNs are challenged at any port.
    pub(crate) fn is_flooded(&self, now_ns: u64) -> Result<bool, Error> {
        for flood in self.floods.iter() {
            let flood = flood.map_err(kernel("FLOODS can't be read"))?;
            if values::read_flood_until_ns(&flood) > now_ns {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All that were seen lately. Two calls of the kernel for each: some 100 ms if the table is full.
    pub(crate) fn sources(&self) -> Vec<(SourceKey, Source)> {
        // One that fails the kernel took away while we looked.
        let entries = self.sources.iter().filter_map(Result::ok);
        let read = |(key, value)| {
            let key = values::read_source_key(&key);
            (key, self.with_uncounted(&key, source(&key, &value)))
        };
        entries.map(read).collect()
    }

    /// One of them; `None`: it is not there any more.
    pub(crate) fn source(&self, key: &SourceKey) -> Option<Source> {
        let value = self.sources.get(&values::source_key(key), 0).ok()?;
        Some(self.with_uncounted(key, source(key, &value)))
    }

    /// What is not in its entry yet. A table that can't be read adds nothing: the entry alone is a moment behind.
    fn with_uncounted(&self, key: &SourceKey, mut source: Source) -> Source {
        let prefix = gate::Place::new(key.address);
        let each = self.refusals.get(&prefix.refusal(), 0);
        let of_all = each.iter().flat_map(|each| each.iter()).map(values::read_refusal);
        let own = of_all.filter(|refusal| {
            let policy = refusal.whose as u32 % abi::POLICIES_MAX;
            (refusal.high, refusal.low) == (prefix.high, prefix.low)
                && (refusal.whose >> 32, policy) == (key.bits.into(), key.policy.into())
        });
        let more = own.fold(0_u64, |sum, refusal| sum.saturating_add(refusal.uncounted));
        source.syns = source.syns.saturating_add(more);
        source.syns_over = source.syns_over.saturating_add(more);
        source
    }

    /// Has rules that have just become others asked at once.
    fn forget_refusals(&mut self) -> Result<(), Error> {
        let cpus = self.refusals.get(&0, 0).map_err(kernel("REFUSALS can't be read"))?.len();
        for place in 0..abi::REFUSALS {
            let none = PerCpuValues::try_from(vec![[0; size_of::<abi::Refusal>()]; cpus]);
            let none = none.map_err(kernel("the number of CPUs is not known"))?;
            self.refusals.set(place, none, 0).map_err(kernel("REFUSALS can't be written"))?;
        }
        Ok(())
    }

    /// What the kernel tells of our connections.
    pub(crate) fn connections(&self) -> Result<Connections, Error> {
        let all = self.connections.get(&0, 0).map_err(kernel("CONNECTIONS can't be read"))?;
        let add = |sum: Connections, one: Connections| Connections {
            established: sum.established.wrapping_add(one.established),
            closed: sum.closed.wrapping_add(one.closed),
            retransmits: sum.retransmits.wrapping_add(one.retransmits),
            timeouts: sum.timeouts.wrapping_add(one.timeouts),
            rtt_us_sum: sum.rtt_us_sum.wrapping_add(one.rtt_us_sum),
            rtt_samples: sum.rtt_samples.wrapping_add(one.rtt_samples),
        };
        Ok(all.iter().map(values::read_connections).fold(Connections::default(), add))
    }

    /// Their round trips.
    pub(crate) fn rtt(&self) -> Result<Rtt, Error> {
        let mut rtt = Rtt::default();
        for (number, count) in (0..).zip(&mut rtt.0) {
            *count = sum(&self.rtt, number)?;
        }
        Ok(rtt)
    }

    /// Each bucket's core.
    pub(crate) fn steering(&self) -> Result<Vec<u32>, Error> {
        self.steering.iter().collect::<Result<_, _>>().map_err(kernel("STEERING can't be read"))
    }

    /// Gives buckets another core.
    pub(crate) fn steer(&mut self, moves: &[crate::steering::Move]) -> Result<(), Error> {
        for &crate::steering::Move { bucket, core } in moves {
            self.steering.set(bucket as u32, core, 0).map_err(kernel("STEERING can't be written"))?;
        }
        Ok(())
    }

    /// Connections that each bucket brought since the tables were made.
    pub(crate) fn steered(&self) -> Result<Vec<u64>, Error> {
        (0..abi::STEERING_BUCKETS).map(|bucket| sum(&self.steered, bucket)).collect()
    }

    /// A core has no listener in a group any more.
    pub(crate) fn clear_listener(&mut self, group: u32, core: u32) -> Result<(), Error> {
        match self.listeners.clear_index(&(group * abi::CORES_MAX + core)) {
            Err(error) if !is_absent(&error) => Err(kernel("LISTENERS can't be written")(error)),
            _ => Ok(()),
        }
    }

    /// A core's listener in a group, which had none.
    pub(crate) fn set_listener(
        &mut self,
        group: u32,
        core: u32,
        socket: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        let set = self.listeners.set(group * abi::CORES_MAX + core, &socket.as_raw_fd(), 0);
        set.map_err(kernel("a listener can't be steered to"))
    }

    /// A listener's group, found again or made.
    pub(crate) fn group(&mut self, key: u32) -> Result<u32, Error> {
        let read = kernel::<MapError>("GROUPS can't be read");
        let known: BTreeMap<u32, u32> = self.groups.iter().collect::<Result<_, _>>().map_err(read)?;
        if let Some(&group) = known.get(&key) {
            return Ok(group);
        }
        let free = (0..abi::GROUPS_MAX).find(|group| !known.values().any(|taken| taken == group));
        let group = free.ok_or(Error::TooManyListeners { max: abi::GROUPS_MAX })?;
        self.groups.insert(key, group, 0).map_err(kernel("GROUPS can't be written"))?;
        Ok(group)
    }

    /// Groups that are there, by key.
    pub(crate) fn groups(&self) -> Result<BTreeMap<u32, u32>, Error> {
        self.groups.iter().collect::<Result<_, _>>().map_err(kernel("GROUPS can't be read"))
    }

    /// A group that nobody listens in any more.
    pub(crate) fn remove_group(&mut self, key: u32) -> Result<(), Error> {
        self.groups.remove(&key).map_err(kernel("GROUPS can't be written"))
    }
}

fn rule_key(set: u32, (address, bits): (Address, u32)) -> Key<RuleBytes> {
    Key::new(32 + bits, values::rule_key(set, address))
}

fn is_absent(error: &MapError) -> bool {
    match error {
        MapError::KeyNotFound | MapError::ElementNotFound => true,
        MapError::SyscallError(error) => error.io_error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn sum(table: &PerCpuArray<MapData, u64>, number: u32) -> Result<u64, Error> {
    let values = table.get(&number, 0).map_err(kernel("a table of counts can't be read"))?;
    Ok(values.iter().fold(0, |sum, value| sum.wrapping_add(*value)))
}

fn source(key: &SourceKey, value: &SourceBytes) -> Source {
    let value = values::read_source(value);
    Source {
        prefix: net(key.address, key.bits.into()),
        policy: key.policy,
        syns: value.syns.saturating_add(value.syns_over),
        syns_over: value.syns_over,
        packets_over: value.packets_over,
    }
}

/// The ring of events. Whoever opens it takes out what is in it: one reader at a time.
pub(crate) struct Events(RingBuf<MapData>);

impl Events {
    pub(crate) fn open(map: Map) -> Result<Self, Error> {
        map.try_into().map(Self).map_err(kernel("EVENTS can't be opened"))
    }

    /// What has happened and was not read yet, oldest first, `max` at most.
    /// Who has gone above a limit is told by its key too.
    pub(crate) fn take(&mut self, max: usize, mut who: impl FnMut(SourceKey)) -> Vec<Happened> {
        let mut events = Vec::new();
        while events.len() < max {
            let Some(record) = self.0.next() else { break };
            // One of another length is of a program that is not ours.
            let Some(event) = values::read_event(&record) else { continue };
            let key = Some(event.source).filter(|source| source.bits != 0);
            key.into_iter().for_each(&mut who);
            events.push(Happened {
                at_ns: event.at_ns,
                prefix: key.map(|key| net(key.address, key.bits.into())),
                port: event.port,
                what: event.what,
            });
        }
        events
    }
}
