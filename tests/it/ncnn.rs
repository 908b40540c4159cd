//! The engine ncnn beside the native one, in builds that have it; what others say instead.

use crate::program::ocellus;
use crate::temp_dir::TempDir;

#[cfg(not(feature = "ncnn"))]
#[test]
fn a_build_without_it_says_how_to_get_it() {
    let dir = TempDir::new("ncnn-missing");
    let (model, picture) = (dir.write("m.param", ""), dir.picture("p.png", 8, 8));
    let ran = ocellus(&[&"detect", &"--engine", &"ncnn", &"--model", &model, &picture]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("cross/ncnn.sh") && ran.err.contains("--features ncnn"), "{}", ran.err);
}

#[cfg(feature = "ncnn")]
mod with {
    use super::*;
    use crate::shared::shared;
    use ocellus::detect::Detection;
    use ocellus::engine::{EngineOptions, Precision};
    use ocellus::engines::{Backend, EngineKind, open};
    use ocellus::image::decode;
    use ocellus::loader::LoadOptions;
    use ocellus::{Detector, DetectorOptions, Error};
    use std::path::Path;

    const HEAD: &str = "Input in 0 1 in 0=4 1=2 2=3";

    /// Writes a model of these layers, with as many blobs as they say; returns the path of its `.param`.
    fn model(dir: &TempDir, blobs: usize, layers: &[&str], weights: &[f32]) -> std::path::PathBuf {
        let flag_f32 = [0u8; 4];
        let weights: Vec<u8> =
            flag_f32.into_iter().chain(weights.iter().flat_map(|w| w.to_le_bytes())).collect();
        dir.write("m.bin", weights);
        dir.write("m.param", format!("7767517\n{} {blobs}\n{}\n", layers.len(), layers.join("\n")))
    }

    fn open_ncnn(path: &Path, options: &EngineOptions) -> Result<Backend, Error> {
        Ok(open(path, EngineKind::Ncnn, &LoadOptions::default(), options, &[])?.backend)
    }

    /// A worked example: channels times 1, 10 and 100, as an image; and the mean of each, as a vector.
    #[test]
    fn outputs_of_any_rank_arrive() {
        let dir = TempDir::new("ncnn-example");
        let layers = [
            HEAD,
            "Convolution conv 1 1 in times 0=3 1=1 5=0 6=9",
            "Split split 1 2 times image other",
            "Pooling mean 1 1 other mean 0=1 4=1",
        ];
        let path = model(&dir, 5, &layers, &[1.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 100.0]);
        for threads in [1, 2] {
            let options = EngineOptions { threads, precision: Precision::Fp32, ..EngineOptions::default() };
            let mut ncnn = open_ncnn(&path, &options).unwrap();
            assert_eq!((ncnn.input_size(), ncnn.precision(), ncnn.output_count()), ([2, 4], "fp32", 2));
            let pixels: Vec<f32> = (0..8).flat_map(|i| [i as f32; 3]).collect();
            // Twice: nothing of a run may stay for the next.
            for _ in 0..2 {
                ncnn.fill_reals(&pixels).unwrap();
                ncnn.run().unwrap();
                let shapes = ncnn.outputs();
                let image = shapes.iter().position(|o| *o == ("image".into(), vec![1, 3, 2, 4])).unwrap();
                let mean = shapes.iter().position(|o| *o == ("mean".into(), vec![1, 3])).unwrap();
                let expected: Vec<f32> =
                    (0..8).flat_map(|i| [1.0, 10.0, 100.0].map(|k| k * i as f32)).collect();
                assert_eq!((ncnn.output(image).data, ncnn.output(image).pitch), (&expected[..], 3));
                assert_eq!(ncnn.output(mean).data, [3.5, 35.0, 350.0]);
            }
            assert!(ncnn.fill_reals(&pixels[3..]).is_err());
        }
    }

    #[test]
    fn what_it_cannot_run_is_an_error() {
        let dir = TempDir::new("ncnn-errors");
        let default = EngineOptions::default();
        let error = |path: &Path, options| open_ncnn(path, &options).err().unwrap().to_string();
        assert!(error(&dir.path("absent.param"), default).contains("absent.param"));
        assert!(error(&dir.write("m.onnx", ""), default).contains("only .param"));
        let pooling = "Pooling mean 1 1 in out 0=1 4=1";
        let path = model(&dir, 2, &[HEAD, pooling], &[]);
        assert!(error(&path, EngineOptions { threads: 0, ..default }).contains("threads"));
        assert!(error(&path, EngineOptions { precision: Precision::Int8, ..default }).contains("int8"));
        // This crate's loader knows the layer, ncnn does not.
        let focus = model(&dir, 2, &[HEAD, "YoloV5Focus focus 1 1 in out"], &[]);
        let message = error(&focus, default);
        assert!(message.contains("m.param") && message.contains("does not take the layers"), "{message}");
        // Weights cut short never reach ncnn.
        let layers = [HEAD, "Convolution conv 1 1 in out 0=3 1=1 5=0 6=9"];
        assert!(error(&model(&dir, 2, &layers, &[1.0; 5]), default).contains("m.bin"));
        let gray = model(&dir, 2, &["Input in 0 1 in 0=4 1=2 2=1", pooling], &[]);
        assert!(error(&gray, default).contains("three channels"));
    }

    /// What an engine finds in the picture of a bus; `None` where the shared files are absent.
    fn find(name: &str, engine: EngineKind) -> Option<Vec<Detection>> {
        let (model, picture) = (shared(&format!("models/{name}"))?, shared("data/images/bus.jpg")?);
        let options = DetectorOptions { engine, size: Some([320; 2]), ..DetectorOptions::default() };
        let mut detector = Detector::open(model, &options).unwrap();
        Some(detector.detect(&decode(picture).unwrap()).unwrap().0.to_vec())
    }

    /// Two float engines differ by the order of their sums.
    #[test]
    fn float_detections_equal_the_native_ones() {
        for name in ["e.param", "s.param"] {
            let Some(theirs) = find(name, EngineKind::Ncnn) else { return };
            let ours = find(name, EngineKind::Native).unwrap();
            assert!(ours.len() == theirs.len() && ours.len() >= 4, "{ours:?} {theirs:?}");
            for theirs in &theirs {
                let near = |a: f32, b: f32| (a - b).abs() <= 1.0;
                let same = |ours: &&Detection| {
                    ours.class_id == theirs.class_id
                        && ours.bbox.iter().zip(theirs.bbox).all(|(a, b)| near(*a, b))
                };
                let score = ours.iter().find(same).map(|ours| ours.score);
                assert!(score.is_some_and(|s| (s - theirs.score).abs() <= 1e-2), "{theirs:?}: {ours:?}");
            }
        }
    }

    fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
        let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
        let area = |r: [f32; 4]| (r[2] - r[0]) * (r[3] - r[1]);
        let both = side(0) * side(1);
        both / (area(a) + area(b) - both)
    }

    /// ncnn leaves int8 between layers, and rounds to other grids: the same objects, not the same boxes.
    #[test]
    fn int8_detections_are_close_to_the_native_ones() {
        let Some(theirs) = find("i8e.param", EngineKind::Ncnn) else { return };
        let ours = find("i8e.param", EngineKind::Native).unwrap();
        let sure = |found: &[Detection]| found.iter().filter(|d| d.score > 0.5).copied().collect::<Vec<_>>();
        let (ours, theirs) = (sure(&ours), sure(&theirs));
        assert!(ours.len() == theirs.len() && ours.len() == 3, "{ours:?} {theirs:?}");
        for d in &ours {
            let near = |t: &&Detection| {
                t.class_id == d.class_id && overlap(t.bbox, d.bbox) > 0.8 && (t.score - d.score).abs() < 0.15
            };
            assert!(theirs.iter().any(|t| near(&t)), "{d:?}: {theirs:?}");
        }
    }

    #[test]
    fn the_program_benches_and_detects_with_it() {
        let (Some(model), Some(picture)) = (shared("models/e.param"), shared("data/images/bus.jpg")) else {
            return;
        };
        let row = |engine: &str| {
            let options: [&dyn AsRef<std::ffi::OsStr>; 11] = [
                &"bench",
                &"--engine",
                &engine,
                &"--model",
                &model,
                &"--size",
                &"320",
                &"--loops",
                &"1",
                &"--format",
                &"json",
            ];
            let ran = ocellus(&options);
            assert_eq!(ran.status, Some(0), "{}", ran.err);
            ran.json_lines().remove(0)
        };
        let (ours, theirs) = (row("native"), row("ncnn"));
        assert_eq!((&theirs["engine"], &ours["engine"]), (&"ncnn".into(), &"native".into()));
        // The same noise, the same network, another order of sums.
        let ratio = ours["check"].as_f64().unwrap() / theirs["check"].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 1e-3, "{ours} {theirs}");
        let options: [&dyn AsRef<std::ffi::OsStr>; 8] =
            [&"detect", &"--engine", &"ncnn", &"--size", &"320", &"--model", &model, &picture];
        let ran = ocellus(&options);
        assert!(ran.status == Some(0) && ran.out.contains("bus"), "{} {}", ran.out, ran.err);
    }
}
