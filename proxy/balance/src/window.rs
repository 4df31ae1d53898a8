//! Two counts of the last ten seconds, in steps of one: what has begun to be older than nine may be forgotten.

/// How long a step is.
pub(crate) const STEP_NS: u64 = 1_000_000_000;

/// Steps that are remembered.
pub(crate) const STEPS: usize = 10;

/// Counts by steps, and their sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    steps: [[u32; 2]; STEPS],
    sums: [u32; 2],
    /// Number of the newest step.
    newest: u64,
    /// When it is over.
    end_ns: u64,
}

impl Window {
    /// Counts one more.
    #[inline]
    pub(crate) fn add(&mut self, which: usize, now_ns: u64) {
        if now_ns >= self.end_ns {
            self.advance(now_ns);
        }
        let count = &mut self.steps[(self.newest % STEPS as u64) as usize][which];
        *count = count.saturating_add(1);
        self.sums[which] = self.sums[which].saturating_add(1);
    }

    /// Both counts.
    pub(crate) fn sums(&mut self, now_ns: u64) -> [u32; 2] {
        if now_ns >= self.end_ns {
            self.advance(now_ns);
        }
        self.sums
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        let Self { newest, end_ns, .. } = *self;
        *self = Self { newest, end_ns, ..Self::default() };
    }

    #[cold]
    fn advance(&mut self, now_ns: u64) {
        let now = now_ns / STEP_NS;
        for step in self.newest + 1..=now.min(self.newest + STEPS as u64) {
            let old = std::mem::take(&mut self.steps[(step % STEPS as u64) as usize]);
            for (sum, old) in self.sums.iter_mut().zip(old) {
                *sum = sum.saturating_sub(old);
            }
        }
        self.newest = now;
        self.end_ns = (now + 1).saturating_mul(STEP_NS);
    }
}
