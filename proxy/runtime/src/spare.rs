//! Things kept for reuse, last in first out, and how many of them nobody has needed lately: those may go.

/// A pool that knows its low-water mark: what has lain in it since [`Spare::trim`] was called last was not needed.
pub struct Spare<T> {
    kept: Vec<T>,
    /// The fewest that were there since then.
    least: usize,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), least: 0 }
    }
}

impl<T> Spare<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The one that was put last, whose memory is the most likely to be in the CPU's cache.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let popped = self.kept.pop();
        self.least = self.least.min(self.kept.len());
        popped
    }

    /// Keeps one more.
    #[inline]
    pub fn push(&mut self, one: T) {
        self.kept.push(one);
    }

    /// Gives out those that nobody has needed since this was called last, but for `min` that may stay.
    pub fn trim(&mut self, min: usize) -> impl Iterator<Item = T> + '_ {
        let unneeded = self.least.min(self.kept.len().saturating_sub(min));
        self.least = self.kept.len() - unneeded;
        // The lowest have lain there longest.
        self.kept.drain(..unneeded)
    }

    /// Gives out all.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.least = 0;
        self.kept.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` puts one, `-` takes one, `t` trims; what is left in the end.
    #[track_caller]
    fn check(steps: &str, min: usize, left: usize) {
        let mut spare = Spare::default();
        for step in steps.chars() {
            match step {
                '+' => spare.push(()),
                '-' => drop(spare.pop()),
                _ => drop(spare.trim(min)),
            }
        }
        assert_eq!(spare.len(), left, "{steps}");
    }

    #[test]
    fn what_nobody_needs_goes() {
        check("++++", 0, 4);
        // They came since the last time.
        check("++++t", 0, 4);
        check("++++tt", 0, 0);
        check("++++t--++t", 0, 2);
        check("++++t--++t--++t--++t", 0, 2);
        check("++++tt", 3, 3);
        check("++++t----++++t", 0, 4);
        check("t-t+-+tt", 0, 0);
    }
}
