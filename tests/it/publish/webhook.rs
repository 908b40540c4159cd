//! Against an HTTP server that answers as it is told.

use super::happenings::{board, feed, happen, spool};
use ocellus::publish::{Webhook, WebhookOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Answers each request with the next of these statuses and hands over its head and body.
fn server(statuses: &'static [u16]) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for status in statuses {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).unwrap();
            }
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap())
            });
            let mut body = vec![0; length.unwrap()];
            stream.read_exact(&mut body).unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            sender.send((head, String::from_utf8(body).unwrap())).unwrap();
        }
    });
    (url, receiver)
}

#[test]
fn events_are_posted_until_they_are_taken() {
    let (url, requests) = server(&[204, 503, 200, 404, 200]);
    let (board, mut publisher) = board();
    let (spool, outlet) = spool(None);
    let options = WebhookOptions { url, authorization: Some("Bearer secret".into()) };
    let webhook = Webhook::start(spool.clone(), outlet.clone(), options).unwrap();
    let _feed = feed(&board, &spool, webhook.bell());
    (1..=4).for_each(|track| happen(&mut publisher, track));
    let mut tracks = Vec::new();
    for _ in 0..5 {
        let (head, body) = requests.recv_timeout(Duration::from_secs(20)).unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("post /hook http/1.1\r\n") && head.contains("authorization: bearer secret"));
        assert!(head.contains("content-type: application/json"), "{head}");
        tracks.push(serde_json::from_str::<serde_json::Value>(&body).unwrap()["track"].as_u64().unwrap());
    }
    // The second is tried again after 503; the third is refused, and holds nobody up.
    assert_eq!(tracks, [1, 2, 2, 3, 4]);
    while outlet.waiting.load(Relaxed) > 0 {
        std::thread::yield_now();
    }
    assert_eq!((outlet.sent.load(Relaxed), outlet.dropped.load(Relaxed)), (3, 1));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let start = |url: &str| {
        let (spool, outlet) = spool(None);
        let options = WebhookOptions { url: url.into(), authorization: None };
        Webhook::start(spool, outlet, options).err().unwrap().to_string()
    };
    for url in ["", "/hook", "ftp://a/b", "http://", "no address"] {
        assert!(start(url).contains("http://host:port/path"), "{url}: {}", start(url));
    }
    let said = start("http://user:secret@a/b?key=secret");
    assert!(said.contains("authorization_file") && !said.contains("secret"), "{said}");
    assert!(!start("ftp://a/b?key=secret").contains("secret"));
    if !cfg!(feature = "tls") {
        assert!(start("https://a/b").contains("--features tls"));
    }
}
