//! `ocellus watch`: frames in, lines of JSON out.

use crate::onnx_bytes;
use crate::program::{ocellus, ocellus_fed, start};
use crate::temp_dir::TempDir;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};

/// A Y4M stream of 128×64 pixels.
fn y4m(frames: usize) -> Vec<u8> {
    let mut bytes = b"YUV4MPEG2 W128 H64 F25:1 Ip A1:1 C420mpeg2\n".to_vec();
    for _ in 0..frames {
        bytes.extend(b"FRAME\n");
        bytes.extend([128; 128 * 64 * 3 / 2]);
    }
    bytes
}

fn frames(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["frame"].as_u64().unwrap()).collect()
}

#[test]
fn each_frame_of_a_stream_is_a_line() {
    let dir = TempDir::new("watch-stream");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let ran = ocellus_fed(&y4m(3), &[&"watch", &"--model", &model, &"--source", &"-", &"--all-frames"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let lines = ran.json_lines();
    assert_eq!(frames(&lines), [1, 2, 3]);
    let line = &lines[0];
    let keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["camera", "detections", "frame", "height", "latency_ms", "ms", "time", "width", "zones"];
    assert_eq!(keys, expected);
    assert_eq!(
        (&line["camera"], &line["width"], &line["height"]),
        (&"stdin".into(), &128.into(), &64.into())
    );
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
    assert!(line["latency_ms"].as_f64().unwrap() > 0.0);
    // As in `json_is_one_line_per_picture`: one object of class 1 that fills the picture.
    let [object] = &line["detections"].as_array().unwrap()[..] else { panic!("{line}") };
    assert_eq!((&object["class"], &object["class_id"]), (&"class 1".into(), &1.into()));
    for (side, expected) in object["box"].as_array().unwrap().iter().zip([0.0, 0.0, 128.0, 64.0]) {
        assert!((side.as_f64().unwrap() - expected).abs() < 1e-3, "{object}");
    }
    assert!(ran.err.starts_with("3 frames, 0 dropped, 0 errors, mean latency "), "{}", ran.err);
    // Seen three times, it is an object, which enters the zone that there is.
    let tracks: Vec<_> = lines.iter().map(|line| line["detections"][0]["track"].as_u64()).collect();
    assert_eq!(tracks, [None, None, Some(1)]);
    let event = &lines[2]["events"][0];
    assert_eq!(
        (&event["event"], &event["place"], &event["track"]),
        (&"enter".into(), &"picture".into(), &1.into())
    );
    assert_eq!(
        lines[2]["zones"][0],
        serde_json::json!({"name": "picture", "inside": 1, "entered": 1, "left": 0})
    );
}

#[test]
fn a_truncated_stream_gives_its_whole_frames_and_says_where_it_broke() {
    let dir = TempDir::new("watch-truncated");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let stream = y4m(3);
    let cut = &stream[..stream.len() - 100];
    let ran = ocellus_fed(cut, &[&"watch", &"--model", &model, &"--source", &"-", &"--all-frames"]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(frames(&ran.json_lines()), [1, 2]);
    let words = ["2 frames, 0 dropped, 0 errors", "stdin: frame 3: ", "12188 of 12288 bytes"];
    assert!(words.iter().all(|word| ran.err.contains(word)), "{}", ran.err);
}

#[test]
fn raw_frames_are_what_the_option_says() {
    let dir = TempDir::new("watch-raw");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let watch = |raw: &str, bytes: usize| {
        let options: [&dyn AsRef<std::ffi::OsStr>; 8] =
            [&"watch", &"--model", &model, &"--source", &"-", &"--raw", &raw, &"--all-frames"];
        ocellus_fed(&vec![9; bytes], &options)
    };
    assert_eq!(frames(&watch("rgb24:32x32", 2 * 3072).json_lines()), [1, 2]);
    assert_eq!(frames(&watch("yuv420:32x32", 2 * 1536).json_lines()), [1, 2]);
    let ran = watch("nv12:32x32", 0);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("nv12") && ran.err.contains("yuv420:WxH"), "{}", ran.err);
}

#[test]
fn a_damaged_frame_of_a_file_is_passed_over() {
    let dir = TempDir::new("watch-mjpeg");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let jpeg = std::fs::read(dir.picture("pictures/a.jpg", 64, 48)).unwrap();
    let video = dir.write("door.mjpeg", [&jpeg[..], &jpeg[..jpeg.len() - 2], &jpeg[..]].concat());
    let ran = ocellus(&[&"watch", &"--model", &model, &"--source", &video]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let lines = ran.json_lines();
    assert_eq!((frames(&lines), &lines[0]["camera"]), (vec![1, 3], &"door".into()));
    assert!(ran.err.contains("2 frames, 0 dropped, 1 errors") && ran.err.contains("frame 2"), "{}", ran.err);

    dir.write("pictures/b.png", "no picture");
    let ran = ocellus(&[&"watch", &"--model", &model, &"--source", &dir.path("pictures"), &"--camera", &"x"]);
    let lines = ran.json_lines();
    assert!(lines.len() == 1 && lines[0]["image"].as_str().unwrap().ends_with("a.jpg"), "{}", ran.out);
    assert!(lines[0]["camera"] == "x" && ran.err.contains("b.png"), "{}", ran.err);
}

/// The stream stays open, so that only the signal can end the program.
#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_a_summary() {
    let dir = TempDir::new("watch-signal");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    for signal in ["-INT", "-TERM"] {
        let mut child = start(&[&"watch", &"--model", &model, &"--source", &"-"]);
        child.stdin.as_mut().unwrap().write_all(&y4m(1)).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("\"frame\":1"), "{line}");
        let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let mut err = String::new();
        child.stderr.unwrap().read_to_string(&mut err).unwrap();
        assert!(err.starts_with("1 frames, 0 dropped, 0 errors") && err.lines().count() == 1, "{err}");
    }
}

#[test]
fn it_ends_quietly_when_nobody_reads() {
    let dir = TempDir::new("watch-closed");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    dir.picture("pictures/a.png", 32, 32);
    let pictures = dir.path("pictures");
    let mut child = start(&[&"watch", &"--model", &model, &"--source", &pictures, &"--loop"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let numbers: Vec<Value> =
        lines.by_ref().take(3).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(frames(&numbers), [1, 2, 3], "a loop goes on counting");
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut err = String::new();
    child.stderr.unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(err, "");
}

/// Frames come at 200 per second and five are wanted: most are dropped, and the numbers show it.
#[test]
fn a_paced_source_drops_what_is_not_looked_at() {
    let dir = TempDir::new("watch-paced");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let video = dir.write("v.y4m", y4m(100));
    let options: [&dyn AsRef<std::ffi::OsStr>; 9] =
        [&"watch", &"--model", &model, &"--source", &video, &"--fps", &"200", &"--max-fps", &"5"];
    let ran = ocellus(&options);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let seen = frames(&ran.json_lines());
    assert!((2..=30).contains(&seen.len()) && seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&100), "the newest frame waits until it is taken");
    assert!(ran.err.contains(&format!("{} frames, {} dropped", seen.len(), 100 - seen.len())), "{}", ran.err);
}

/// A model and a configuration file.
fn configured(name: &str, toml: &str) -> (TempDir, std::path::PathBuf) {
    let dir = TempDir::new(name);
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let toml =
        format!("model = '{}'\n{}", model.display(), toml.replace("DIR", dir.folder().to_str().unwrap()));
    let config = dir.write("ocellus.toml", toml);
    (dir, config)
}

#[test]
fn several_cameras_share_the_model() {
    let cameras = "[[camera]]\nname = 'a'\nsource = 'DIR/a.y4m'\n[[camera]]\nname = 'b'\nsource = 'DIR/b.y4m'\n\
                   classes = ['class 0']\n";
    let (dir, config) = configured("watch-several", cameras);
    dir.write("a.y4m", y4m(5));
    dir.write("b.y4m", y4m(3));
    let ran = ocellus(&[&"watch", &"--config", &config]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let of = |camera: &str| -> Vec<Value> {
        ran.json_lines().into_iter().filter(|line| line["camera"] == camera).collect()
    };
    assert_eq!((frames(&of("a")), frames(&of("b"))), (vec![1, 2, 3, 4, 5], vec![1, 2, 3]));
    assert!(of("b").iter().all(|line| line["detections"] == serde_json::json!([])), "class 1 is not wanted");
    assert!(ran.err.contains("a: 5 frames, 0 dropped") && ran.err.contains("b: 3 frames"), "{}", ran.err);
    let ran = ocellus(&[&"watch", &"--config", &config, &"--source", &"-"]);
    assert!(ran.status == Some(2) && ran.err.contains("the configuration has 2"), "{}", ran.err);
}

#[test]
fn events_alone_are_printed_and_shown_in_pictures() {
    let (dir, config) = configured("watch-events", "[[camera]]\nname = 'a'\nsource = 'DIR/a.y4m'\n");
    dir.write("a.y4m", y4m(10));
    let snapshots = dir.path("snapshots");
    let ran = ocellus(&[&"watch", &"--config", &config, &"--print", &"events", &"--snapshots", &snapshots]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let [event] = &ran.json_lines()[..] else { panic!("{}", ran.out) };
    assert_eq!(
        (&event["event"], &event["frame"], &event["class"]),
        (&"enter".into(), &3.into(), &"class 1".into())
    );
    let picture = snapshots.join(event["snapshot"].as_str().unwrap());
    let picture = ocellus::image::decode(picture).unwrap();
    assert_eq!((picture.width, picture.height), (128, 64));
}

/// Nothing changes in the video: the network looks until the object is one, and then no more.
#[test]
fn a_still_scene_is_not_looked_at() {
    let (dir, config) = configured("watch-still", "[[camera]]\nsource = 'DIR/a.y4m'\nmotion = true\n");
    dir.write("a.y4m", y4m(20));
    let ran = ocellus(&[&"watch", &"--config", &config]);
    let lines = ran.json_lines();
    let looked: Vec<_> = lines.iter().filter(|line| line["still"].is_null()).cloned().collect();
    assert_eq!((lines.len(), frames(&looked)), (20, vec![1, 2, 3]), "{}", ran.err);
    assert!(lines.iter().all(|line| line["detections"].as_array().unwrap().len() == 1));
    assert_eq!(lines[10]["ms"]["inference"], 0.0);
}

#[test]
fn a_check_names_what_a_run_would_find_wrong() {
    let (dir, config) = configured("watch-check", "[[camera]]\nname = 'a'\nsource = 'DIR/a.y4m'\n");
    dir.write("a.y4m", y4m(1));
    let check = || ocellus(&[&"watch", &"--check", &"--config", &config]);
    let ran = check();
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.out.contains("2 classes") && ran.out.contains("camera 'a'"), "{}", ran.out);
    let toml = std::fs::read_to_string(&config).unwrap();
    for (from, to, status, why) in [
        ("source", "sorce", 2, "ocellus.toml:4: key 'sorce' is unknown; did you mean 'source'?"),
        ("name = 'a'", "classes = ['class 7']", 2, "knows no class 'class 7' (did you mean 'class "),
        ("a.y4m", "b.y4m", 1, "b.y4m: No such file"),
        ("m.onnx", "n.onnx", 1, "n.onnx: No such file"),
        ("model", "score = 7\n#", 2, "ocellus.toml:1: 7 does not lie between 0 and 1"),
    ] {
        std::fs::write(&config, toml.replacen(from, to, 1)).unwrap();
        let ran = check();
        assert!(ran.status == Some(status) && ran.err.contains(why), "{to}: {}", ran.err);
    }
    let ran = ocellus(&[&"watch", &"--check", &"--source", &dir.path("a.y4m")]);
    assert!(
        ran.status == Some(0) && ran.out.contains("model: 2 classes"),
        "no model is the own one: {}",
        ran.out
    );
}

/// Where results go is checked without connecting to anything.
#[cfg(all(feature = "http", feature = "mqtt", feature = "webhooks", not(feature = "tls")))]
#[test]
fn a_check_names_what_is_wrong_with_page_and_broker() {
    let (dir, config) = configured("watch-outward", "[[camera]]\nname = 'a'\nsource = 'DIR/a.y4m'\n");
    dir.write("a.y4m", y4m(1));
    let toml = std::fs::read_to_string(&config).unwrap();
    for (outward, status, why) in [
        ("http = { listen = '127.0.0.1:1' }", 0, ""),
        ("http = { listen = '0.0.0.0:1' }", 2, "needs a token"),
        ("http = { listen = '0.0.0.0:1', token_file = 'none' }", 1, "none: No such file"),
        ("http = { listen = '0.0.0.0:1', token_file = '/run/credentials/none/token' }", 0, ""),
        ("mqtt = { url = 'mqtt://127.0.0.1:1' }", 0, ""),
        ("mqtt = { url = 'mqtts://127.0.0.1:1' }", 2, "--features tls"),
        ("mqtt = { url = 'mqtt://127.0.0.1:1', prefix = 'a/#' }", 2, "prefix 'a/#'"),
        ("mqtt = { url = 'mqtt://127.0.0.1:1', password_file = 'none' }", 1, "none: No such file"),
        ("webhook = [{ url = 'ftp://a' }]", 2, "webhook ftp://a: no address such as http://"),
    ] {
        std::fs::write(&config, format!("{outward}\n{toml}")).unwrap();
        let ran = ocellus(&[&"watch", &"--check", &"--config", &config]);
        assert!(ran.status == Some(status) && ran.err.contains(why), "{outward}: {}", ran.err);
    }
}

/// The same camera before and after: its frames go on counting.
#[cfg(unix)]
#[test]
fn a_hangup_has_the_configuration_read_again() {
    let camera = "[[camera]]\nname = 'a'\nsource = 'DIR/a.y4m'\nloop = true\nfps = 50\n";
    let (dir, config) = configured("watch-hangup", camera);
    dir.write("a.y4m", y4m(2));
    let mut child = start(&[&"watch", &"--config", &config]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["detections"].as_array().unwrap().len(), 1);
    let toml = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, toml + "classes = ['class 0']\n").unwrap();
    let signal = |name: &str| {
        let kill = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    };
    signal("-HUP");
    let mut last = 0;
    let changed = (0..500).any(|_| {
        let line = next();
        let number = line["frame"].as_u64().unwrap();
        assert!(number > last);
        last = number;
        line["detections"] == serde_json::json!([])
    });
    signal("-TERM");
    assert_eq!((child.wait().unwrap().code(), changed), (Some(0), true));
}

/// As a service: it is ready, it pings, and the pings stop when a frame hangs: here in standard output, which nobody reads
/// until its pipe is full.
#[cfg(target_os = "linux")]
#[test]
fn a_stuck_service_stops_its_pings() {
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};
    use std::time::Duration;
    let dir = TempDir::new("watch-service");
    let (model, video) = (dir.write("m.onnx", onnx_bytes::detector()), dir.write("v.y4m", y4m(2)));
    let socket = UnixDatagram::bind(dir.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocellus"))
        .args(["watch", "--loop"])
        .arg("--model")
        .arg(&model)
        .arg("--source")
        .arg(&video)
        .env("NOTIFY_SOCKET", dir.path("notify"))
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let next = || {
        let mut bytes = [0; 256];
        socket.recv(&mut bytes).map(|length| String::from_utf8_lossy(&bytes[..length]).trim().to_owned())
    };
    let first: Vec<_> = (0..2).map(|_| next().unwrap()).collect();
    assert!(first.contains(&"READY=1".into()) && first.contains(&"WATCHDOG=1".into()), "{first:?}");
    socket.set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
    let silent = (0..1000).any(|_| next().is_err());
    let _ = child.kill();
    let _ = child.wait();
    assert!(silent, "it pings though it hangs");
}

/// The video shows six persons, one after the other (counted by eye).
#[test]
#[ignore = "a video of two minutes, and ffmpeg: cargo test --release --test it -- --ignored six_persons"]
fn six_persons_come_and_go() {
    use crate::shared::shared;
    let (Some(model), Some(video)) =
        (shared("models/e.param"), shared("video/one-by-one-person-detection.mp4"))
    else {
        return;
    };
    let dir = TempDir::new("watch-persons");
    let camera = "print = 'events'\n[[camera]]\nsource = '-'\nall_frames = true\nclasses = ['person']\n";
    let config = dir.write("c.toml", format!("model = '{}'\n{camera}", model.display()));
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&video).args(["-f", "yuv4mpegpipe", "-"]);
    let Ok(frames) = ffmpeg.stdout(std::process::Stdio::piped()).spawn() else {
        println!("skipped: no ffmpeg");
        return;
    };
    let mut watch = std::process::Command::new(env!("CARGO_BIN_EXE_ocellus"));
    watch.args(["watch", "--config"]).arg(&config).stdin(frames.stdout.unwrap());
    let out = String::from_utf8(watch.output().unwrap().stdout).unwrap();
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["enter", "leave"].repeat(6), "{out}");
    let tracks: Vec<_> = events.iter().map(|event| event["track"].as_u64().unwrap()).collect();
    assert!(tracks.chunks(2).all(|pair| pair[0] == pair[1]), "{tracks:?}");
}
