//! Which core does what, and who else used it: the kernel's count of a core's busy time against what our own processes
//! used. A run in which strangers worked measures them too, and is no measurement.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, ensure};

use super::cpu::TICKS_PER_S;

/// The part of a core that strangers, and the host's other machines, may use in a run that counts. Below it the
/// kernel's ticks, at which it looks who is running, say nothing sure.
pub(super) const FOREIGN_MAX: f64 = 0.06;

/// The cores of one comparison. With two, load and backend share one; the gateway is always alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    pub(super) gateway: usize,
    pub(super) load: usize,
    pub(super) backend: usize,
}

impl Cores {
    /// Those that this process may use and that share no silicon, as far as there are enough.
    pub(super) fn choose() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .context("/proc/self/status does not name our cores")?;
        let allowed = parse_list(list).context("the list of cores")?;
        let siblings = |core: usize| {
            fs::read_to_string(format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"))
                .ok()
                .and_then(|list| parse_list(&list))
                .unwrap_or_else(|| BTreeSet::from([core]))
        };
        Self::among(&allowed, siblings)
    }

    fn among(allowed: &BTreeSet<usize>, siblings: impl Fn(usize) -> BTreeSet<usize>) -> anyhow::Result<Self> {
        ensure!(allowed.len() >= 2, "one core for the gateway and one for the load are needed");
        let mut apart: Vec<usize> = Vec::new();
        for &core in allowed {
            let near = siblings(core);
            if apart.iter().all(|other| !near.contains(other)) {
                apart.push(core);
            }
        }
        if apart.len() < 2 {
            // Two threads of one core: they share its units, all gateways alike.
            apart = allowed.iter().copied().collect();
        }
        // The first core has most interrupts: it is not the gateway's.
        Ok(Self { load: apart[0], gateway: apart[1], backend: apart.get(2).copied().unwrap_or(apart[0]) })
    }
}

/// Seconds that each core was busy, and that the host took from it, since the machine started.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Busy(BTreeMap<usize, (f64, f64)>);

impl Busy {
    pub(super) fn now() -> anyhow::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/stat")?))
    }

    /// `cpu1 user nice system idle iowait irq softirq steal …`, in ticks.
    fn parse(stat: &str) -> Self {
        let core = |line: &str| {
            let mut words = line.strip_prefix("cpu")?.split_whitespace();
            let core = words.next()?.parse::<usize>().ok()?;
            let ticks: Vec<f64> = words.map_while(|word| word.parse().ok()).collect();
            let [user, nice, system, _idle, _wait, hard, soft, steal, ..] = ticks[..] else { return None };
            Some((core, ((user + nice + system + hard + soft) / TICKS_PER_S, steal / TICKS_PER_S)))
        };
        // The first line, of all cores together, has no number and is left out.
        Self(stat.lines().filter(|line| !line.starts_with("cpu ")).filter_map(core).collect())
    }

    /// The part of a core, of the worst one of these, that others than us used since `before`. `used` is what our own
    /// processes used, by core; a core may stand there twice.
    pub(super) fn foreign(&self, before: &Self, used: &[(usize, f64)], seconds: f64) -> f64 {
        let mut worst = 0.0_f64;
        for &(core, _) in used {
            let (now, then) = (self.0.get(&core), before.0.get(&core));
            let (Some(now), Some(then)) = (now, then) else { continue };
            let ours: f64 = used.iter().filter(|(by, _)| *by == core).map(|(_, seconds)| seconds).sum();
            worst = worst.max(now.0 - then.0 - ours).max(now.1 - then.1);
        }
        worst / seconds
    }
}

/// `0-2,5`.
fn parse_list(list: &str) -> Option<BTreeSet<usize>> {
    let mut cores = BTreeSet::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Busy, Cores, parse_list};

    /// Cores with `threads` threads each, numbered one after the other.
    #[track_caller]
    fn check(allowed: &str, threads: usize, expected: Option<(usize, usize, usize)>) {
        let near =
            |core: usize| (core / threads * threads..(core / threads + 1) * threads).collect::<BTreeSet<_>>();
        let cores = Cores::among(&parse_list(allowed).unwrap(), near).ok();
        assert_eq!(cores.map(|cores| (cores.gateway, cores.load, cores.backend)), expected);
    }

    #[test]
    fn the_gateway_is_alone() {
        check("0-1", 1, Some((1, 0, 0)));
        check("0-3", 1, Some((1, 0, 2)));
        check("3,5", 1, Some((5, 3, 3)));
        check("0", 1, None);
    }

    #[test]
    fn threads_of_one_core_are_taken_only_where_there_are_no_others() {
        check("0-7", 2, Some((2, 0, 4)));
        check("0-3", 2, Some((2, 0, 0)));
        check("0-1", 2, Some((1, 0, 0)));
    }

    #[test]
    fn lists_of_cores() {
        assert_eq!(parse_list("0-2,5\n").unwrap(), BTreeSet::from([0, 1, 2, 5]));
        assert_eq!(parse_list(""), None);
        assert_eq!(parse_list("1-x"), None);
    }

    /// Busy seconds of cores 0 and 1, and stolen ones of core 1, after one second on a quiet machine.
    #[track_caller]
    fn check_foreign(busy: [u64; 2], stolen: u64, used: &[(usize, f64)], expected: f64) {
        let before =
            Busy::parse("cpu  9 9 9 9 9 9 9 9\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 1\n");
        let [first, second] = busy;
        let after =
            format!("cpu  9 9 9 9 9 9 9 9\ncpu0 {first} 0 0 7 7 0 0 0\ncpu1 0 0 {second} 7 7 0 0 {stolen}\n");
        let foreign = Busy::parse(&after).foreign(&before, used, 1.0);
        assert!((foreign - expected).abs() < 1e-9, "{foreign}");
    }

    #[test]
    fn what_is_not_ours_is_foreign() {
        check_foreign([90, 80], 0, &[(0, 0.5), (0, 0.4), (1, 0.8)], 0.0);
        check_foreign([90, 80], 0, &[(0, 0.5), (0, 0.3), (1, 0.8)], 0.1);
        check_foreign([0, 100], 0, &[(1, 0.7)], 0.3);
        check_foreign([0, 100], 25, &[(1, 1.0)], 0.25);
        // A core that none of us uses is everybody's.
        check_foreign([100, 10], 0, &[(1, 0.1)], 0.0);
    }
}
