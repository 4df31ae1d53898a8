//! How long something took: fine for quantiles, coarse for Prometheus. It reads no clock.

use hdrhistogram::Histogram;

/// Upper bounds of the exposed buckets, microseconds; `+Inf` follows. A value within 1 % above a bound may be
/// counted below it: that is the histogram's two digits.
pub(crate) const BOUNDS_US: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
/// Longest time told apart: fifteen minutes, AWS's longest integration timeout. Longer ones count as this.
const LONGEST_US: u64 = 900_000_000;
/// What is told apart from the first, a second: few requests take longer, and nothing is allocated for those that do not.
const USUAL_US: u64 = (1 << 20) - 1;
/// Two significant digits: 7 KB a histogram, 12 with the longest time; three would be 80.
const DIGITS: u8 = 2;
/// The fine counts are 32 bits wide; before one can be full they are added to the coarse ones.
const FOLD_AT: u64 = 1 << 31;

/// Times of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    /// Takes what the longest of them needs.
    recent: Histogram<u32>,
    folded: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Default for Latency {
    fn default() -> Self {
        let mut recent =
            Histogram::new_with_bounds(1, USUAL_US, DIGITS).expect("constant bounds are in order");
        recent.auto(true);
        Self { recent, folded: [0; BOUNDS_US.len() + 1], sum_us: 0 }
    }
}

impl Latency {
    pub(crate) fn record(&mut self, us: u64) {
        if self.recent.len() >= FOLD_AT {
            self.fold();
        }
        self.recent.record(us.min(LONGEST_US)).expect("it grows to what it is given");
        self.sum_us = self.sum_us.saturating_add(us);
    }

    pub(crate) fn merge(&mut self, more: &Self) {
        if self.recent.len() + more.recent.len() > FOLD_AT {
            self.fold();
        }
        self.recent.add(&more.recent).expect("it grows to what it is given");
        for (sum, n) in self.folded.iter_mut().zip(more.folded) {
            *sum += n;
        }
        self.sum_us = self.sum_us.saturating_add(more.sum_us);
    }

    /// Counts a bucket, not cumulative, the last one `+Inf`.
    pub(crate) fn buckets(&self) -> [u64; BOUNDS_US.len() + 1] {
        let mut buckets = self.folded;
        for cell in self.recent.iter_recorded() {
            // The lowest value of the cell, so that a value equal to a bound is counted below it.
            let us = self.recent.lowest_equivalent(cell.value_iterated_to());
            let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
            buckets[bucket] += u64::from(cell.count_at_value());
        }
        buckets
    }

    /// Those since an earlier look at the same; of the fine ones all, if they were folded meanwhile.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        if since.recent.subtract(&before.recent).is_err() {
            since.recent = self.recent.clone();
        }
        for (sum, n) in since.folded.iter_mut().zip(before.folded) {
            *sum = sum.saturating_sub(n);
        }
        since.sum_us = since.sum_us.saturating_sub(before.sum_us);
        since
    }

    pub(crate) fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The time that the share `quantile` of the recent ones did not exceed, microseconds.
    pub(crate) fn quantile_us(&self, quantile: f64) -> u64 {
        self.recent.value_at_quantile(quantile)
    }

    fn fold(&mut self) {
        self.folded = self.buckets();
        self.recent.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` are (bound or `u64::MAX` for +Inf, count) of the buckets that are not empty.
    #[track_caller]
    fn check(times_us: &[u64], expected: &[(u64, u64)]) {
        let mut latency = Latency::default();
        times_us.iter().for_each(|us| latency.record(*us));
        let seen = |latency: &Latency| {
            let bounds = BOUNDS_US.into_iter().chain([u64::MAX]);
            bounds.zip(latency.buckets()).filter(|(_, n)| *n > 0).collect::<Vec<_>>()
        };
        assert_eq!(seen(&latency), expected);
        let mut twice = latency.clone();
        twice.merge(&latency);
        assert_eq!(twice.buckets().iter().sum::<u64>(), 2 * times_us.len() as u64);
        latency.fold();
        assert_eq!(seen(&latency), expected, "folding loses nothing");
        assert_eq!(latency.recent.len(), 0);
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        check(&[0, 1, 100, 101, 250, 251], &[(100, 3), (250, 2), (500, 1)]);
        check(&[2_500, 2_507, 2_560], &[(2_500, 2), (5_000, 1)]);
        check(&[1_000, 60_000_000], &[(1_000, 1), (60_000_000, 1)]);
    }

    #[test]
    fn what_is_longer_than_all_is_infinite() {
        check(&[61_000_000, u64::MAX / 2, u64::MAX / 2], &[(u64::MAX, 3)]);
    }

    /// There may be tens of thousands on each core.
    #[test]
    fn usual_times_take_less_than_long_ones() {
        let bytes_after = |longest_us| {
            let mut latency = Latency::default();
            latency.record(longest_us);
            latency.recent.distinct_values() * size_of::<u32>()
        };
        assert_eq!(bytes_after(0), 7 << 10);
        assert_eq!(bytes_after(USUAL_US), 7 << 10);
        assert!(bytes_after(USUAL_US + 1) > 7 << 10);
        assert!(bytes_after(u64::MAX) <= 13 << 10, "{}", bytes_after(u64::MAX));
    }

    /// Cores have seen times of different lengths, and what one has seen earlier was shorter.
    #[test]
    fn short_and_long_ones_are_summed_and_told_apart() {
        let (mut short, mut long) = (Latency::default(), Latency::default());
        (0..100).for_each(|_| short.record(90));
        (0..100).for_each(|_| long.record(20_000_000));
        let mut sums = [short.clone(), long.clone()];
        sums[0].merge(&long);
        sums[1].merge(&short);
        for sum in &sums {
            assert_eq!(sum.buckets(), sums[0].buckets());
            assert_eq!(sum.buckets()[0], 100);
            assert!((90..=91).contains(&sum.quantile_us(0.5)), "{}", sum.quantile_us(0.5));
            let longer = sum.since(&short);
            assert_eq!(longer.buckets()[0], 0);
            assert!(longer.quantile_us(0.01) >= 19_800_000, "{}", longer.quantile_us(0.01));
        }
    }

    #[test]
    fn nothing_is_nothing() {
        check(&[], &[]);
    }

    #[test]
    fn quantiles_have_two_digits() {
        let mut latency = Latency::default();
        (1..=1000).for_each(|us| latency.record(us * 100));
        let p99 = latency.quantile_us(0.99);
        assert!((99_000..=99_999).contains(&p99), "{p99}");
        assert_eq!(latency.sum_us(), 50_050_000);
    }
}
