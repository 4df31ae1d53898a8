//! What this thread may do: which capabilities the front line needs, which are there, and how the others are given up.
//! Knows no program.

use crate::Error;
use rustix::thread::{self, CapabilitySet, CapabilitySets};
use std::io;

/// What the programs need. `PERFMON` not for tracing: without it the verifier allows no offsets that depend on the packet, as
/// those behind VLAN tags and IP options do.
pub const NEEDED: CapabilitySet =
    CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN).union(CapabilitySet::PERFMON);

/// Those of [`NEEDED`] that this thread has.
pub fn held() -> CapabilitySet {
    thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective & NEEDED)
}

/// Those that it lacks, by name; `None`: it has them all.
pub(crate) fn missing() -> Option<String> {
    let missing = NEEDED - held();
    (!missing.is_empty()).then(|| names(missing))
}

/// As the kernel calls them: `CAP_BPF, CAP_NET_ADMIN`.
pub(crate) fn names(set: CapabilitySet) -> String {
    let names: Vec<_> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.join(", ")
}

/// Gives up everything but [`NEEDED`] and `also`, for good: neither this thread nor what it starts gets it back. Threads that run
/// already keep what they have, so the main thread calls this once it has attached and bound what needs more, before it starts
/// any. What `also` names and is not held is not gained.
pub fn drop_others(also: CapabilitySet) -> Result<(), Error> {
    let kernel = |what| {
        move |error: rustix::io::Errno| Error::Kernel { what, why: io::Error::from(error).to_string() }
    };
    let keep = NEEDED | also;
    let sets = thread::capabilities(None).map_err(kernel("capabilities can't be read"))?;
    // The bounding set first: it takes CAP_SETPCAP to make it smaller. Who lacks that can gain nothing by it but through programs
    // with file capabilities.
    if sets.effective.contains(CapabilitySet::SETPCAP) {
        for one in CapabilitySet::all().iter().filter(|one| !keep.contains(*one)) {
            match thread::remove_capability_from_bounding_set(one) {
                // One that this kernel does not know.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(kernel("the bounding set can't be made smaller")(error)),
            }
        }
    }
    // What leaves the permitted or inheritable set leaves the ambient one by itself (man 7 capabilities).
    let left = CapabilitySets {
        effective: sets.effective & keep,
        permitted: sets.permitted & keep,
        inheritable: sets.inheritable & keep,
    };
    thread::set_capabilities(None, left).map_err(kernel("capabilities can't be given up"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_the_kernels_names() {
        assert_eq!(names(NEEDED), "CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF");
        assert_eq!(names(CapabilitySet::empty()), "");
    }

    /// In a thread of its own: what is given up does not come back.
    #[test]
    fn what_is_given_up_is_gone() {
        std::thread::spawn(|| {
            let before = thread::capabilities(None).unwrap();
            drop_others(CapabilitySet::NET_BIND_SERVICE).unwrap();
            let keep = NEEDED | CapabilitySet::NET_BIND_SERVICE;
            let after = thread::capabilities(None).unwrap();
            assert_eq!(after.permitted, before.permitted & keep);
            assert_eq!(after.effective, before.effective & keep);
            assert_eq!(after.inheritable, before.inheritable & keep);
            if before.effective.contains(CapabilitySet::SETPCAP) {
                assert!(!thread::capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN).unwrap());
                assert!(thread::capability_is_in_bounding_set(CapabilitySet::NET_ADMIN).unwrap());
            }
            assert!(thread::set_capabilities(None, before).is_err() || before == after);
        })
        .join()
        .unwrap();
    }
}
