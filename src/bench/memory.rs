//! Memory of this process, as Linux counts it.

/// MB (10⁶ bytes) that lie in memory now.
pub fn resident_mb() -> Option<f64> {
    field("VmRSS:")
}

/// Most MB that lay in memory at once since the start or [`forget_peak`].
pub fn peak_mb() -> Option<f64> {
    field("VmHWM:")
}

/// Lets [`peak_mb`] count anew, where the system allows it (proc(5), `clear_refs`).
pub fn forget_peak() {
    // Where it is not allowed, the peak of the whole process is reported, which is no less.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn field(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
