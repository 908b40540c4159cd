//! What hostile clients cannot do.

use super::scene::{Scene, TOKEN};
use crate::onnx_bytes;
use crate::program::start;
use crate::temp_dir::TempDir;
use ocellus::limits::{HTTP_BODY_BYTES_MAX, HTTP_CONNECTIONS_MAX, HTTP_REQUEST_BYTES_MAX, HTTP_STREAMS_MAX};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

const HEAD: &str = "GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";

#[test]
fn heads_are_bounded_and_must_be_http() {
    let scene = Scene::new(None, None);
    let long = "x".repeat(HTTP_REQUEST_BYTES_MAX);
    let many = "a: b\r\n".repeat(100);
    for (request, status) in [
        (format!("{HEAD}X: {long}\r\n\r\n"), 431),
        (format!("{HEAD}{many}\r\n"), 431),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 431),
        ("GET / HTTP/9.9\r\n\r\n".into(), 400),
        ("\u{16}\u{3}\u{1}\0\r\n\r\n".into(), 400),
        (format!("{HEAD}a\0b: c\r\n\r\n"), 400),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".into(), 421),
        ("CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(), 405),
        ("DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(), 405),
    ] {
        let answer = scene.send(&request);
        // Where the server closes before all has been read, the answer may be lost with the connection.
        assert!([0, status].contains(&answer.status), "{request:.60}: {}", answer.head);
    }
    assert_eq!(scene.get("/api/status", &[]).status, 200);
}

#[test]
fn bodies_are_bounded() {
    let scene = Scene::new(None, None);
    let head = "PUT /api/config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let large = " ".repeat(HTTP_BODY_BYTES_MAX + 1);
    let sent = scene.send(format!("{head}Content-Length: {}\r\n\r\n{large}", large.len()));
    assert!([0, 413].contains(&sent.status), "{}", sent.head);
    let chunked = scene
        .send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n", large.len()));
    assert!([0, 413].contains(&chunked.status), "{}", chunked.head);
    let claimed = scene.send(format!("{head}Content-Length: 99999999999999999999\r\n\r\n"));
    assert!([0, 400].contains(&claimed.status), "{}", claimed.head);
    assert!(scene.settings.read().contains("\"zones\":[]"), "nothing has changed");
}

#[test]
fn no_path_leads_to_a_file() {
    let dir = TempDir::new("serve-paths");
    let scene = Scene::new(None, Some(dir.path("pictures")));
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/api/events/../../../etc/passwd/snapshot.jpg",
        "/api/events/etc/passwd/snapshot.jpg",
        "/api/events//etc/passwd%00/snapshot.jpg",
        "/page/index.html",
        "/style.css/../app.js",
        "/snapshot.jpg?camera=../../etc/passwd",
    ] {
        assert_eq!(scene.get(path, &[]).status, 404, "{path}");
    }
}

#[test]
fn nothing_is_told_without_the_token() {
    let scene = Scene::new(Some(TOKEN), None);
    for path in
        ["/metrics", "/api/status", "/api/config", "/api/events", "/snapshot.jpg", "/stream.mjpg", "/nothing"]
    {
        let lines = ["Authorization: Bearer correct-horse-batterz", "Cookie: ocellus=wrong"];
        let mut stream = scene.connect();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n\r\n", lines.join("\r\n"));
        stream.write_all(request.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 401", "{path}");
    }
    assert_eq!(scene.get("/healthz", &[]).status, 200);
}

#[test]
fn foreign_pages_get_nothing() {
    let scene = Scene::new(None, None);
    let evil = |lines: &[&str]| scene.get("/api/status", lines).status;
    assert_eq!(evil(&["Sec-Fetch-Site: cross-site"]), 403);
    assert_eq!(evil(&["Origin: http://evil.example"]), 403);
    let rebound = "GET /api/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(scene.send(rebound).status, 421);
    assert_eq!(scene.send("GET /api/status HTTP/1.0\r\n\r\n").status, 421);
}

/// Connections of a flood.
const FLOOD: u32 = 3000;
/// What has been closed shows within this time.
const SOON: Duration = Duration::from_millis(1);

/// Whether the other side has closed: a read ends or fails within the time.
fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => return !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// The program itself, with a page, on pictures without end.
struct Daemon {
    process: Child,
    address: String,
}

impl Daemon {
    fn start(dir: &TempDir) -> Daemon {
        let model = dir.write("m.onnx", onnx_bytes::detector());
        dir.picture("pictures/a.png", 64, 64);
        let pictures = dir.path("pictures");
        let mut process = start(&[
            &"watch",
            &"--model",
            &model,
            &"--source",
            &pictures,
            &"--loop",
            &"--fps",
            &"50",
            &"--print",
            &"nothing",
            &"--http",
            &"127.0.0.1:0",
        ]);
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned()));
        Daemon { process, address: address.expect("the page's address is said") }
    }

    /// What a page tells now, if there is a place.
    fn ask(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }

    /// A figure of its metrics, when there is a place.
    fn figure(&self, name: &str) -> f64 {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(text) = self.ask("/metrics") {
                let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
                return line.rsplit(' ').next().unwrap().parse().unwrap();
            }
            assert!(Instant::now() < end, "no place is free again");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Far more connections than there are places, each with half a head: those beyond the places are closed at once,
/// memory is bounded and frames go on, and when the places are free again the page answers.
#[test]
fn thousands_of_connections_are_bounded() {
    let dir = TempDir::new("serve-flood");
    let daemon = Daemon::start(&dir);
    let frames = daemon.figure("ocellus_frames_total");
    let memory = daemon.figure("process_resident_memory_bytes");
    let mut kept: Vec<TcpStream> = Vec::new();
    for _ in 0..FLOOD {
        let Ok(mut stream) = TcpStream::connect(&daemon.address) else { continue };
        let _ = stream.write_all(HEAD.as_bytes());
        kept.push(stream);
        // The test's own descriptors are bounded, too.
        if kept.len() > 2 * HTTP_CONNECTIONS_MAX {
            kept.drain(HTTP_CONNECTIONS_MAX..);
        }
    }
    let end = Instant::now() + Duration::from_secs(5);
    let open = loop {
        let open = kept.iter_mut().map(|stream| is_closed(stream, SOON)).filter(|closed| !closed).count();
        if open <= HTTP_CONNECTIONS_MAX || Instant::now() > end {
            break open;
        }
    };
    assert!(open <= HTTP_CONNECTIONS_MAX, "{open} connections are open");
    drop(kept);
    assert!(daemon.figure("ocellus_http_refused_total") > f64::from(FLOOD) * 0.9);
    assert!(daemon.figure("ocellus_http_connections") <= HTTP_CONNECTIONS_MAX as f64);
    let grown = daemon.figure("process_resident_memory_bytes") - memory;
    assert!(grown < 16e6, "{grown} bytes more than before");
    assert!(daemon.figure("ocellus_frames_total") > frames, "frames go on");
}

/// Readers that take nothing have their own places, cost one picture each, and hold nobody up.
#[test]
fn slow_readers_are_not_waited_for() {
    let scene = Scene::new(None, None);
    let request = "GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut slow: Vec<TcpStream> = (0..HTTP_STREAMS_MAX)
        .map(|_| {
            let mut stream = scene.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 15]).unwrap();
            stream
        })
        .collect();
    let start = scene.frames();
    assert_eq!(scene.send(format!("{}Connection: close\r\n\r\n", &request[..request.len() - 2])).status, 503);
    // Who reads gets new frames all the same, from a stream that has a place again.
    slow.pop();
    let fresh = || scene.get("/api/detections", &[]).json()["frame"].as_u64().unwrap();
    let (first, mut last) = (fresh(), 0);
    while last < first + 10 {
        last = fresh();
    }
    assert!(scene.frames() >= start + 10);
    assert_eq!(scene.get("/snapshot.jpg", &[]).status, 200);
}
