//! Futures in memory that is used again, in classes of sizes, kept per core up to a bound.
//!
//! A connection's task then holds a request's future only while there is a request, and making one costs no allocation
//! once the classes are warm.

use crate::spare::Spare;
use crate::stats::{Counters, add};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The smallest class.
const CLASS_BYTES_MIN: usize = 256;
/// Up to here there is a class each so many bytes: of futures of some KiB there is one for each request in flight, and a power of two
/// would waste more.
const STEPPED_BYTES_MAX: usize = 4_096;
const STEP_BYTES: usize = 128;
/// Classes of steps, behind the smallest; those above are powers of two.
const STEPS: usize = (STEPPED_BYTES_MAX - CLASS_BYTES_MIN) / STEP_BYTES;
/// Classes: 256 bytes to 128 KiB.
const CLASSES: usize = 1 + STEPS + 5;
/// Of each class so many stay, however little they are needed: what a few requests take.
const CLASS_MIN: usize = 4;
/// What every class is aligned to.
const ALIGN: usize = 16;

/// The free memory of one core.
pub(crate) struct FuturePool {
    free: RefCell<[Spare<NonNull<u8>>; CLASSES]>,
    kept_bytes: Cell<usize>,
    bytes_max: usize,
    counters: Rc<Counters>,
}

impl FuturePool {
    pub(crate) fn new(bytes_max: usize, counters: Rc<Counters>) -> Self {
        Self { free: RefCell::new(none_free()), kept_bytes: Cell::new(0), bytes_max, counters }
    }

    /// The layout that memory for `layout` has, and its class if it has one.
    fn class_of(layout: Layout) -> (Layout, Option<usize>) {
        let class = match layout.size() {
            size @ ..=STEPPED_BYTES_MAX => size.saturating_sub(CLASS_BYTES_MIN).div_ceil(STEP_BYTES),
            size => STEPS + (size.next_power_of_two() / STEPPED_BYTES_MAX).trailing_zeros() as usize,
        };
        match Layout::from_size_align(class_bytes(class), ALIGN) {
            Ok(rounded) if class < CLASSES && layout.align() <= ALIGN => (rounded, Some(class)),
            // An odd one: allocated for itself. Never of size 0, which `alloc` forbids.
            _ => (Layout::from_size_align(layout.size().max(1), layout.align()).unwrap_or(layout), None),
        }
    }

    fn take(&self, layout: Layout) -> NonNull<u8> {
        let (layout, class) = Self::class_of(layout);
        if let Some(class) = class
            && let Some(memory) = self.free.borrow_mut()[class].pop()
        {
            self.kept_bytes.set(self.kept_bytes.get() - layout.size());
            return memory;
        }
        add(&self.counters.futures_allocated, 1);
        // SAFETY: `class_of` never gives a layout of size 0.
        let memory = unsafe { alloc(layout) };
        NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// # Safety
    /// `memory` must come from `take` of this pool with the same `layout`, and must not be used again.
    unsafe fn put(&self, memory: NonNull<u8>, layout: Layout) {
        let (layout, class) = Self::class_of(layout);
        let kept_bytes = self.kept_bytes.get() + layout.size();
        match class {
            Some(class) if kept_bytes <= self.bytes_max => {
                self.kept_bytes.set(kept_bytes);
                self.free.borrow_mut()[class].push(memory);
            }
            // SAFETY: `take` allocated it with the layout that `class_of` gives for the same argument.
            _ => unsafe { dealloc(memory.as_ptr(), layout) },
        }
    }
}

impl FuturePool {
    /// Frees all that is kept.
    pub(crate) fn free_all(&self) {
        self.kept_bytes.set(0);
        for (class, mut free) in self.free.replace(none_free()).into_iter().enumerate() {
            for memory in free.drain() {
                // SAFETY: it comes from the list of its class, which has forgotten it.
                unsafe { give_up(memory, class) };
            }
        }
    }

    /// Frees what nobody has needed since this was called last. Says how many bytes that were, and whether there may be
    /// more with the next call.
    pub(crate) fn trim(&self) -> (usize, bool) {
        let (mut freed, mut more) = (0, false);
        for (class, free) in self.free.borrow_mut().iter_mut().enumerate() {
            for memory in free.trim(CLASS_MIN) {
                freed += class_bytes(class);
                // SAFETY: it comes from the list of its class, which has forgotten it.
                unsafe { give_up(memory, class) };
            }
            more |= free.len() > CLASS_MIN;
        }
        self.kept_bytes.set(self.kept_bytes.get() - freed);
        (freed, more)
    }
}

/// Of each class nothing.
fn none_free() -> [Spare<NonNull<u8>>; CLASSES] {
    std::array::from_fn(|_| Spare::default())
}

/// The bytes of a class.
fn class_bytes(class: usize) -> usize {
    match class {
        0..=STEPS => CLASS_BYTES_MIN + class * STEP_BYTES,
        _ => STEPPED_BYTES_MAX.checked_shl((class - STEPS) as u32).unwrap_or(usize::MAX),
    }
}

/// Frees memory of a class.
///
/// # Safety
/// `memory` must come from the list of `class`, and must not be used again.
unsafe fn give_up(memory: NonNull<u8>, class: usize) {
    if let Ok(layout) = Layout::from_size_align(class_bytes(class), ALIGN) {
        // SAFETY: memory in this class was allocated with the class's layout, and is in no other list.
        unsafe { dealloc(memory.as_ptr(), layout) };
    }
}

impl Drop for FuturePool {
    fn drop(&mut self) {
        self.free_all();
    }
}

/// A future in pooled memory, pinned for good. Made by [`crate::Handle::pooled`].
pub struct Pooled<F: ?Sized> {
    future: NonNull<F>,
    pool: Rc<FuturePool>,
    _owns: PhantomData<F>,
}

impl<F> Pooled<F> {
    /// Inlined, so that what a fresh future consists of (a few words of its arguments) is written in place, and not all
    /// that it will ever hold is copied.
    #[inline(always)]
    pub(crate) fn new(pool: Rc<FuturePool>, make: impl FnOnce() -> F) -> Self {
        let memory = pool.take(Layout::new::<F>()).cast::<F>();
        // SAFETY: the memory is ours, large enough and aligned for `F`, and holds no value yet. Should `make` panic, the
        // memory is lost, which is safe.
        unsafe { memory.write(make()) };
        Self { future: memory, pool, _owns: PhantomData }
    }
}

impl<F: Future<Output = ()> + 'static> Pooled<F> {
    /// The same future, of a type that is forgotten.
    pub(crate) fn erase(self) -> Pooled<dyn Future<Output = ()>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped nor used again, so that the pool is moved out of it and not copied.
        let pool = unsafe { std::ptr::read(&this.pool) };
        Pooled { future: this.future, pool, _owns: PhantomData }
    }
}

// The future stays where it is when the pointer to it moves.
impl<F: ?Sized> Unpin for Pooled<F> {}

impl<F: Future + ?Sized> Future for Pooled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the pointer is to a live `F` that we own and reach through `&mut self` alone. It is pinned: it is never
        // moved out, and its memory is not used for anything else before `drop` has dropped it in place.
        unsafe { Pin::new_unchecked(self.future.as_mut()) }.poll(cx)
    }
}

impl<F: ?Sized> Drop for Pooled<F> {
    fn drop(&mut self) {
        /// Gives the memory back also when the future panics while it is dropped.
        struct Return<'a>(NonNull<u8>, Layout, &'a FuturePool);
        impl Drop for Return<'_> {
            fn drop(&mut self) {
                // SAFETY: made below from what `new` took with the same layout; the future in it is dropped.
                unsafe { self.2.put(self.0, self.1) };
            }
        }
        // SAFETY: the pointer is to a live `F`.
        let layout = Layout::for_value(unsafe { self.future.as_ref() });
        let _memory = Return(self.future.cast(), layout, &self.pool);
        // SAFETY: the pointer is to a live `F`, which is dropped here and never touched again.
        unsafe { self.future.drop_in_place() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_is_put_in_it_and_wastes_little() {
        for size in 0..200 << 10 {
            let (rounded, class) = FuturePool::class_of(Layout::from_size_align(size, 8).unwrap());
            assert!(rounded.size() >= size.max(1), "{size}");
            assert_eq!(class.is_some(), size <= 128 << 10, "{size}");
            let Some(class) = class else { continue };
            assert_eq!(class_bytes(class), rounded.size(), "{size}");
            let wasted_max = if size <= CLASS_BYTES_MIN {
                CLASS_BYTES_MIN
            } else if size <= STEPPED_BYTES_MAX {
                STEP_BYTES - 1
            } else {
                size
            };
            assert!(rounded.size() - size.max(1) <= wasted_max, "{size}");
        }
    }
}
