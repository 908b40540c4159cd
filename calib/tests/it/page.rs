//! The page of `calib report`: well formed, escaped, and something to look at in a browser.

use crate::temp_dir::TempDir;
use calib::page::{
    Accuracy, AccuracyRow, CalibrationFacts, ClassLine, FileRow, LatencyRow, LayerRow, PageData, Precision,
    TensorRow, render, side_by_side,
};
use ocellus::detect::{Detection, Names};
use ocellus::image::Frame;
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

/// Closes the element and the attribute around it, if it is not escaped.
const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;";

/// A page as large as a real one.
fn rich() -> PageData {
    PageData {
        title: "YOLOv5-Lite-s in int8".into(),
        model: "v5lite-s.onnx".into(),
        artifact: "v5lite-s-int8.onnx".into(),
        command:
            "calib report v5lite-s.onnx v5lite-s-int8.onnx --data coco/val_dev.json --images coco/val_dev \
                  --calibration coco/train --samples 4 -o report.html"
                .into(),
        date: "2026-11-26 08:30 UTC".into(),
        host: "Raspberry Pi 4, 4 × Cortex-A72".into(),
        calibration: CalibrationFacts {
            images: 256,
            hash: "9f2c4e0b77d1a6538c1e90aa41d7f3b2c6e8054d1b9a7f60325ce4818d0b76af".into(),
            folders: vec!["coco/train".into()],
            method: "least square error, bias corrected".into(),
            scheme: "affine activations, 8-bit weights with a scale per channel".into(),
        },
        files: vec![
            file("v5lite-s.onnx", 6_601_432, "float weights", Some(Precision::Float)),
            file("v5lite-s-int8.onnx", 1_812_004, "int8 weights and grids", Some(Precision::Int8)),
            file("v5lite-s.table", 11_240, "scales for ncnn", None),
        ],
        accuracy: Some(accuracy()),
        latency: latency(),
        tensors: (0..30).map(tensor).collect(),
        layers: (0..64).map(layer).collect(),
        loss_caption: String::new(),
        samples: vec![sample(0.0), sample(0.3)],
        warnings: vec![
            "3 of the pictures could not be read and were left out.".into(),
            "170 pictures are few: differences below one point cannot be told from chance.".into(),
        ],
    }
}

fn file(name: &str, bytes: u64, what: &str, precision: Option<Precision>) -> FileRow {
    FileRow { name: name.into(), bytes, what: what.into(), precision }
}

fn accuracy() -> Accuracy {
    let row = |metric: &str, float: f64, int8: f64, spread: f64, difference: [f64; 2]| AccuracyRow {
        metric: metric.into(),
        float: Some(float),
        int8: Some(int8),
        float_interval: Some([float - spread, float + spread]),
        int8_interval: Some([int8 - spread, int8 + spread]),
        difference_interval: Some(difference),
    };
    let names = Names::coco();
    let class = |i: usize| {
        let float = 0.2 + 0.6 * wave(i, 0.7);
        let gone = (i % 9 == 8).then_some(());
        ClassLine {
            name: names.get(i).to_string(),
            instances: 3 + i * i % 397,
            float: gone.map_or(Some(float), |()| None),
            int8: gone.map_or(Some(float + 0.05 * (wave(i, 2.3) - 0.7) * wave(i, 1.1)), |()| None),
        }
    };
    Accuracy {
        dataset: "coco/val_dev.json".into(),
        images: 170,
        rows: vec![
            row("mAP 50–95", 0.417, 0.409, 0.031, [-0.0142, -0.0021]),
            row("mAP 50", 0.612, 0.606, 0.036, [-0.0125, 0.0013]),
            row("Small objects", 0.194, 0.181, 0.042, [-0.031, 0.004]),
            row("Medium objects", 0.447, 0.441, 0.039, [-0.013, 0.002]),
            row("Large objects", 0.583, 0.585, 0.044, [-0.006, 0.009]),
        ],
        per_class: (0..80).map(class).collect(),
    }
}

/// Something from 0 to 1 that looks irregular.
fn wave(i: usize, speed: f64) -> f64 {
    0.5 + 0.5 * (i as f64 * speed * 1.7).sin()
}

fn latency() -> Vec<LatencyRow> {
    let row = |engine: &str, precision, threads, median_ms: f64| LatencyRow {
        engine: engine.into(),
        precision,
        threads,
        median_ms,
        min_ms: median_ms * 0.97,
    };
    vec![
        row("ocellus", Precision::Int8, 1, 71.42),
        row("ocellus", Precision::Float, 1, 212.3),
        row("ncnn", Precision::Float, 1, 188.1),
        row("ocellus", Precision::Int8, 4, 24.93),
        row("ncnn", Precision::Float, 4, 63.7),
        row("ncnn", Precision::Int8, 4, 41.0),
    ]
}

fn tensor(i: usize) -> TensorRow {
    let relu = i.is_multiple_of(3);
    let (spread, tail) = (1.0 + wave(i, 0.9) * 4.0, 1.0 + wave(i, 2.1) * 2.0);
    let bins: Vec<(f64, u64)> = (-64..64)
        .map(|bin| (f64::from(bin) + 0.5) * spread * tail / 20.0)
        .filter(|x| !relu || *x > 0.0)
        .map(|x| (x, (4e6 * (-(x / spread).abs().powf(1.2) * 1.7).exp()) as u64))
        .collect();
    let high = spread * 2.4;
    let low = if relu { 0.0 } else { -high * 0.8 };
    let outside: u64 = bins.iter().filter(|(x, _)| *x < low || *x > high).map(|b| b.1).sum();
    TensorRow {
        name: format!("/model.{}/conv/act/Mul_output_0", i + 1),
        clipped: outside as f64 / bins.iter().map(|b| b.1).sum::<u64>() as f64,
        bins,
        low,
        high,
        method: "mse".into(),
        sqnr_db: Some(24.0 + 16.0 * wave(i, 0.6)),
    }
}

fn layer(i: usize) -> LayerRow {
    LayerRow {
        name: format!("/model.{}/cv{}/conv/Conv", i / 3, i % 3 + 1),
        op: if i % 3 == 1 { "Depthwise" } else { "Conv" }.into(),
        precision: if i % 17 == 5 { Precision::Float } else { Precision::Int8 },
        macs: 1_200_000 * (1 + i as u64 * i as u64 % 61),
        sqnr_db: Some(20.0 + 24.0 * wave(i, 0.37)),
        loss: None,
    }
}

/// A sky over a road with two coloured blocks, which stand for what models find.
fn sample(shift: f32) -> calib::page::Sample {
    let (width, height) = (960, 600);
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let block =
            |left: usize, top: usize| (left..left + 220).contains(&x) && (top..top + 170).contains(&y);
        match () {
            () if block(140, 300) => [178, 58, 46],
            () if block(560, 260) => [52, 92, 150],
            () if y < 320 => [150 - (y / 5) as u8, 190 - (y / 6) as u8, 220],
            () => [92, 94, 96],
        }
    };
    let frame = Frame::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap();
    let found = |class_id, score, left: f32, top: f32| Detection {
        class_id,
        score,
        bbox: [left, top, left + 228.0, top + 178.0],
    };
    let float = [found(2, 0.91, 136.0, 296.0), found(5, 0.84, 556.0, 256.0)];
    let int8 = [found(2, 0.88 - shift, 138.0, 297.0), found(5, 0.83, 553.0, 258.0)];
    side_by_side(&frame, &float, &int8, &Names::coco(), "A road with a car and a bus").unwrap()
}

/// Fails where a tag is not closed, closed twice, or an attribute has no quotes. Returns all elements.
fn elements(html: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let html = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("<{part}: not ended"));
        assert!(!text.contains('>') || tag == "style", "a stray > in {text}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed by </{name}>");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "<{tag}>");
        let quotes: Vec<&str> = tag.split('"').collect();
        assert!(quotes.len() % 2 == 1, "an open quote in <{tag}>");
        let outside: String = quotes.iter().step_by(2).copied().collect::<Vec<_>>().join(" ");
        for word in outside.trim_end_matches('/').split_whitespace().skip(1) {
            assert!(word.ends_with('='), "{word} in <{tag}>");
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
        all.push(name.to_owned());
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    all
}

#[test]
fn a_page_is_well_formed_and_loads_nothing() {
    let html = render(&rich());
    let all = elements(&html);
    for (name, count) in [("h1", 1), ("table", 4), ("img", 4), ("details", 3), ("section", 9)] {
        assert_eq!(all.iter().filter(|n| *n == name).count(), count, "{name}");
    }
    let forbidden = ["http:", "https:", "src=\"/", "url(", "@import", "<script", "<link", "NaN", ">inf"];
    for text in forbidden {
        assert!(!html.contains(text), "{text}");
    }
    assert!(html.contains("41.7") && html.contains("−0.8 points") && html.contains("2.6× faster"));
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
}

#[test]
fn what_is_missing_is_left_out() {
    let html = render(&PageData::default());
    let all = elements(&html);
    assert!(!all.iter().any(|n| ["section", "table", "svg", "aside", "div"].contains(&n.as_str())), "{html}");
    // Numbers that do not exist are no reason for a panic or a broken picture.
    let mut odd = rich();
    let nothing = [f64::NAN, f64::INFINITY];
    odd.layers.iter_mut().for_each(|l| (l.sqnr_db, l.loss) = (Some(f64::NAN), Some(f64::INFINITY)));
    odd.tensors.iter_mut().for_each(|t| (t.low, t.high, t.clipped) = (f64::NAN, f64::INFINITY, f64::NAN));
    odd.latency.iter_mut().for_each(|l| (l.median_ms, l.min_ms) = (0.0, f64::NAN));
    let accuracy = odd.accuracy.as_mut().unwrap();
    accuracy.rows.iter_mut().for_each(|r| (r.int8, r.float_interval) = (None, Some(nothing)));
    accuracy.per_class.iter_mut().for_each(|c| (c.float, c.int8) = (Some(f64::NAN), Some(0.0)));
    let html = render(&odd);
    elements(&html);
    assert!(!html.contains("NaN") && !html.contains("inf%"));
}

#[test]
fn names_cannot_become_markup() {
    let mut data = rich();
    let names = elements(&render(&data));
    let evil = || EVIL.to_owned();
    for text in [
        &mut data.title,
        &mut data.model,
        &mut data.artifact,
        &mut data.command,
        &mut data.date,
        &mut data.host,
        &mut data.loss_caption,
        &mut data.calibration.hash,
        &mut data.calibration.method,
        &mut data.calibration.scheme,
    ] {
        *text = evil();
    }
    data.calibration.folders = vec![evil()];
    data.files.iter_mut().for_each(|f| (f.name, f.what) = (evil(), evil()));
    data.latency.iter_mut().for_each(|l| l.engine = evil());
    data.tensors.iter_mut().for_each(|t| (t.name, t.method) = (evil(), evil()));
    data.layers.iter_mut().for_each(|l| (l.name, l.op) = (evil(), evil()));
    data.samples.iter_mut().for_each(|s| s.caption = evil());
    data.warnings.iter_mut().for_each(|w| *w = evil());
    let accuracy = data.accuracy.as_mut().unwrap();
    accuracy.dataset = evil();
    accuracy.rows.iter_mut().for_each(|r| r.metric = evil());
    accuracy.per_class.iter_mut().for_each(|c| c.name = evil());
    assert_eq!(elements(&render(&data)), names, "the same elements whatever the names");
    // The caption of losses stands only where there are losses.
    data.layers.iter_mut().for_each(|l| l.loss = Some(0.1));
    assert_eq!(elements(&render(&data)), names);
}

/// A picture of the page, `None` without a browser.
fn screenshot(folder: &TempDir, page: &Path, name: &str, size: [u32; 2]) -> Option<image::RgbImage> {
    let picture = folder.path(name);
    let status = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", folder.path(format!("{name}.profile")).display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("--window-size={},{}", size[0], size[1]))
        .arg(format!("file://{}", page.display()))
        .output()
        .ok()?;
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    Some(image::open(&picture).unwrap().to_rgb8())
}

/// Last row that is not of one colour: how far down the page reaches.
fn bottom(picture: &image::RgbImage) -> u32 {
    let varied = |y: &u32| (1..picture.width()).any(|x| picture.get_pixel(x, *y) != picture.get_pixel(0, *y));
    (0..picture.height()).rev().find(varied).unwrap_or(0)
}

#[test]
fn a_browser_shows_the_page() {
    let folder = TempDir::new("page");
    let page = folder.write("page.html", &render(&rich()));
    // For the eye; see where the build puts its temporary files.
    std::fs::copy(&page, Path::new(env!("CARGO_TARGET_TMPDIR")).join("page.html")).unwrap();
    let Some(wide) = screenshot(&folder, &page, "wide.png", [1280, 8000]) else {
        println!("skipped: no chromium");
        return;
    };
    let colours: HashSet<[u8; 3]> = wide.pixels().map(|p| p.0).collect();
    assert!(colours.len() > 500, "{} colours", colours.len());
    assert!((3000..8000).contains(&bottom(&wide)), "{} pixels high", bottom(&wide));
}
