//! Who has been above a limit lately: whose counts are looked at again and again, since the table of all who were seen takes some
//! 100 ms to read, and that on a machine that is flooded. It knows keys, not the table.

use crate::Source;
use gate::abi::SourceKey;
use std::{cmp::Reverse, collections::BTreeSet};

/// So many are followed when they have just been looked at; twice as many when not.
const FOLLOWED_MAX: usize = 1024;

/// Keys of the table of sources.
#[derive(Debug, Default)]
pub(crate) struct Followed(BTreeSet<SourceKey>);

impl Followed {
    /// Follows one more. There is room again when the counts have been looked at.
    pub(crate) fn add(&mut self, key: SourceKey) {
        if self.0.len() < 2 * FOLLOWED_MAX {
            self.0.insert(key);
        }
    }

    /// The `n` most above their limits, then with most SYNs, by counts read now; who has none any more is not followed.
    pub(crate) fn top(&mut self, n: usize, read: impl Fn(&SourceKey) -> Option<Source>) -> Vec<Source> {
        let keys = std::mem::take(&mut self.0).into_iter();
        let mut found: Vec<(SourceKey, Source)> =
            keys.filter_map(|key| read(&key).map(|source| (key, source))).collect();
        found.sort_by_key(|(_, source)| rank(source));
        found.truncate(FOLLOWED_MAX);
        self.0 = found.iter().map(|(key, _)| *key).collect();
        found.into_iter().take(n).map(|(_, source)| source).collect()
    }
}

/// What comes first in a list.
pub(crate) fn rank(source: &Source) -> Reverse<(u64, u64)> {
    Reverse((source.syns_over.saturating_add(source.packets_over), source.syns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn key(number: u16) -> SourceKey {
        let [high, low] = number.to_be_bytes();
        let address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, high, low];
        SourceKey { address, bits: 128, policy: 1, pad: [0; 2] }
    }

    fn source(key: &SourceKey, syns_over: u64) -> Source {
        let prefix = crate::contents::net(key.address, key.bits.into());
        Source { prefix, policy: key.policy, syns: 2 * syns_over, syns_over, packets_over: 0 }
    }

    fn number(key: &SourceKey) -> u64 {
        u64::from(u16::from_be_bytes([key.address[14], key.address[15]]))
    }

    /// Follows `0..count`, each above its limit as often as its number says, the last third gone: the first of the list.
    #[track_caller]
    fn check(count: u16, first: Option<u64>, looked_at_again: usize) {
        let mut followed = Followed::default();
        (0..count).for_each(|number| followed.add(key(number)));
        let looks = Cell::new(0);
        let read = |key: &SourceKey| {
            looks.set(looks.get() + 1);
            (number(key) < u64::from(count) * 2 / 3).then(|| source(key, number(key)))
        };
        for _ in 0..2 {
            looks.set(0);
            let top = followed.top(3, read);
            assert_eq!(top.first().map(|source| source.syns_over), first);
            assert!(top.is_sorted_by_key(rank) && top.len() <= 3);
        }
        assert_eq!(looks.get(), looked_at_again);
    }

    #[test]
    fn the_worst_come_first_and_the_gone_are_forgotten() {
        check(0, None, 0);
        check(1, None, 0);
        check(3, Some(1), 2);
        check(1500, Some(999), 1000);
    }

    #[test]
    fn a_crowd_is_bounded() {
        check(3000, Some(1999), FOLLOWED_MAX);
        let mut followed = Followed::default();
        (0..u16::MAX).for_each(|number| followed.add(key(number)));
        assert_eq!(followed.0.len(), 2 * FOLLOWED_MAX);
    }
}
