//! What an operation of the ring is about, in the 64 bits that the kernel carries for us: kind, generation, slot.

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Receive,
    Send,
    Connect,
    Accept,
    /// Tells that there is something to receive in bulk.
    Poll,
    /// Tells that a letter came.
    Bell,
    /// A cancellation, whose own result is of no interest.
    Cancel,
    /// None of ours. The kernel does not make them up.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UserData {
    pub(super) op: Op,
    generation: u32,
    pub(super) slot: u32,
}

const GENERATION_MASK: u32 = 0x00ff_ffff;

impl UserData {
    pub(super) const CANCEL: Self = Self { op: Op::Cancel, generation: 0, slot: 0 };
    pub(super) const BELL: Self = Self { op: Op::Bell, generation: 0, slot: 0 };

    pub(super) fn new(op: Op, generation: u32, slot: u32) -> Self {
        Self { op, generation: generation & GENERATION_MASK, slot }
    }

    pub(super) fn pack(self) -> u64 {
        (self.op as u64) << 56 | u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    pub(super) fn unpack(data: u64) -> Self {
        const OPS: [Op; 7] = [Op::Receive, Op::Send, Op::Connect, Op::Accept, Op::Poll, Op::Bell, Op::Cancel];
        Self {
            op: OPS.get((data >> 56) as usize).copied().unwrap_or(Op::Unknown),
            generation: (data >> 32) as u32 & GENERATION_MASK,
            slot: data as u32,
        }
    }

    /// Whether it is about the occupant of its slot that has this generation.
    pub(super) fn is_of(self, generation: u32) -> bool {
        self.generation == generation & GENERATION_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(op: Op, generation: u32, slot: u32) {
        let data = UserData::new(op, generation, slot);
        assert_eq!(UserData::unpack(data.pack()), data);
        assert!(data.is_of(generation));
        assert!(!data.is_of(generation.wrapping_add(1)));
    }

    #[test]
    fn unpacks_what_was_packed() {
        for op in [Op::Receive, Op::Send, Op::Connect, Op::Accept, Op::Poll, Op::Bell, Op::Cancel] {
            check(op, 0, 0);
            check(op, GENERATION_MASK, u32::MAX);
            check(op, 7, 1 << 24);
        }
    }

    #[test]
    fn foreign_data_is_unknown() {
        assert_eq!(UserData::unpack(u64::MAX).op, Op::Unknown);
    }
}
