//! What a peer does that is allowed, costs it little and us something: counted in points, one counter a connection.
//!
//! Who counts: the engine, what each frame is and what it is answered with; [`Incoming::read`], heads that
//! are refused; the shard, what only it sees. Who forgives: useful work (below), and time, by the shard's clock.
//!
//! | what | points | free of charge |
//! |---|---|---|
//! | SETTINGS | 5 | the first |
//! | PING, also an answer to none of ours | 4 | one after each DATA or HEADERS of ours |
//! | GOAWAY | 5 | the first |
//! | PRIORITY, PRIORITY_UPDATE, unknown types | 2 | 20, and 3 for each stream, 200 at most |
//! | RST_STREAM: before our head, after it, of a stream that has ended | 4, 1, 6 | |
//! | DATA without data that does not end its stream | 3 | |
//! | WINDOW_UPDATE | 2 | 16, 2 for each stream, 2 for each DATA of ours and 1 for each KiB in it, 400 at most |
//! | WINDOW_UPDATE that leaves a window below 256 bytes, or of 0 | 3 | |
//! | HEADERS or CONTINUATION of less than 1 KiB that does not end its block | 2 | |
//! | 8 KiB of a block, beyond the bytes of the largest head | 1 | |
//! | a block of more than 16 CONTINUATION, of 16 KiB at most | the rest | |
//! | a fault for which a stream is reset | 4 | |
//! | one stream more than there may be: of who does not know it yet, and of who has acknowledged it | 2, 10 | |
//! | a head that is refused by our rules, or since it is too long | 4, 8 | |
//! | *forgiven:* a stream that came to its end | −2 | |
//! | *forgiven:* a stream that was reset unanswered, though its client had waited ([`Reply::excuse`]) | −4 | |
//! | *forgiven:* 16 KiB of bodies sent, or received and taken | −1 | |
//! | *forgiven:* a second, by the shard | −[`ODDITIES_FORGIVEN_PER_S`] | |
//!
//! So a flood of any one of them ends within a thousand frames of it: the most that lies free beforehand and two points
//! a frame are 400 + 500 window updates. Rapid reset (CVE-2023-44487) is 4 points for two frames, or three with a body, MadeYouReset
//! (CVE-2025-8671) 4 or more: our `RST_STREAM`, and what provoked it. Faults cost more than the end of their
//! stream forgives, should they have been answered before.
//!
//! Clients that mean well stay near zero:
//! * *h2load*, 100 streams at full speed: nothing but HEADERS and a WINDOW_UPDATE each half window, 32 KiB at least, for
//!   which 32 and more lie free; each answer forgives two.
//! * *gRPC*: keep-alive pings each 10 s cost 4 and a second forgives ten; pings by which it measures bandwidth answer our
//!   DATA and are free; a message upward forgives nothing and costs nothing.
//! * *HAProxy* as a client grants back what it read at once, some bytes at a time: at most one for the stream and one for
//!   the connection after each DATA of ours, and its windows are wide open.
//! * *Chromium* sends a PRIORITY or one frame of a reserved type for a request, reprioritises some, and one large window
//!   update at the beginning: three free ones a stream. *Firefox* and *nghttp* build a tree of five PRIORITY at first.
//! * One that takes back a third of its requests before they are answered: 4 points for each, 4 forgiven by the two others.
//!   One whose calls run into their deadlines, since a backend hangs, had waited: it may have a hundred under way, no more.
//!   A viewer that skips through a video takes back answers that have begun: a point each, forgiven by 16 KiB of it.
//!
//! [`Incoming::read`]: super::Incoming::read
//! [`Reply::excuse`]: super::Reply::excuse

use std::{cell::Cell, rc::Rc};

/// Points at which a connection is ended at once, with `ENHANCE_YOUR_CALM`. Any one kind of flood is there within a
/// thousand frames (row H2).
pub const ODDITIES_HARD: u32 = 1_000;

/// Points at which it takes no new streams and ends when those it has are done: 75 %.
pub const ODDITIES_SOFT: u32 = ODDITIES_HARD / 4 * 3;

/// Points that a second forgives. Whoever has a clock calls [`Oddities::forgive`].
pub const ODDITIES_FORGIVEN_PER_S: u32 = 10;

/// The counter of one connection; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Oddities(Rc<Cell<u32>>);

impl Oddities {
    /// Counts what the peer did. One that has reached [`ODDITIES_HARD`] stays there.
    pub fn add(&self, points: u32) {
        self.0.set(self.0.get().saturating_add(points).min(ODDITIES_HARD));
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_add_up_are_forgiven_and_stay_at_the_limit() {
        let oddities = Oddities::default();
        let other = oddities.clone();
        other.add(749);
        assert_eq!((oddities.points(), oddities.is_soft()), (749, false));
        oddities.add(1);
        assert_eq!((other.is_soft(), other.is_hard()), (true, false));
        oddities.forgive(800);
        assert_eq!(other.points(), 0);
        oddities.add(u32::MAX);
        oddities.forgive(u32::MAX);
        assert_eq!((other.points(), other.is_hard()), (ODDITIES_HARD, true));
    }
}
