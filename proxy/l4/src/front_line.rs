//! The front line of one gateway: attached once, then beaten, read and changed by one thread. It decides nothing about a packet.

mod ladder;
mod outside;

use self::outside::{Beside, Outside};
use crate::contents::compile;
use crate::followed::{Followed, rank};
use crate::kernel::Syncookies;
use crate::programs::Programs;
use crate::settings::{Settings, Step};
use crate::state::{Lock, State};
use crate::status::{Interface, Trial};
use crate::steering::{assign, rebalance};
use crate::tables::{Events, Tables};
use crate::trial::{for_good, trial_ends_ms};
use crate::verdicts::Held;
use crate::{
    Connections, Counters, Digest, Error, Happened, Rtt, Rules, Source, Status, kernel, nft, pinned,
};
use gate::abi::{self, Block, InForce};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What is said to the operator: one line each, without an end.
pub type Say<'a> = &'a mut dyn FnMut(String);

/// A listening socket of a core, which shares its port with those of the other cores (`SO_REUSEPORT`).
#[derive(Clone, Copy, Debug)]
pub struct Listener<'a> {
    /// Its port.
    pub port: u16,
    /// Whether it is one of IPv6; then it may take IPv4 as well.
    pub is_ipv6: bool,
    /// Whose, from 0.
    pub core: u32,
    /// It listens already: the kernel takes no other.
    pub socket: BorrowedFd<'a>,
}

/// Attached, or as far as it went. Dropping it leaves what is pinned in place: everything passes when the last beat is three
/// seconds old.
pub struct FrontLine {
    settings: Settings,
    rules: Rules,
    state: State,
    interfaces: Vec<Interface>,
    /// The kernel's numbers of those; 0: it is not there.
    indexes: Vec<u32>,
    programs: Option<Programs>,
    tables: Option<Tables>,
    events: Option<Events>,
    /// Rules where no program of ours runs.
    outside: Option<Outside>,
    /// Verdicts there.
    beside: Beside,
    /// When the trial of the rules in the tables ends; said once.
    trial_ends_ms: Option<u64>,
    /// Connections that each bucket had brought when they were looked at last.
    steered: Vec<u64>,
    is_observing: bool,
    /// All who serve have turned then or later, by `CLOCK_MONOTONIC`.
    turned_ns: u64,
    /// Not before then is it looked for what has expired.
    next_sweep_ns: u64,
    /// `None`: nobody has asked for the top yet.
    followed: Option<Followed>,
}

impl FrontLine {
    /// Brings rules into force on the named interfaces, each on the best step that works there. What does not work is said and
    /// gone around: only rules that can't hold are an error. Takes some 100 ms.
    pub fn attach(settings: Settings, rules: Rules, say: Say<'_>) -> Result<Self, Error> {
        rules.check()?;
        let lock = Lock::take(&settings.state);
        if let Err(error) = &lock {
            say(format!("front line: {error}: rules could be changed by two at a time"));
        }
        let state = State::load(&settings.state).unwrap_or_else(|error| {
            say(format!("front line: what was committed can't be read: {error}"));
            State::default()
        });
        let cookies = kernel::syncookies();
        if cookies == Some(Syncookies::Never) {
            say("front line: net.ipv4.tcp_syncookies is 0: a flood of SYNs ends all service; set it to 1, or 2 to challenge"
                .to_owned());
        }
        let rules = if rules.challenges() && refuses_ours(cookies) {
            say("front line: nobody is challenged: net.ipv4.tcp_syncookies is not 2, and the kernel would refuse the answers; \
                 what is above a limit is dropped"
                .to_owned());
            rules.without_challenge()
        } else {
            rules
        };
        let mut line = Self {
            settings,
            rules: rules.clone(),
            state,
            interfaces: Vec::new(),
            indexes: Vec::new(),
            programs: None,
            tables: None,
            events: None,
            outside: None,
            beside: Beside::default(),
            trial_ends_ms: None,
            steered: Vec::new(),
            is_observing: false,
            turned_ns: 0,
            next_sweep_ns: 0,
            followed: None,
        };
        line.remember(say);
        let then = line.load(say);
        // Who starts lives, and may have been preceded by one who hangs.
        let mut begun = line.live(kernel::now_ns());
        line.climb(&rules, say);
        begun = begun.and_then(|()| line.live(kernel::now_ns()));
        if let Err(error) = begun.and_then(|()| line.put_in_force(then)) {
            say(format!("front line: the rules are not in force: {error}"));
        }
        line.tidy_up(say);
        // What is pinned by hand belongs to whoever runs the gateway.
        crate::programs::give(&line.settings.pins);
        line.store(say);
        Ok(line)
    }

    /// Puts the rules into a set of the tables that is not in force. Returns the word that puts them in force.
    fn fill(&mut self, is_fresh: bool) -> Result<Option<InForce>, Error> {
        let Some(tables) = &mut self.tables else { return Ok(None) };
        if is_fresh {
            self.state.sets = [None; 2];
            tables.set_word(InForce { set: InForce::NOTHING, before: InForce::NOTHING, trial_ends_ms: 0 })?;
        }
        let wanted = self.rules.digest();
        let now = tables.now(self.state.sets, self.state.committed)?;
        let plan = now.plan(wanted, self.settings.trial);
        if let Some(first) = plan.first {
            tables.set_word(first)?;
        }
        if let Some(set) = plan.fill {
            // Should this end half-way, nobody takes the set for what it was.
            self.state.sets[set as usize] = None;
            let stored = self.state.store(&self.settings.state);
            tables.fill(set, &compile(&self.rules), is_fresh)?;
            if stored.is_ok() {
                self.state.sets[set as usize] = Some(wanted);
            }
        }
        Ok(plan.then)
    }

    /// Puts them in force. A trial that begins does so now.
    fn put_in_force(&mut self, then: Option<InForce>) -> Result<(), Error> {
        let Some(tables) = &mut self.tables else { return Ok(()) };
        if let Some(mut then) = then {
            if then.trial_ends_ms != 0 {
                then.trial_ends_ms = trial_ends_ms(kernel::now_ns(), self.settings.trial);
            }
            tables.set_word(then)?;
        }
        let word = tables.word()?;
        self.trial_ends_ms =
            (word.trial_ends_ms != 0 && word.set != word.before).then_some(word.trial_ends_ms);
        Ok(())
    }

    fn store(&mut self, say: Say<'_>) {
        self.state.steps =
            self.interfaces.iter().map(|interface| (interface.name.clone(), interface.step)).collect();
        if let Err(error) = self.state.store(&self.settings.state) {
            say(format!("front line: a restart will not know these rules: {error}"));
        }
        self.has_stored();
    }

    fn has(&self, step: Step) -> bool {
        self.interfaces.iter().any(|interface| interface.step == step)
    }

    /// What runs where.
    pub fn modes(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Rules that hold where no program of ours runs, for who accepts ([`Rules::limiter`]); `None`: there is no such interface, or
    /// rules were not committed and there were none before them. May change with each beat.
    pub fn outside(&self) -> Option<&Rules> {
        self.outside.as_ref().map(|outside| &outside.rules)
    }

    /// Says that all who serve have turned at `turned_ns` (`CLOCK_MONOTONIC`) or later, to be called some times a second: three
    /// seconds after that moment everything passes, whoever is to blame. One before what is known already changes nothing.
    pub fn live(&mut self, turned_ns: u64) -> Result<(), Error> {
        self.turned_ns = self.turned_ns.max(turned_ns);
        self.tables.as_mut().map_or(Ok(()), |tables| tables.live(turned_ns))
    }

    /// To be called once a second. Takes back what was not committed where the kernel can't, and says so of all; attaches to a named
    /// interface that came or was made anew; and tells nftables what [`FrontLine::live`] told the programs.
    pub fn beat(&mut self, say: Say<'_>) -> Result<(), Error> {
        let now_ns = kernel::now_ns();
        if let Some(tables) = &mut self.tables {
            let ends_ms = self.trial_ends_ms;
            if ends_ms.is_some_and(|ends_ms| now_ns / 1_000_000 >= ends_ms) {
                let word = tables.word()?;
                self.trial_ends_ms = None;
                // Somebody else may have committed them; and where no program goes by them, others say so.
                let is_used = self.outside.is_none() || self.interfaces.iter().any(|it| it.step.is_program());
                if Some(word.trial_ends_ms) == ends_ms && is_used {
                    say(format!("front line: {}", self.reverted(word.before != InForce::NOTHING)));
                }
            }
        }
        self.look_after(say);
        self.beat_outside(now_ns, say)
    }

    fn reverted(&self, has_before: bool) -> String {
        let then = if has_before { "those before them hold again" } else { "everything passes" };
        format!("nobody committed the new rules within {:?}: {then}", self.settings.trial)
    }

    /// Puts rules in force, on trial for so long unless they were committed before; whether they were not so already, which they
    /// may be no more since nobody committed them in time. On an error what was in force still is.
    pub fn change(&mut self, rules: Rules, trial: Duration) -> Result<bool, Error> {
        rules.check()?;
        let rules = if refuses_ours(kernel::syncookies()) { rules.without_challenge() } else { rules };
        let _lock = Lock::take(&self.settings.state)?;
        let old = std::mem::replace(&mut self.rules, rules.clone());
        self.settings.trial = trial;
        self.reload();
        let mut is_new = match self.fill(false).and_then(|then| self.put_in_force(then).map(|()| then)) {
            Ok(then) => then.is_some(),
            Err(error) => {
                self.rules = old;
                return Err(error);
            }
        };
        let is_outside = self.has(Step::Nftables) || self.has(Step::Accept);
        if is_outside && self.outside.as_ref().is_none_or(|outside| outside.rules != rules) {
            is_new = true;
            self.forget_allowed()?;
            self.load_nft(&rules)?;
            let committed = self.state.committed;
            let is_good = |it: &Outside| it.ends_ns.is_none() || committed == Some(it.rules.digest());
            let before = match self.outside.take() {
                // Those on trial are no rules to go back to.
                Some(outside) if is_good(&outside) => Some(outside.rules),
                Some(outside) => outside.before,
                None => None,
            };
            self.state.outside = Some(rules.digest());
            self.outside = Some(self.outside_with(rules, before));
        }
        self.state.store(&self.settings.state)?;
        Ok(is_new)
    }

    /// What others may have committed meanwhile.
    fn reload(&mut self) {
        // One that can't be read now was read before: then nothing has changed.
        if let Ok(state) = State::load(&self.settings.state) {
            self.state.committed = state.committed.or(self.state.committed);
        }
    }

    /// What is on trial, and for how long.
    pub fn trial(&self) -> Result<Option<Trial>, Error> {
        let now_ns = kernel::now_ns();
        if let Some(tables) = &self.tables
            && let Some(trial) = trial(tables, now_ns)?
        {
            return Ok(Some(trial));
        }
        Ok(self.outside.as_ref().and_then(|outside| {
            let left = outside.ends_ns?.checked_sub(now_ns)?;
            Some(Trial { left: Duration::from_nanos(left), has_before: outside.before.is_some() })
        }))
    }

    /// Holds a prefix back for a while, under any rules but the allow list's; where no program of ours runs from the next
    /// [`FrontLine::settle`] on. `cost`: a SYN takes the time of so many; 0: none is let in. `reason`: a number that [`Status`]
    /// gives back. Who is shut out for longer already stays so.
    pub fn block(&mut self, prefix: IpNet, lasts: Duration, cost: u32, reason: u32) -> Result<(), Error> {
        pinned::check_block(prefix, lasts)?;
        let expires_ns = kernel::now_ns().saturating_add(u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX));
        let is_program = |interface: &Interface| interface.step.is_program();
        if self.interfaces.iter().any(is_program)
            && let Some(tables) = &mut self.tables
            && !tables.is_shut_out(prefix, expires_ns)
        {
            tables.block(prefix, &Block { expires_ns, cost, reason, ..Block::default() })?;
        }
        if self.interfaces.iter().any(|interface| !is_program(interface)) {
            self.hold_outside(prefix, Held { expires_ns, cost, reason })?;
        }
        Ok(())
    }

    /// Takes out what was held back for a while that is over; how many those were. They hold for nobody before that already, so it is
    /// no matter that a long table is looked through less often: that takes a hundredth of the time at most.
    pub fn sweep(&mut self) -> Result<usize, Error> {
        let now_ns = kernel::now_ns();
        let Some(tables) = self.tables.as_mut().filter(|_| self.next_sweep_ns <= now_ns) else {
            return Ok(0);
        };
        let swept = tables.sweep(now_ns);
        let took_ns = kernel::now_ns().saturating_sub(now_ns);
        self.next_sweep_ns = now_ns.saturating_add(took_ns.saturating_mul(100));
        swept
    }

    /// What was counted since the tables were made, on all interfaces.
    pub fn counters(&self) -> Result<Counters, Error> {
        let mut counters = self.tables.as_ref().map_or(Ok(Counters::default()), Tables::counters)?;
        if self.has(Step::Nftables) {
            for (sum, count) in counters.0.iter_mut().zip(nft::counters()?.0) {
                *sum = sum.wrapping_add(count);
            }
        }
        Ok(counters)
    }

    /// Whether SYNs are challenged now.
    pub fn is_flooded(&self) -> Result<bool, Error> {
        self.tables.as_ref().map_or(Ok(false), |tables| tables.is_flooded(kernel::now_ns()))
    }

    /// The `n` sources most above their limits, of those that [`FrontLine::events`] told of; the first time of all in the table.
    pub fn top_sources(&mut self, n: usize) -> Vec<Source> {
        let Some(tables) = &self.tables else { return Vec::new() };
        let followed = self.followed.get_or_insert_with(|| {
            let mut followed = Followed::default();
            let mut seen = tables.sources();
            seen.retain(|(_, source)| source.syns_over.saturating_add(source.packets_over) > 0);
            seen.sort_by_key(|(_, source)| rank(source));
            seen.into_iter().for_each(|(key, _)| followed.add(key));
            followed
        });
        followed.top(n, |key| tables.source(key))
    }

    /// What the kernel tells of our connections; `None`: nothing, and why was said.
    pub fn connections(&self) -> Result<Option<Connections>, Error> {
        self.tables.as_ref().filter(|_| self.is_observing).map(Tables::connections).transpose()
    }

    /// Their round trips.
    pub fn rtt(&self) -> Result<Option<Rtt>, Error> {
        self.tables.as_ref().filter(|_| self.is_observing).map(Tables::rtt).transpose()
    }

    /// What has happened since it was asked last, `max` at most; does not wait.
    pub fn events(&mut self, max: usize) -> Vec<Happened> {
        let followed = &mut self.followed;
        // Before anybody has asked for the top the table has them all still.
        let who = |key| {
            if let Some(followed) = followed {
                followed.add(key);
            }
        };
        self.events.as_mut().map_or(Vec::new(), |events| events.take(max, who))
    }

    /// How things stand.
    pub fn status(&self) -> Result<Status, Error> {
        let mut status = pinned::status_of(self.tables.as_ref(), &self.state, self.verdicts())?;
        status.interfaces = self.interfaces.clone();
        status.counters = self.counters()?;
        status.trial = self.trial()?;
        Ok(status)
    }

    /// Has the kernel choose the core by the source's prefix for these listeners, all that there are; how many groups of them
    /// could be. Two addresses with the same port can't be told apart: those stay with the kernel's own choice.
    pub fn steer(&mut self, listeners: &[Listener<'_>], say: Say<'_>) -> Result<usize, Error> {
        let (true, Some(programs), Some(tables)) =
            (self.settings.steer, &mut self.programs, &mut self.tables)
        else {
            return Err(Error::Unavailable("steering"));
        };
        let mut groups: BTreeMap<u32, Vec<&Listener<'_>>> = BTreeMap::new();
        for listener in listeners.iter().filter(|listener| listener.core < abi::CORES_MAX) {
            let key = u32::from(listener.port) << 8 | if listener.is_ipv6 { 6 } else { 4 };
            groups.entry(key).or_default().push(listener);
        }
        let cores = listeners.iter().map(|listener| listener.core + 1).max().unwrap_or(1).min(abi::CORES_MAX);
        let buckets = tables.steering()?;
        let is_fresh = buckets.iter().all(|&core| core == 0);
        tables.steer(&assign(&buckets, is_fresh, cores))?;
        for key in tables.groups()?.into_keys().filter(|key| !groups.contains_key(key)) {
            tables.remove_group(key)?;
        }
        let mut steered = 0;
        for (key, members) in groups {
            let port = key >> 8;
            let mut seen: Vec<_> = members.iter().map(|listener| listener.core).collect();
            seen.sort_unstable();
            seen.dedup();
            if seen.len() != members.len() {
                say(format!(
                    "front line: port {port} has listeners on several addresses: they are not steered"
                ));
                continue;
            }
            let group = tables.group(key)?;
            match steer_group(tables, programs, group, &members) {
                Ok(()) => steered += 1,
                Err(why) => say(format!("front line: connections to port {port} are not steered: {why}")),
            }
        }
        self.steered = tables.steered()?;
        Ok(steered)
    }

    /// Moves a few sources from busy cores to idle ones, by how busy each was (0 to 1) since the last call; how many buckets of
    /// sources moved. Whoever has a connection keeps it where it is.
    pub fn balance(&mut self, load: &[f64]) -> Result<usize, Error> {
        let (false, Some(tables)) = (self.steered.is_empty(), &mut self.tables) else { return Ok(0) };
        let brought = tables.steered()?;
        let counts: Vec<_> =
            brought.iter().zip(&self.steered).map(|(now, before)| now.saturating_sub(*before)).collect();
        self.steered = brought;
        let moves = rebalance(&tables.steering()?, &counts, load);
        tables.steer(&moves)?;
        Ok(moves.len())
    }
}

/// Puts sockets where the program looks for them, and the program before them.
fn steer_group(
    tables: &mut Tables,
    programs: &mut Programs,
    group: u32,
    members: &[&Listener<'_>],
) -> Result<(), String> {
    // A socket stands in one place only: one that was handed over may stand in that of another core.
    for core in 0..abi::CORES_MAX {
        tables.clear_listener(group, core).map_err(|error| error.to_string())?;
    }
    for Listener { core, socket, .. } in members {
        tables.set_listener(group, *core, *socket).map_err(|error| error.to_string())?;
    }
    members.first().map_or(Ok(()), |first| programs.steer(first.socket))
}

/// Whether the kernel would reset who answers a challenge: good clients would be locked out by it.
fn refuses_ours(cookies: Option<Syncookies>) -> bool {
    matches!(cookies, Some(Syncookies::Never | Syncookies::WhenFull))
}

/// What is on trial in the tables.
pub(crate) fn trial(tables: &Tables, now_ns: u64) -> Result<Option<Trial>, Error> {
    let word = tables.word()?;
    let ends_ns = word.trial_ends_ms.saturating_mul(1_000_000);
    let is_running = word.trial_ends_ms != 0 && word.set != word.before && now_ns < ends_ns;
    let has_before = u32::from(word.before) < abi::SETS;
    Ok(is_running.then(|| Trial { left: Duration::from_nanos(ends_ns - now_ns), has_before }))
}

/// Keeps what is on trial in the tables; whether there was anything.
pub(crate) fn commit(tables: &mut Tables, state: &mut State) -> Result<bool, Error> {
    let (set, is_on_trial) = tables.now(state.sets, state.committed)?.in_force();
    let (Some(set), true) = (set, is_on_trial) else { return Ok(false) };
    tables.set_word(for_good(set))?;
    state.committed = state.sets.get(set as usize).copied().flatten();
    Ok(true)
}

/// What is in force by name.
pub(crate) fn in_force(tables: &Tables, state: &State) -> Result<Option<Digest>, Error> {
    let (set, _) = tables.now(state.sets, state.committed)?.in_force();
    Ok(set.and_then(|set| state.sets.get(set as usize).copied().flatten()))
}
