//! A daemon without a camera: a board on which a thread publishes, and a server that shows it.

use ocellus::detect::Names;
use ocellus::image::Frame;
use ocellus::publish::Outlet;
use ocellus::serve::{Options, Server, Token};
use ocellus::watch::board::{
    About, Board, Event, EventKind, Milliseconds, Publisher, Report, Seen, State, ZoneCount,
};
use ocellus::watch::{Live, Stamp, config};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// The token of scenes that have one.
pub const TOKEN: &str = "correct-horse-battery";
/// Time from frame to frame.
const PERIOD: Duration = Duration::from_millis(10);

/// A server, and a thread that publishes frames of the camera `door`.
pub struct Scene {
    pub board: Arc<Board>,
    pub settings: Arc<Live>,
    pub address: SocketAddr,
    server: Option<Server>,
    stop: Arc<AtomicBool>,
    publisher: Option<JoinHandle<()>>,
}

/// The cameras as a configuration without a file has them.
fn settings(snapshots: Option<PathBuf>) -> Arc<Live> {
    let cameras =
        "[[camera]]\nname = 'door'\nsource = 'a.y4m'\n[[camera]]\nname = 'a \"b\"'\nsource = 'b.y4m'\n";
    let mut config = config::parse(cameras, "scene.toml".as_ref()).unwrap();
    config.snapshots = snapshots.map(|folder| config::Snapshots { folder, max_mb: Default::default() });
    let names = Names::new(vec!["person".into()]).unwrap();
    Arc::new(Live::new(config, None, Box::new(Ok), &names).unwrap())
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Scene {
    /// `snapshots` is the folder with `1.jpg`, the picture of the first event.
    pub fn new(token: Option<&str>, snapshots: Option<PathBuf>) -> Scene {
        let classes = vec!["person".into()];
        let about = About {
            version: "0",
            model: "m".into(),
            precision: "int8",
            input: [32, 32],
            classes,
            threads: 1,
        };
        let (board, mut publishers) = Board::new(about, &["door".into(), "a \"b\"".into()]);
        let settings = settings(snapshots);
        let options = Options {
            address: "127.0.0.1:0".parse().unwrap(),
            token: token.map(|token| Token::new(token).unwrap()),
            outlets: vec![Arc::new(Outlet::new("mqtt broker:1883"))],
            settings: settings.clone(),
        };
        let server = Server::start(Arc::clone(&board), options).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let publisher = std::thread::spawn(move || publish(&mut publishers[0], &stopped));
        let address = server.address();
        Scene { board, settings, address, server: Some(server), stop, publisher: Some(publisher) }
    }

    /// A connection that gives up after a while rather than hang.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request, whatever it is, and reads until the other side closes.
    pub fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect();
        // It may be refused before it has been sent.
        let _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head, body: answer.split_off(end) }
    }

    /// GET with further header lines.
    pub fn get(&self, path: &str, lines: &[&str]) -> Answer {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"))
    }

    /// Frames published so far.
    pub fn frames(&self) -> u64 {
        self.board.panels()[0].counters().snapshot().frames
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.publisher.take().map(JoinHandle::join);
        self.server.take();
    }
}

/// A grey square walks through the picture; it enters the zone `left` at first.
fn publish(publisher: &mut Publisher, stop: &AtomicBool) {
    publisher.panel().set_state(State::Running, "");
    publisher.record(entered());
    for number in 1.. {
        if stop.load(Relaxed) {
            return;
        }
        let x = (number * 4 % 300) as usize;
        let mut frame = Frame { width: 320, height: 180, rgb: vec![40; 320 * 180 * 3] };
        for row in frame.rgb.chunks_exact_mut(320 * 3).skip(60).take(60) {
            row[3 * x..3 * (x + 20)].fill(200);
        }
        let ms = Milliseconds { decode: 1.0, preprocess: 2.0, inference: 20.0, postprocess: 0.5 };
        let bbox = [x as f32, 60.0, x as f32 + 20.0, 120.0];
        let seen = Seen { class: "person".into(), class_id: 0, score: 0.9, bbox, track: Some(7) };
        let left =
            ZoneCount { name: "left".into(), inside: u64::from(x < 160), entered: 1 + number / 75, left: 0 };
        let report = Report {
            camera: "door".into(),
            frame: number,
            time: Stamp(SystemTime::now()),
            latency_ms: 24.0,
            width: 320,
            height: 180,
            detections: vec![seen],
            zones: vec![left],
            ms,
            ..Report::default()
        };
        publisher.panel().counters().count_captured();
        publisher.panel().counters().count_answer(Duration::from_millis(24), &ms, false);
        publisher.publish(&report, &mut frame);
        std::thread::sleep(PERIOD);
    }
}

fn entered() -> Event {
    Event {
        number: 0,
        id: String::new(),
        kind: EventKind::Enter,
        camera: "door".into(),
        place: "left".into(),
        time: Stamp(SystemTime::now()),
        frame: 1,
        track: 7,
        class: "person".into(),
        class_id: 0,
        score: 0.9,
        bbox: [0.0, 60.0, 20.0, 120.0],
        seconds: None,
        snapshot: Some("1.jpg".into()),
    }
}
