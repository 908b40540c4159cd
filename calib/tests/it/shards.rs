//! A calibration that is spread over machines.

use crate::table::{model, plain};
use crate::temp_dir::TempDir;
use calib::table::Table;
use calib::table::shard::Shard;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn calib(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn succeed(arguments: &[&str]) -> String {
    let output = calib(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn fail(arguments: &[&str], status: i32, expected: &str) {
    let output = calib(arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", said(&output));
    assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
}

/// Model, folder of seven pictures that reach differently far (one is broken), and a path for results.
fn scene(dir: &TempDir) -> (String, String, impl Fn(&str) -> String) {
    let model = model(dir);
    for i in 0..7u8 {
        plain(dir, &format!("pictures/{i}.png"), [40 + 30 * i, 255 - 21 * i, 9 * i]);
    }
    dir.write("pictures/3.png", "no picture");
    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    let pictures = path("pictures");
    let root = dir.path("");
    (model, pictures, move |name: &str| root.join(name).to_str().unwrap().to_owned())
}

/// Both rounds of `of` shards; the files of the second.
fn rounds(model: &str, pictures: &str, at: &impl Fn(&str) -> String, of: usize) -> Vec<String> {
    let file = |part: usize, kind: &str| at(&format!("{part}-{of}.{kind}"));
    let shard = |part: usize| format!("{part}/{of}");
    for part in 1..=of {
        let to = file(part, "ranges");
        let text = succeed(&["table", model, pictures, "-o", &to, "--shard", &shard(part)]);
        assert!(text.contains(&format!("ranges of shard {part} of {of}")), "{text}");
    }
    let ranges: Vec<String> = (1..=of).rev().map(|part| file(part, "ranges")).collect();
    let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
    for part in 1..=of {
        let (to, shard) = (file(part, "counts"), shard(part));
        let arguments = ["table", model, pictures, "-o", &to, "--shard", &shard, "--ranges"];
        succeed(&[&arguments[..], &ranges].concat());
    }
    (1..=of).map(|part| file(part, "counts")).collect()
}

#[test]
fn the_table_of_shards_is_that_of_one_run() {
    let dir = TempDir::new("shards-equal");
    let (model, pictures, at) = scene(&dir);
    let (whole, merged) = (at("whole.table"), at("merged.table"));
    for of in [1, 3] {
        let mut counts = rounds(&model, &pictures, &at, of);
        for method in ["kl", "percentile", "aciq"] {
            let method = ["--method", method, "--format", "json"];
            let one = succeed(&[&["table", &model, &pictures, "-o", &whole][..], &method].concat());
            counts.rotate_left(1);
            let files = counts.iter().map(String::as_str);
            let arguments: Vec<&str> = std::iter::once("merge").chain(files).chain(["-o", &merged]).collect();
            let many = succeed(&[&arguments[..], &method].concat());
            assert_eq!(std::fs::read(&whole).unwrap(), std::fs::read(&merged).unwrap(), "{of} {method:?}");
            // The summary is the same as well: pictures, what was left out, shares.
            assert_eq!(one, many);
        }
    }
}

#[test]
fn shards_that_do_not_belong_together_are_refused() {
    let dir = TempDir::new("shards-refused");
    let (model, pictures, at) = scene(&dir);
    let [a, b] = rounds(&model, &pictures, &at, 2).try_into().unwrap();
    let third = rounds(&model, &pictures, &at, 3).remove(1);
    let (table, [ra, rb]) = (at("t.table"), [at("1-2.ranges"), at("2-2.ranges")]);
    let merge = |files: &[&str], status: i32, expected: &str| {
        fail(&[&["merge"], files, &["-o", &table]].concat(), status, expected);
        assert!(!dir.path("t.table").exists());
    };
    merge(&[&a, &a], 1, "shard 1 of 2 comes twice");
    merge(&[&a, &third], 1, "one of 3 shards, others are of 2");
    merge(&[&b], 2, "1 of 2 shards are missing: 1; give them as well, or do without by --partial");
    merge(&[&a, &rb], 1, "of the other round");
    merge(&[&ra, &rb], 2, "make those of the second round");
    merge(&[&a, &b, "--method", "eq"], 2, "--method eq");
    merge(&[&pictures], 1, "not a regular file");

    let other = |name: &str, shard: &str, more: &[&str]| {
        let to = at(name);
        succeed(&[&["table", &model, &pictures, "-o", &to, "--shard", shard], more].concat());
        to
    };
    let wide = other("wide", "2/2", &["--norm", "0.01"]);
    let few = other("few", "2/2", &["--limit", "6"]);
    fail(&["merge", &ra, &wide, "-o", &table], 1, "of pictures prepared otherwise");
    fail(&["merge", &ra, &few, "-o", &table], 1, "of another set of pictures");
    std::fs::write(dir.path("m.bin"), {
        let mut bin = std::fs::read(dir.path("m.bin")).unwrap();
        bin[4..8].copy_from_slice(&2f32.to_le_bytes());
        bin
    })
    .unwrap();
    let changed = other("changed", "2/2", &[]);
    fail(&["merge", &ra, &changed, "-o", &table], 1, "of another model");
    // The second round has the same doubts about the first.
    let second = ["table", &model, &pictures, "-o", &table, "--shard", "1/2", "--ranges"];
    let again = |files: &[&str], expected: &str| fail(&[&second[..], files].concat(), 2, expected);
    again(&[&ra, &rb], "this run is of another model");
    again(&[&changed], "1 of 2 shards are missing: 1");
    fail(&["table", &model, &pictures, "-o", &table, "--shard", "3/2"], 2, "expected I/N");
    fail(&["table", &model, &pictures, "-o", &table, "--shard", "1/9"], 2, "there are only 7 pictures");
    fail(&["table", &model, &pictures, "-o", &table, "--shard", "1/2", "--method", "kl"], 2, "--method");
}

#[test]
fn missing_shards_may_be_done_without() {
    let dir = TempDir::new("shards-partial");
    let (model, pictures, at) = scene(&dir);
    let counts = rounds(&model, &pictures, &at, 2);
    let table = at("t.table");
    let output = calib(&["merge", &counts[1], "-o", &table, "--partial", "--format", "json"]);
    assert!(output.status.success() && said(&output).contains("warning: 1 of 2 shards are missing: 1"));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Pictures 1, 3 and 5 of seven, of which 3 is broken.
    assert_eq!((&summary["images"], summary["skipped"].as_array().unwrap().len()), (&2.into(), 1));
}

#[test]
fn broken_files_are_refused() {
    let dir = TempDir::new("shards-broken");
    let (model, pictures, at) = scene(&dir);
    let counts = rounds(&model, &pictures, &at, 2);
    let bytes = std::fs::read(&counts[1]).unwrap();
    let good = Shard::parse(&bytes).unwrap();
    assert_eq!((good.place.part, good.pictures(), good.left_out.len()), (2, 3, 1));
    assert_eq!(good.to_bytes(), bytes);
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    let changes: [(&str, Value, &str); 13] = [
        ("/calib_shard", json!(2), "of version 2"),
        ("/shard/part", json!(3), "number is out of range"),
        ("/shard/part", json!(0), "number is out of range"),
        ("/shard/of", json!(u32::MAX), "number is out of range"),
        ("/identity/pictures", json!(1), "pictures are too few or too many"),
        ("/identity/pictures", json!(u64::MAX), "pictures are too few or too many"),
        ("/left_out/0/at", json!(3), "none of its own"),
        ("/ranges/0", json!([1.0, 2.0]), "a range is none"),
        ("/ranges", json!([]), "no tensors, or too many"),
        ("/layers/0/tensor", json!(9), "reads no tensor"),
        ("/counts/0/zeros", json!(u64::MAX), "counts that cannot be"),
        ("/counts/1/positive", json!([1, 2]), "counts that cannot be"),
        ("/counts", json!([]), "counts of 0 tensors"),
    ];
    for (place, with, expected) in changes {
        let mut changed = value.clone();
        *changed.pointer_mut(place).unwrap() = with;
        let error = Shard::parse(&serde_json::to_vec(&changed).unwrap()).unwrap_err();
        assert!(error.contains(expected), "{place}: {error}");
    }
    for length in (0..bytes.len()).step_by(97) {
        assert!(Shard::parse(&bytes[..length]).is_err(), "{length}");
    }
}

/// What the fuzzers begin with gets past the first checks.
#[test]
fn fuzzer_seeds_are_read() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let files = |kind: &str| {
        let entries = std::fs::read_dir(seeds.join(kind)).unwrap();
        let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 2);
        files
    };
    for seed in files("shard") {
        let shard = Shard::read(&seed).unwrap();
        assert_eq!(shard.to_bytes(), std::fs::read(&seed).unwrap(), "{}", seed.display());
    }
    for seed in files("table") {
        assert!(!Table::read(&seed).unwrap().entries.is_empty(), "{}", seed.display());
    }
}
