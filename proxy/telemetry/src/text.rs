//! Prometheus text format 0.0.4: families, series, label values, numbers. It knows no metric.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{self, Display, Write};

use crate::latency::{BOUNDS_US, Latency};

/// Labels of one series, in order.
pub(crate) type Labels<'a> = &'a [(&'static str, &'a str)];

/// A page under construction. A family's series are written together, under one HELP and one TYPE; a family
/// without series is left out.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

/// One metric family; its head is written with its first series.
pub(crate) struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    begun: bool,
}

impl Page {
    /// `name` ends in `_total`.
    pub(crate) fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.family(name, help, "counter")
    }

    pub(crate) fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, help, "gauge")
    }

    /// `name` ends in `_seconds`.
    pub(crate) fn histogram(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        debug_assert!(name.ends_with("_seconds"), "{name}");
        self.family(name, help, "histogram")
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn family(&mut self, name: &'static str, help: &'static str, kind: &'static str) -> Family<'_> {
        debug_assert!(!help.contains(['\n', '\\']), "{help}");
        Family { page: self, name, help, kind, begun: false }
    }
}

impl Family<'_> {
    /// One series.
    pub(crate) fn put(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// The series of one histogram.
    pub(crate) fn put_latency(&mut self, labels: Labels<'_>, latency: &Latency) {
        let (counts, mut buckets) = (latency.buckets(), [(0, 0); BOUNDS_US.len()]);
        let mut all = 0;
        for (index, count) in counts.into_iter().enumerate() {
            all += count;
            if let (Some(bucket), Some(bound)) = (buckets.get_mut(index), BOUNDS_US.get(index)) {
                *bucket = (*bound, all);
            }
        }
        self.put_buckets(labels, &buckets, all, latency.sum_us());
    }

    /// The same of upper bounds, in microseconds, and how many are not above each; how many there are in all, and their sum.
    pub(crate) fn put_buckets(&mut self, labels: Labels<'_>, buckets: &[(u64, u64)], all: u64, sum_us: u64) {
        for (bound_us, count) in buckets {
            self.line("_bucket", labels, Some(&Seconds(*bound_us)), count);
        }
        self.line("_bucket", labels, Some(&"+Inf"), all);
        self.line("_sum", labels, None, Seconds(sum_us));
        self.line("_count", labels, None, all);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, le: Option<&dyn Display>, value: impl Display) {
        let text = &mut self.page.text;
        if !self.begun {
            self.begun = true;
            push(text, format_args!("# HELP {0} {1}\n# TYPE {0} {2}\n", self.name, self.help, self.kind));
        }
        push(text, format_args!("{}{suffix}", self.name));
        let mut separator = '{';
        for (name, value) in labels {
            push(text, format_args!("{separator}{name}=\"{}\"", Escaped(value)));
            separator = ',';
        }
        if let Some(le) = le {
            push(text, format_args!("{separator}le=\"{le}\""));
            separator = ',';
        }
        if separator == ',' {
            text.push('}');
        }
        push(text, format_args!(" {value}\n"));
    }
}

/// Microseconds, written as seconds, exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds(pub(crate) u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, us) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if us == 0 {
            return write!(f, "{seconds}");
        }
        let digits = format!("{us:06}");
        write!(f, "{seconds}.{}", digits.trim_end_matches('0'))
    }
}

/// A label's value: backslash, quote and line feed are escaped.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'\n' => "\\n",
                b'"' => "\\\"",
                _ => "\\\\",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

fn push(text: &mut String, part: fmt::Arguments<'_>) {
    text.write_fmt(part).expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_written_as_seconds() {
        #[track_caller]
        fn check(us: u64, expected: &str) {
            assert_eq!(Seconds(us).to_string(), expected);
        }
        check(0, "0");
        check(100, "0.0001");
        check(1, "0.000001");
        check(2_500_000, "2.5");
        check(60_000_000, "60");
    }

    #[test]
    fn label_values_cannot_leave_their_quotes() {
        #[track_caller]
        fn check(value: &str, expected: &str) {
            assert_eq!(Escaped(value).to_string(), expected);
        }
        check("GET /orders/{id}", "GET /orders/{id}");
        check("a\"} 1\nforged 2", "a\\\"} 1\\nforged 2");
        check("\\", "\\\\");
        check("ü\n", "ü\\n");
    }

    #[test]
    fn a_family_without_series_is_left_out() {
        let mut page = Page::default();
        page.counter("a_total", "Nothing.");
        page.gauge("b", "One.").put(&[("x", "y")], 1).put(&[], 2);
        assert_eq!(page.finish(), "# HELP b One.\n# TYPE b gauge\nb{x=\"y\"} 1\nb 2\n");
    }
}
