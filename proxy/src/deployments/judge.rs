//! The judge of canaries: what was seen of one, and for how long, to whether it is promoted or taken back. It is given the time and
//! what was seen, and decides; it does neither.

use std::{collections::BTreeMap, time::Duration};

use model::CanaryJudge;
use telemetry::Observed;

use super::book::Names;

/// A canary that is to be judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    /// API and stage.
    pub(crate) names: Names,
    /// What it runs; empty: what the stage does.
    pub(crate) deployment: String,
    pub(crate) settings: CanaryJudge,
}

/// What becomes of a canary, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Promote(String),
    TakeBack(String),
}

/// Canaries that are being looked at.
#[derive(Debug, Default)]
pub(crate) struct Judges(BTreeMap<Names, Judge>);

#[derive(Debug)]
struct Judge {
    deployment: String,
    /// When it was seen first.
    begun: Duration,
    /// What had been counted of its routes until then, by canaries before it.
    before: Observed,
}

impl Judges {
    /// Whether there is none.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at all canaries there are; `now` only ever grows. What is found of those of which something is.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        cases: &[Case],
        seen: impl Fn(&Names) -> Observed,
    ) -> Vec<(Case, Verdict)> {
        self.0.retain(|names, judge| {
            cases.iter().any(|case| case.names == *names && case.deployment == judge.deployment)
        });
        let mut found = Vec::new();
        for case in cases {
            let seen = seen(&case.names);
            let judge = self.0.entry(case.names.clone()).or_insert_with(|| Judge {
                deployment: case.deployment.clone(),
                begun: now,
                before: seen.clone(),
            });
            let verdict =
                verdict(&case.settings, now.saturating_sub(judge.begun), &seen.since(&judge.before));
            found.extend(verdict.map(|verdict| (case.clone(), verdict)));
        }
        found
    }
}

/// What is found after some time of what was seen in it.
fn verdict(settings: &CanaryJudge, lasted: Duration, seen: &Observed) -> Option<Verdict> {
    if seen.requests < settings.requests_min.max(1) {
        return None;
    }
    let of = format!("of {} requests", seen.requests);
    if let Some(max) = settings.error_rate_max.filter(|max| seen.error_rate() > *max) {
        let (rate, max) = (seen.error_rate() * 100.0, max * 100.0);
        return Some(Verdict::TakeBack(format!(
            "{rate:.2} % {of} were answered 500 and above, more than {max} %"
        )));
    }
    let p99 = Duration::from_micros(seen.p99_us());
    if let Some(max) = settings.latency_p99_max.filter(|max| p99 > *max) {
        return Some(Verdict::TakeBack(format!("the 99th percentile {of} was {p99:.1?}, above {max:?}")));
    }
    (lasted >= settings.promote_after).then(|| {
        let rate = seen.error_rate() * 100.0;
        Verdict::Promote(format!(
            "it did well for {lasted:.1?}: {rate:.2} % {of} were answered 500 and above, p99 {p99:.1?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use telemetry::{Counters, Event, Labels};

    use super::*;

    /// A canary with a core's counters and a clock of its own.
    struct Court {
        judges: Judges,
        counters: RefCell<Counters>,
        now: Duration,
        case: Case,
    }

    impl Court {
        fn new(settings: CanaryJudge) -> Self {
            let labels = Labels { routes: vec![Some(Default::default())], ..Labels::default() };
            let case = Case { names: ("a".into(), "prod".into()), deployment: "one111".into(), settings };
            let counters = RefCell::new(Counters::new(labels.into()));
            Self { judges: Judges::default(), counters, now: Duration::from_secs(1_000), case }
        }

        fn answers(&self, count: u64, status: u16, latency_us: u64) {
            let answer = Event::Answer {
                route: Some(0),
                status,
                protocol: "HTTP/1.1",
                latency_us,
                integration_us: None,
                request_bytes: 0,
                response_bytes: 0,
            };
            (0..count).for_each(|_| self.counters.borrow_mut().record(&answer));
        }

        /// `promote`, `take back` or nothing, so much later.
        #[track_caller]
        fn check(&mut self, later_s: u64, expected: &str) {
            self.now += Duration::from_secs(later_s);
            let counters = &self.counters;
            let seen = |_: &Names| counters.borrow().observe(&[0]);
            let found = self.judges.look(self.now, std::slice::from_ref(&self.case), seen);
            let said = match found.first() {
                None => "",
                Some((_, Verdict::Promote(_))) => "promote",
                Some((_, Verdict::TakeBack(_))) => "take back",
            };
            assert_eq!(said, expected, "{found:?}");
        }
    }

    fn settings() -> CanaryJudge {
        CanaryJudge {
            promote_after: Duration::from_secs(60),
            requests_min: 100,
            error_rate_max: Some(0.05),
            latency_p99_max: Some(Duration::from_millis(50)),
        }
    }

    #[test]
    fn one_that_does_well_for_long_enough_is_promoted() {
        let mut court = Court::new(settings());
        court.check(0, "");
        court.answers(1_000, 200, 1_000);
        court.answers(50, 502, 1_000);
        court.answers(500, 404, 1_000);
        court.check(59, "");
        court.check(1, "promote");
    }

    #[test]
    fn one_of_which_nothing_is_known_waits() {
        let mut court = Court::new(settings());
        court.check(0, "");
        court.answers(99, 500, 1_000_000);
        court.check(600, "");
        court.answers(1, 200, 1_000);
        court.check(1, "take back");
    }

    #[test]
    fn one_that_fails_is_taken_back_at_once() {
        let mut court = Court::new(settings());
        court.check(0, "");
        court.answers(950, 200, 1_000);
        court.answers(50, 500, 1_000);
        court.check(1, "");
        court.answers(2, 503, 1_000);
        court.check(1, "take back");
    }

    #[test]
    fn one_that_is_slow_is_taken_back() {
        let mut court = Court::new(settings());
        court.check(0, "");
        court.answers(990, 200, 1_000);
        court.answers(5, 200, 1_000_000);
        court.check(1, "");
        court.answers(20, 200, 60_000);
        court.check(1, "take back");
        let mut court = Court::new(CanaryJudge { latency_p99_max: None, ..settings() });
        court.check(0, "");
        court.answers(1_000, 200, 9_000_000);
        court.check(60, "promote");
    }

    /// What canaries before it were counted under the same routes says nothing of this one.
    #[test]
    fn each_deployment_is_judged_by_its_own_requests() {
        let mut court = Court::new(settings());
        court.answers(1_000, 500, 1_000);
        court.check(0, "");
        court.check(600, "");
        court.answers(100, 500, 1_000);
        court.check(1, "take back");
        court.case.deployment = "two222".into();
        court.check(1, "");
        court.answers(1_000, 200, 1_000);
        court.check(59, "");
        court.check(1, "promote");
    }
}
