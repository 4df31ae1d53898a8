//! A group of equal hosts, as one core has seen them: who is asked next.

use std::rc::Rc;

use crate::{
    Circuit, HostFacts, HostId, Outcome,
    breaker::Permit,
    host::{Host, Shared, WHOLE},
    settings::Settings,
    window::Window,
};

/// Calls and those that were repeated, in the budget's window.
const CALLS: usize = 0;
const RETRIES: usize = 1;

/// The hosts of a group.
#[derive(Debug, Default)]
pub struct Group {
    hosts: Vec<Rc<Host>>,
    shared: Rc<Shared>,
    budget: Window,
    /// Who was chosen last; the search for the least loaded begins behind it, so that equals take turns.
    last: usize,
    next_id: u64,
    /// From then on every host is there with its whole share, as far as is known today: nothing but load is looked at.
    calm_ns: u64,
}

/// A call's claim on a host: counted for as long as it is held.
#[derive(Debug)]
pub struct Claim {
    host: Rc<Host>,
    /// Where the host stood then.
    place: usize,
    permit: Permit,
}

/// Why no host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The group has no host, or none that was not asked yet.
    #[error("there is no host to ask")]
    NoHost,
    /// As many calls are in flight as there may be.
    #[error("as many calls are in flight as there may be")]
    Busy,
    /// The circuit is open; nanoseconds until a trial is made, 0 if trials are under way.
    #[error("the circuit is open")]
    Open {
        /// How long yet.
        left_ns: u64,
    },
    /// Enough calls were repeated.
    #[error("the retry budget is spent")]
    Budget,
}

/// What may be shown of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the breaker lets through.
    pub circuit: Circuit,
    /// So few hosts are left that all are asked.
    pub panicking: bool,
    /// Calls that may be repeated now.
    pub retries_left: u32,
}

impl Group {
    /// Takes another set of hosts. For each of them: where it stood before, if it did. Those that come to others begin
    /// with a small share.
    pub fn set_hosts(
        &mut self,
        settings: &Settings,
        before: impl IntoIterator<Item = Option<usize>>,
        now_ns: u64,
    ) {
        let old = std::mem::take(&mut self.hosts);
        let warming_since_ns = (!old.is_empty()).then_some(now_ns);
        for place in before {
            let host = match place.and_then(|place| old.get(place)) {
                Some(host) => host.clone(),
                None => {
                    self.next_id += 1;
                    Rc::new(Host::new(HostId(self.next_id), self.shared.clone(), warming_since_ns))
                }
            };
            self.hosts.push(host);
        }
        self.look_ahead(settings);
    }

    /// To be called when the settings have changed.
    pub fn look_ahead(&mut self, settings: &Settings) {
        let calm_ns = |host: &Rc<Host>| match host.healthy.get() {
            true => host.warm_at_ns(settings.slow_start_ns),
            false => u64::MAX,
        };
        self.calm_ns = self.hosts.iter().map(calm_ns).max().unwrap_or(0);
    }

    /// What probes say of the host at a place; true if that is news.
    pub fn set_health(&mut self, settings: &Settings, place: usize, healthy: bool, now_ns: u64) -> bool {
        let Some(host) = self.hosts.get(place) else { return false };
        let was = host.healthy.replace(healthy);
        if healthy && !was {
            host.warm_from(now_ns);
        }
        self.look_ahead(settings);
        healthy != was
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> u32 {
        self.shared.in_flight.get()
    }

    /// The host for a new call.
    #[inline]
    pub fn claim(&mut self, settings: &Settings, now_ns: u64) -> Result<Claim, Refused> {
        self.budget.add(CALLS, now_ns);
        self.admit(settings, now_ns, &[])
    }

    /// Another host for a call that has failed. `seen`: a backend may have seen it, so that it is paid for.
    pub fn claim_again(
        &mut self,
        settings: &Settings,
        now_ns: u64,
        avoid: &[HostId],
        seen: bool,
    ) -> Result<Claim, Refused> {
        if seen && self.retries_left(settings, now_ns) == 0 {
            return Err(Refused::Budget);
        }
        let claim = self.admit(settings, now_ns, avoid)?;
        if seen {
            self.budget.add(RETRIES, now_ns);
        }
        Ok(claim)
    }

    /// Learns what became of a call; true when its host is left out for that. Where there is no breaker, [`Outcome::Pass`]
    /// changes nothing and need not be said: what ends a row of faults is [`Claim::complete`].
    pub fn settle(&mut self, settings: &Settings, claim: &mut Claim, outcome: Outcome, now_ns: u64) -> bool {
        if let Some(breaker) = &settings.breaker {
            let permit = std::mem::take(&mut claim.permit);
            self.shared.breaker.borrow_mut().settle(breaker, permit, outcome, now_ns);
        }
        let host = &claim.host;
        match outcome {
            Outcome::Pass => false,
            Outcome::Fault => {
                let ejects = host.fail(&settings.outlier) && self.may_eject(settings, host, now_ns);
                if ejects {
                    host.eject(&settings.outlier, now_ns);
                    self.look_ahead(settings);
                }
                ejects
            }
        }
    }

    /// What may be shown of it.
    pub fn facts(&mut self, settings: &Settings, now_ns: u64) -> Facts {
        Facts {
            circuit: settings
                .breaker
                .as_ref()
                .map_or(Circuit::Closed, |_| self.shared.breaker.borrow().circuit()),
            panicking: !self.hosts.is_empty() && self.is_panic(settings, self.available(now_ns)),
            retries_left: self.retries_left(settings, now_ns),
        }
    }

    /// The same of its hosts, in order.
    pub fn hosts(&self, settings: &Settings, now_ns: u64) -> impl Iterator<Item = HostFacts> {
        self.hosts.iter().map(move |host| host.facts(settings.slow_start_ns, now_ns))
    }

    /// Where a claim's host stands now; `None`: the group does not have it any more.
    pub fn place(&self, claim: &Claim) -> Option<usize> {
        let is_it = |host: &Rc<Host>| Rc::ptr_eq(host, &claim.host);
        if self.hosts.get(claim.place).is_some_and(is_it) {
            return Some(claim.place);
        }
        self.hosts.iter().position(is_it)
    }

    fn retries_left(&mut self, settings: &Settings, now_ns: u64) -> u32 {
        let [calls, retries] = self.budget.sums(now_ns);
        let share = u64::from(calls) * u64::from(settings.retries.budget_percent) / 100;
        let allowed = u32::try_from(share).unwrap_or(u32::MAX).max(settings.retries.budget_min);
        allowed.saturating_sub(retries)
    }

    #[inline]
    fn admit(&mut self, settings: &Settings, now_ns: u64, avoid: &[HostId]) -> Result<Claim, Refused> {
        if self.shared.in_flight.get() >= settings.in_flight_max {
            return Err(Refused::Busy);
        }
        let place = self.choose(settings, now_ns, avoid)?;
        // Last, since a trial that is let through must be made.
        let permit = match &settings.breaker {
            None => Permit::default(),
            Some(breaker) => {
                let admitted = self.shared.breaker.borrow_mut().admit(breaker, now_ns);
                admitted.map_err(|left_ns| Refused::Open { left_ns })?
            }
        };
        let host = self.hosts[place].clone();
        host.in_flight.set(host.in_flight.get() + 1);
        self.shared.in_flight.set(self.shared.in_flight.get() + 1);
        Ok(Claim { host, place, permit })
    }

    #[inline]
    fn choose(&mut self, settings: &Settings, now_ns: u64, avoid: &[HostId]) -> Result<usize, Refused> {
        // One host is the common case, and there is nothing to choose.
        if let [host] = &*self.hosts {
            return match host.in_flight.get() < settings.host_in_flight_max {
                _ if avoid.contains(&host.id) => Err(Refused::NoHost),
                true => Ok(0),
                false => Err(Refused::Busy),
            };
        }
        let place = self.choose_of_many(settings, now_ns, avoid)?;
        self.last = place;
        Ok(place)
    }

    fn choose_of_many(&self, settings: &Settings, now_ns: u64, avoid: &[HostId]) -> Result<usize, Refused> {
        if now_ns >= self.calm_ns {
            return self.least(settings, avoid, |_| Some(WHOLE));
        }
        let slow_start_ns = settings.slow_start_ns;
        let all = self.is_panic(settings, self.available(now_ns));
        let may = |host: &Host| all || host.is_available(now_ns);
        let by_share = |host: &Host| {
            let share = host.share(slow_start_ns, now_ns);
            (may(host) && host.takes_part(share)).then_some(share)
        };
        // A host with a small share is passed over, but not when there is no other.
        self.least(settings, avoid, by_share).or_else(|_| {
            let share = |host: &Host| may(host).then(|| host.share(slow_start_ns, now_ns));
            self.least(settings, avoid, share)
        })
    }

    /// The place of the host with the least in flight for its share, among those that have one.
    fn least(
        &self,
        settings: &Settings,
        avoid: &[HostId],
        share: impl Fn(&Host) -> Option<u32>,
    ) -> Result<usize, Refused> {
        let count = self.hosts.len();
        let mut place = (self.last + 1).checked_rem(count).unwrap_or(0);
        let (mut least, mut refused) = (None, Refused::NoHost);
        for _ in 0..count {
            let host = &*self.hosts[place];
            if !avoid.contains(&host.id)
                && let Some(share) = share(host)
            {
                let in_flight = host.in_flight.get();
                if in_flight >= settings.host_in_flight_max {
                    refused = Refused::Busy;
                } else if in_flight == 0 {
                    return Ok(place);
                } else {
                    let load = u64::from(in_flight) * u64::from(WHOLE) / u64::from(share.max(1));
                    if least.is_none_or(|(_, other)| load < other) {
                        least = Some((place, load));
                    }
                }
            }
            place += 1;
            if place == count {
                place = 0;
            }
        }
        least.map(|(place, _)| place).ok_or(refused)
    }

    fn available(&self, now_ns: u64) -> usize {
        self.hosts.iter().filter(|host| host.is_available(now_ns)).count()
    }

    fn is_panic(&self, settings: &Settings, available: usize) -> bool {
        available == 0 || available * 100 < settings.panic_percent as usize * self.hosts.len()
    }

    /// Whether a host that fails may be left out: another must be there, and not too many are out already.
    fn may_eject(&self, settings: &Settings, host: &Rc<Host>, now_ns: u64) -> bool {
        if !host.is_available(now_ns) || !self.hosts.iter().any(|other| Rc::ptr_eq(other, host)) {
            return false;
        }
        let ejected = self.hosts.iter().filter(|host| host.is_ejected(now_ns)).count();
        let percent_max = settings.outlier.ejected_max_percent as usize;
        let few = ejected == 0 || (ejected + 1) * 100 <= percent_max * self.hosts.len();
        few && self.available(now_ns) >= 2
    }
}

impl Claim {
    /// The host.
    pub fn host(&self) -> HostId {
        self.host.id
    }

    /// The call has got its whole answer: a row of faults ends.
    #[inline]
    pub fn complete(&self) {
        self.host.pass();
    }

    /// Where it stood when it was claimed.
    pub fn place(&self) -> usize {
        self.place
    }
}

impl Drop for Claim {
    #[inline]
    fn drop(&mut self) {
        let Host { in_flight, group, .. } = &*self.host;
        in_flight.set(in_flight.get() - 1);
        group.in_flight.set(group.in_flight.get() - 1);
        if self.permit.is_trial() {
            group.breaker.borrow_mut().give_back(self.permit);
        }
    }
}
