//! Canaries of a running node: what is seen of them, by letters to the cores, and what the judge's word comes to.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use shard::Message;
use snapshot::CANARY_SUFFIX;
use telemetry::Observed;

use super::{Node, REPORT_MAX, held};
use crate::{
    deployments::{Case, Deed, Verdict},
    say,
};

impl Node {
    /// Has canaries looked at, if any is to be judged, by a thread of its own: cores are asked and waited for.
    pub(super) fn judge(self: &Arc<Self>) {
        let Some(deployments) = &self.deployments else { return };
        // While a change is made there is nothing to be judged.
        let (Ok(deployments), Ok(taken)) = (deployments.try_lock(), self.taken.try_lock()) else { return };
        let cases = deployments.judged(&taken);
        drop((deployments, taken));
        if cases.is_empty() && held(&self.judges).is_idle() {
            return;
        }
        if self.judging.swap(true, Ordering::AcqRel) {
            return;
        }
        let node = self.clone();
        let judge = thread::Builder::new().name("judge".into()).spawn(move || {
            node.judge_all(&cases);
            node.judging.store(false, Ordering::Release);
        });
        if let Err(error) = judge {
            self.judging.store(false, Ordering::Release);
            say::warning(&format!("canaries are not judged: cannot start a thread: {error}"));
        }
    }

    fn judge_all(self: &Arc<Self>, cases: &[Case]) {
        let seen: HashMap<_, _> = cases
            .iter()
            .filter_map(|Case { names, .. }| {
                let canary = format!("{}{CANARY_SUFFIX}", names.1);
                // A core that does not answer would be taken for one without requests.
                Some((names.clone(), self.observed(&names.0, &canary)?))
            })
            .collect();
        let cases: Vec<_> = cases.iter().filter(|case| seen.contains_key(&case.names)).cloned().collect();
        let see = |names: &(String, String)| seen.get(names).cloned().unwrap_or_default();
        let found = held(&self.judges).look(self.started.elapsed(), &cases, see);
        for (Case { names: (api, stage), deployment, .. }, verdict) in found {
            let (promoted, why) = match verdict {
                Verdict::Promote(why) => (true, why),
                Verdict::TakeBack(why) => (false, why),
            };
            let what = if promoted { "promoted" } else { "taken back" };
            let of = format!("the canary of stage {stage} of API {api}");
            let told = why.clone();
            let done = self.change(move |node| {
                let deed =
                    Deed::Judged { api: &api, stage: &stage, deployment: &deployment, promoted, why: &why };
                node.take_change(&deed, "judge")
            });
            match done {
                Ok(_) => say::note(&format!("{of} was {what}: {told}")),
                Err(why) => say::warning(&format!(
                    "{of} should be {what} ({told}) and could not be: {}",
                    why.trim_end()
                )),
            }
        }
    }

    /// What was counted of a stage's routes, or of its canary's; `None` if a core does not answer.
    fn observed(&self, api: &str, stage: &str) -> Option<Observed> {
        let labels = held(&self.publisher).labels()?;
        let is_asked = |own: &telemetry::RouteLabels| own.api == api && own.stage == stage;
        let slots = labels.routes.iter().zip(0..).filter(|(own, _)| own.as_ref().is_some_and(is_asked));
        let slots: Arc<[u32]> = slots.map(|(_, slot)| slot).collect();
        let (done, observed) = mpsc::channel();
        let asked = self.ask(|| Message::Observe(slots.clone(), done.clone()));
        drop(done);
        let deadline = Instant::now() + REPORT_MAX;
        let mut sum = Observed::default();
        for _ in 0..asked {
            let left = deadline.saturating_duration_since(Instant::now());
            sum.merge(&observed.recv_timeout(left).ok()?);
        }
        (asked == self.cores.get()?.posts.len()).then_some(sum)
    }

    /// What is seen of a stage and of its canary, as programs are told.
    pub(super) fn seen(&self, api: &str, stage: &str) -> Value {
        let shown = |stage: &str| {
            let Some(seen) = self.observed(api, stage) else { return Value::Null };
            let p99 = Duration::from_micros(seen.p99_us());
            json!({ "requests": seen.requests, "errors": seen.errors, "p99_ms": p99.as_secs_f64() * 1_000.0 })
        };
        json!({ "stage": shown(stage), "canary": shown(&format!("{stage}{CANARY_SUFFIX}")) })
    }
}
