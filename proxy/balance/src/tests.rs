mod breaking;
mod choosing;
mod properties;

use crate::{Claim, Group, HostId, Outcome, Outlier, Refused, Retries, Settings, Statuses};

pub(super) const S: u64 = 1_000_000_000;

/// Five faults in a row, half of the hosts at most, thirty seconds; a fifth of the calls is repeated, three at least.
pub(super) fn settings() -> Settings {
    Settings {
        outlier: Outlier {
            consecutive: 5,
            statuses: Statuses::new([502..=504]),
            ejection_ns: 30 * S,
            ejection_max_ns: 300 * S,
            ejected_max_percent: 50,
        },
        retries: Retries { hosts_max: 2, budget_percent: 20, budget_min: 3, statuses: Statuses::default() },
        ..Settings::default()
    }
}

/// A group, its settings and a clock.
pub(super) struct Lab {
    pub(super) settings: Settings,
    pub(super) group: Group,
    pub(super) now_ns: u64,
    /// In the order in which they came.
    pub(super) ids: Vec<HostId>,
}

impl Lab {
    pub(super) fn new(hosts: usize, settings: Settings) -> Self {
        let mut group = Group::default();
        group.set_hosts(&settings, std::iter::repeat_n(None, hosts), 0);
        let mut lab = Self { settings, group, now_ns: S, ids: Vec::new() };
        let claims: Vec<_> = (0..hosts).map_while(|_| lab.claim().ok()).collect();
        lab.ids = claims.iter().map(Claim::host).collect();
        drop(claims);
        let place = |id: &HostId| id.0;
        lab.ids.sort_by_key(place);
        lab
    }

    pub(super) fn claim(&mut self) -> Result<Claim, Refused> {
        self.group.claim(&self.settings, self.now_ns)
    }

    pub(super) fn settle(&mut self, claim: &mut Claim, outcome: Outcome) -> bool {
        if outcome == Outcome::Pass {
            claim.complete();
        }
        self.group.settle(&self.settings, claim, outcome, self.now_ns)
    }

    /// One call that ends at once; says which host it was.
    #[track_caller]
    pub(super) fn call(&mut self, outcome: impl Fn(usize) -> Outcome) -> usize {
        let mut claim = self.claim().unwrap();
        let host = self.host(&claim);
        self.settle(&mut claim, outcome(host));
        host
    }

    /// How many of so many calls each host gets.
    #[track_caller]
    pub(super) fn calls(&mut self, count: usize, outcome: impl Fn(usize) -> Outcome) -> Vec<usize> {
        let mut got = vec![0; self.ids.len()];
        for _ in 0..count {
            got[self.call(&outcome)] += 1;
        }
        got
    }

    pub(super) fn host(&self, claim: &Claim) -> usize {
        self.ids.iter().position(|id| *id == claim.host()).unwrap_or(usize::MAX)
    }
}

pub(super) fn pass(_: usize) -> Outcome {
    Outcome::Pass
}

/// Some hosts fail.
pub(super) fn fail(hosts: &[usize]) -> impl Fn(usize) -> Outcome {
    move |host| if hosts.contains(&host) { Outcome::Fault } else { Outcome::Pass }
}
