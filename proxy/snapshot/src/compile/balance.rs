//! How calls are spread over a group's addresses: from what was written to what `balance` takes.

use balance::{Breaker, Outlier, Retries, Settings, Statuses, Thresholds};

use crate::{Health, nanoseconds};

pub(super) fn settings(upstream: &model::Upstream) -> Settings {
    let model::Outlier { consecutive, status, ejection, ejection_max, ejected_max } = &upstream.outlier;
    Settings {
        in_flight_max: upstream.in_flight_max.unwrap_or(u32::MAX),
        host_in_flight_max: upstream.connections_max.unwrap_or(u32::MAX),
        outlier: Outlier {
            consecutive: *consecutive,
            statuses: statuses(status),
            ejection_ns: nanoseconds(*ejection),
            ejection_max_ns: nanoseconds(*ejection_max),
            ejected_max_percent: *ejected_max,
        },
        panic_percent: upstream.panic_threshold,
        breaker: upstream.breaker.as_ref().map(|breaker| Breaker {
            failure_percent: breaker.failures,
            calls_min: breaker.calls_min,
            open_ns: nanoseconds(breaker.open),
            trials: breaker.trials,
        }),
        retries: Retries {
            hosts_max: upstream.retries.max,
            budget_percent: upstream.retries.budget,
            budget_min: upstream.retries.budget_min,
            statuses: statuses(&upstream.retries.status),
        },
        slow_start_ns: nanoseconds(upstream.slow_start),
    }
}

pub(super) fn health(health: &model::Health) -> Health {
    Health {
        path: health.path.clone(),
        interval_ns: nanoseconds(health.interval),
        timeout_ns: nanoseconds(health.timeout),
        statuses: statuses(&health.status),
        thresholds: Thresholds { healthy: health.healthy, unhealthy: health.unhealthy },
    }
}

fn statuses(ranges: &model::Statuses) -> Statuses {
    Statuses::new(ranges.iter().cloned())
}
