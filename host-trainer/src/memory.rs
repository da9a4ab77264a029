//! How the C library keeps the memory that training frees.
#![expect(unsafe_code, reason = "the C library's settings are foreign functions")]

/// Larger allocations are the system's: the most that glibc takes.
const FROM_SYSTEM: libc::c_int = 32 << 20;

/// Unused memory above which it goes back to the system.
const KEPT: libc::c_int = 1 << 30;

/// Lets the feature maps that a training step frees serve the next step; else the system takes them back and clears their
/// pages anew, in a tenth of the time of a step.
pub fn keep_freed() {
    // SAFETY: `mallopt` takes any number for any parameter, and the allocator's lock while it sets it.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_SYSTEM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
