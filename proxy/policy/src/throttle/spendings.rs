//! One core's way to the machine's buckets: tokens drawn in small batches, so that a busy bucket's word is not fought
//! over, and returned when they are not used.
//!
//! # Why leases admit nobody too many
//! Time in which a bucket refills is a line; a draw of `n` tokens at TAT `v` takes the stretch `(v, v + n·T]` of it, and
//! each token held its own piece `T` of that. Let `held(p)` be the tokens that lie wholly behind a moment `p`
//! and may still be spent at `p`. All is well as long as **for each `p` from now on, `held(p)·T ≤ max(v − p, 0)`**: then
//! what is held and what is in the bucket are together never more than the burst.
//! * A draw adds its pieces behind `v` and moves `v` by as much.
//! * Time: a token whose piece has begun is void (`Lease::alive`), for the bucket has refilled over it. None may be spent
//!   [`LEASE_NS`] after it was drawn.
//! * Putting back the last `k` tokens of a lease that ends at `x` moves `v` back by `k·T`. For `p ≤ x − k·T` both sides fall
//!   alike. For `p` behind that the left side may fall by less, so it must be zero there: either because nobody has
//!   drawn since (`v = x`: behind `x − k·T` only these `k` lie), or because `x − k·T` is more than `LEASE_NS` away, when
//!   all that may be spent today is void.
//! * Late, when its core had no turn for [`LEASE_NS`], a lease is put back all the same. Let `h` be the tokens that are held,
//!   to be spent or to be put back; all leases are at most `m` ([`BURST_SHARE`]). Draws and what is put back leave `v − h·T`
//!   as it is, the spending of a token raises it, so after a draw that ended at `x` it is never below `x − m·T`. As long as
//!   that is more than `LEASE_NS` away the bucket was never full since the draw: the tokens are still worth what they were,
//!   and there is room for all others' behind `now + LEASE_NS` (`Lease::far_until`).
//!
//! Tokens for which none of this is true are not put back: the bucket is nearly full and fills over them.

use std::{net::IpAddr, sync::Arc};

use smallvec::SmallVec;

use super::{
    BucketId, LEVELS_USUAL, Limit, Table,
    limit::{UNITS_PER_NS, units, wait_ns},
    table::Draw,
};

/// A core's leases on the machine's buckets.
#[derive(Debug)]
pub struct Spendings {
    table: Arc<Table>,
    cores: u64,
    /// By the bucket's hash; two buckets that want one place take turns.
    leases: Box<[Lease]>,
    /// Places with tokens in them; never more than there are places.
    open: Vec<u16>,
    /// When leases are next looked through, in units.
    sweep_at: u64,
}

/// A refusal: which of the buckets asked said no, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Index of the first bucket without a token.
    pub index: usize,
    /// Nanoseconds until it has one; `u64::MAX` if never.
    pub wait_ns: u64,
}

/// Tokens drawn and not yet spent.
#[derive(Clone, Debug, Default)]
struct Lease {
    /// Whose; `None`: never used.
    bucket: Option<BucketId>,
    /// Where its last token's piece ends, in units.
    top: u64,
    /// Units a token, as they were when it was drawn.
    interval: u64,
    drawn_at: u64,
    /// Until when it may go back behind what others have drawn since, however late.
    far_until: u64,
    held: u64,
    /// Tokens that were drawn.
    size: u64,
    /// Whether it is in `open`.
    is_open: bool,
}

/// A token taken, as far as needed to undo it.
#[derive(Clone, Copy, Debug)]
enum Taken {
    /// Off a lease of this core.
    Leased,
    /// From the table; the bucket's TAT right after it.
    Direct { top: u64 },
}

/// How long a drawn token may be held; in the second half it is only put back. Short, for what a core holds another
/// may miss; long enough that a core with 3,200 requests a second draws full batches.
const LEASE_NS: u64 = 40_000_000;
const LEASE_UNITS: u64 = LEASE_NS * UNITS_PER_NS;
/// A lease not used up by then goes back, and the next one is of one token again.
const SPEND_UNITS: u64 = LEASE_UNITS / 2;
/// How often a core that has leases looks whether they are to go back.
pub const TICK_NS: u64 = LEASE_NS / 2;
const SWEEP_UNITS: u64 = LEASE_UNITS / 8;
/// Tokens of one lease.
const BATCH_MAX: u64 = 64;
/// All leases on a bucket are together at most this part of its burst: other cores' leases are what one core may find
/// missing, and that shall stay below one in a hundred.
const BURST_SHARE: u64 = 128;
/// All leases drawn at one time are together at most this part of what is left.
const LEFT_SHARE: u64 = 8;
const LEASES: usize = 4096;

impl Spendings {
    /// The way of one of `cores` cores. With a single one there is nobody to share with, and no leases.
    pub fn new(table: Arc<Table>, cores: usize) -> Self {
        let cores = cores.max(1) as u64;
        let leases = if cores == 1 { 0 } else { LEASES };
        Self {
            table,
            cores,
            leases: vec![Lease::default(); leases].into(),
            open: Vec::with_capacity(leases),
            sweep_at: 0,
        }
    }

    /// One client's bucket of a kind; see [`Table::client_bucket`].
    pub fn client_bucket(&self, kind: BucketId, client: IpAddr) -> BucketId {
        self.table.client_bucket(kind, client)
    }

    /// Takes one token of each bucket or none at all. The first without one, in order, answers (row 71).
    pub fn take_all(&mut self, wants: &[(BucketId, &Limit)], now_ns: u64) -> Result<(), Refused> {
        let now = units(now_ns);
        self.sweep(now);
        let refused = |index: usize, wait: u64| Refused { index, wait_ns: wait_ns(wait) };
        // One that is refused must not trouble the others' words: they are only read until all are known to have one.
        if wants.len() > 1 {
            for (index, (bucket, limit)) in wants.iter().enumerate() {
                self.look(*bucket, limit, now).map_err(|wait| refused(index, wait))?;
            }
        }
        let mut taken: SmallVec<[Taken; LEVELS_USUAL]> = SmallVec::new();
        for (index, (bucket, limit)) in wants.iter().enumerate() {
            match self.take(*bucket, limit, now) {
                Ok(token) => taken.push(token),
                Err(wait) => {
                    // Another core was faster since we looked.
                    for ((bucket, limit), token) in wants.iter().zip(taken).rev() {
                        self.untake(*bucket, limit, token, now);
                    }
                    return Err(refused(index, wait));
                }
            }
        }
        Ok(())
    }

    /// Puts back what this core has drawn and does not use. Taking does it as well; a core that takes nothing and calls
    /// this every [`TICK_NS`] returns its leases too. Whether some are left, so that it has to be called again.
    pub fn tick(&mut self, now_ns: u64) -> bool {
        self.sweep(units(now_ns));
        !self.open.is_empty()
    }

    fn sweep(&mut self, now: u64) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now.saturating_add(SWEEP_UNITS);
        let mut at = 0;
        while let Some(&place) = self.open.get(at) {
            let lease = &mut self.leases[usize::from(place)];
            if !lease.is_fresh(now) {
                lease.put_back(&self.table, now);
            }
            if lease.held > 0 {
                at += 1;
            } else {
                lease.is_open = false;
                self.open.swap_remove(at);
            }
        }
    }

    /// Whether `take` would be refused, as far as one can know without taking.
    fn look(&mut self, bucket: BucketId, limit: &Limit, now: u64) -> Result<(), u64> {
        if self.batch_max(limit) > 1 && self.lease(bucket, limit, now).held > 0 {
            return Ok(());
        }
        self.table.peek(bucket, limit, now)
    }

    fn take(&mut self, bucket: BucketId, limit: &Limit, now: u64) -> Result<Taken, u64> {
        let batch_max = self.batch_max(limit);
        if batch_max <= 1 {
            return self.table.draw(bucket, limit, now, 1, 1).map(|draw| Taken::Direct { top: draw.top });
        }
        let share = LEFT_SHARE * self.cores;
        let lease = self.lease(bucket, limit, now);
        if lease.held > 0 {
            lease.held -= 1;
            return Ok(Taken::Leased);
        }
        // As many as were used up in time, twice over: a core with little to do holds nothing that another needs, and
        // a busy one is at its full batch after six draws.
        let in_time = lease.bucket == Some(bucket) && now < lease.drawn_at.saturating_add(SPEND_UNITS);
        let want = if in_time { (lease.size * 2).min(batch_max) } else { 1 };
        let draw = self.table.draw(bucket, limit, now, want, share)?;
        self.keep(bucket, limit, draw, now);
        Ok(Taken::Leased)
    }

    /// Gives back the token that `take` took at this same moment.
    fn untake(&mut self, bucket: BucketId, limit: &Limit, token: Taken, now: u64) {
        match token {
            Taken::Leased => {
                let place = place(bucket);
                // Its piece is the one before those that are held: spending begins with the first.
                self.leases[place].held += 1;
                self.open(place);
            }
            Taken::Direct { top } => {
                let lease = Lease {
                    bucket: Some(bucket),
                    top,
                    interval: limit.interval(),
                    drawn_at: now,
                    held: 1,
                    ..Lease::default()
                };
                { lease }.put_back(&self.table, now);
            }
        }
    }

    /// The lease that may be used for a bucket, or the place for one. What lies there for another bucket, or too long,
    /// goes back.
    fn lease(&mut self, bucket: BucketId, limit: &Limit, now: u64) -> &mut Lease {
        let lease = &mut self.leases[place(bucket)];
        if lease.held > 0 {
            if lease.bucket == Some(bucket) && lease.interval == limit.interval() && lease.is_fresh(now) {
                lease.held = lease.alive(now);
            } else {
                lease.put_back(&self.table, now);
            }
        }
        lease
    }

    fn keep(&mut self, bucket: BucketId, limit: &Limit, draw: Draw, now: u64) {
        let place = place(bucket);
        let lease = &mut self.leases[place];
        *lease = Lease {
            bucket: Some(bucket),
            top: draw.top,
            interval: limit.interval(),
            drawn_at: now,
            far_until: draw.top.saturating_sub(limit.fill() / BURST_SHARE).saturating_sub(LEASE_UNITS),
            held: draw.count - 1,
            size: draw.count,
            is_open: lease.is_open,
        };
        if draw.count > 1 {
            self.open(place);
        }
    }

    fn open(&mut self, place: usize) {
        let lease = &mut self.leases[place];
        if !lease.is_open {
            lease.is_open = true;
            self.open.push(place as u16);
        }
    }

    fn batch_max(&self, limit: &Limit) -> u64 {
        match self.cores {
            1 => 1,
            cores => (u64::from(limit.burst()) / (BURST_SHARE * cores)).min(BATCH_MAX),
        }
    }
}

impl Lease {
    /// Tokens whose piece of the line has not begun.
    fn alive(&self, now: u64) -> u64 {
        let ahead = self.top.saturating_sub(now);
        match self.held.saturating_mul(self.interval) {
            all if all <= ahead => self.held,
            _ => ahead / self.interval,
        }
    }

    /// Whether it may still be spent.
    fn is_fresh(&self, now: u64) -> bool {
        now < self.drawn_at.saturating_add(SPEND_UNITS)
    }

    /// Puts back what may be put back; holds nothing afterwards.
    fn put_back(&mut self, table: &Table, now: u64) {
        let alive = self.alive(now);
        self.held = 0;
        let Some(bucket) = self.bucket.filter(|_| alive > 0) else { return };
        if table.undo(bucket, self.top, alive * self.interval) {
            return;
        }
        let far = if now <= self.far_until {
            alive
        } else if now < self.drawn_at.saturating_add(LEASE_UNITS) {
            let all_void_at = now.saturating_add(LEASE_UNITS);
            alive.min(self.top.saturating_sub(all_void_at) / self.interval)
        } else {
            0
        };
        if far > 0 {
            table.put_back(bucket, far * self.interval);
        }
    }
}

fn place(bucket: BucketId) -> usize {
    bucket.hash() as usize % LEASES
}
