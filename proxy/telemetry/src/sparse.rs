//! Counts by slot, each made when it is first needed: most routes of a large API are never asked, and what a core takes
//! over with a change of configuration shall be a list of pointers. It knows neither what is counted nor why.

/// A list of which most places are empty.
#[derive(Clone, Debug)]
pub(crate) struct Sparse<T>(Vec<Option<Box<T>>>);

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> Sparse<T> {
    /// So many places, all empty.
    pub(crate) fn new(len: usize) -> Self {
        let mut sparse = Self::default();
        sparse.resize(len, &mut Vec::new());
        sparse
    }

    /// What stands in a place, made now if nothing does; `None` where there is no place.
    pub(crate) fn get_or_make(&mut self, slot: u32) -> Option<&mut T> {
        self.0.get_mut(slot as usize).map(|place| &mut **place.get_or_insert_default())
    }

    /// What stands in the places, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<&T>> {
        self.0.iter().map(Option::as_deref)
    }

    /// What stands in a place.
    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        self.0.get(slot)?.as_deref()
    }

    /// Copies what stands in places from `slot` on into those of another, so many things at most; where to go on, or `None` at the end.
    pub(crate) fn copy_some(&self, slot: usize, things_max: usize, to: &mut Self) -> Option<usize>
    where
        T: Clone,
    {
        let mut copied = 0;
        for (at, place) in self.0.iter().enumerate().skip(slot) {
            if let (Some(thing), Some(into)) = (place, to.0.get_mut(at)) {
                if copied == things_max {
                    return Some(at);
                }
                *into = Some(thing.clone());
                copied += 1;
            }
        }
        None
    }

    /// Empties a place.
    pub(crate) fn take(&mut self, slot: usize) -> Option<Box<T>> {
        self.0.get_mut(slot)?.take()
    }

    /// Makes so many places; what stood in those that go is put aside: freeing it takes longer than this may.
    pub(crate) fn resize(&mut self, len: usize, aside: &mut Vec<Box<T>>) {
        if len < self.0.len() {
            aside.extend(self.0.drain(len..).flatten());
        } else {
            self.0.resize_with(len, || None);
        }
    }
}
