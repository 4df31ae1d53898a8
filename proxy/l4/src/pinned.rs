//! The front line from another process: what is pinned is opened, looked at, changed and taken away, whether the gateway runs or not.
//! One at a time: a lock beside the state. Knows no gateway.

use crate::front_line::{commit as commit_tables, in_force, trial};
use crate::programs::{pinned_links, remove_folder};
use crate::settings::Step;
use crate::state::{self, Lock, State};
use crate::status::{Interface, Status};
use crate::tables::Tables;
use crate::verdicts::{Held, Verdicts};
use crate::{Error, kernel, nft};
use gate::abi::Block;
use ipnet::IpNet;
use std::path::Path;
use std::time::Duration;

/// No block lasts longer; who wants one for ever writes it into the configuration.
pub const BLOCK_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What stands there, in programs or beside them.
struct Place {
    tables: Option<Tables>,
    state: State,
    has_nft: bool,
    /// Verdicts where no program of ours runs, and in which boot.
    verdicts: Verdicts,
    boot: String,
}

impl Place {
    fn open(pins: &Path, folder: &Path) -> Result<Self, Error> {
        let state = State::load(folder)?;
        let boot = kernel::boot();
        let verdicts = Verdicts::load(folder, &boot)?;
        let folder = state::pins(pins);
        let tables = match Tables::pinned(&folder) {
            Ok(tables) => Some(tables),
            Err(Error::NotAttached { .. }) => None,
            Err(error) => return Err(error),
        };
        let has_nft = state.steps.iter().any(|(_, step)| *step == Step::Nftables) && nft::is_there();
        let place = Self { tables, state, has_nft, verdicts, boot };
        if place.tables.is_none() && !has_nft && !place.has(Step::Accept) {
            return Err(Error::NotAttached { path: folder });
        }
        Ok(place)
    }

    fn has(&self, step: Step) -> bool {
        self.state.steps.iter().any(|(_, own)| *own == step)
    }

    /// The tables, if a program goes by them: there may be some for steering alone. A state that is lost says nothing.
    fn tables(&mut self) -> Option<&mut Tables> {
        let steps = &self.state.steps;
        let is_used = steps.is_empty() || steps.iter().any(|(_, step)| step.is_program());
        self.tables.as_mut().filter(|_| is_used)
    }

    /// Changes verdicts where no program of ours runs. At accept a gateway finds them with its next beat.
    fn change(
        &mut self,
        folder: &Path,
        change: impl FnOnce(&mut Verdicts, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.has_nft && !self.has(Step::Accept) {
            return Ok(());
        }
        let now_ns = kernel::now_ns();
        self.verdicts.sweep(now_ns);
        change(&mut self.verdicts, now_ns)?;
        self.verdicts.store(folder, &self.boot)?;
        if self.has_nft {
            nft::load(&nft::Held::of(&self.verdicts, now_ns).text(now_ns))?;
        }
        Ok(())
    }
}

/// How things stand. `pins` and `state` are those of [`crate::Settings`], here and below.
pub fn status(pins: &Path, state: &Path) -> Result<Status, Error> {
    let place = Place::open(pins, state)?;
    let mut status = status_of(place.tables.as_ref(), &place.state, &place.verdicts)?;
    if place.has_nft {
        for (sum, count) in status.counters.0.iter_mut().zip(nft::counters()?.0) {
            *sum = sum.wrapping_add(count);
        }
    }
    let links = pinned_links(&state::pins(pins));
    status.interfaces = links.into_iter().map(|(_, (step, name, _))| Interface { name, step }).collect();
    let beside = place.state.steps.into_iter().filter(|(_, step)| !step.is_program());
    status.interfaces.extend(beside.map(|(name, step)| Interface { name, step }));
    Ok(status)
}

/// All that tables and state tell.
pub(crate) fn status_of(
    tables: Option<&Tables>,
    state: &State,
    verdicts: &Verdicts,
) -> Result<Status, Error> {
    let now_ns = kernel::now_ns();
    let mut status = Status {
        interfaces: Vec::new(),
        in_force: state.outside,
        committed: state.committed,
        trial: None,
        heartbeat_age: None,
        flood: false,
        counters: crate::Counters::default(),
        blocked: Vec::new(),
    };
    if let Some(tables) = tables {
        status.in_force = in_force(tables, state)?;
        status.trial = trial(tables, now_ns)?;
        status.heartbeat_age = tables.heartbeat_age(now_ns)?;
        status.flood = tables.is_flooded(now_ns)?;
        status.counters = tables.counters()?;
        status.blocked = tables.blocked(now_ns)?;
    }
    for other in verdicts.blocked(now_ns) {
        if !status.blocked.iter().any(|blocked| blocked.prefix == other.prefix) {
            status.blocked.push(other);
        }
    }
    Ok(status)
}

/// Keeps the rules on trial.
pub fn commit(pins: &Path, state: &Path) -> Result<(), Error> {
    let _lock = Lock::take(state)?;
    let mut place = Place::open(pins, state)?;
    let mut is_done = false;
    if let Some(tables) = &mut place.tables {
        is_done = commit_tables(tables, &mut place.state)?;
    }
    // The gateway looks at the end of the trial whether these were committed.
    if place.state.outside.is_some() && place.state.outside != place.state.committed && !is_done {
        place.state.committed = place.state.outside;
        is_done = true;
    }
    if !is_done {
        return Err(Error::NoTrial);
    }
    place.state.store(state)
}

/// Holds a prefix back for a while; for no time at all: no more.
pub fn block(pins: &Path, state: &Path, prefix: IpNet, lasts: Duration, reason: u32) -> Result<(), Error> {
    check_block(prefix, lasts)?;
    let _lock = Lock::take(state)?;
    let mut place = Place::open(pins, state)?;
    let lasts_ns = u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX);
    place.change(state, |verdicts, now_ns| {
        let expires_ns = now_ns.saturating_add(lasts_ns);
        verdicts.hold(prefix, Held { expires_ns, cost: 0, reason }, now_ns)
    })?;
    match place.tables() {
        Some(tables) => {
            let expires_ns = kernel::now_ns().saturating_add(lasts_ns);
            tables.block(prefix, &Block { expires_ns, reason, ..Block::default() })
        }
        None => Ok(()),
    }
}

/// Lets a prefix pass until the rules change, and ends what held it back.
pub fn allow(pins: &Path, state: &Path, prefix: IpNet) -> Result<(), Error> {
    let _lock = Lock::take(state)?;
    let mut place = Place::open(pins, state)?;
    place.change(state, |verdicts, _| verdicts.allow(prefix))?;
    if place.has_nft {
        nft::load(&nft::allow(prefix))?;
    }
    match place.tables() {
        Some(tables) => {
            tables.allow(prefix)?;
            tables.unblock(prefix).map(|_| ())
        }
        None => Ok(()),
    }
}

/// Takes everything of ours off and away, of this layout and of any before it. What was committed is still known afterwards. Works
/// whatever is left of it, also when nothing is.
pub fn detach(pins: &Path, state: &Path) -> Result<(), Error> {
    let _lock = Lock::take(state)?;
    let mut stored = State::load(state)?;
    let had_nft = stored.steps.iter().any(|(_, step)| *step == Step::Nftables);
    if had_nft && nft::is_there() {
        nft::load(&nft::delete())?;
    }
    if kernel::is_bpffs(pins) {
        for layout in 1..=gate::abi::LAYOUT {
            let folder = pins.join(format!("v{layout}"));
            remove_folder(&folder);
            if folder.exists() {
                let error = std::io::Error::other("not all of it could be taken away");
                return Err(Error::File { path: folder, error });
            }
        }
        kernel::remove_pins(pins);
    }
    // Whom verdicts hold back at accept is let in again as well: a gateway sees that there are no steps any more.
    Verdicts::default().store(state, "")?;
    (stored.sets, stored.outside, stored.steps) = ([None; 2], None, Vec::new());
    stored.store(state)
}

pub(crate) fn check_block(prefix: IpNet, lasts: Duration) -> Result<(), Error> {
    if prefix.addr().is_loopback() {
        return Err(Error::Unblockable { prefix, why: "loopback always passes" });
    }
    if lasts > BLOCK_MAX {
        return Err(Error::TooLong { asked: lasts, max: BLOCK_MAX });
    }
    Ok(())
}
