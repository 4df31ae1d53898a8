//! Binding a thread to a CPU, and when it gets it.

use std::io;
use std::mem;
use std::time::Duration;

/// Lets the calling thread run on `cpu` alone.
pub(crate) fn pin_thread(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: `cpu_set_t` is an array of integers, for which all zeroes is a value: the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `cpu` was checked against the size of the set above.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer and the size describe `set`, which outlives the call; 0 names the calling thread.
    match unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `sched_attr` as far as Linux 3.14 has it: what stands behind it is optional.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

const ATTR_BYTES: u32 = mem::size_of::<SchedAttr>() as u32;

/// How the calling thread is scheduled.
fn attr() -> io::Result<SchedAttr> {
    let mut attr = SchedAttr::default();
    // SAFETY: 0 names the calling thread; the kernel writes `ATTR_BYTES` at most to `attr`, all of whose fields are integers.
    match unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, ATTR_BYTES, 0) } {
        0 => Ok(attr),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the kernel for slices of this length for the calling thread (sched_setattr(2), Linux 6.12). Policy and nice stay; whoever
/// was given a policy of another kind has no slices.
pub(crate) fn shorten_slice(slice: Duration) -> io::Result<()> {
    let before = attr()?;
    if !matches!(before.policy as i32, libc::SCHED_OTHER | libc::SCHED_BATCH) {
        return Ok(());
    }
    let runtime_ns = u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX);
    let attr = SchedAttr { size: ATTR_BYTES, runtime_ns, ..before };
    // SAFETY: 0 names the calling thread; the kernel reads `ATTR_BYTES` of `attr`.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_asks_for_shorter_slices_and_stays_what_it_is() {
        const SLICE: Duration = Duration::from_micros(200);
        std::thread::spawn(|| {
            let before = attr().unwrap();
            shorten_slice(SLICE).unwrap();
            let after = attr().unwrap();
            assert_eq!((after.policy, after.nice), (before.policy, before.nice));
            // A kernel that knows no slices says 0 before and after.
            let expected_ns = if before.runtime_ns == 0 { 0 } else { SLICE.as_nanos() as u64 };
            assert_eq!(after.runtime_ns, expected_ns);
        })
        .join()
        .unwrap();
    }
}
