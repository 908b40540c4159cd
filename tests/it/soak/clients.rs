//! Fifty clients at once that come, look, and go; some read slowly, some nothing.

use super::dice::Dice;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients at a time.
const CLIENTS: usize = 50;
/// Longest that one stays.
const STAY_MS: usize = 8000;
/// The pages that have an end, and those without.
const WHOLE: [&str; 6] = ["/", "/app.js", "/metrics", "/api/status", "/api/events", "/snapshot.jpg"];
const ENDLESS: [(&str, &str); 3] =
    [("/stream.mjpg", "*/*"), ("/api/detections", "text/event-stream"), ("/api/events", "text/event-stream")];

/// What became of the clients.
#[derive(Default)]
pub struct Served {
    whole: AtomicU64,
    streams: AtomicU64,
    slow: AtomicU64,
    changes: AtomicU64,
    cut: AtomicU64,
    full: AtomicU64,
    /// Answers that nobody should get.
    odd: AtomicU64,
    bytes: AtomicU64,
}

impl Served {
    /// Answers with another status than those that were to be expected.
    pub fn odd_answers(&self) -> u64 {
        self.odd.load(Relaxed)
    }

    /// Clients so far.
    pub fn clients(&self) -> u64 {
        [&self.whole, &self.streams, &self.slow, &self.changes, &self.cut]
            .map(|n| n.load(Relaxed))
            .iter()
            .sum()
    }

    /// Keeps an answer's status: all is well but for a server that has no place.
    fn note(&self, head: &[u8], served: &AtomicU64) {
        match head.get(9..12) {
            Some(b"200") => served.fetch_add(1, Relaxed),
            Some(b"503") => self.full.fetch_add(1, Relaxed),
            Some(_) => self.odd.fetch_add(1, Relaxed),
            None => self.cut.fetch_add(1, Relaxed),
        };
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let get = |n: &AtomicU64| n.load(Relaxed);
        write!(
            f,
            "{} whole answers, {} streams, {} to slow readers, {} changes of zones, {} MB; {} found no place, {} left \
             early, {} odd answers",
            get(&self.whole),
            get(&self.streams),
            get(&self.slow),
            get(&self.changes),
            get(&self.bytes) / 1_000_000,
            get(&self.full),
            get(&self.cut),
            get(&self.odd),
        )
    }
}

/// The clients.
pub struct Crowd {
    served: Arc<Served>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    pub fn start(address: &str) -> Crowd {
        let (served, stop) = (Arc::<Served>::default(), Arc::new(AtomicBool::new(false)));
        let client = |number: usize| {
            let (address, served, stop) = (address.to_owned(), Arc::clone(&served), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut dice = Dice::new(number as u64 + 1);
                while !stop.load(Relaxed) {
                    // A client whose connection breaks has gone, as others go.
                    if visit(&address, &mut dice, &served, &stop).is_err() {
                        served.cut.fetch_add(1, Relaxed);
                    }
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Crowd { served, stop, clients }
    }

    /// Clients so far.
    pub fn clients(&self) -> u64 {
        self.served.clients()
    }

    pub fn stop(self) -> Arc<Served> {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        self.served
    }
}

/// One client, from its coming to its going.
fn visit(address: &str, dice: &mut Dice, served: &Served, stop: &AtomicBool) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let stay = Duration::from_millis(dice.below(STAY_MS) as u64);
    match dice.below(10) {
        0..4 => {
            ask(&mut stream, WHOLE[dice.below(WHOLE.len())], "*/*")?;
            read(stream, served, &served.whole, Duration::MAX, stop)?;
            std::thread::sleep(stay / 8);
        }
        4..7 => {
            let (path, accept) = ENDLESS[dice.below(ENDLESS.len())];
            ask(&mut stream, path, accept)?;
            read(stream, served, &served.streams, stay, stop)?;
        }
        7 => {
            ask(&mut stream, "/stream.mjpg", "*/*")?;
            crawl(stream, served, stay, stop)?;
        }
        8 => {
            change(&mut stream, dice)?;
            read(stream, served, &served.changes, Duration::MAX, stop)?;
            std::thread::sleep(stay / 8);
        }
        // One that says half and goes.
        _ => {
            stream.write_all(b"GET / HT")?;
            std::thread::sleep(stay / 8);
            served.cut.fetch_add(1, Relaxed);
        }
    }
    Ok(())
}

fn ask(stream: &mut TcpStream, path: &str, accept: &str) -> std::io::Result<()> {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

/// Draws a zone anew.
fn change(stream: &mut TcpStream, dice: &mut Dice) -> std::io::Result<()> {
    let x = dice.below(50) as f64 / 100.0;
    let zone = format!(r#"{{"name":"z","points":[[{x},0],[{},0],[{x},1]]}}"#, x + 0.5);
    let body = format!(r#"{{"camera":"door","zones":[{zone}]}}"#);
    let head = "PUT /api/config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length:";
    stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())
}

/// Reads to the end, or until the client has stayed long enough.
fn read(
    mut stream: TcpStream,
    served: &Served,
    counter: &AtomicU64,
    stay: Duration,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let (start, mut buffer, mut known) = (Instant::now(), [0; 1 << 14], false);
    while start.elapsed() < stay && !stop.load(Relaxed) {
        let length = match stream.read(&mut buffer) {
            Ok(length) => length,
            // Nothing happens: a stream of events may be silent.
            Err(e) if known && matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(e) => return Err(e),
        };
        if !std::mem::replace(&mut known, true) {
            served.note(&buffer[..length], counter);
        }
        served.bytes.fetch_add(length as u64, Relaxed);
        if length == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads a little now and then.
fn crawl(mut stream: TcpStream, served: &Served, stay: Duration, stop: &AtomicBool) -> std::io::Result<()> {
    let (start, mut buffer) = (Instant::now(), [0; 512]);
    let length = stream.read(&mut buffer)?;
    served.note(&buffer[..length], &served.slow);
    while start.elapsed() < 3 * stay && !stop.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(500));
        served.bytes.fetch_add(stream.read(&mut buffer)? as u64, Relaxed);
    }
    Ok(())
}
