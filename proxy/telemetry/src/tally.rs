//! Counts by a small key, kept in place: no allocation, no hashing. It knows neither what is counted nor why.

/// Up to `N` keys and how often each was seen; what comes after the `N`th key is counted together.
#[derive(Clone, Debug)]
pub(crate) struct Tally<K, const N: usize> {
    len: usize,
    keys: [K; N],
    counts: [u64; N],
    other: u64,
}

impl<K: Copy + Default + Eq, const N: usize> Default for Tally<K, N> {
    fn default() -> Self {
        Self { len: 0, keys: [K::default(); N], counts: [0; N], other: 0 }
    }
}

impl<K: Copy + Default + Eq, const N: usize> Tally<K, N> {
    /// Adds `count` to `key`. Linear: the first keys seen are the frequent ones.
    pub(crate) fn add(&mut self, key: K, count: u64) {
        let seen = self.keys.iter().take(self.len).position(|k| *k == key);
        let index = match seen {
            Some(index) => index,
            None if self.len < N => {
                self.keys[self.len] = key;
                self.len += 1;
                self.len - 1
            }
            None => {
                self.other += count;
                return;
            }
        };
        self.counts[index] += count;
    }

    pub(crate) fn merge(&mut self, more: &Self) {
        for (key, count) in more.iter() {
            self.add(key, count);
        }
        self.other += more.other;
    }

    /// Keys in the order first seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, u64)> {
        self.keys.iter().copied().zip(self.counts.iter().copied()).take(self.len)
    }

    /// What had no place of its own.
    pub(crate) fn other(&self) -> u64 {
        self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds letters, one each; expects `letter count` pairs in order and the rest.
    #[track_caller]
    fn check(seen: &str, expected: &[(char, u64)], other: u64) {
        let mut tally = Tally::<char, 3>::default();
        for key in seen.chars() {
            tally.add(key, 1);
        }
        assert_eq!((tally.iter().collect::<Vec<_>>().as_slice(), tally.other()), (expected, other));
        let mut twice = tally.clone();
        twice.merge(&tally);
        let doubled: Vec<_> = expected.iter().map(|(k, n)| (*k, n * 2)).collect();
        assert_eq!((twice.iter().collect::<Vec<_>>(), twice.other()), (doubled, other * 2));
    }

    #[test]
    fn counts_by_key_and_never_grows() {
        check("", &[], 0);
        check("aba", &[('a', 2), ('b', 1)], 0);
        check("abcdea", &[('a', 2), ('b', 1), ('c', 1)], 2);
    }

    #[test]
    fn a_key_like_the_default_counts() {
        check("\0\0a", &[('\0', 2), ('a', 1)], 0);
    }
}
