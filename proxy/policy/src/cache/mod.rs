//! Cache.
/// x
#[derive(Debug)]
pub struct Lookup;
/// x
#[derive(Debug)]
pub struct Found;
/// x
#[derive(Debug)]
pub struct Fate;
