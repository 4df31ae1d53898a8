//! All automation. fn main comes.
fn main() {}
