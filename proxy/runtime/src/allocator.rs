//! The allocator's free memory, given back to the kernel. It is the program that makes mimalloc its allocator; where it
//! has not, nothing happens here.

/// Gives the kernel what this thread has freed and the allocator keeps, at once. Looks at all of the thread's pages: not
/// for a request's way.
pub fn give_back() {
    // SAFETY: takes no pointer, and may be called on any thread at any time: it touches the calling thread's own heap and
    // what threads that have ended left behind, under the allocator's own locks.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
