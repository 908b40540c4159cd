//! `ocellus bench`: what it prints, and that what it times really ran.

use crate::onnx_bytes;
use crate::program::{Ran, ocellus};
use crate::temp_dir::TempDir;
use ocellus::engine::{Engine, EngineOptions, Input, Precision};
use ocellus::kernels::isa::Isa;
use ocellus::zoo;
use serde_json::Value;

/// A small network with everything: shuffles, 5×5 depthwise, upsampling, sigmoid, softmax.
const TINY: [&str; 4] = ["--model", "yolo-fastestv2", "--size", "64"];
const ONCE: [&str; 4] = ["--loops", "2", "--warmup", "0"];

fn bench(arguments: &[&[&str]]) -> Ran {
    let all: Vec<&str> = std::iter::once("bench").chain(arguments.concat()).collect();
    ocellus(&all.iter().map(|a| a as &dyn AsRef<std::ffi::OsStr>).collect::<Vec<_>>())
}

fn one(arguments: &[&[&str]]) -> Value {
    let ran = bench(arguments);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let mut lines = ran.json_lines();
    assert_eq!(lines.len(), 1, "{}", ran.out);
    lines.remove(0)
}

/// Source of the form: benchncnn.cpp, `%20s  min = %7.2f  max = %7.2f  avg = %7.2f`.
#[test]
fn rows_and_header_are_those_of_benchncnn() {
    let ran = bench(&[&["2", "1", "0", "-1", "0"], &TINY, &["--warmup", "0"]]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let rows: Vec<&str> = ran.out.lines().collect();
    assert_eq!(rows.len(), 2, "{}", ran.out);
    for (row, name) in rows.iter().zip(["yolo-fastestv2", "yolo-fastestv2_int8"]) {
        let number = |key: &str| -> f64 { row.split(key).nth(1).unwrap()[..7].trim().parse().unwrap() };
        let (min, max, avg) = (number("min = "), number("max = "), number("avg = "));
        assert_eq!(*row, format!("{name:>20}  min = {min:7.2}  max = {max:7.2}  avg = {avg:7.2}"));
        assert!(min > 0.0 && min <= avg && avg <= max, "{row}");
    }
    let header = "loop_count = 2\nnum_threads = 1\npowersave = 0\ngpu_device = -1\ncooling_down = 0\n";
    assert!(ran.err.ends_with(header), "{}", ran.err);
    for fact in ["cpu = ", "bit)", "governor = ", "clock = ", "temperature = ", "throttled = ", "isa = "] {
        assert!(ran.err.contains(fact), "{}", ran.err);
    }
}

#[test]
fn json_has_all_that_a_comparison_needs() {
    let row = one(&[&TINY, &ONCE, &["--threads", "1", "--precision", "int8", "--format", "json"]]);
    let keys: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    for key in [
        "name",
        "engine",
        "isa",
        "threads",
        "load_ms",
        "first_ms",
        "min_ms",
        "median_ms",
        "avg_ms",
        "p95_ms",
        "max_ms",
        "n",
        "rss_mb",
        "rss0_mb",
        "check",
        "precision",
        "size",
        "batch",
        "images_per_second",
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    assert_eq!((&row["name"], &row["precision"]), (&"yolo-fastestv2".into(), &"int8".into()));
    assert_eq!((&row["n"], &row["threads"], &row["engine"]), (&2.into(), &1.into(), &"native".into()));
    assert_eq!(row["size"], serde_json::json!([64, 64]));
    let ms = |key: &str| row[key].as_f64().unwrap();
    assert!(0.0 < ms("min_ms") && ms("min_ms") <= ms("median_ms") && ms("p95_ms") <= ms("max_ms"), "{row}");
    assert!(ms("load_ms") > 0.0 && ms("first_ms") > 0.0, "{row}");
    if cfg!(target_os = "linux") {
        assert!(ms("rss_mb") >= ms("rss0_mb") && ms("rss0_mb") > 0.0, "{row}");
    }
}

/// A batch does the same work on each image, and its rate follows from its time.
#[test]
fn a_batch_shows_its_rate() {
    let options = ["--threads", "2", "--precision", "int8", "--format", "json"];
    let one_by_one = one(&[&TINY, &ONCE, &options]);
    let batch = one(&[&TINY, &ONCE, &options, &["--batch", "3"]]);
    assert_eq!((&one_by_one["batch"], &batch["batch"]), (&1.into(), &3.into()));
    assert_eq!(one_by_one["check"], batch["check"]);
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap();
    let rate = 3000.0 / number(&batch, "median_ms");
    assert!((number(&batch, "images_per_second") / rate - 1.0).abs() < 1e-9, "{batch}");

    let text = bench(&[&TINY, &ONCE, &["--batch", "2", "--precision", "int8"]]).out;
    assert!(text.contains("  batch = 2  images/s = "), "{text}");
    let table = bench(&[&TINY, &ONCE, &["--batch", "2", "--format", "markdown"]]).out;
    let columns: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
    assert_eq!(columns, [12; 3], "{table}");
    assert!(table.contains("| batch | fp32 images/s | int8 images/s |"), "{table}");
}

/// Int8 is exact: the figure that shows that a run did something is the same to the last bit everywhere.
#[test]
fn the_check_does_not_depend_on_the_machine() {
    let check = |isa: &str, threads: &str| {
        let options = ["--isa", isa, "--threads", threads, "--precision", "int8", "--format", "json"];
        one(&[&TINY, &ONCE, &options])["check"].as_f64().unwrap().to_bits()
    };
    let plain = check("scalar", "1");
    assert!(f64::from_bits(plain) > 0.0);
    assert_eq!(check("auto", "1"), plain);
    assert_eq!(check("auto", "2"), plain);
}

/// The file holds planes, the engine pixels: the same picture given by hand has the same mean.
#[test]
fn a_picture_of_planes_is_what_the_network_sees() {
    const SIDE: usize = 64;
    let dir = TempDir::new("bench-input");
    let value = |channel: usize, pixel: usize| ((pixel * 7 + channel * 85) % 256) as f32 / 255.0;
    let planes: Vec<u8> = (0..3 * SIDE * SIDE)
        .flat_map(|i| value(i / (SIDE * SIDE), i % (SIDE * SIDE)).to_le_bytes())
        .collect();
    let file = dir.write("picture.f32", planes);
    let options = ["--precision", "fp32", "--format", "json", "--threads", "1", "--input"];
    let seen = one(&[&TINY, &ONCE, &options, &[file.to_str().unwrap()]])["check"].as_f64().unwrap();

    let graph = zoo::find("yolo-fastestv2").unwrap().graph([SIDE; 2]).unwrap();
    let options = EngineOptions { precision: Precision::Fp32, ..EngineOptions::default() };
    let mut engine = Engine::new(&graph, &options).unwrap();
    let Input::Reals(plane) = engine.input() else { panic!("a float network has a float input") };
    for (pixel, numbers) in plane.data.chunks_mut(plane.pitch).enumerate() {
        numbers.iter_mut().enumerate().for_each(|(channel, x)| *x = value(channel, pixel));
    }
    engine.run();
    let output = engine.output(0);
    let mean =
        output.plane.data.iter().map(|x| f64::from(x.abs())).sum::<f64>() / output.plane.data.len() as f64;
    assert!((seen - mean).abs() < 1e-9, "{seen} {mean}");

    let other = dir.write("short.f32", [0u8; 120]);
    let ran = bench(&[&TINY, &ONCE, &["--input", other.to_str().unwrap()]]);
    assert_eq!(ran.status, Some(2), "{}", ran.err);
    assert!(ran.err.contains("64×64"), "{}", ran.err);
    let other = dir.write("odd.f32", [0u8; 13]);
    assert_eq!(bench(&[&TINY, &ONCE, &["--input", other.to_str().unwrap()]]).status, Some(1));
}

#[test]
fn layers_share_all_the_time_and_all_the_work() {
    let options = ["--precision", "int8", "--format", "json", "--threads", "1", "--per-layer"];
    let ran = bench(&[&TINY, &ONCE, &options]);
    let report = &ran.json_lines()[1];
    let layers = report["layers"].as_array().unwrap();
    let sum = |key: &str| layers.iter().map(|layer| layer[key].as_f64().unwrap()).sum::<f64>();
    assert!((sum("percent") - 100.0).abs() < 1e-6, "{report}");
    let graph = zoo::find("yolo-fastestv2").unwrap().graph([64; 2]).unwrap();
    assert_eq!(sum("macs") as u64, zoo::macs(&graph));
    let isa = Isa::detect().to_string();
    assert!(layers.iter().any(|layer| layer["kernel"].as_str().unwrap().contains(&isa)), "{report}");
}

#[test]
fn a_roofline_is_a_picture() {
    let dir = TempDir::new("bench-roofline");
    let path = dir.path("roofline.svg");
    let options = ["--precision", "int8", "--threads", "1", "--roofline", path.to_str().unwrap()];
    let ran = bench(&[&TINY, &ONCE, &options]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let svg = std::fs::read_to_string(path).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains("yolo-fastestv2 64×64, int8") && svg.matches("<circle").count() > 50, "{svg}");
}

#[test]
fn markdown_has_both_precisions_side_by_side() {
    let ran = bench(&[&TINY, &ONCE, &["--format", "markdown"]]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    let columns = |line: &str| line.matches('|').count();
    assert!(lines.iter().all(|line| columns(line) == columns(lines[0])), "{}", ran.out);
    assert!(lines[2].starts_with("| yolo-fastestv2 | 64×64 | "), "{}", ran.out);
}

#[test]
fn stages_of_a_picture_are_told_apart() {
    let dir = TempDir::new("bench-stages");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let picture = dir.picture("p.png", 128, 64);
    let [model, picture] = [&model, &picture].map(|path| path.to_str().unwrap());
    let line = one(&[&["--model", model, "--stages", picture, "--format", "json"]]);
    assert_eq!((&line["name"], &line["pictures"]), (&"m.onnx".into(), &1.into()));
    for stage in ["load_ms", "decode_ms", "preprocess_ms", "inference_ms", "postprocess_ms"] {
        assert!(line[stage].as_f64().unwrap() > 0.0, "{line}");
    }
    let ran = bench(&[&["--model", model, "--stages", picture]]);
    assert!(ran.out.contains("% without decode"), "{}", ran.out);
}

#[test]
fn a_model_file_is_measured_once_in_its_own_arithmetic() {
    let dir = TempDir::new("bench-file");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let row = one(&[&["--model", model.to_str().unwrap(), "--seconds", "0", "--format", "json"]]);
    assert_eq!((&row["name"], &row["n"]), (&"m.onnx".into(), &5.into()));
    assert!(row["check"].as_f64().unwrap() > 0.0, "{row}");
}

/// Another engine, another float arithmetic, the same picture: the same figure but for rounding.
#[cfg(feature = "tract")]
#[test]
fn tract_sees_the_same_picture() {
    let dir = TempDir::new("bench-tract");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let check = |engine: &str| {
        let options = ["--model", model.to_str().unwrap(), "--engine", engine, "--format", "json"];
        let row = one(&[&options, &ONCE]);
        assert_eq!((&row["engine"], &row["precision"]), (&engine.into(), &"fp32".into()));
        row["check"].as_f64().unwrap()
    };
    let (ours, theirs) = (check("native"), check("tract"));
    assert!((ours / theirs - 1.0).abs() < 1e-5, "{ours} {theirs}");
}

#[test]
fn wrong_usage_is_explained() {
    for (arguments, part) in [
        (&["--model", "no-such-network"][..], "v5lite-s"),
        (&["--model", "v5lite-s", "--size", "100", "--loops", "1"], "do not join"),
        (&["--model", "v5lite-s", "--size", "9999"], "size must be"),
        (&["--model", "v5lite-s", "--stages", "."], "picture"),
        (&["--model", "FastestDet", "--roofline", "r.svg"], "one network"),
        (&["--loops", "0", "--model", "FastestDet", "--size", "32"], "at least one timed run"),
        (&["--model", "FastestDet", "--size", "32", "--batch", "0"], "1 to 1024 images"),
        (&["--model", "yolov5s", "--size", "640", "--batch", "1024"], "at most"),
        (&["--model", "FastestDet", "--batch", "2", "--per-layer"], "--per-layer"),
        (&["4", "1", "0", "0"], "GPU"),
        (&["4", "1", "0", "-1", "0", "--threads", "2"], "twice"),
    ] {
        let ran = bench(&[arguments]);
        assert!(ran.status.is_some_and(|s| s == 1 || s == 2), "{arguments:?}");
        assert!(ran.err.contains(part), "{arguments:?}: {}", ran.err);
    }
}
