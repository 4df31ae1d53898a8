//! The memory ladder of a running node: what the kernel says goes up the ladder, what the ladder says goes to the cores.
//! It knows neither the steps nor what a core does at one.

use std::{sync::atomic::Ordering, time::Duration};

use shard::Message;

use crate::{
    ladder::Ladder,
    memory,
    node::{CHORES, Node, held},
    say,
};

impl Node {
    /// Looks at the memory and tells the cores what follows: at once when the next step is reached, and once a second for as
    /// long as there is something to be done, so that who misses a letter has the next one. After what time to look again.
    pub(crate) fn climb(&self, ladder: &mut Ladder, is_due: bool) -> Duration {
        let (bytes, max_bytes) = {
            let limit = held(&self.memory_limit);
            let Some(bytes) = limit.used_bytes() else { return CHORES };
            (bytes, limit.max_bytes())
        };
        if is_due || ladder.rises(bytes, max_bytes) {
            let before = ladder.level();
            let told = ladder.look(bytes, max_bytes);
            let level = ladder.level();
            self.memory_bytes.store(bytes, Ordering::Relaxed);
            self.memory_level.store(level as u8, Ordering::Relaxed);
            if let Some(pressure) = told {
                self.ask(|| Message::Pressure(pressure));
            }
            if before != level {
                let said = memory::describe(level, bytes, max_bytes);
                if before < level { say::warning(&said) } else { say::note(&said) }
            }
        }
        ladder.look_within(bytes, max_bytes)
    }
}
