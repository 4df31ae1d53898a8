//! A token of two buckets, the client's and the route's, on one of four cores.

use std::{net::IpAddr, sync::Arc};

use message::{Now, Request};
use policy::{
    Context, Policy, Slot, Verdict,
    throttle::{LevelSettings, Scope, Settings, Spendings, Table, Throttle},
};

use crate::Case;

/// Both have a token.
pub(crate) fn throttle() -> Case {
    decide("throttle", 1e6, |verdict| matches!(verdict, Verdict::Continue))
}

/// The client's has none.
pub(crate) fn throttle_refused() -> Case {
    decide("throttle_refused", 0.0, |verdict| matches!(verdict, Verdict::Refuse(_)))
}

const CORES: usize = 4;
const SLOTS: usize = 1 << 12;
/// Between two requests: 100,000 a second.
const STEP_NS: u64 = 10_000;

fn decide(name: &'static str, client_rate: f64, right: fn(&Verdict) -> bool) -> Case {
    let level = |identity: &str, rate, per_client| LevelSettings {
        identity: identity.to_owned(),
        rate,
        burst: Some(if rate > 0.0 { 10_000 } else { 0 }),
        per_client,
        scope: Scope::Route,
    };
    let settings = Settings { levels: vec![level("client", client_rate, true), level("route", 1e6, false)] };
    #[expect(clippy::expect_used, reason = "a policy that cannot be made has nothing to measure")]
    let policy = Throttle::new(&settings).expect("settings are sound");
    let mut spendings = Spendings::new(Arc::new(Table::new(SLOTS)), CORES);
    let (mut request, mut slot) = (Request::default(), Slot::default());
    let client = IpAddr::from([192, 0, 2, 7]);
    let mut now = Now::default();
    Case::new(name, move || {
        now.mono_ns += STEP_NS;
        let mut cx = Context {
            now,
            client,
            params: &[],
            spendings: &mut spendings,
            near: &mut (),
            slot: &mut slot,
            unanswered: false,
        };
        right(&policy.on_request(&mut request, &mut cx))
    })
}
