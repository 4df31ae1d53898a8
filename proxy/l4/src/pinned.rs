//! The front line from another process: what is pinned is opened, looked at, changed and taken away, whether the gateway runs or not.
//! One at a time: a lock beside the state. Knows no gateway.

use crate::front_line::{commit as commit_tables, in_force, trial};
use crate::programs::{pinned_links, remove_folder};
use crate::settings::Step;
use crate::state::{self, Lock, State};
use crate::status::{Interface, Status};
use crate::tables::Tables;
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
}

impl Place {
    fn open(pins: &Path, state: &Path) -> Result<Self, Error> {
        let state = State::load(state)?;
        let folder = state::pins(pins);
        let tables = match Tables::pinned(&folder) {
            Ok(tables) => Some(tables),
            Err(Error::NotAttached { .. }) => None,
            Err(error) => return Err(error),
        };
        let has_nft = state.steps.iter().any(|(_, step)| *step == Step::Nftables) && nft::is_there();
        if tables.is_none() && !has_nft && state.outside.is_none() {
            return Err(Error::NotAttached { path: folder });
        }
        Ok(Self { tables, state, has_nft })
    }
}

/// How things stand. `pins` and `state` are those of [`crate::Settings`], here and below.
pub fn status(pins: &Path, state: &Path) -> Result<Status, Error> {
    let place = Place::open(pins, state)?;
    let mut status = status_of(place.tables.as_ref(), &place.state)?;
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
pub(crate) fn status_of(tables: Option<&Tables>, state: &State) -> Result<Status, Error> {
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
        let now_ns = kernel::now_ns();
        status.in_force = in_force(tables, state)?;
        status.trial = trial(tables, now_ns)?;
        status.heartbeat_age = tables.heartbeat_age(now_ns)?;
        status.flood = tables.is_flooded(now_ns)?;
        status.counters = tables.counters()?;
        status.blocked = tables.blocked(now_ns)?;
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
    let place = Place::open(pins, state)?;
    if place.has_nft {
        nft::load(&nft::hold(prefix, lasts))?;
    }
    match place.tables {
        Some(mut tables) => {
            let expires_ns =
                kernel::now_ns().saturating_add(u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX));
            tables.block(prefix, &Block { expires_ns, reason, ..Block::default() })
        }
        None if place.has_nft => Ok(()),
        None => Err(Error::Unavailable("holding a prefix back")),
    }
}

/// Lets a prefix pass until the rules change, and ends what held it back.
pub fn allow(pins: &Path, state: &Path, prefix: IpNet) -> Result<(), Error> {
    let _lock = Lock::take(state)?;
    let place = Place::open(pins, state)?;
    if place.has_nft {
        nft::load(&nft::allow(prefix))?;
    }
    match place.tables {
        Some(mut tables) => {
            tables.allow(prefix)?;
            tables.unblock(prefix).map(|_| ())
        }
        None if place.has_nft => Ok(()),
        None => Err(Error::Unavailable("an allow list")),
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
