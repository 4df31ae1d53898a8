mod deadlines;
mod early;
mod faults;
mod harness;
mod pooling;
mod proxying;
mod switching;
