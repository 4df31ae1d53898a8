//! Buckets, leases and the table against naive models.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicU64, Ordering},
};

use message::Now;
use proptest::prelude::*;

use super::*;
use crate::Slot;

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

fn limit(rate: f64, burst: u32) -> Limit {
    Limit::new(rate, burst).unwrap()
}

fn cores(count: usize) -> Vec<Spendings> {
    let table = Arc::new(Table::new(1024));
    (0..count).map(|_| Spendings::new(Arc::clone(&table), count)).collect()
}

/// `arrivals` are milliseconds since the start; `+` passes, `-` is refused.
#[track_caller]
fn check(rate: f64, burst: u32, arrivals: &[u64], expected: &str) {
    let limit = limit(rate, burst);
    let mut bucket = TokenBucket::default();
    let [mut core] = <[Spendings; 1]>::try_from(cores(1)).unwrap();
    let mut answers = String::new();
    for at_ms in arrivals {
        let answer = bucket.take(&limit, at_ms * MS);
        let same = core.take_all(&[(BucketId::new("b"), &limit)], at_ms * MS);
        assert_eq!(answer.err(), same.err().map(|refused| refused.wait_ns));
        answers.push(if answer.is_ok() { '+' } else { '-' });
    }
    assert_eq!(answers, expected);
}

#[test]
fn burst_passes_then_rate_holds() {
    check(10.0, 2, &[0, 0, 0, 99, 100, 100], "++--+-");
}

#[test]
fn idle_time_is_capped_at_burst() {
    check(10.0, 2, &[0, 0, 60_000, 60_000, 60_000], "++++-");
}

#[test]
fn fractions_of_a_token_a_second_work() {
    check(0.5, 1, &[0, 0, 1999, 2000, 3999, 4000], "+--+-+");
    check(0.001, 2, &[0, 0, 999_999, 1_000_000, 1_000_000], "++-+-");
}

/// Row 73, U.
#[test]
fn zero_refuses_all() {
    check(0.0, 5, &[0, 1_000_000], "--");
    check(5.0, 0, &[0, 1_000_000], "--");
}

#[test]
fn the_wait_is_until_the_next_token() {
    let limit = limit(10.0, 2);
    let mut bucket = TokenBucket::default();
    assert_eq!((bucket.take(&limit, 5), bucket.take(&limit, 5)), (Ok(()), Ok(())));
    assert_eq!(bucket.take(&limit, 5), Err(100 * MS));
    assert_eq!(bucket.take(&limit, 5 + 99 * MS), Err(MS));
    assert_eq!(bucket.available(&limit, 5 + 100 * MS), 1);
    assert_eq!(bucket.take(&limit, 5 + 100 * MS), Ok(()));
    assert_eq!(TokenBucket::default().take(&self::limit(0.0, 1), 5), Err(u64::MAX));
}

#[test]
fn rates_that_are_no_rates_are_refused() {
    for rate in [f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        assert_eq!(Limit::new(rate, 1), Err(Error::BadRate { rate }));
    }
    assert!(matches!(Limit::new(f64::NAN, 1), Err(Error::BadRate { .. })));
    for (rate, burst) in [(1e-9, 1), (0.001, 1_000_000), (f64::MIN_POSITIVE, u32::MAX)] {
        assert_eq!(Limit::new(rate, burst), Err(Error::FillsTooSlowly { rate, burst }));
    }
    assert!(Limit::new(f64::MAX, u32::MAX).is_ok());
}

/// Two cores whose turns began apart ask the same bucket in turns: what one has taken the other does not give away.
#[test]
fn a_core_that_is_behind_gives_nothing_away() {
    let (limit, mut bucket) = (limit(1_000.0, 100), TokenBucket::default());
    let mut passed = 0;
    for ms in 0..1_000_u64 {
        for behind_ms in [0, 40, 0, 300] {
            let now_ns = (10_000 + ms - behind_ms) * 1_000_000;
            passed += u32::from(bucket.take(&limit, now_ns).is_ok());
        }
    }
    assert_eq!(passed, 100 + 999);
}

#[test]
fn a_reload_forgives_nobody() {
    let mut bucket = TokenBucket::default();
    let (slow, fast) = (limit(1.0, 10), limit(100.0, 100));
    (0..10).for_each(|_| bucket.take(&slow, 0).unwrap());
    // Ten seconds of debt are an empty bucket under the faster limit, not one that stays empty for ten seconds.
    assert_eq!(bucket.take(&fast, 0), Err(10 * MS));
    assert_eq!(bucket.available(&fast, 500 * MS), 50);
    (0..50).for_each(|_| bucket.take(&fast, 500 * MS).unwrap());
    assert_eq!(bucket.take(&fast, 500 * MS), Err(10 * MS));
    assert!(bucket.take(&fast, 510 * MS).is_ok());
}

/// The bucket as a textbook has it, in whole 10⁻¹² tokens: `rate` is in thousandths of a token a second.
struct Naive {
    level: u128,
    at_ns: u64,
}

const TOKEN: u128 = 1_000_000_000_000;

impl Naive {
    fn take(&mut self, rate: u32, burst: u32, now_ns: u64) -> bool {
        let refill = u128::from(now_ns - self.at_ns) * u128::from(rate);
        self.level = (self.level + refill).min(u128::from(burst) * TOKEN);
        self.at_ns = now_ns;
        let is_there = self.level >= TOKEN;
        self.level -= if is_there { TOKEN } else { 0 };
        is_there
    }
}

proptest! {
    /// At no moment more than the naive bucket has let pass, and never more than one fewer.
    #[test]
    fn a_bucket_is_a_token_bucket(
        rate in 1u32..5_000_000,
        burst in 1u32..50,
        gaps in proptest::collection::vec(0u64..4, 1..400),
        part in 1u64..40,
    ) {
        let limit = limit(f64::from(rate) / 1000.0, burst);
        let mut naive = Naive { level: u128::from(burst) * TOKEN, at_ns: 0 };
        let (mut bucket, mut now_ns, mut passed, mut expected) = (TokenBucket::default(), 0, 0i32, 0i32);
        for gap in gaps {
            // Gaps of some twentieths of the time between two tokens.
            now_ns += gap * 1000 * S / u64::from(rate) * part / 20;
            passed += i32::from(bucket.take(&limit, now_ns).is_ok());
            expected += i32::from(naive.take(rate, burst, now_ns));
            prop_assert!((expected - 1..=expected).contains(&passed), "{} of {}", passed, expected);
        }
    }
}

/// Cores that share one bucket, and the bucket that they would have without leases.
struct Cores {
    cores: Vec<Spendings>,
    limit: Limit,
    ideal: TokenBucket,
    now_ns: u64,
    passed: u64,
    /// The most tokens that the ideal bucket still had when a core was refused.
    missed_max: u64,
}

impl Cores {
    fn new(count: usize, rate: f64, burst: u32) -> Self {
        let limit = limit(rate, burst);
        let ideal = TokenBucket::default();
        Self { cores: cores(count), limit, ideal, now_ns: 0, passed: 0, missed_max: 0 }
    }

    fn take(&mut self, core: usize) -> bool {
        let core = core % self.cores.len();
        match self.cores[core].take_all(&[(BucketId::new("b"), &self.limit)], self.now_ns) {
            Ok(()) => {
                self.passed += 1;
                // What the ideal bucket always allows is within rate·t + burst in every stretch of time.
                assert_eq!(self.ideal.take(&self.limit, self.now_ns), Ok(()), "one too many");
                true
            }
            Err(_) => {
                let missed = self.ideal.available(&self.limit, self.now_ns);
                self.missed_max = self.missed_max.max(missed);
                false
            }
        }
    }

    fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    fn tick(&mut self) {
        for core in &mut self.cores {
            core.tick(self.now_ns);
        }
    }
}

/// What happens to the cores next.
#[derive(Clone, Debug)]
enum Step {
    Take { core: usize, times: usize },
    Wait { us: u64 },
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let take = (0usize..4, 1usize..200).prop_map(|(core, times)| Step::Take { core, times });
    let trickle = (0usize..4, 1usize..3).prop_map(|(core, times)| Step::Take { core, times });
    let wait = prop_oneof![0u64..2000, 0u64..50_000, 0u64..500_000].prop_map(|us| Step::Wait { us });
    proptest::collection::vec(prop_oneof![3 => take, 3 => trickle, 4 => wait, 3 => Just(Step::Tick)], 1..300)
}

proptest! {
    /// However cores come and go, they are together never above the limit in any stretch of time, and a core that
    /// is refused has missed no more than the others hold or let lapse.
    #[test]
    fn leases_admit_nobody_too_many(
        count in 1usize..5,
        rate in 100u32..200_000,
        burst in prop_oneof![1u32..2000, 2000u32..40_000],
        steps in steps(),
    ) {
        let mut cores = Cores::new(count, f64::from(rate), burst);
        for step in steps {
            match step {
                Step::Take { core, times } => (0..times).for_each(|_| { cores.take(core); }),
                Step::Wait { us } => cores.wait(us * 1000),
                Step::Tick => cores.tick(),
            }
        }
        let bound = if count == 1 || u64::from(burst) < 256 * count as u64 { 0 } else { u64::from(burst) / 50 };
        prop_assert!(cores.missed_max <= bound, "missed {} of {}", cores.missed_max, burst);
    }
}

/// An open loop at `load` times the rate, spread unevenly over the cores, for ten seconds.
#[track_caller]
fn check_accuracy(count: usize, rate: u32, burst: u32, load: f64) {
    let mut cores = Cores::new(count, f64::from(rate), burst);
    let gap_ns = (1e9 / (f64::from(rate) * load)) as u64;
    let mut turn = 0u64;
    while cores.now_ns < 10 * S {
        // Weyl's sequence: even over the line, so the first core has most of it and the last next to nothing.
        turn = turn.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let busy = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3][(turn >> 60) as usize];
        cores.take(busy);
        cores.wait(gap_ns);
        cores.tick();
    }
    let allowed = u64::from(rate) * 10 + u64::from(burst);
    let under = allowed - cores.passed;
    let bound = if allowed < 1000 { 1 } else { allowed / 100 };
    assert!(under <= bound, "{under} of {allowed} under, {} missed at most", cores.missed_max);
}

#[test]
fn an_open_loop_gets_what_is_allowed_to_one_in_a_hundred() {
    for count in 1..=4 {
        for (rate, burst) in [(50, 5), (50, 400), (1000, 1000), (2000, 10_000), (10_000, 5000), (20_000, 100)]
        {
            check_accuracy(count, rate, burst, 3.0);
        }
    }
}

#[test]
fn small_limits_are_exact_over_all_cores() {
    for count in 1..=4 {
        let mut cores = Cores::new(count, 0.5, 3);
        let answers: String = [0u64, 0, 0, 0, 1999, 1, 0, 2000, 60_000, 0, 0, 0]
            .iter()
            .enumerate()
            .map(|(core, wait_ms)| {
                cores.wait(wait_ms * MS);
                if cores.take(core) { '+' } else { '-' }
            })
            .collect();
        assert_eq!(answers, "+++--+-++++-");
    }
}

/// One core warms up to a full batch and falls silent; another one takes all there is, and later what the first gave back
/// `after_ms`.
#[track_caller]
fn check_gives_back(after_ms: u64) {
    let mut cores = Cores::new(2, 1000.0, 10_000);
    (0..200).for_each(|_| assert!(cores.take(1)));
    while cores.take(0) {}
    assert!(cores.missed_max > 0, "nothing was held, so this shows nothing");
    cores.wait(after_ms * MS);
    cores.tick();
    (0..cores.missed_max + after_ms).for_each(|_| assert!(cores.take(0)));
    cores.missed_max = 0;
    assert!(!cores.take(0));
    assert_eq!(cores.missed_max, 0);
}

#[test]
fn what_a_core_does_not_use_goes_back() {
    check_gives_back(25);
}

/// A core that had no turn for longer than a lease is good for gives back all the same, and spends nothing of it.
#[test]
fn what_has_lapsed_goes_back_late() {
    check_gives_back(41);
    check_gives_back(100);
}

/// Leases that lapse time and again, while the bucket is never full, add up to nothing.
#[test]
fn lapses_do_not_add_up() {
    let mut cores = Cores::new(2, 1000.0, 20_000);
    (0..10_000).for_each(|_| assert!(cores.take(0)));
    for _ in 0..100 {
        (0..200).for_each(|_| assert!(cores.take(1)));
        (0..20).for_each(|_| assert!(cores.take(0)));
        cores.wait(200 * MS);
    }
    cores.tick();
    while cores.take(0) {}
    assert_eq!(cores.missed_max, 0);
}

/// One core puts back what lies below the other's lease, while the bucket is about to be full: had it been put back, the
/// bucket would fill over it twice.
#[test]
fn what_the_bucket_fills_over_stays_away() {
    let mut cores = Cores::new(2, 2500.0, 20_000);
    // Ever larger leases, each used up, with time to fill in between; the last ones hold 63 tokens each.
    for step in 0..=6 {
        let taken = if step < 6 { 1 << step } else { 1 };
        for (core, pause_ms) in [(0, 10), (1, 9)] {
            (0..taken).for_each(|_| assert!(cores.take(core)));
            cores.wait(pause_ms * MS);
        }
    }
    // The first core's lapsed a millisecond ago, the second one's is good for nine more.
    cores.wait(MS);
    cores.tick();
    cores.wait(8 * MS);
    let mut passed = 0;
    while cores.take(1) {
        passed += 1;
    }
    assert!(passed > 20_000 - 128, "{passed}");
}

#[test]
fn threads_get_together_exactly_what_is_allowed() {
    const THREADS: usize = 4;
    for (burst, rate) in [(7, 4.0), (1000, 500.0), (20_000, 10_000.0)] {
        let table = Arc::new(Table::new(64));
        let limit = limit(rate, burst);
        let (passed, barrier) = (AtomicU64::new(0), Barrier::new(THREADS));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut core = Spendings::new(Arc::clone(&table), THREADS);
                    for second in 0..4 {
                        barrier.wait();
                        // A core is refused only when neither it nor the table has a token.
                        while core.take_all(&[(BucketId::new("b"), &limit)], second * S).is_ok() {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), u64::from(burst) + 3 * rate as u64, "{burst}");
    }
}

/// Threads that make the same buckets at once make each once.
#[test]
fn threads_make_a_bucket_once() {
    const THREADS: usize = 4;
    const BUCKETS: u64 = 2000;
    let table = Arc::new(Table::new(1 << 14));
    let limit = limit(1.0, 3);
    let (passed, barrier) = (AtomicU64::new(0), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut core = Spendings::new(Arc::clone(&table), THREADS);
                barrier.wait();
                for bucket in 0..BUCKETS {
                    let id = BucketId::new(&bucket.to_string());
                    let taken = (0..3).filter(|_| core.take_all(&[(id, &limit)], 0).is_ok()).count();
                    passed.fetch_add(taken as u64, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(table.evictions(), 0);
    assert_eq!(passed.into_inner(), BUCKETS * 3);
}

#[test]
fn all_levels_pay_or_none() {
    for count in [1, 3] {
        let mut cores = cores(count);
        let ids = ["client", "route", "account"].map(BucketId::new);
        let limits = [limit(1.0, 5), limit(1.0, 3), limit(1.0, 10_000)];
        let wants = [(ids[0], &limits[0]), (ids[1], &limits[1]), (ids[2], &limits[2])];
        let core = &mut cores[0];
        (0..3).for_each(|_| core.take_all(&wants, 0).unwrap());
        (0..9).for_each(|_| assert_eq!(core.take_all(&wants, 0), Err(Refused { index: 1, wait_ns: S })));
        // The refused ones have cost the client nothing.
        (0..2).for_each(|_| core.take_all(&wants[..1], 0).unwrap());
        // Of several empty ones the first answers.
        assert_eq!(core.take_all(&wants, 0), Err(Refused { index: 0, wait_ns: S }));
        let account: usize = (0..20_000).filter(|_| core.take_all(&wants[2..], 0).is_ok()).count();
        assert_eq!(account, 10_000 - 3);
    }
}

/// The same bucket twice in one list passes the look and fails the taking: what was taken is given back.
#[test]
fn what_was_taken_is_given_back() {
    for (count, burst) in [(1, 1), (3, 1), (1, 10_001), (3, 10_001)] {
        let mut cores = cores(count);
        let limit = limit(1.0, burst);
        let want = (BucketId::new("b"), &limit);
        (1..burst).for_each(|_| cores[0].take_all(&[want], 0).unwrap());
        assert_eq!(cores[0].take_all(&[want, want], 0), Err(Refused { index: 1, wait_ns: S }));
        assert_eq!(cores[0].take_all(&[want], 0), Ok(()));
        assert!(cores[0].take_all(&[want], 0).is_err());
    }
}

#[test]
fn clients_are_addresses_or_prefixes() {
    let table = Table::new(16);
    let (one, two) = (BucketId::new("one"), BucketId::new("two"));
    let client = |kind, address: &str| table.client_bucket(kind, address.parse().unwrap());
    assert_eq!(client(one, "192.0.2.1"), client(one, "::ffff:192.0.2.1"));
    assert_eq!(client(one, "2001:db8::1"), client(one, "2001:db8::ffff:1"));
    assert_ne!(client(one, "2001:db8::1"), client(one, "2001:db8:0:1::1"));
    assert_ne!(client(one, "192.0.2.1"), client(one, "192.0.2.2"));
    assert_ne!(client(one, "192.0.2.1"), client(two, "192.0.2.1"));
    assert_ne!(client(one, "0.0.0.1"), client(one, "::1"));
    assert_ne!(client(one, "0.0.0.0"), one);
}

#[test]
fn a_full_table_forgets_what_matters_least() {
    let table = Arc::new(Table::new(16));
    assert_eq!(table.slots(), 16);
    let mut core = Spendings::new(Arc::clone(&table), 1);
    let limit = limit(1.0, 100);
    let id = |name: usize| BucketId::new(&name.to_string());
    // Bucket n owes n + 1 tokens.
    for name in 0..16 {
        (0..=name).for_each(|_| core.take_all(&[(id(name), &limit)], 0).unwrap());
    }
    assert_eq!(table.evictions(), 0);
    // Bucket 0 is nearest to full: it goes, and is counted.
    core.take_all(&[(id(100), &limit)], 0).unwrap();
    assert_eq!(table.evictions(), 1);
    // The new one and bucket 1 are full again after two seconds: nothing is forgotten with them.
    (0..3).for_each(|_| core.take_all(&[(id(101), &limit)], 2 * S).unwrap());
    core.take_all(&[(id(102), &limit)], 2 * S).unwrap();
    assert_eq!(table.evictions(), 1);
    // The one that owes most is still known.
    let left = (0..100).filter(|_| core.take_all(&[(id(15), &limit)], 2 * S).is_ok()).count();
    assert_eq!(left, 100 - 16 + 2);
}

#[test]
fn a_limit_changed_by_a_reload_meets_the_old_spendings() {
    for count in [1, 2] {
        let mut cores = cores(count);
        let id = BucketId::new("b");
        let (before, after) = (limit(1000.0, 10_000), limit(10.0, 10_000));
        (0..10_000).for_each(|_| cores[0].take_all(&[(id, &before)], 0).unwrap());
        assert!(cores[0].take_all(&[(id, &before)], 0).is_err());
        // Ten seconds of debt are a hundred tokens now.
        let left = (0..20_000).filter(|_| cores[0].take_all(&[(id, &after)], 0).is_ok()).count();
        assert_eq!(left, 9900);
    }
}

fn level(identity: &str, rate: f64, burst: Option<u32>, per_client: bool) -> LevelSettings {
    LevelSettings { identity: identity.to_owned(), rate, burst, per_client, scope: Scope::Route }
}

/// One request of a client at a time in milliseconds; `None` passes, else the seconds to wait.
#[track_caller]
fn check_policy(levels: &[LevelSettings], requests: &[(&str, u64, Option<u64>)]) {
    let throttle = Throttle::new(&Settings { levels: levels.to_vec() }).unwrap();
    let mut spendings = Spendings::new(Arc::new(Table::new(64)), 1);
    for (client, at_ms, expected) in requests {
        let mut slot = Slot::default();
        let mut cx = Context {
            now: Now { mono_ns: at_ms * MS, unix_ns: 0 },
            client: client.parse().unwrap(),
            params: &[],
            spendings: &mut spendings,
            near: &mut (),
            slot: &mut slot,
            unanswered: false,
        };
        let waited = match throttle.on_request(&mut Request::default(), &mut cx) {
            Verdict::Continue => None,
            Verdict::Refuse(Reason::Throttled { retry_after_s }) => Some(retry_after_s),
            other => panic!("{other:?}"),
        };
        assert_eq!(waited, *expected, "{client} {at_ms}");
    }
}

#[test]
fn the_policy_counts_each_client_and_all_of_them() {
    check_policy(
        &[level("client", 0.4, Some(2), true), level("route", 1.0, Some(3), false)],
        &[
            ("192.0.2.1", 0, None),
            ("192.0.2.1", 0, None),
            ("192.0.2.1", 0, Some(3)),
            ("192.0.2.2", 0, None),
            ("192.0.2.2", 0, Some(1)),
            ("192.0.2.2", 1000, None),
        ],
    );
}

#[test]
fn the_default_burst_is_the_rate() {
    let passed = |rate: f64| -> usize {
        let throttle = Throttle::new(&Settings { levels: vec![level("r", rate, None, false)] }).unwrap();
        let burst = throttle.levels[0].limit.burst();
        burst as usize
    };
    assert_eq!((passed(0.5), passed(1.0), passed(2.5), passed(100.0)), (1, 1, 3, 100));
    check_policy(&[level("r", 0.0, None, false)], &[("::1", 0, Some(86_400))]);
    check_policy(&[], &[("::1", 0, None)]);
}

#[test]
fn a_bad_level_makes_no_policy() {
    let settings = Settings { levels: vec![level("a", 1.0, None, false), level("b", -1.0, None, false)] };
    assert_eq!(Throttle::new(&settings).err(), Some(Error::BadRate { rate: -1.0 }));
}
