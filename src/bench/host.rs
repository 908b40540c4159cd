//! The machine: what a reader has to know before a figure means anything.

use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Facts of the machine, as far as its system tells them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Host {
    /// Model of the CPU or the board.
    pub cpu: Option<String>,
    /// Architecture that this program is built for, and the width of its addresses.
    pub arch: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// How the clock is governed.
    pub governor: Option<String>,
    /// Clock of the first CPU now.
    pub mhz: Option<f64>,
    /// Hottest sensor.
    pub celsius: Option<f64>,
    /// Whether the CPU runs slower than it could: the flag of a Raspberry Pi's firmware, or how often the
    /// first core was throttled since the start.
    pub throttled: Option<String>,
    /// Processes that wanted to run during the last minute.
    pub load: Option<f64>,
}

impl Host {
    /// Asks the system.
    pub fn read() -> Self {
        Host::read_under(Path::new("/"))
    }

    /// Whether the CPU runs slower than it could now, where the system tells more than how often it did.
    pub fn is_throttled(&self) -> Option<bool> {
        // Bits 0 to 3: too little voltage, clock capped, throttled, soft limit of temperature; from 16 on: since the start.
        const NOW: u32 = 0xf;
        let flags = self.throttled.as_ref()?.strip_prefix("0x")?;
        u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok().map(|flags| flags & NOW != 0)
    }

    fn read_under(root: &Path) -> Self {
        let text = |path: &str| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(text.trim_end_matches(['\0', '\n']).trim().to_owned()).filter(|t| !t.is_empty())
        };
        let cpuinfo = text("proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|k| k.trim() == name));
            Some(line?.split_once(':')?.1.trim().to_owned())
        };
        let cpufreq = |name: &str| text(&format!("sys/devices/system/cpu/cpu0/cpufreq/{name}"));
        let khz = cpufreq("scaling_cur_freq").and_then(|t| t.parse::<f64>().ok());
        Host {
            cpu: field("model name").or_else(|| field("Model")).or_else(|| text("proc/device-tree/model")),
            arch: format!("{}, {} bit", std::env::consts::ARCH, usize::BITS),
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get()),
            governor: cpufreq("scaling_governor"),
            mhz: khz.map(|khz| khz / 1e3).or_else(|| field("cpu MHz")?.parse().ok()),
            celsius: hottest(root),
            throttled: text("sys/devices/platform/soc/soc:firmware/get_throttled")
                .map(|flag| format!("0x{flag}"))
                .or_else(|| {
                    let times = text("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count")?;
                    Some(format!("{times} times"))
                }),
            load: text("proc/loadavg").and_then(|t| t.split(' ').next()?.parse().ok()),
        }
    }
}

fn hottest(root: &Path) -> Option<f64> {
    let zones = std::fs::read_dir(root.join("sys/class/thermal")).ok()?;
    let millidegrees =
        |zone: &Path| -> Option<f64> { std::fs::read_to_string(zone.join("temp")).ok()?.trim().parse().ok() };
    zones.flatten().filter_map(|zone| millidegrees(&zone.path())).map(|m| m / 1e3).reduce(f64::max)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "unknown".to_owned();
        let or = |fact: &Option<String>| fact.clone().unwrap_or_else(unknown);
        let number = |fact: Option<f64>, unit: &str| fact.map_or_else(unknown, |x| format!("{x:.0}{unit}"));
        writeln!(f, "cpu = {} ({}), {} usable", or(&self.cpu), self.arch, self.cpus)?;
        write!(f, "governor = {}, clock = {}, ", or(&self.governor), number(self.mhz, " MHz"))?;
        write!(f, "temperature = {}, ", number(self.celsius, " °C"))?;
        write!(f, "throttled = {}, ", or(&self.throttled))?;
        write!(f, "load = {}", self.load.map_or_else(unknown, |x| format!("{x:.2}")))
    }
}

/// CPUs of a machine with fast and slow ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpus {
    /// All.
    All,
    /// The slow ones.
    Little,
    /// The fast ones.
    Big,
}

impl Cpus {
    /// Their numbers, from the capacities that the system states; `None` where it states none or all are the
    /// same.
    pub fn numbers(self) -> Option<Vec<usize>> {
        self.choose(&capacities(Path::new("/sys/devices/system/cpu")))
    }

    fn choose(self, capacities: &[u64]) -> Option<Vec<usize>> {
        let (least, most) = (capacities.iter().min()?, capacities.iter().max()?);
        if self == Cpus::All || least == most {
            return None;
        }
        let is_big = |capacity: u64| 2 * capacity > least + most;
        let wanted = |&cpu: &usize| is_big(capacities[cpu]) == (self == Cpus::Big);
        Some((0..capacities.len()).filter(wanted).collect())
    }
}

fn capacities(folder: &Path) -> Vec<u64> {
    let of = |cpu: usize| -> Option<u64> {
        std::fs::read_to_string(folder.join(format!("cpu{cpu}/cpu_capacity"))).ok()?.trim().parse().ok()
    };
    (0..).map_while(of).collect()
}

/// Numbers of the CPUs that this process may run on, where the system tells.
pub fn allowed_cpus() -> Option<Vec<usize>> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    cpu_list(line.trim())
}

/// `0-3,6` as the numbers it stands for.
fn cpu_list(text: &str) -> Option<Vec<usize>> {
    const CPU_MAX: usize = 1 << 16;
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        numbers.extend(first..=last.min(CPU_MAX));
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_from_where_linux_keeps_them() {
        let root = std::env::temp_dir().join(format!("ocellus-host-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/cpuinfo", "processor\t: 0\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n");
        write("proc/loadavg", "0.25 0.10 0.05 1/100 42\n");
        write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n");
        write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1800000\n");
        write("sys/class/thermal/thermal_zone0/temp", "61335\n");
        write("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n");
        let host = Host::read_under(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(host.cpu.as_deref(), Some("Raspberry Pi 4 Model B Rev 1.4"));
        assert_eq!((host.mhz, host.celsius, host.load), (Some(1800.0), Some(61.335), Some(0.25)));
        assert_eq!(host.throttled.as_deref(), Some("0x50000"));
        let text = host.to_string();
        assert!(text.contains("governor = ondemand, clock = 1800 MHz, temperature = 61 °C"), "{text}");
        let nothing = Host::read_under(Path::new("no such folder"));
        assert_eq!((nothing.cpu, nothing.mhz), (None, None));
    }

    /// A Rockchip RK3399: four Cortex-A53, two Cortex-A72.
    #[test]
    fn big_and_little_are_told_by_capacity() {
        let rk3399 = [485, 485, 485, 485, 1024, 1024];
        assert_eq!(Cpus::Big.choose(&rk3399), Some(vec![4, 5]));
        assert_eq!(Cpus::Little.choose(&rk3399), Some(vec![0, 1, 2, 3]));
        assert_eq!(Cpus::All.choose(&rk3399), None);
        assert_eq!(Cpus::Big.choose(&[1024; 4]), None);
        assert_eq!(Cpus::Big.choose(&[]), None);
        assert_eq!(cpu_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpu_list("x"), None);
    }
}
