//! What a peer does that is allowed, costs it little and us something: counted in points, one counter a connection.

use std::{cell::Cell, rc::Rc};

/// Points at which a connection is ended at once, with `ENHANCE_YOUR_CALM`. Any one kind of flood is there within a
/// thousand frames (row H2).
pub const ODDITIES_HARD: u32 = 1_000;

/// Points at which it takes no new streams and ends when those it has are done: 75 %.
pub const ODDITIES_SOFT: u32 = ODDITIES_HARD / 4 * 3;

/// The counter of one connection; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Oddities(Rc<Cell<u32>>);

impl Oddities {
    /// Counts what the peer did. One that has reached [`ODDITIES_HARD`] stays there.
    pub fn add(&self, points: u32) {
        if !self.is_hard() {
            self.0.set(self.0.get().saturating_add(points).min(ODDITIES_HARD));
        }
    }

    /// Forgives as much, for work that was of use or for time that went by; nothing once the limit was reached.
    pub fn forgive(&self, points: u32) {
        if !self.is_hard() {
            self.0.set(self.0.get().saturating_sub(points));
        }
    }

    /// Points so far.
    pub fn points(&self) -> u32 {
        self.0.get()
    }

    /// Whether the connection is to end when its streams have.
    pub fn is_soft(&self) -> bool {
        self.0.get() >= ODDITIES_SOFT
    }

    /// Whether it is to end now.
    pub fn is_hard(&self) -> bool {
        self.0.get() >= ODDITIES_HARD
    }

    /// Goes to the limit at once.
    pub(super) fn exhaust(&self) {
        self.0.set(ODDITIES_HARD);
    }
}
