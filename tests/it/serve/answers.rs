//! What a client with good manners gets.

use super::scene::{Scene, TOKEN};
use crate::temp_dir::TempDir;
use ocellus::serve::{Options, Server};
use ocellus::watch::board::State;
use std::io::{BufRead, BufReader, Read, Write};

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let scene = Scene::new(None, None);
    let page = scene.get("/", &[]);
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    let named =
        ["src=\"", "href=\""].map(|name| page.text().split(name).skip(1).collect::<Vec<_>>()).concat();
    assert!(named.len() >= 4, "{named:?}");
    for path in named.iter().map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(scene.get(path, &[]).status, 200, "{path}");
    }
    let script = scene.get("/app.js", &[]);
    assert!(script.text().contains("from \"/draw.js\"") && scene.get("/draw.js", &[]).status == 200);
    for asset in [page.text(), script.text(), scene.get("/style.css", &[]).text()] {
        assert!(!asset.contains("https://") && !asset.contains("//cdn"));
        assert!(!asset.contains("http://") || asset.contains("http://www.w3.org"));
    }
}

#[test]
fn status_detections_and_health_are_those_of_the_board() {
    let scene = Scene::new(None, None);
    while scene.frames() == 0 {
        std::thread::yield_now();
    }
    let status = scene.get("/api/status", &[]).json();
    assert_eq!(status["cameras"][0]["name"], "door");
    assert_eq!((&status["cameras"][0]["state"], &status["about"]["model"]), (&"running".into(), &"m".into()));
    assert!(status["cameras"][0]["counts"]["frames"].as_u64() >= Some(1));
    let report = scene.get("/api/detections?camera=door", &[]).json();
    assert_eq!((&report["camera"], &report["detections"][0]["track"]), (&"door".into(), &7.into()));
    assert_eq!(scene.get("/api/detections?camera=a+%22b%22", &[]).json()["frame"], 0);
    assert_eq!(scene.get("/api/detections?camera=roof", &[]).status, 404);
    assert_eq!(scene.get("/healthz", &[]).status, 200, "a camera that starts is not ill yet");
    let other = &scene.board.panels()[1];
    other.set_state(State::Ended, "");
    assert_eq!(scene.get("/healthz", &[]).status, 200, "a file has an end");
    other.set_state(State::Ended, "it broke off");
    let ill = scene.get("/healthz", &[]);
    assert!(ill.status == 503 && ill.text().contains("a \"b\""), "{}", ill.text());
    assert_eq!(scene.get("/api", &[]).status, 404);
}

#[test]
fn metrics_have_the_names_that_dashboards_know() {
    let scene = Scene::new(None, None);
    while scene.frames() == 0 {
        std::thread::yield_now();
    }
    let metrics = scene.get("/metrics", &[]);
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    let text = metrics.text();
    for line in [
        "# TYPE frigate_camera_fps gauge",
        "frigate_detector_inference_speed_seconds{name=\"cpu\"} 0.02",
        "frigate_skipped_fps{camera_name=\"a \\\"b\\\"\"} 0",
        "ocellus_objects{camera_name=\"door\",class=\"person\"} 1",
        "ocellus_latency_seconds_bucket{camera_name=\"door\",le=\"0.02\"} 0",
        "ocellus_camera_up{camera_name=\"door\"} 1",
        "ocellus_outlet_connected{outlet=\"mqtt broker:1883\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    // Cumulative: 24 ms lie above 20 and not above 30; the last bucket has all.
    let bucket = |le: &str| {
        let name = format!("ocellus_latency_seconds_bucket{{camera_name=\"door\",le=\"{le}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse::<u64>().unwrap()
    };
    assert!(bucket("0.03") > 0 && bucket("0.03") == bucket("+Inf"));
    // The dashboard asks for nothing that is not there.
    let dashboard = include_str!("../../../docs/grafana-dashboard.json");
    let words = dashboard.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in words.filter(|word| ["ocellus_", "frigate_", "process_"].iter().any(|p| word.starts_with(p)))
    {
        let family = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        let machine = ["frigate_device_temperature", "ocellus_cpu_throttled", "ocellus_cpu_hertz"];
        let known = text.contains(&format!("# TYPE {family} ")) || machine.contains(&family);
        assert!(known, "{name}");
    }
}

#[test]
fn pictures_come_as_jpeg_and_as_mjpeg() {
    let scene = Scene::new(None, None);
    let picture = scene.get("/snapshot.jpg", &[]);
    assert_eq!(picture.status, 200);
    let plain = ocellus::image::decode_bytes("plain", &picture.body).unwrap();
    assert_eq!((plain.width, plain.height), (320, 180));
    // Class 0 is drawn in red; the scene is grey.
    let red = |frame: &ocellus::image::Frame| {
        frame.rgb.chunks(3).filter(|p| p[0] > p[1].saturating_add(60)).count()
    };
    let drawn = ocellus::image::decode_bytes("boxes", &scene.get("/snapshot.jpg?boxes=1", &[]).body).unwrap();
    assert_eq!(red(&plain), 0);
    assert!(red(&drawn) > 100, "{}", red(&drawn));

    let mut stream = BufReader::new(scene.connect());
    stream.get_mut().write_all(b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut frames = Vec::new();
    while frames.len() < 3 {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream has ended");
        let Some(length) = line.strip_prefix("Content-Length: ") else { continue };
        let mut jpeg = vec![0; length.trim().parse().unwrap()];
        line.clear();
        stream.read_line(&mut line).unwrap();
        frames.push(line.strip_prefix("X-Frame: ").unwrap().trim().parse::<u64>().unwrap());
        stream.read_line(&mut line).unwrap();
        stream.read_exact(&mut jpeg).unwrap();
        ocellus::image::decode_bytes("part", &jpeg).unwrap();
    }
    assert!(frames.is_sorted_by(|a, b| a < b), "{frames:?}");
}

/// Reads server-sent events until `count` lines of data have come.
fn data(scene: &Scene, path: &str, count: usize) -> Vec<serde_json::Value> {
    let mut stream = scene.connect();
    let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let data = lines.filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap()));
    data.take(count).collect()
}

#[test]
fn detections_and_events_are_pushed() {
    let scene = Scene::new(None, None);
    let frames: Vec<_> =
        data(&scene, "/api/detections", 3).iter().map(|r| r["frame"].as_u64().unwrap()).collect();
    assert!(frames.is_sorted_by(|a, b| a < b), "{frames:?}");
    let [event] = &data(&scene, "/api/events", 1)[..] else { panic!() };
    assert_eq!((&event["event"], &event["place"]), (&"enter".into(), &"left".into()));
    assert_eq!(scene.get("/api/events", &[]).json()[0], *event);
}

#[test]
fn pictures_of_events_are_found_by_the_events_id() {
    let dir = TempDir::new("serve-snapshots");
    dir.write("pictures/1.jpg", "the picture");
    dir.write("secret.jpg", "the secret");
    let scene = Scene::new(None, Some(dir.path("pictures")));
    let [event] = &data(&scene, "/api/events", 1)[..] else { panic!() };
    let path = |id: &str| format!("/api/events/{id}/snapshot.jpg");
    assert_eq!(scene.get(&path(event["id"].as_str().unwrap()), &[]).text(), "the picture");
    for id in ["1", "1.jpg", "../secret", "..%2fsecret", "%2e%2e%2fsecret.jpg", "", "/", "*"] {
        assert_eq!(scene.get(&path(id), &[]).status, 404, "{id}");
    }
}

#[test]
fn zones_are_set_if_they_are_zones() {
    let scene = Scene::new(None, None);
    let put = |body: &str| {
        scene.send(format!(
            "PUT /api/config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let set = put(r#"{"camera": "door", "zones": [{"name": "step", "points": [[0, 0], [1, 0], [1, 1]]}]}"#);
    let config = scene.get("/api/config", &[]).json();
    assert_eq!((set.status, &set.json()), (200, &config));
    assert_eq!((&config["cameras"][0]["zones"][0]["name"], &config["kept"]), (&"step".into(), &false.into()));
    for (body, what) in [
        ("", "EOF"),
        (r#"{"camera": "roof"}"#, "no camera is named 'roof'"),
        (
            r#"{"camera": "door", "zones": [{"name": "a", "points": [[0, 0], [9, 0], [1, 1]]}]}"#,
            "outside the picture",
        ),
        (r#"{"camera": "door", "model": "/etc/passwd"}"#, "unknown field"),
    ] {
        let refused = put(body);
        assert!(refused.status == 400 && refused.text().contains(what), "{body}: {refused:?}");
    }
    assert_eq!(scene.get("/api/config", &[]).json(), config, "all stays as it was");
}

#[test]
fn a_browser_logs_in_with_the_token() {
    let scene = Scene::new(Some(TOKEN), None);
    let page = scene.get("/", &[]);
    assert!(page.status == 401 && page.text().contains("action=\"/login\""));
    let login = |token: &str| {
        let body = format!("token={token}");
        // Of a page that lets a browser say where it comes from.
        let head = "POST /login HTTP/1.1\r\nHost: any.example\r\nOrigin: http://any.example\r\nConnection: close\r\n";
        scene.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    };
    assert!(page.head.contains("referrer-policy: same-origin"), "{}", page.head);
    let wrong = login("correct-horse-batterz");
    assert!(wrong.status == 401 && !wrong.head.contains("set-cookie"));
    let right = login(&format!("+{TOKEN}%0A"));
    assert_eq!(right.status, 303, "{}", right.head);
    let cookie = right.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert!(scene.get("/", &[&cookie]).text().contains("id=\"picture\""));
    assert_eq!(scene.get("/api/status", &[&format!("Authorization: Bearer {TOKEN}")]).status, 200);
}

#[test]
fn a_port_in_use_and_an_open_door_are_refused_at_the_start() {
    let scene = Scene::new(None, None);
    let start = |address: &str| {
        let options = Options {
            address: address.parse().unwrap(),
            token: None,
            outlets: Vec::new(),
            settings: scene.settings.clone(),
        };
        Server::start(scene.board.clone(), options).unwrap_err().to_string()
    };
    assert!(start(&scene.address.to_string()).contains("in use by another program"));
    assert!(start("0.0.0.0:0").contains("--token-file"));
}
