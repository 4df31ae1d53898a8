//! Which core a bucket of sources goes to. Moves buckets from busy cores to idle ones, a few at a time, and nobody else. A pure
//! function: knows neither socket nor table.

/// Buckets that move in one step; some hundredth of all, so that of what a client has open elsewhere little is missed.
pub(crate) const MOVES_MAX: usize = 16;
/// So far above the least busy core, in parts of a core's time, may the busiest be before anything moves.
const SLACK: f64 = 0.10;

/// A bucket that goes to another core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) bucket: usize,
    pub(crate) core: u32,
}

/// What to change. `buckets`: each bucket's core. `counts`: connections that each brought since it was looked at last. `load`: how
/// busy each core was meanwhile, 0 to 1; what is no number counts as 0.
pub(crate) fn rebalance(buckets: &[u32], counts: &[u64], load: &[f64]) -> Vec<Move> {
    let mut load: Vec<f64> =
        load.iter().map(|&load| if load.is_finite() { load.clamp(0.0, 1.0) } else { 0.0 }).collect();
    let mut moves = Vec::new();
    if load.is_empty() {
        return moves;
    }
    let mut brought = vec![0_u64; load.len()];
    for (&core, &count) in buckets.iter().zip(counts) {
        if let Some(brought) = brought.get_mut(core as usize) {
            *brought += count;
        }
    }
    // What a connection of a core costs it, as far as anybody can tell.
    let cost: Vec<f64> = load
        .iter()
        .zip(&brought)
        .map(|(load, &brought)| if brought == 0 { 0.0 } else { load / brought as f64 })
        .collect();
    let mut moved = vec![false; buckets.len()];
    while moves.len() < MOVES_MAX {
        let by_load = |a: &usize, b: &usize| load[*a].total_cmp(&load[*b]);
        let (Some(busy), Some(idle)) = ((0..load.len()).max_by(by_load), (0..load.len()).min_by(by_load))
        else {
            break;
        };
        let gap = load[busy] - load[idle];
        if gap <= SLACK {
            break;
        }
        // The largest that fits into half of the gap: then the order of the two is not turned around, and fewest are moved.
        let weight = |bucket: usize| counts.get(bucket).copied().unwrap_or(0) as f64 * cost[busy];
        let candidates =
            (0..buckets.len()).filter(|&bucket| buckets[bucket] as usize == busy && !moved[bucket]);
        let fits = candidates.filter(|&bucket| 0.0 < weight(bucket) && weight(bucket) <= gap / 2.0);
        let Some(bucket) = fits.max_by(|&a, &b| weight(a).total_cmp(&weight(b))) else { break };
        let weight = weight(bucket);
        load[busy] -= weight;
        load[idle] += weight;
        moved[bucket] = true;
        moves.push(Move { bucket, core: idle as u32 });
    }
    moves
}

/// The first assignment to so many cores; what already has a core that is there keeps it.
pub(crate) fn assign(buckets: &[u32], is_fresh: bool, cores: u32) -> Vec<Move> {
    let cores = cores.max(1);
    let assigned = |bucket: usize| bucket as u32 % cores;
    let wrong = |&(bucket, &core): &(usize, &u32)| core >= cores || (is_fresh && core != assigned(bucket));
    buckets
        .iter()
        .enumerate()
        .filter(wrong)
        .map(|(bucket, _)| Move { bucket, core: assigned(bucket) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(buckets: &[u32], counts: &[u64], load: &[f64], expected: &[(usize, u32)]) {
        let moves: Vec<_> =
            rebalance(buckets, counts, load).into_iter().map(|m| (m.bucket, m.core)).collect();
        assert_eq!(moves, expected);
    }

    #[test]
    fn nothing_moves_without_need() {
        check(&[0, 1, 0, 1], &[10, 10, 10, 10], &[0.5, 0.5], &[]);
        check(&[0, 1, 0, 1], &[10, 10, 10, 10], &[0.5, 0.41], &[]);
        check(&[0, 1], &[0, 0], &[1.0, 0.0], &[]);
        check(&[0, 0], &[5, 5], &[1.0], &[]);
        check(&[0, 0], &[5, 5], &[], &[]);
        check(&[], &[], &[1.0, 0.0], &[]);
        // One source is all of it: wherever it goes, that core is the busy one.
        check(&[0, 1], &[10, 0], &[1.0, 0.0], &[]);
    }

    #[test]
    fn the_largest_that_fits_moves() {
        check(&[0, 0, 0, 1], &[6, 3, 1, 0], &[1.0, 0.0], &[(1, 1), (2, 1)]);
        check(&[0, 0, 0, 0], &[5, 5, 5, 5], &[0.8, 0.0], &[(3, 1), (2, 1)]);
        check(&[0, 0, 0, 0], &[5, 5, 5, 5], &[f64::NAN, f64::INFINITY], &[]);
        // A core that is not there is nobody's trouble here: `assign` is for those.
        check(&[9, 0], &[5, 5], &[0.8, 0.0], &[]);
    }

    #[test]
    fn the_first_assignment_is_even_and_keeps_what_it_can() {
        let fresh = assign(&[0; 8], true, 3);
        assert_eq!(
            fresh.iter().map(|m| (m.bucket, m.core)).collect::<Vec<_>>(),
            [(1, 1), (2, 2), (4, 1), (5, 2), (7, 1)]
        );
        assert_eq!(assign(&[1, 1, 0, 0], false, 2), []);
        assert_eq!(assign(&[1, 3, 0, 0], false, 2), [Move { bucket: 1, core: 1 }]);
    }

    proptest! {
        /// With load that follows the connections, some steps bring the cores together, and then nothing moves.
        #[test]
        fn it_converges_and_rests(
            counts in prop::collection::vec(0_u64..100, 1024),
            owners in prop::collection::vec(0_u32..64, 1024),
            cores in 1_usize..8,
        ) {
            let mut buckets: Vec<u32> = owners.iter().map(|core| core % cores as u32).collect();
            let total: u64 = counts.iter().sum();
            let busiest = |buckets: &[u32]| {
                let mut load = vec![0.0; cores];
                for (&core, &count) in buckets.iter().zip(&counts) {
                    load[core as usize] += count as f64 * (cores as f64 * 0.5) / total.max(1) as f64;
                }
                load
            };
            for _ in 0..64 {
                let load = busiest(&buckets);
                let moves = rebalance(&buckets, &counts, &load);
                prop_assert!(moves.len() <= MOVES_MAX);
                for m in moves {
                    prop_assert_ne!(buckets[m.bucket], m.core);
                    buckets[m.bucket] = m.core;
                }
            }
            let load = busiest(&buckets);
            let clamp = |load: f64| load.clamp(0.0, 1.0);
            let gap = load.iter().copied().map(clamp).fold(0.0, f64::max) - load.iter().copied().map(clamp).fold(1.0, f64::min);
            prop_assert!(gap <= SLACK + 1e-9, "{load:?}");
            prop_assert!(rebalance(&buckets, &counts, &load).is_empty());
        }
    }
}
