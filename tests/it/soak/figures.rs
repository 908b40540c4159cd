//! What is measured: latencies by the program's own lines, memory by the system.

use super::clients::Crowd;
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Seconds of a minute, in each of which memory is read.
const SECONDS: usize = 60;

/// Follows the lines of the program.
pub struct Figures {
    latencies: Arc<Mutex<Vec<Duration>>>,
}

/// What one minute showed.
pub struct Minute {
    number: u64,
    frames: usize,
    p50: Duration,
    pub p99: Duration,
    max: Duration,
    /// Resident memory in megabytes (10⁶ bytes): the median of the seconds.
    pub memory_mb: f64,
    memory_max_mb: f64,
    threads: u64,
    clients: u64,
}

impl Minute {
    pub const HEAD: &str = "minute frames  p50 ms  p99 ms  max ms   RSS MB (most)  threads  clients so far";
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Minute { number, frames, memory_mb, memory_max_mb, threads, clients, .. } = self;
        let (p50, p99, max) = (ms(self.p50), ms(self.p99), ms(self.max));
        write!(
            f,
            "{number:6} {frames:6} {p50:7.1} {p99:7.1} {max:7.1} {memory_mb:8.2} ({memory_max_mb:.2}) {threads:7} {clients:15}"
        )
    }
}

impl Figures {
    /// Of the frames that a program prints from now on.
    pub fn follow(stdout: impl Read + Send + 'static) -> Figures {
        let latencies = Arc::<Mutex<Vec<Duration>>>::default();
        let seen = Arc::clone(&latencies);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let report: Value = serde_json::from_str(&line).unwrap();
                let ms = report["latency_ms"].as_f64().unwrap();
                seen.lock().unwrap().push(Duration::from_secs_f64(ms / 1e3));
            }
        });
        Figures { latencies }
    }

    /// Waits for a minute, and prints what it showed of the process of this number.
    pub fn minute(&self, number: u64, process: u32, crowd: &Crowd) -> Minute {
        let mut memory: Vec<f64> = (0..SECONDS)
            .map(|_| {
                std::thread::sleep(Duration::from_secs(1));
                status(process, "VmRSS:") as f64 * 1024.0 / 1e6
            })
            .collect();
        memory.sort_by(f64::total_cmp);
        let mut times = std::mem::take(&mut *self.latencies.lock().unwrap());
        times.sort();
        assert!(!times.is_empty(), "no frame was answered");
        let share = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let minute = Minute {
            number,
            frames: times.len(),
            p50: share(0.5),
            p99: share(0.99),
            max: share(1.0),
            memory_mb: memory[SECONDS / 2],
            memory_max_mb: memory[SECONDS - 1],
            threads: status(process, "Threads:"),
            clients: crowd.clients(),
        };
        println!("{minute}");
        minute
    }
}

/// A number of `/proc/PID/status`.
fn status(process: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
