//! The door from outside: both sides over bytes in memory, and a client that writes raw frames.

mod calls;
mod floods;
mod memory;
mod raw;
