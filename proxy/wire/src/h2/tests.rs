//! The door from outside: both sides over bytes in memory, and a client that writes raw frames.

mod ahead;
mod answers;
mod calls;
mod faults;
mod floods;
mod generated;
mod queues;
mod requests;
mod rows;
mod sessions;
mod waiting;
