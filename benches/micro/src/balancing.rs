//! The address of a call, from the claim to its return, with all that is on by default.

use balance::{Group, Outlier, Retries, Settings, Statuses};

use crate::Case;

/// One address: the common case, in which there is nothing to choose.
pub(crate) fn balance_one() -> Case {
    claim("balance_one", 1)
}

/// Ten, of which one is asked.
pub(crate) fn balance_ten() -> Case {
    claim("balance_ten", 10)
}

/// Between two calls: 100,000 a second.
const STEP_NS: u64 = 10_000;
const S: u64 = 1_000_000_000;

fn claim(name: &'static str, hosts: usize) -> Case {
    let settings = Settings {
        outlier: Outlier {
            consecutive: 5,
            statuses: Statuses::new([502..=504]),
            ejection_ns: 30 * S,
            ejection_max_ns: 300 * S,
            ejected_max_percent: 50,
        },
        retries: Retries { hosts_max: 2, budget_percent: 20, budget_min: 3, statuses: Statuses::default() },
        slow_start_ns: 10 * S,
        ..Settings::default()
    };
    let mut group = Group::default();
    group.set_hosts(&settings, std::iter::repeat_n(None, hosts), 0);
    let mut now_ns = S;
    Case::new(name, move || {
        now_ns += STEP_NS;
        let Ok(claim) = group.claim(&settings, now_ns) else { return false };
        claim.complete();
        group.in_flight() == 1
    })
}
