//! Tables of what may be answered from the cache and what may be kept, and properties of the store.
