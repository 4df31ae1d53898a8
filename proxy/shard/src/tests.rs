mod harness;
mod pooling;
mod proxying;
