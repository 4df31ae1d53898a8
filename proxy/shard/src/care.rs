//! What a core learns of backends from the calls it makes, and whom it asks because of that. What follows from it is
//! `balance`'s to say.

use std::io;

use balance::{HostId, Outcome, Refused};
use message::{Method, Reason, Request};
use snapshot::{Snapshot, Upstream};
use telemetry::Event;

use crate::{
    UpstreamReport,
    backend::Live,
    core::Core,
    pool::{Claim, Wanted},
    relay::Fault,
};

/// Errors of `connect` that say something of this machine and nothing of the backend: out of descriptors (`EMFILE`,
/// `ENFILE`), memory (`ENOMEM`, `ENOBUFS`) or local ports (`EADDRNOTAVAIL`).
const OWN_FAULTS: [i32; 5] = [24, 23, 12, 105, 99];

impl Core {
    /// The address for a new call.
    #[inline]
    pub(crate) fn claim(
        &self,
        slot: u32,
        snapshot: &Snapshot,
        upstream: &Upstream,
        now_ns: u64,
    ) -> Result<Claim, Reason> {
        let wanted = self.wanted(snapshot, upstream);
        let claimed = self.pool(slot, |pool| pool.claim(wanted, now_ns)).ok_or(Reason::BackendUnreachable)?;
        claimed.map_err(|refused| self.refused(slot, refused))
    }

    /// Another address for a call that failed; `None`: the call is given up.
    pub(crate) fn claim_again(&self, slot: u32, now_ns: u64, avoid: &[HostId], seen: bool) -> Option<Claim> {
        match self.pool(slot, |pool| pool.claim_again(now_ns, avoid, seen))? {
            Ok(claim) => {
                self.record(&Event::BackendRetry { upstream: slot });
                Some(claim)
            }
            Err(refused) => {
                self.refused(slot, refused);
                None
            }
        }
    }

    #[cold]
    fn refused(&self, slot: u32, refused: Refused) -> Reason {
        let (label, reason) = match refused {
            // Where there is nobody, nothing was held back.
            Refused::NoHost => return Reason::BackendUnreachable,
            Refused::Budget => ("retry_budget", Reason::BackendUnreachable),
            Refused::Busy => ("in_flight", Reason::BackendBusy),
            Refused::Open { left_ns } => {
                let retry_after_s = left_ns.div_ceil(1_000_000_000).max(1);
                ("breaker", Reason::BackendSuspended { retry_after_s })
            }
        };
        self.record(&Event::BackendHoldBack { upstream: slot, label });
        reason
    }

    /// A backend begins to answer with this status.
    #[inline]
    pub(crate) fn learn_status(&self, upstream: &Upstream, live: &mut Live, status: u16) {
        let is_fault = upstream.balance.outlier.statuses.contains(status);
        let Live { slot, claim: Some(claim), .. } = live else { return };
        if is_fault {
            self.learn_fault(*slot, claim, "status");
        } else if upstream.balance.breaker.is_some() {
            self.settle_call(*slot, claim, Outcome::Pass);
        }
    }

    /// The body of an answer did not come whole.
    #[cold]
    pub(crate) fn learn_body_fault(&self, live: &mut Live, fault: &Fault) {
        let label = match fault {
            Fault::Malformed(_) => "body_malformed",
            // Broke off or was late.
            Fault::SenderGone => "body_failed",
            Fault::ReceiverGone | Fault::TooLarge(_) | Fault::NoRoom => return,
        };
        if let Some(claim) = &mut live.claim {
            self.learn_fault(live.slot, claim, label);
        }
    }

    /// A call failed by its backend's fault.
    #[cold]
    pub(crate) fn learn_fault(&self, slot: u32, claim: &mut Claim, label: &'static str) {
        self.record(&Event::BackendFault { upstream: slot, label });
        self.settle_call(slot, claim, Outcome::Fault);
    }

    /// What is thought of the upstream groups: in as many turns as keep each of them short.
    pub(crate) async fn upstreams(&self) -> Vec<UpstreamReport> {
        /// Some 200 ns each.
        const GROUPS_A_TURN: u32 = 128;
        let snapshot = self.snapshot();
        let mut reports = Vec::new();
        for (slot, upstream) in (0u32..).zip(&snapshot.upstreams) {
            let report = |upstream| {
                let (wanted, now_ns) = (self.wanted(&snapshot, upstream), self.handle.now().mono_ns);
                self.pool(slot, |pool| pool.report(wanted, now_ns))?
            };
            reports.extend(upstream.as_ref().and_then(report));
            if (slot + 1).is_multiple_of(GROUPS_A_TURN) {
                self.handle.yield_now().await;
            }
        }
        reports
    }

    /// What a publication wants of a group, from this core.
    #[inline]
    pub(crate) fn wanted<'a>(&self, snapshot: &Snapshot, upstream: &'a Upstream) -> Wanted<'a> {
        Wanted { upstream, generation: snapshot.generation, core: (self.index, self.posts.len()) }
    }

    fn settle_call(&self, slot: u32, claim: &mut Claim, outcome: Outcome) {
        let now_ns = self.handle.now().mono_ns;
        if self.pool(slot, |pool| pool.settle(claim, outcome, now_ns)) == Some(true) {
            self.record(&Event::BackendEject { upstream: slot });
        }
    }
}

/// Whether a failed connection tells nothing of the backend.
pub(crate) fn is_own_fault(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| OWN_FAULTS.contains(&code))
}

/// Whether a request may be put to another backend although one may have acted upon it: it does no harm twice (RFC 9110
/// §9.2.2), and all of it is still here. `streams`: its body is not.
pub(crate) fn does_no_harm_twice(request: &Request, streams: bool) -> bool {
    !streams && Method::is_idempotent(&request.method)
}
