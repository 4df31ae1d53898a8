//! One host of a group: what is in flight to it, how it fared, and what share it gets.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{breaker, settings::Outlier};

/// A whole share. Shares are parts of it.
pub(crate) const WHOLE: u32 = 1 << 10;

/// What a host that is back begins with: less would take long to show anything.
const SHARE_MIN: u32 = WHOLE / 10;

/// A host of a group, for as long as the group has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostId(pub(crate) u64);

/// What the hosts of a group have in common, reached from a claim.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) in_flight: Cell<u32>,
    pub(crate) breaker: RefCell<breaker::State>,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) id: HostId,
    pub(crate) group: Rc<Shared>,
    pub(crate) in_flight: Cell<u32>,
    /// Whether probes find it well.
    pub(crate) healthy: Cell<bool>,
    /// Faults in a row.
    faults: Cell<u32>,
    ejected_until_ns: Cell<u64>,
    /// How often it was ejected; forgiven with time.
    ejections: Cell<u32>,
    /// Since when its share grows; `None`: it has its whole share.
    warming_since_ns: Cell<Option<u64>>,
    /// Parts of a share that it did not use yet.
    credit: Cell<u32>,
}

/// What may be shown of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Calls in flight.
    pub in_flight: u32,
    /// Whether probes find it well.
    pub healthy: bool,
    /// Whether it is left out because it failed.
    pub ejected: bool,
    /// Its share, in percent.
    pub share_percent: u32,
}

impl Host {
    pub(crate) fn new(id: HostId, group: Rc<Shared>, warming_since_ns: Option<u64>) -> Self {
        Self {
            id,
            group,
            in_flight: Cell::new(0),
            healthy: Cell::new(true),
            faults: Cell::new(0),
            ejected_until_ns: Cell::new(0),
            ejections: Cell::new(0),
            warming_since_ns: Cell::new(warming_since_ns),
            credit: Cell::new(0),
        }
    }

    pub(crate) fn is_ejected(&self, now_ns: u64) -> bool {
        now_ns < self.ejected_until_ns.get()
    }

    /// Whether it may be asked in good times.
    pub(crate) fn is_available(&self, now_ns: u64) -> bool {
        self.healthy.get() && !self.is_ejected(now_ns)
    }

    /// A call passed.
    #[inline]
    pub(crate) fn pass(&self) {
        self.faults.set(0);
    }

    /// A call failed; true when that is one too many in a row.
    pub(crate) fn fail(&self, settings: &Outlier) -> bool {
        self.faults.set(self.faults.get().saturating_add(1));
        settings.consecutive > 0 && self.faults.get() >= settings.consecutive
    }

    /// Leaves it out, longer each time. What was long ago is forgiven: one time for as long as the first one takes.
    pub(crate) fn eject(&self, settings: &Outlier, now_ns: u64) {
        let well_ns = now_ns.saturating_sub(self.ejected_until_ns.get());
        let forgiven = u32::try_from(well_ns / settings.ejection_ns.max(1)).unwrap_or(u32::MAX);
        let times = self.ejections.get().saturating_sub(forgiven);
        let longer = 1_u64.checked_shl(times).unwrap_or(u64::MAX);
        let ejection_ns = settings.ejection_ns.saturating_mul(longer).min(settings.ejection_max_ns);
        self.ejections.set(times + 1);
        self.ejected_until_ns.set(now_ns.saturating_add(ejection_ns));
        self.warm_from(self.ejected_until_ns.get());
        // Back on trial: the first fault then is enough.
        self.faults.set(settings.consecutive - 1);
    }

    /// Its share grows from this time on.
    pub(crate) fn warm_from(&self, ns: u64) {
        self.warming_since_ns.set(Some(ns));
        self.credit.set(0);
    }

    /// When it has its whole share.
    pub(crate) fn warm_at_ns(&self, slow_start_ns: u64) -> u64 {
        self.warming_since_ns.get().map_or(0, |since_ns| since_ns.saturating_add(slow_start_ns))
    }

    /// Its share of [`WHOLE`].
    pub(crate) fn share(&self, slow_start_ns: u64, now_ns: u64) -> u32 {
        let Some(since_ns) = self.warming_since_ns.get() else { return WHOLE };
        let warm_ns = now_ns.saturating_sub(since_ns);
        if warm_ns >= slow_start_ns {
            return WHOLE;
        }
        let share = u128::from(warm_ns) * u128::from(WHOLE) / u128::from(slow_start_ns);
        u32::try_from(share).unwrap_or(WHOLE).max(SHARE_MIN)
    }

    /// Whether it is its turn to be considered, by its share: one of ten calls at a tenth.
    pub(crate) fn takes_part(&self, share: u32) -> bool {
        let credit = self.credit.get() + share;
        self.credit.set(credit % WHOLE);
        credit >= WHOLE
    }

    pub(crate) fn facts(&self, slow_start_ns: u64, now_ns: u64) -> HostFacts {
        HostFacts {
            in_flight: self.in_flight.get(),
            healthy: self.healthy.get(),
            ejected: self.is_ejected(now_ns),
            share_percent: self.share(slow_start_ns, now_ns) * 100 / WHOLE,
        }
    }
}
