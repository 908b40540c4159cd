//! This process, as Linux counts it.

use std::path::Path;

/// Ticks per second of the times in `/proc`; the same on every Linux that this program runs on (proc(5), `USER_HZ`).
const TICKS: f64 = 100.0;

/// What this process has used, as far as the system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// CPU time of all threads since the start, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Bytes that lie in memory now.
    pub resident_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl Process {
    /// Asks the system.
    pub fn read() -> Self {
        Process::read_in(Path::new("/proc/self"))
    }

    fn read_in(folder: &Path) -> Self {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let status = text("status");
        let number = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Process {
            cpu_seconds: cpu_seconds(&text("stat")),
            resident_bytes: number("VmRSS:").map(|kib| kib * 1024),
            threads: number("Threads:"),
        }
    }
}

/// Fields 14 and 15 of the line. The second one, the program's name in brackets, may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_from_where_linux_keeps_them() {
        let folder = std::env::temp_dir().join(format!("ocellus-process-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let stat = "7 (a ) (b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 99";
        std::fs::write(folder.join("stat"), stat).unwrap();
        std::fs::write(folder.join("status"), "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t3\n").unwrap();
        let process = Process::read_in(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let expected =
            Process { cpu_seconds: Some(3.0), resident_bytes: Some(1234 * 1024), threads: Some(3) };
        assert_eq!(process, expected);
        assert_eq!(Process::read_in(&folder), Process::default());
    }
}
