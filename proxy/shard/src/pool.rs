//! Connections to backends: which backend takes a call, and which of its connections. Everything here is one core's.
//! Who is asked next is `balance`'s to say; here are the addresses and what is kept of them.

use std::rc::Rc;

use balance::{Circuit, Group, HostId, Outcome, Refused, Settings};
use snapshot::Upstream;

use crate::{Endpoint, TargetReport, UpstreamReport, backend::Live, h2::Shared, probe::Probed};

/// The connections to one upstream group.
#[derive(Default)]
pub(crate) struct Pool {
    /// In the order of the group's hosts.
    backends: Vec<Backend>,
    /// Unused connections to all of them.
    idle: usize,
    /// Who is asked next. Made with the first addresses: a change of configuration may bring very many groups.
    choice: Option<Box<Choice>>,
    /// This core's own copy, with its own sessions to resume.
    tls: Option<tls::Client>,
}

/// What is known of a group's addresses, and what is wanted of it.
#[derive(Default)]
struct Choice {
    group: Group,
    /// This core's share of what the group may have.
    settings: Settings,
    /// The publication that they are from.
    generation: u64,
}

/// A publication's word on a group, and who reads it.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) generation: u64,
    /// The core's number, and how many there are.
    pub(crate) core: (usize, usize),
}

/// One address of the group.
struct Backend {
    endpoint: Endpoint,
    /// Unused connections, the one used last at the end: it is the warmest.
    #[expect(clippy::vec_box, reason = "what is kept moves between here and its calls by its address")]
    idle: Vec<Box<Live>>,
    /// Connections that calls share.
    shared: Rc<Shared>,
    /// What probes of this core's own have said.
    probed: Probed,
}

/// A call's claim on a backend: counted for as long as it is held.
pub(crate) struct Claim {
    pub(crate) endpoint: Endpoint,
    host: balance::Claim,
}

impl Pool {
    /// Takes the addresses that a name has now. Connections and counts of those that stay are kept.
    pub(crate) fn set_endpoints(&mut self, endpoints: &[Endpoint], now_ns: u64) {
        if self.backends.iter().map(|backend| &backend.endpoint).eq(endpoints) {
            return;
        }
        let before = |endpoint: &Endpoint| self.backends.iter().position(|it| it.endpoint == *endpoint);
        let places: Vec<_> = endpoints.iter().map(before).collect();
        let mut old: Vec<_> = std::mem::take(&mut self.backends).into_iter().map(Some).collect();
        for (endpoint, place) in endpoints.iter().zip(&places) {
            let kept = place.and_then(|place| old.get_mut(place)?.take());
            let new = || Backend {
                endpoint: *endpoint,
                idle: Vec::new(),
                shared: Rc::default(),
                probed: Probed::default(),
            };
            self.backends.push(kept.unwrap_or_else(new));
        }
        let Choice { group, settings, .. } = &mut **self.choice.get_or_insert_default();
        group.set_hosts(settings, places, now_ns);
        self.count();
    }

    /// The group's TLS settings with this core's own sessions, which last as long as the settings stay the same. They are
    /// made when they are needed first: a change of configuration would take long if it made those of all groups.
    pub(crate) fn tls(&mut self, settings: Option<&tls::Client>) -> Option<tls::Client> {
        let settings = settings?;
        if !self.tls.as_ref().is_some_and(|own| own.is_same_build(settings)) {
            self.tls = Some(settings.for_core());
        }
        self.tls.clone()
    }

    /// Calls in flight to all addresses.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> u32 {
        self.choice.as_ref().map_or(0, |choice| choice.group.in_flight())
    }

    /// The address for a new call. What is wanted of the group is taken over here, when it is first needed.
    #[inline]
    pub(crate) fn claim(&mut self, wanted: Wanted<'_>, now_ns: u64) -> Result<Claim, Refused> {
        self.adopt(wanted, now_ns);
        let Choice { group, settings, .. } = &mut **self.choice.as_mut().ok_or(Refused::NoHost)?;
        let host = group.claim(settings, now_ns)?;
        Ok(Claim { endpoint: self.backends[host.place()].endpoint, host })
    }

    /// Another address for a call that failed; `seen`: a backend may have seen it.
    pub(crate) fn claim_again(
        &mut self,
        now_ns: u64,
        avoid: &[HostId],
        seen: bool,
    ) -> Result<Claim, Refused> {
        let Choice { group, settings, .. } = &mut **self.choice.as_mut().ok_or(Refused::NoHost)?;
        let host = group.claim_again(settings, now_ns, avoid, seen)?;
        Ok(Claim { endpoint: self.backends[host.place()].endpoint, host })
    }

    /// Learns what became of a call; true when its address is left out for that.
    pub(crate) fn settle(&mut self, claim: &mut Claim, outcome: Outcome, now_ns: u64) -> bool {
        let Some(Choice { group, settings, .. }) = self.choice.as_deref_mut() else { return false };
        group.settle(settings, &mut claim.host, outcome, now_ns)
    }

    /// Takes what is known of an address.
    pub(crate) fn set_health(&mut self, endpoint: Endpoint, healthy: bool, now_ns: u64) {
        let place = self.backends.iter().position(|backend| backend.endpoint == endpoint);
        if let (Some(place), Some(choice)) = (place, self.choice.as_deref_mut()) {
            choice.group.set_health(&choice.settings, place, healthy, now_ns);
        }
    }

    /// The addresses whose time to be probed has come, and when it comes to the next.
    pub(crate) fn due(&mut self, wanted: Wanted<'_>, now_ns: u64) -> (Vec<Endpoint>, u64) {
        self.adopt(wanted, now_ns);
        let (mut due, mut next_ns) = (Vec::new(), u64::MAX);
        let Some(health) = &wanted.upstream.health else { return (due, next_ns) };
        let count = self.backends.len() as u64;
        for (place, backend) in (0..).zip(&mut self.backends) {
            let spread_ns = health.interval_ns / count * place;
            if backend.probed.is_due(health, now_ns, spread_ns) {
                due.push(backend.endpoint);
            }
            next_ns = next_ns.min(backend.probed.next_ns());
        }
        (due, next_ns)
    }

    /// What probes of this core's own have said of an address, if the group still has it.
    pub(crate) fn probed(&mut self, endpoint: Endpoint) -> Option<&mut Probed> {
        let backend = self.backends.iter_mut().find(|backend| backend.endpoint == endpoint)?;
        Some(&mut backend.probed)
    }

    /// What may be shown of the group, where there is something to decide: one address that is asked whatever happens is
    /// of no interest, and there may be very many such groups.
    pub(crate) fn report(&mut self, wanted: Wanted<'_>, now_ns: u64) -> Option<UpstreamReport> {
        self.adopt(wanted, now_ns);
        let Choice { group, settings, .. } = &mut **self.choice.as_mut()?;
        let decides = self.backends.len() > 1
            || wanted.upstream.health.is_some()
            || settings.breaker.is_some()
            || settings.in_flight_max.min(settings.host_in_flight_max) < u32::MAX;
        if !decides {
            return None;
        }
        let facts = group.facts(settings, now_ns);
        let targets =
            self.backends.iter().zip(group.hosts(settings, now_ns)).map(|(backend, host)| TargetReport {
                address: backend.endpoint.address,
                in_flight: host.in_flight,
                healthy: host.healthy,
                ejected: host.ejected,
                share_percent: host.share_percent,
            });
        Some(UpstreamReport {
            name: wanted.upstream.name.clone(),
            suspended: facts.circuit != Circuit::Closed,
            panicking: facts.panicking,
            retries_left: facts.retries_left,
            targets: targets.collect(),
        })
    }

    /// An unused connection to the claimed address that is still good: one on which the backend has ended or spoken
    /// out of turn is thrown away (rule U6).
    pub(crate) fn reuse(&mut self, claim: &Claim) -> Option<Box<Live>> {
        let place = self.place(claim)?;
        while let Some(live) = self.backends[place].idle.pop() {
            self.idle -= 1;
            if is_silent(&live) {
                return Some(live);
            }
        }
        None
    }

    /// The connections to the claimed address that calls share, if the group still has it.
    pub(crate) fn shared(&self, claim: &Claim) -> Option<&Rc<Shared>> {
        Some(&self.backends[self.place(claim)?].shared)
    }

    /// Keeps a connection whose last response was whole, while there is room.
    pub(crate) fn keep(&mut self, mut live: Box<Live>, upstream: &Upstream, now_ns: u64) {
        let Some(claim) = live.claim.take() else { return };
        if self.idle < upstream.idle_connections_max
            && let Some(place) = self.place(&claim)
        {
            live.since_ns = now_ns;
            self.backends[place].idle.push(live);
            self.idle += 1;
        }
    }

    /// Whether there are no unused connections.
    pub(crate) fn is_unused(&self) -> bool {
        self.idle == 0 && self.backends.iter().all(|backend| backend.shared.is_empty())
    }

    /// Closes connections that were unused for too long or that the backend has closed.
    pub(crate) fn sweep(&mut self, keep_alive_ns: u64, now_ns: u64) {
        for backend in &mut self.backends {
            backend.shared.sweep(keep_alive_ns, now_ns);
            backend
                .idle
                .retain(|idle| now_ns.saturating_sub(idle.since_ns) < keep_alive_ns && is_silent(idle));
        }
        self.count();
    }

    /// Closes all unused connections.
    pub(crate) fn let_go(&mut self) {
        for backend in &mut self.backends {
            backend.idle.clear();
            backend.shared.let_go();
        }
        self.idle = 0;
    }

    /// Closes the connection that was unused for longest, else one that calls shared. Whether there was one.
    pub(crate) fn let_one_go(&mut self) -> bool {
        let having = self.backends.iter_mut().filter(|backend| !backend.idle.is_empty());
        match having.min_by_key(|backend| backend.idle.first().map(|live| live.since_ns)) {
            Some(backend) => {
                drop(backend.idle.remove(0));
                self.idle -= 1;
                true
            }
            None => self.backends.iter().any(|backend| backend.shared.let_one_go()),
        }
    }

    /// Takes over what a newer publication says.
    #[inline]
    fn adopt(&mut self, wanted: Wanted<'_>, now_ns: u64) {
        if self.choice.as_ref().is_some_and(|choice| choice.generation < wanted.generation) {
            self.adopt_newer(wanted, now_ns);
        }
    }

    #[cold]
    fn adopt_newer(&mut self, wanted: Wanted<'_>, now_ns: u64) {
        let Some(Choice { group, settings, generation }) = self.choice.as_deref_mut() else { return };
        *generation = wanted.generation;
        *settings = wanted.upstream.balance.for_core(wanted.core.0, wanted.core.1);
        group.look_ahead(settings);
        if wanted.upstream.health.is_none() {
            // Nobody looks any more: what was thought of them would stay for ever.
            for (place, backend) in self.backends.iter_mut().enumerate() {
                backend.probed = Probed::default();
                group.set_health(settings, place, true, now_ns);
            }
        }
    }

    /// Where the claimed backend stands, if the group still has it.
    #[inline]
    fn place(&self, claim: &Claim) -> Option<usize> {
        self.choice.as_ref()?.group.place(&claim.host).filter(|place| *place < self.backends.len())
    }

    fn count(&mut self) {
        self.idle = self.backends.iter().map(|backend| backend.idle.len()).sum();
    }
}

impl Claim {
    /// The address, as those are named that are not to be asked again.
    pub(crate) fn host(&self) -> HostId {
        self.host.host()
    }

    /// The call has got its whole answer.
    #[inline]
    pub(crate) fn complete(&self) {
        self.host.complete();
    }
}

fn is_silent(live: &Live) -> bool {
    live.transport().is_some_and(|transport| {
        transport.is_quiet() || matches!(transport.try_receive(|_| (0, ())), Ok(None))
    })
}
