//! A mosquitto of the test's own, a door to it that can be shut, and somebody who listens there.

use crate::temp_dir::TempDir;
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Everything is waited for so long at most.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A mosquitto on a port that nobody else has.
pub struct Broker {
    program: PathBuf,
    config: PathBuf,
    pub port: u16,
    process: Option<Child>,
}

impl Broker {
    /// `None`, with a message, where mosquitto is not installed.
    pub fn new(dir: &TempDir) -> Option<Broker> {
        // Debian keeps it where only root's shell looks.
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
        let Some(program) = folders.map(|folder| folder.join("mosquitto")).find(|path| path.is_file()) else {
            println!("skipped: no mosquitto (Debian: apt install mosquitto)");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.write(
            "mosquitto.conf",
            format!("listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"),
        );
        let mut broker = Broker { program, config, port, process: None };
        broker.start();
        Some(broker)
    }

    pub fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.config).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().unwrap());
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "mosquitto does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it without any chance to say good-bye.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Hears all messages from now on until the broker dies.
    pub fn listen(&self, topic: &str) -> Receiver<(String, String)> {
        // A second client of a name would end the first.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("listener-{}", NUMBER.fetch_add(1, SeqCst));
        let mut options = MqttOptions::new(name, "127.0.0.1", self.port);
        options.set_keep_alive(Duration::from_secs(60));
        let (client, mut connection) = Client::new(options, 10);
        client.subscribe(topic, QoS::AtLeastOnce).unwrap();
        let (sender, receiver) = channel();
        let (subscribed, ready) = channel();
        std::thread::spawn(move || {
            let _client = client;
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::SubAck(_))) => subscribed.send(()).unwrap(),
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        let text = String::from_utf8(message.payload.to_vec()).unwrap();
                        if sender.send((message.topic, text)).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        ready.recv_timeout(PATIENCE).unwrap();
        receiver
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that leads to another one while it is open.
pub struct Door {
    pub port: u16,
    open: Arc<AtomicBool>,
    ways: Arc<Mutex<Vec<TcpStream>>>,
}

impl Door {
    pub fn to(port: u16) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door =
            Door { port: listener.local_addr().unwrap().port(), open: Arc::default(), ways: Arc::default() };
        let (open, ways) = (Arc::clone(&door.open), Arc::clone(&door.ways));
        std::thread::spawn(move || {
            for inside in listener.incoming().map_while(Result::ok) {
                let outside =
                    if open.load(SeqCst) { TcpStream::connect(("127.0.0.1", port)).ok() } else { None };
                let Some(outside) = outside else { continue };
                for (from, to) in [(&inside, &outside), (&outside, &inside)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    ways.lock().unwrap().push(from.try_clone().unwrap());
                    std::thread::spawn(move || carry(from, to));
                }
            }
        });
        door
    }

    pub fn open(&self) {
        self.open.store(true, SeqCst);
    }

    /// Nobody comes through any more, and who is inside is thrown out.
    pub fn shut(&self) {
        self.open.store(false, SeqCst);
        for way in self.ways.lock().unwrap().drain(..) {
            let _ = way.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
