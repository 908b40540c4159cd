//! The soak: the program for a long time at a camera's full rate, with damaged frames among the others and clients that
//! come, go, and read slowly. It prints a line each minute and fails if memory grows, latency does, or a thread panics.
//!
//! `OCELLUS_SOAK_MINUTES=30 cargo test --release --test it -- --ignored --nocapture soak`

mod clients;
mod dice;
mod figures;
mod source;

use crate::program::start;
use crate::temp_dir::TempDir;
use clients::Crowd;
use figures::{Figures, Minute};
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Minutes where `OCELLUS_SOAK_MINUTES` says nothing else.
const MINUTES: u64 = 2;
/// Memory may grow by so much after the first minute.
const GROWTH_MB_MAX: f64 = 2.0;
/// Latencies are less, but for one in a hundred.
const P99_MAX: Duration = Duration::from_nanos(2 * source::PERIOD.as_nanos() as u64);

const CONFIG: &str = "print = 'frames'\nthreads = 1\nsnapshots = { folder = 'DIR/pictures', max_mb = 2 }\n\
                      http = { listen = '127.0.0.1:0' }\n[[camera]]\nname = 'door'\nsource = '-'\n";

/// Ends with the test, however that ends.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What each line of standard error says from now on, and the address of the page in one of the first.
fn follow_errors(stderr: impl Read + Send + 'static) -> (String, Receiver<String>) {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let address =
        lines.iter().find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned()));
    (address.expect("the page's address is said"), lines)
}

#[test]
#[ignore = "takes minutes: OCELLUS_SOAK_MINUTES=30 cargo test --release --test it -- --ignored --nocapture soak"]
fn soak() {
    let minutes = std::env::var("OCELLUS_SOAK_MINUTES").map_or(MINUTES, |text| text.parse().unwrap());
    let dir = TempDir::new("soak");
    let config = dir.write("c.toml", CONFIG.replace("DIR", &dir.folder().display().to_string()));
    let mut daemon = Daemon(start(&[&"watch", &"--config", &config]));
    // The last minute is a whole one.
    let end = Instant::now() + Duration::from_secs(60 * minutes + 10);
    let sent = source::start(daemon.0.stdin.take().unwrap(), end);
    let figures = Figures::follow(daemon.0.stdout.take().unwrap());
    let (address, errors) = follow_errors(daemon.0.stderr.take().unwrap());
    let crowd = Crowd::start(&address);
    println!("{}", Minute::HEAD);
    let seen: Vec<Minute> =
        (1..=minutes).map(|number| figures.minute(number, daemon.0.id(), &crowd)).collect();
    let served = crowd.stop();
    let sent = sent.join().unwrap();
    assert!(daemon.0.wait().unwrap().success(), "the source has an end, and so has the program");
    let errors: Vec<String> = errors.iter().collect();
    println!("sent: {sent}\nserved: {served}\nsaid: {}", errors.join("\n      "));
    assert!(!errors.iter().any(|line| line.contains("panicked")), "a thread has panicked");
    let grown = seen.iter().map(|minute| minute.memory_mb).fold(0.0, f64::max) - seen[0].memory_mb;
    let worst = seen.iter().map(|minute| minute.p99).max().unwrap();
    println!("memory grew by {grown:.2} MB, worst p99 {:.1} ms", worst.as_secs_f64() * 1e3);
    assert!(grown <= GROWTH_MB_MAX, "memory grew by {grown:.2} MB");
    assert!(worst <= P99_MAX, "a minute had a p99 of {worst:?}, more than {P99_MAX:?}");
    assert_eq!(served.odd_answers(), 0, "{served}");
}
