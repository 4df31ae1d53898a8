//! Connections to backends: which backend takes a call, and which of its connections. Everything here is one core's.

use std::{cell::Cell, net::SocketAddr, rc::Rc};

use snapshot::Upstream;

use crate::{Endpoint, backend::Live, transport::Transport};

/// The connections to one upstream group.
#[derive(Default)]
pub(crate) struct Pool {
    backends: Vec<Backend>,
    turn: usize,
    /// Unused connections to all of them.
    idle: usize,
    /// This core's own copy, with its own sessions to resume.
    tls: Option<tls::Client>,
}

/// One address of the group.
struct Backend {
    endpoint: Endpoint,
    in_flight: Rc<Cell<u32>>,
    /// Unused connections, the one used last at the end: it is the warmest.
    #[expect(clippy::vec_box, reason = "what is kept moves between here and its calls by its address")]
    idle: Vec<Box<Live>>,
}

/// A call's claim on a backend: counted for as long as it is held.
pub(crate) struct Claim {
    pub(crate) endpoint: Endpoint,
    in_flight: Rc<Cell<u32>>,
}

impl Pool {
    /// Takes the addresses that a name has now. Connections and counts of those that stay are kept.
    pub(crate) fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        if self.backends.iter().map(|backend| &backend.endpoint).eq(endpoints) {
            return;
        }
        let mut before = std::mem::take(&mut self.backends);
        self.backends = endpoints
            .iter()
            .map(|endpoint| match before.iter().position(|backend| backend.endpoint == *endpoint) {
                Some(at) => before.swap_remove(at),
                None => Backend { endpoint: *endpoint, in_flight: Rc::default(), idle: Vec::new() },
            })
            .collect();
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

    /// How many addresses there are.
    pub(crate) fn len(&self) -> usize {
        self.backends.len()
    }

    /// Calls in flight to all addresses.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> u32 {
        self.backends.iter().map(|backend| backend.in_flight.get()).sum()
    }

    /// The address with the least in flight that `avoid` does not name; those that are equal take turns.
    pub(crate) fn claim(&mut self, avoid: &[SocketAddr]) -> Option<Claim> {
        let count = self.backends.len();
        self.turn = self.turn.wrapping_add(1);
        let order = (0..count).map(|offset| &self.backends[(self.turn.wrapping_add(offset)) % count]);
        let allowed = order.filter(|backend| !avoid.contains(&backend.endpoint.address));
        let least = allowed.min_by_key(|backend| backend.in_flight.get())?;
        least.in_flight.set(least.in_flight.get() + 1);
        Some(Claim { endpoint: least.endpoint, in_flight: least.in_flight.clone() })
    }

    /// An unused connection to the claimed address that is still good: one on which the backend has ended or spoken
    /// out of turn is thrown away (rule U6).
    pub(crate) fn reuse(&mut self, claim: &Claim) -> Option<Box<Live>> {
        let backend = self.backends.iter_mut().find(|backend| backend.endpoint == claim.endpoint)?;
        while let Some(live) = backend.idle.pop() {
            self.idle -= 1;
            if is_silent(&live.transport) {
                return Some(live);
            }
        }
        None
    }

    /// Keeps a connection whose last response was whole, while there is room.
    pub(crate) fn keep(&mut self, mut live: Box<Live>, upstream: &Upstream, now_ns: u64) {
        let Some(claim) = live.claim.take() else { return };
        let backend = self.backends.iter_mut().find(|backend| backend.endpoint == claim.endpoint);
        if self.idle < upstream.idle_connections_max
            && let Some(backend) = backend
        {
            live.since_ns = now_ns;
            backend.idle.push(live);
            self.idle += 1;
        }
    }

    /// Whether there are no unused connections.
    pub(crate) fn is_unused(&self) -> bool {
        self.idle == 0
    }

    /// Closes connections that were unused for too long or that the backend has closed.
    pub(crate) fn sweep(&mut self, keep_alive_ns: u64, now_ns: u64) {
        for backend in &mut self.backends {
            backend.idle.retain(|idle| {
                now_ns.saturating_sub(idle.since_ns) < keep_alive_ns && is_silent(&idle.transport)
            });
        }
        self.count();
    }

    /// Closes all unused connections.
    pub(crate) fn let_go(&mut self) {
        for backend in &mut self.backends {
            backend.idle.clear();
        }
        self.idle = 0;
    }

    fn count(&mut self) {
        self.idle = self.backends.iter().map(|backend| backend.idle.len()).sum();
    }
}

fn is_silent(transport: &Transport) -> bool {
    matches!(transport.try_receive(|_| (0, ())), Ok(None))
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.in_flight.set(self.in_flight.get() - 1);
    }
}
