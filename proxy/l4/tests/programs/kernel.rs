//! The object in the kernel, its tables filled from those in memory, its programs run on frames.

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, LpmTrie, MapData, PerCpuArray, PerCpuValues, RingBuf, lpm_trie::Key},
    programs::{ProgramError, SchedClassifier, TestRun, TestRunOptions, TestRunResult, Xdp},
    util::nr_cpus,
};
use gate::abi::{
    Address, Block, COUNTERS, Count, Limit, POLICIES_MAX, PORTS, Policy, REFUSALS, SETS, SourceKey, names,
};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use crate::memory::Memory;

static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../ebpf/floodgate.o");

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Tcx,
    /// Of an interface whose packets have no Ethernet header: it gets what stands behind it.
    TcxIp,
    Xdp,
}

impl Hook {
    /// Whether the kernel makes a test run of such a frame: Ethernet's header is there, and for tcx the fixed part of what follows. It
    /// takes what begins with IP's header for such a frame.
    pub fn takes(self, frame: &[u8]) -> bool {
        let frame = self.of(frame);
        let least = match (self, frame.get(12..14)) {
            (_, None) => return false,
            (Self::Tcx | Self::TcxIp, Some([0x08, 0x00])) => 14 + 20,
            (Self::Tcx | Self::TcxIp, Some([0x86, 0xdd])) => 14 + 40,
            _ => 14,
        };
        frame.len() >= least
    }

    /// What it gets of a frame.
    pub fn of(self, frame: &[u8]) -> &[u8] {
        if self == Self::TcxIp { frame.get(14..).unwrap_or_default() } else { frame }
    }
}

type PolicyBytes = [u8; size_of::<Policy>()];
type SourceBytes = [u8; size_of::<SourceKey>()];
type Values = [u64; 6];

pub struct Kernel {
    programs: Ebpf,
    control: Array<MapData, u64>,
    ports: Array<MapData, u8>,
    policies: Array<MapData, PolicyBytes>,
    floods: Array<MapData, [u64; 8]>,
    leases: PerCpuArray<MapData, u64>,
    rules: LpmTrie<MapData, [u8; 20], u32>,
    blocks: LpmTrie<MapData, Address, [u8; size_of::<Block>()]>,
    sources: HashMap<MapData, SourceBytes, Values>,
    refusals: PerCpuArray<MapData, [u64; 5]>,
    counters: PerCpuArray<MapData, u64>,
    events: RingBuf<MapData>,
    ports_set: Vec<u32>,
}

impl Kernel {
    /// Loads the committed object. The thread stays on one CPU from here on: leases are a CPU's own.
    pub fn load() -> Self {
        let mut cpu = CpuSet::new();
        cpu.set(rustix::thread::sched_getcpu());
        sched_setaffinity(None, &cpu).unwrap();
        let mut programs = EbpfLoader::new().load(OBJECT).unwrap();
        for name in [names::TCX, names::TCX_IP] {
            let tcx: &mut SchedClassifier = programs.program_mut(name).unwrap().try_into().unwrap();
            tcx.load().unwrap();
        }
        let xdp: &mut Xdp = programs.program_mut(names::XDP).unwrap().try_into().unwrap();
        xdp.load().unwrap();
        let mut take = |name: &str| programs.take_map(name).unwrap();
        Self {
            control: take(names::CONTROL).try_into().unwrap(),
            ports: take(names::PORTS).try_into().unwrap(),
            policies: take(names::POLICIES).try_into().unwrap(),
            floods: take(names::FLOODS).try_into().unwrap(),
            leases: take(names::LEASES).try_into().unwrap(),
            rules: take(names::RULES).try_into().unwrap(),
            blocks: take(names::BLOCKS).try_into().unwrap(),
            sources: take(names::SOURCES).try_into().unwrap(),
            refusals: take(names::REFUSALS).try_into().unwrap(),
            counters: take(names::COUNTERS).try_into().unwrap(),
            events: take(names::EVENTS).try_into().unwrap(),
            ports_set: Vec::new(),
            programs,
        }
    }

    /// By the programs' clock.
    pub fn now_ns(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    /// What is in memory, and nothing else.
    pub fn fill(&mut self, memory: &Memory) {
        for (word, value) in memory.control.iter().enumerate() {
            self.control.set(word as u32, value, 0).unwrap();
        }
        for number in self.ports_set.drain(..) {
            self.ports.set(number, 0, 0).unwrap();
        }
        for (&(set, port), policy) in &memory.ports {
            let number = set * PORTS + u32::from(port);
            self.ports.set(number, policy, 0).unwrap();
            self.ports_set.push(number);
        }
        let cpus = nr_cpus().unwrap();
        for number in 0..SETS * POLICIES_MAX {
            let policy = memory.policies.get(&number).copied().unwrap_or_default();
            self.policies.set(number, bytes(&policy), 0).unwrap();
            self.floods.set(number, [0; 8], 0).unwrap();
            self.leases.set(number, PerCpuValues::try_from(vec![0; cpus]).unwrap(), 0).unwrap();
        }
        let old: Vec<_> = self.rules.keys().map(Result::unwrap).collect();
        for key in old {
            self.rules.remove(&key).unwrap();
        }
        for (set, prefix, bits, rule) in &memory.rules {
            let mut key = [0; 20];
            key[..4].copy_from_slice(&set.to_be_bytes());
            key[4..].copy_from_slice(prefix);
            self.rules.insert(&Key::new(32 + bits, key), rule, 0).unwrap();
        }
        let old: Vec<_> = self.blocks.keys().map(Result::unwrap).collect();
        for key in old {
            self.blocks.remove(&key).unwrap();
        }
        for (prefix, bits, block) in &memory.blocks {
            let mut value = [0; size_of::<Block>()];
            value[..8].copy_from_slice(&block.expires_ns.to_ne_bytes());
            value[8..12].copy_from_slice(&block.cost.to_ne_bytes());
            value[12..16].copy_from_slice(&block.reason.to_ne_bytes());
            value[16..20].copy_from_slice(&bits.to_ne_bytes());
            self.blocks.insert(&Key::new(*bits, *prefix), value, 0).unwrap();
        }
        let old: Vec<_> = self.sources.keys().map(Result::unwrap).collect();
        for key in old {
            self.sources.remove(&key).unwrap();
        }
        for number in 0..REFUSALS {
            self.refusals.set(number, PerCpuValues::try_from(vec![[0; 5]; cpus]).unwrap(), 0).unwrap();
        }
        for number in 0..COUNTERS {
            self.counters.set(number, PerCpuValues::try_from(vec![0; cpus]).unwrap(), 0).unwrap();
        }
        while self.events.next().is_some() {}
    }

    /// What becomes of a frame: `+` passes, `-` is dropped, `?` is answered.
    pub fn run(&mut self, hook: Hook, frame: &[u8]) -> char {
        let options = TestRunOptions { data_in: Some(hook.of(frame)), ..TestRunOptions::default() };
        self.test_run(hook, options).unwrap_or_else(|error| panic!("{error} {frame:02x?}")).0
    }

    /// The same of XDP, and the frame as it is afterwards.
    pub fn answer(&mut self, frame: &[u8]) -> (char, Vec<u8>) {
        let mut out = vec![0; 2_048];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::default() };
        let (verdict, result) = self.test_run(Hook::Xdp, options).unwrap();
        out.truncate(result.data_size_out as usize);
        (verdict, out)
    }

    fn test_run(
        &mut self,
        hook: Hook,
        options: TestRunOptions<'_>,
    ) -> Result<(char, TestRunResult), ProgramError> {
        let result = match hook {
            Hook::Tcx | Hook::TcxIp => {
                let name = if hook == Hook::Tcx { names::TCX } else { names::TCX_IP };
                let program: &SchedClassifier = self.programs.program(name).unwrap().try_into().unwrap();
                program.test_run(options)?
            }
            Hook::Xdp => {
                let program: &Xdp = self.programs.program(names::XDP).unwrap().try_into().unwrap();
                program.test_run(options)?
            }
        };
        let verdict = match (hook, result.return_value as i32) {
            (Hook::Tcx | Hook::TcxIp, -1) | (Hook::Xdp, 2) => '+',
            (Hook::Tcx | Hook::TcxIp, 2) | (Hook::Xdp, 1) => '-',
            (Hook::Xdp, 3) => '?',
            (_, other) => panic!("{hook:?} returned {other}"),
        };
        Ok((verdict, result))
    }

    pub fn counted(&self, what: Count) -> u64 {
        self.counters.get(&(what as u32), 0).unwrap().iter().sum()
    }

    /// All counters are those of the host, but for what only tcx counts.
    #[track_caller]
    pub fn check_counters(&self, memory: &Memory) {
        let unchallenged = self.counted(Count::Unchallenged);
        for number in 0..COUNTERS {
            let kernels: u64 = self.counters.get(&number, 0).unwrap().iter().sum();
            let more = if number == Count::SynsPassed as u32 || number == Count::Unchallenged as u32 {
                unchallenged
            } else {
                0
            };
            assert_eq!(kernels, memory.counters[number as usize].get() + more, "counter {number}");
        }
    }
}

/// As the kernel has it.
fn bytes(policy: &Policy) -> PolicyBytes {
    let limits = [
        policy.syns_narrow,
        policy.syns_wide,
        policy.packets_narrow,
        policy.packets_wide,
        policy.flood,
        policy.through,
    ];
    let words = limits
        .iter()
        .flat_map(|Limit { interval_ns, burst_ns }| [interval_ns.to_ne_bytes(), burst_ns.to_ne_bytes()]);
    let head = policy.mode.to_ne_bytes().into_iter().chain(policy.narrow_bits).chain(policy.wide_bits);
    let all: Vec<u8> = head.chain(words.flatten()).collect();
    all.try_into().unwrap()
}
