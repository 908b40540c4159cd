//! Memory that each step of training asks for again stays with the program.

/// Tells the C library's allocator to keep what is given back: else the kernel spends 3.1 of an epoch's 32 CPU-seconds on
/// handing out the same pages again, and 1.3 with this.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep() {
    const KEPT: [(libc::c_int, libc::c_int); 3] = [
        (libc::M_MMAP_THRESHOLD, 32 << 20),
        (libc::M_TRIM_THRESHOLD, libc::c_int::MAX),
        (libc::M_TOP_PAD, 64 << 20),
    ];
    for (setting, value) in KEPT {
        // SAFETY: the settings may be changed at any time and by any thread; one that is unknown changes nothing.
        unsafe { libc::mallopt(setting, value) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep() {}
