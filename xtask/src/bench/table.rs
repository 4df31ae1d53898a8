//! The tables, in Markdown: medians of the clean runs, and ratios of runs of the same round.

use std::fmt::Write;

use super::{
    jobs::Job,
    rounds::{Measured, Run},
};

/// Below this the gateway's core was not full: requests a second are the load generator's.
const FULL: f64 = 0.95;

/// CPU time a request: a row for each job, a column for each gateway, and how many times the requests of the first the
/// same CPU time serves with the others. Then requests a second.
pub(super) fn markdown(gateways: &[String], runs: &[Run], again: u32) -> String {
    let mut jobs: Vec<&'static Job> = Vec::new();
    for run in runs {
        if !jobs.contains(&run.job) {
            jobs.push(run.job);
        }
    }
    let others = 1..gateways.len();
    let mut text = String::from("| job |");
    for gateway in gateways {
        let _ = write!(text, " {gateway} |");
    }
    for other in others.clone() {
        let _ = write!(text, " {} ÷ {} |", gateways[0], gateways[other]);
    }
    let _ = writeln!(text, " clean runs |\n|---|{}", "--:|".repeat(2 * gateways.len()));
    for &job in &jobs {
        let _ = write!(text, "| {} |", job.title);
        for gateway in 0..gateways.len() {
            let _ = write!(text, " {} |", cell(runs, job, gateway, |run| run.cpu_us, 1, ""));
        }
        for other in others.clone() {
            let ratio = ratio(runs, job, other);
            let _ = match ratio {
                Some(ratio) => write!(text, " {ratio:.2} |"),
                None => write!(text, " – |"),
            };
        }
        let of_job = || runs.iter().filter(|run| run.job == job);
        let clean = of_job().filter(|run| run.measured.clean()).count();
        let _ = writeln!(text, " {clean} of {} |", of_job().count());
    }
    text.push_str(
        "\nCPU µs a request; the ratios are medians of pairs of one round.\n\n| requests a second |",
    );
    for gateway in gateways {
        let _ = write!(text, " {gateway} |");
    }
    let _ = writeln!(text, "\n|---|{}", "--:|".repeat(gateways.len()));
    for &job in &jobs {
        let _ = write!(text, "| {} |", job.title);
        for gateway in 0..gateways.len() {
            let busy = median(values(runs, job, gateway, |run| run.busy).0);
            let mark = if busy.is_some_and(|busy| busy >= FULL) { "" } else { "\\*" };
            let _ = write!(text, " {} |", cell(runs, job, gateway, |run| run.requests_per_s, 0, mark));
        }
        text.push('\n');
    }
    let thrown = runs.iter().filter(|run| !run.measured.clean()).count();
    let _ = write!(
        text,
        "\n\\*: the load generator was the bottleneck, the gateway's core was not full.\n\n{again} disturbed runs were made \
         again, {thrown} of {} were thrown out in the end.",
        runs.len()
    );
    if text.contains("(!)") {
        text.push_str(" (!): not one run was clean; the figure is that of the others and says little.");
    }
    text.push('\n');
    text
}

/// What the first gateway is compared with costs more than it: CPU time and latencies, medians, as the load generator saw them.
pub(super) fn added(gateways: &[String], runs: &[Run]) -> String {
    let mut jobs: Vec<&'static Job> = Vec::new();
    runs.iter().for_each(|run| {
        if !jobs.contains(&run.job) {
            jobs.push(run.job)
        }
    });
    let mut text = String::from("| added to the first, µs | |");
    gateways.iter().skip(1).for_each(|gateway| {
        let _ = write!(text, " {gateway} |");
    });
    let _ = writeln!(text, "\n|---|---|{}", "--:|".repeat(gateways.len() - 1));
    type Figure = fn(&Measured) -> f64;
    let figures: [(&str, Figure); 3] =
        [("CPU", |it| it.cpu_us), ("p50", |it| it.p50_us), ("p99", |it| it.p99_us)];
    for &job in &jobs {
        for (name, what) in figures {
            let of = |gateway| median(values(runs, job, gateway, what).0);
            let _ = write!(text, "| {} | {name} |", job.title);
            for gateway in 1..gateways.len() {
                let _ = match of(gateway).zip(of(0)) {
                    Some((other, first)) => write!(text, " {:+.1} |", other - first),
                    None => write!(text, " – |"),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// Every run as tab-separated text, for those who want to judge for themselves.
pub(super) fn raw(gateways: &[String], runs: &[Run]) -> String {
    let mut text =
        String::from("job\tgateway\tround\tcpu_us\trequests_per_s\tbusy\tothers\tp50_us\tp99_us\terrors\n");
    for Run { job, gateway, round, measured: of } in runs {
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{:.3}\t{:.0}\t{:.3}\t{:.3}\t{:.0}\t{:.0}\t{}",
            job.name,
            gateways[*gateway],
            round + 1,
            of.cpu_us,
            of.requests_per_s,
            of.busy,
            of.foreign,
            of.p50_us,
            of.p99_us,
            of.errors
        );
    }
    text
}

/// How many times the requests of the first gateway: the median over the rounds in which both ran clean.
fn ratio(runs: &[Run], job: &Job, other: usize) -> Option<f64> {
    let clean = |gateway: usize, round: u32| {
        runs.iter()
            .find(|run| {
                run.job == job && run.gateway == gateway && run.round == round && run.measured.clean()
            })
            .map(|run| run.measured.cpu_us)
    };
    let rounds = runs.iter().map(|run| run.round).max()? + 1;
    median((0..rounds).filter_map(|round| Some(clean(0, round)? / clean(other, round)?)).collect())
}

fn cell(
    runs: &[Run],
    job: &Job,
    gateway: usize,
    what: fn(&Measured) -> f64,
    digits: usize,
    mark: &str,
) -> String {
    let (values, clean) = values(runs, job, gateway, what);
    let doubt = if clean { "" } else { " (!)" };
    median(values).map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}{mark}{doubt}"))
}

/// Those of the clean runs, or of all if there are none, and which of the two.
fn values(runs: &[Run], job: &Job, gateway: usize, what: fn(&Measured) -> f64) -> (Vec<f64>, bool) {
    let of = |clean: bool| -> Vec<f64> {
        runs.iter()
            .filter(|run| run.job == job && run.gateway == gateway && (!clean || run.measured.clean()))
            .map(|run| what(&run.measured))
            .filter(|value| value.is_finite())
            .collect()
    };
    match of(true) {
        none if none.is_empty() => (of(false), false),
        some => (some, true),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[count / 2]),
        count => Some((values[count / 2 - 1] + values[count / 2]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            jobs::JOBS,
            rounds::{Measured, Run},
        },
        markdown, median, raw,
    };

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    /// Runs of gateways `a` and `b`: gateway, round, µs, share of others.
    fn runs(of: &[(usize, u32, f64, f64)]) -> Vec<Run> {
        of.iter()
            .map(|&(gateway, round, cpu_us, foreign)| {
                let (requests_per_s, busy, p50_us, p99_us) = (1000.0, 1.0 - gateway as f64 / 2.0, 1.0, 2.0);
                let measured = Measured { cpu_us, requests_per_s, busy, foreign, p50_us, p99_us, errors: 0 };
                Run { job: &JOBS[0], gateway, round, measured }
            })
            .collect()
    }

    #[track_caller]
    fn check(of: &[(usize, u32, f64, f64)], rows: &[&str]) {
        let text = markdown(&["a".to_owned(), "b".to_owned()], &runs(of), 0);
        for row in rows {
            assert!(text.contains(row), "no `{row}` in\n{text}");
        }
    }

    #[test]
    fn rows_and_ratios() {
        check(
            &[(0, 0, 20.0, 0.0), (1, 0, 10.0, 0.0)],
            &[
                "| job | a | b | a ÷ b | clean runs |\n|---|--:|--:|--:|--:|\n",
                "| proxy 1 KiB | 20.0 | 10.0 | 2.00 | 2 of 2 |\n",
                "| requests a second | a | b |\n|---|--:|--:|\n| proxy 1 KiB | 1000 | 1000\\* |\n",
            ],
        );
    }

    #[test]
    fn what_is_added() {
        let text =
            super::added(&["a".to_owned(), "b".to_owned()], &runs(&[(0, 0, 20.0, 0.0), (1, 0, 21.5, 0.0)]));
        let rows =
            "| proxy 1 KiB | CPU | +1.5 |\n| proxy 1 KiB | p50 | +0.0 |\n| proxy 1 KiB | p99 | +0.0 |\n";
        assert!(text.ends_with(rows), "{text}");
    }

    #[test]
    fn ratios_are_of_one_round() {
        // The machine was half as fast in the second round; medians of each side alone would say 40 / 10.
        check(
            &[(0, 0, 20.0, 0.0), (1, 0, 10.0, 0.0), (0, 1, 40.0, 0.0), (1, 1, 20.0, 0.0), (0, 2, 40.0, 0.0)],
            &["| proxy 1 KiB | 40.0 | 15.0 | 2.00 | 5 of 5 |"],
        );
    }

    #[test]
    fn disturbed_runs_are_thrown_out_and_counted() {
        check(
            &[(0, 0, 20.0, 0.0), (1, 0, 99.0, 0.2), (0, 1, 22.0, 0.0), (1, 1, 11.0, 0.0)],
            &["| proxy 1 KiB | 21.0 | 11.0 | 2.00 | 3 of 4 |", "1 of 4 were thrown out"],
        );
        check(
            &[(0, 0, 20.0, 0.0), (1, 0, 10.0, 0.2)],
            &["| proxy 1 KiB | 20.0 | 10.0 (!) | – | 1 of 2 |", "(!): not one run was clean"],
        );
    }

    #[test]
    fn a_gateway_that_stood_still_has_no_figure() {
        let mut still = runs(&[(0, 0, 20.0, 0.0), (1, 0, f64::NAN, 0.0)]);
        still[1].measured.errors = 1;
        let text = markdown(&["a".to_owned(), "b".to_owned()], &still, 0);
        assert!(text.contains("| proxy 1 KiB | 20.0 | – | – | 1 of 2 |"), "{text}");
    }

    #[test]
    fn raw_runs() {
        let text = raw(&["a".to_owned()], &runs(&[(0, 1, 20.0, 0.01)]));
        assert!(text.ends_with("proxy\ta\t2\t20.000\t1000\t1.000\t0.010\t1\t2\t0\n"), "{text}");
    }
}
