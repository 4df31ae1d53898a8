//! What is asked of a backend when the client has its answer already: the cache was good enough for it, and wants to know what
//! holds now (RFC 5861 §3). The way is that of the client's request from the cache on; what stands before it has had its
//! say.

use message::Response;
use policy::{Slot, Verdict, cache};
use smallvec::SmallVec;
use snapshot::{Found, Snapshot};

use crate::{Core, Facts, Ids, Served, Way, integrate, is_backends};

/// A request of ours, and where it belongs in the snapshot that it was found in.
#[derive(Debug)]
pub struct Renewal {
    asked: Box<cache::Renewal>,
    /// Indices of API, stage, route and policy.
    place: [usize; 4],
    params: SmallVec<[(u32, u32); 4]>,
}

impl<C> Way<'_, C> {
    /// What the policy asked last wants to know, if it does.
    pub(super) fn renewal(
        &mut self,
        snapshot: &Snapshot,
        found: &Found<'_>,
        slot: &mut Slot,
    ) -> Option<Box<Renewal>> {
        let Slot::Renew(_) = slot else { return None };
        let Slot::Renew(asked) = std::mem::take(slot) else { return None };
        let (route, _) = found.route.as_ref().ok()?;
        let place = [
            snapshot.apis.element_offset(found.api)?,
            found.api.stages.element_offset(found.stage)?,
            found.stage.routes.element_offset(route)?,
            usize::from(self.asked.checked_sub(1)?),
        ];
        Some(Box::new(Renewal { asked, place, params: self.params.into() }))
    }
}

/// Makes the request, in the snapshot that it belongs to. What the cache wants done with the response; `None`: nothing that
/// would be a response has come of it.
pub async fn renew<C: Core>(
    snapshot: &Snapshot,
    renewal: Renewal,
    response: &mut Response,
    facts: &Facts,
    core: &C,
) -> Option<cache::Fate> {
    let Renewal { asked, place: [api, stage, route, policy], params } = renewal;
    let api = snapshot.apis.get(api)?;
    let route = api.stages.get(stage)?.routes.get(route)?;
    let cache::Renewal { mut request, journey } = *asked;
    let (policies, asked) = (&route.policies, u16::try_from(policy + 1).ok()?);
    let mut way = Way { facts, params: &params, core, policies, asked, stopped: false, questions: 0 };
    let mut served = Served::of(Ids::of(&request, api.dialect, facts.request_id));
    served.slot = Slot::Respect(journey);
    let ended = match way.admit(&mut request, &mut served.slot) {
        Verdict::Continue => integrate(route, &mut request, response, (&way, None), &mut served).await,
        Verdict::Refuse(reason) => Err(reason),
        Verdict::Answer(_) | Verdict::Replay(_) | Verdict::Ask(_) => return None,
    };
    let mut unanswered = false;
    if let Err(reason) = ended {
        unanswered = is_backends(&reason);
        served.refuse(reason, api.dialect, response);
    }
    way.leave(policy, response, unanswered, &mut served.slot);
    served.take_fate()
}
