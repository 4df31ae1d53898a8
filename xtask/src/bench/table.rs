//! The table: medians, and each gateway's share of nginx' cost.

use std::fmt::Write;

use super::Measured;

/// A table in Markdown: a row for each job, a column for each gateway; the first is what the others are compared with.
pub(super) fn markdown(gateways: &[String], results: &[(&str, String, Measured)]) -> String {
    let mut text = String::from("| job |");
    for gateway in gateways {
        let _ = write!(text, " {gateway} µs | {gateway} req/s |");
    }
    for gateway in gateways.iter().skip(1) {
        let _ = write!(text, " {} × {gateway} |", gateways[0]);
    }
    text.push_str("\n|---|");
    text.push_str(&"--:|".repeat(gateways.len() * 3 - 1));
    text.push('\n');
    let mut jobs: Vec<&str> = results.iter().map(|(job, ..)| *job).collect();
    jobs.dedup();
    for job in jobs {
        let of = |gateway: &String, what: fn(&Measured) -> f64| {
            let runs = results.iter().filter(|(name, by, _)| *name == job && by == gateway);
            median(runs.map(|(.., measured)| what(measured)).collect())
        };
        let _ = write!(text, "| {job} |");
        for gateway in gateways {
            let (cpu_us, rate) = (of(gateway, |run| run.cpu_us), of(gateway, |run| run.requests_per_s));
            let mark = if of(gateway, |run| run.busy) >= 0.95 { "" } else { "*" };
            let _ = write!(text, " {cpu_us:.1} | {rate:.0}{mark} |");
        }
        for gateway in gateways.iter().skip(1) {
            let ratio = of(&gateways[0], |run| run.cpu_us) / of(gateway, |run| run.cpu_us);
            let _ = write!(text, " {ratio:.2} |");
        }
        text.push('\n');
    }
    text.push_str("\nµs: CPU time a request. The last columns: how many times nginx' requests the same CPU time serves.\n");
    text.push_str("\\*: the load generator was the bottleneck, the gateway's core was not full.\n");
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Measured, markdown, median};

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn rows_and_ratios() {
        let run = |cpu_us, busy| Measured { cpu_us, requests_per_s: 1000.0, busy, errors: 0 };
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let results = [("proxy", a.clone(), run(20.0, 1.0)), ("proxy", b.clone(), run(10.0, 0.5))];
        let text = markdown(&[a, b], &results);
        assert!(
            text.contains("| job | a µs | a req/s | b µs | b req/s | a × b |\n|---|--:|--:|--:|--:|--:|\n"),
            "{text}"
        );
        assert!(text.contains("| proxy | 20.0 | 1000 | 10.0 | 1000* | 2.00 |"), "{text}");
    }
}
