//! Whole pipelines on pictures of nothing but squares.

use super::*;
use config::{Qat, Quantize, Teacher, Training};
use std::cell::Cell;
use std::path::PathBuf;

const SIDE: u32 = 64;

/// A folder with a data set of eight pictures, each with a bright square; goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("calib-pipeline-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("set/images")).unwrap();
        std::fs::create_dir_all(folder.join("set/labels")).unwrap();
        for i in 0..8 {
            let (left, top, side) = (4 * i, 20 - 2 * i, 24);
            let inside = |x: u32, y: u32| (left..left + side).contains(&x) && (top..top + side).contains(&y);
            let color =
                |x, y| if inside(x, y) { [250, 240, 200] } else { [(3 * x) as u8, (2 * y) as u8, 40] };
            let picture = image::RgbImage::from_fn(SIDE, SIDE, |x, y| image::Rgb(color(x, y)));
            picture.save(folder.join(format!("set/images/{i}.png"))).unwrap();
            let part = |pixels: u32| pixels as f32 / SIDE as f32;
            let [x, y, s] = [part(left + side / 2), part(top + side / 2), part(side)];
            std::fs::write(folder.join(format!("set/labels/{i}.txt")), format!("0 {x} {y} {s} {s}\n"))
                .unwrap();
        }
        let part = "annotations = \"set\"\nformat = \"yolo\"\nnames = [\"square\"]\n";
        let text = format!("classes = [\"square\"]\n[[train]]\n{part}[[val]]\n{part}");
        std::fs::write(folder.join("data.toml"), text).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn training(network: &str) -> Training {
    Training {
        network: network.to_owned(),
        depth_multiple: Some(0.3),
        width_multiple: Some(0.25),
        epochs: 1,
        batch: 8,
        optimizer: Default::default(),
        rate: None,
        objectness: None,
    }
}

#[test]
fn all_steps_are_made_once() {
    let folder = Folder::new("steps");
    let mut config = Config {
        data: folder.0.join("data.toml"),
        root: None,
        size: SIDE as usize,
        seed: 1,
        teacher: Some(Teacher {
            file: None,
            train: Some(training("v5lite-e")),
            map: Default::default(),
            weight: 1.0,
        }),
        student: training("v5lite-e"),
        // Whatever int8 loses is too much.
        quantize: Quantize { max_drop: -1.0, max_tries: 2, ..Quantize::default() },
        qat: Qat { epochs: 1, learn_scales: true, ..Qat::default() },
    };
    let trained = Cell::new(0);
    let made = |config: &Config| {
        let mut train = |run: &mut Run| {
            trained.set(trained.get() + 1);
            while !run.is_over() {
                run.epoch(|_| (), || ())?;
            }
            Ok(())
        };
        let before = trained.get();
        let mut hands = Hands { say: &mut |_| Ok(()), train: &mut train };
        let outcome = run(config, &folder.0.join("made"), &mut hands).unwrap();
        (outcome, trained.get() - before)
    };
    let (outcome, trainings) = made(&config);
    assert_eq!(trainings, 4, "teacher, two students, one behind grids");
    let steps: Vec<&str> = outcome.models.iter().map(|row| row.step.as_str()).collect();
    let all =
        ["teacher", "without teacher", "with teacher", "quantized", "trained behind grids", "partly float"];
    assert_eq!(steps, all);
    for file in ["float.onnx", "int8.onnx", "report.md", "report.json"] {
        assert!(folder.0.join("made").join(file).is_file(), "{file}");
    }
    let (again, trainings) = made(&config);
    assert_eq!((again.models, trainings), (outcome.models, 0), "nothing has changed");
    config.qat.epochs = 2;
    assert_eq!(made(&config).1, 1, "only what follows from the change");
    std::fs::write(folder.0.join("set/labels/0.txt"), "0 0.5 0.5 0.5 0.5\n").unwrap();
    assert_eq!(made(&config).1, 4, "all follows from the data");
}

#[test]
fn the_default_models_configuration_is_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/train/person-vehicle.toml");
    let config = Config::open(&path).unwrap();
    assert_eq!((config.student.network.as_str(), config.size), ("v5lite-e", 256));
}

#[test]
fn a_faulty_configuration_is_refused_with_its_place() {
    let folder = Folder::new("faulty");
    let path = folder.0.join("pipeline.toml");
    let whole = "data = \"data.toml\"\nsize = 64\n[student]\nnetwork = \"v5lite-e\"\n";
    let refused = |text: &str, why: &str| {
        std::fs::write(&path, text).unwrap();
        let error = Config::open(&path).unwrap_err().to_string();
        assert!(error.contains("pipeline.toml") && error.contains(why), "{error}");
    };
    refused(&format!("{whole}epoch = 3\n"), "pipeline.toml:5: unknown field `epoch`");
    refused(&format!("{whole}epochs = 0\n"), "student.epochs = 0");
    refused(
        &format!("{whole}optimizer = \"repopt\"\n"),
        "student.optimizer: repopt is for networks of RepVGG's blocks",
    );
    refused(&format!("{whole}[teacher]\nweight = 1.0\n"), "[teacher] needs either");
    refused(&format!("{whole}[quantize]\nmax-drop = 2.0\n"), "quantize.max-drop = 2");
    refused("data = 1\n", "pipeline.toml:1");
    std::fs::write(&path, whole).unwrap();
    let config = Config::open(&path).unwrap();
    assert!(config.data.is_absolute() && config.data.ends_with("data.toml"), "{:?}", config.data);
    assert_eq!((config.student.epochs, config.quantize.max_drop), (100, 0.005));
}
