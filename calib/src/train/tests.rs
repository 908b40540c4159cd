//! Whole runs on few pictures.

use super::checkpoint::{self, Checkpoint};
use super::data::Data;
use super::device::Device;
use super::executor::Pass;
use super::features::Taps;
use super::imitation::Kind;
use super::kernels::Extent;
use super::loss::Gains;
use super::network::{Kind as ParameterKind, Network, Running};
use super::plan::Plan;
use super::repopt;
use super::run::Run;
use super::schedule::{Optimizer, Schedule};
use super::source::{self, Architecture, default_anchors};
use super::state::State;
use super::teacher::{Lesson, Teacher};
use super::trainer::Trainer;
use super::validation::validations;
use crate::augment::Augment;
use crate::dataset::training::{Labelled, Origin, Picture, TrainingSet};
use crate::dataset::{Dataset, Source};
use crate::loader::{Batch, Loader, Options};
use crate::write::onnx::OnnxOptions;
use ocellus::engine::{Engine, EngineOptions};
use std::path::{Path, PathBuf};

/// A file beside the repository; `None`, with a message, where it is absent.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

/// The first pictures of COCO with at most `boxes_max` persons and vehicles, but some, none of them tiny.
fn few_pictures(count: usize, boxes_max: usize) -> Option<TrainingSet> {
    let annotations = shared("data/coco/train.json")?;
    let folder = shared("data/coco/train")?;
    let source = Source { annotations: &annotations, images: Some(&folder), names: None, limit: None };
    let dataset = Dataset::open(source).unwrap();
    let class = |category: u32| match dataset.categories[category as usize].name.as_str() {
        "person" => Some(0),
        "car" | "bus" | "truck" => Some(1),
        _ => None,
    };
    let mut pictures = Vec::new();
    for (index, image) in (0..).zip(&dataset.images) {
        let own = dataset.annotations.iter().filter(|a| a.image == index && class(a.category).is_some());
        let boxes: Vec<Labelled> = own
            .map(|a| {
                let [x, y, w, h] = a.bbox.map(|v| v as f32);
                Labelled { class: class(a.category).filter(|_| !a.crowd), corners: [x, y, x + w, y + h] }
            })
            .collect();
        let large = |b: &Labelled| {
            let [x1, y1, x2, y2] = b.corners;
            b.class.is_some() && x2 - x1 > 40.0 && y2 - y1 > 40.0
        };
        if (1..=boxes_max).contains(&boxes.len()) && boxes.iter().all(large) {
            let frame = ocellus::image::decode(&image.path).unwrap();
            let size = [frame.width as u32, frame.height as u32];
            pictures.push(Picture { path: image.path.clone(), size, origin: 0, boxes });
        }
        if pictures.len() == count {
            break;
        }
    }
    let origin = Origin { name: "coco".into(), known: vec![true; 2], repeat: 1 };
    Some(TrainingSet { classes: vec!["person".into(), "vehicle".into()], origins: vec![origin], pictures })
}

fn trainer(set: TrainingSet, size: usize, epochs: usize) -> (Trainer, State) {
    trainer_of(("v5lite-e", Optimizer::Sgd), set, size, epochs)
}

fn trainer_of(
    (name, optimizer): (&str, Optimizer),
    set: TrainingSet,
    size: usize,
    epochs: usize,
) -> (Trainer, State) {
    let architecture =
        Architecture { name: name.into(), multiples: [None; 2], classes: set.classes.len(), seed: 1 };
    let (network, weights) = architecture.network(size).unwrap();
    let blocks = repopt::blocks(optimizer, &network, name).unwrap();
    let still =
        Augment { mosaic: 0.0, scale: 0.0, translate: 0.0, hsv: [0.0; 3], flip: 0.0, ..Augment::default() };
    let options =
        Options { size, batch: 8, augment: Some(still.clone()), seed: 1, threads: 1, ..Options::default() };
    let validations = validations(&set, true);
    let names = set.classes.clone();
    let loader = Loader::new(set, options).unwrap();
    let trainer = Trainer {
        device: Device::cpu(),
        plain: network.clone(),
        network,
        features: None,
        anchors: default_anchors(3, size).unwrap(),
        augment: still,
        teacher: None,
        schedule: Schedule { optimizer, epochs, steps: loader.batches(), batch: 8, rate: 0.03 },
        blocks,
        gains: Gains::of(size, names.len()),
        names,
        loader,
        validations,
        threads: 2,
    };
    (trainer, State::new(weights))
}

#[test]
fn eight_pictures_are_learned_by_heart() {
    let Some(set) = few_pictures(8, 3) else { return };
    let (mut trainer, mut state) = trainer(set, 160, 200);
    // There is no time for objectness to be learned from as little weight as small pictures have.
    trainer.gains.objectness = 1.0;
    let mut losses = Vec::new();
    let start = std::time::Instant::now();
    while state.epochs < trainer.schedule.epochs {
        losses.push(trainer.epoch(&mut state, |_| ()).unwrap());
        if state.epochs % 20 == 0 {
            println!("{} {:?} {:?}", state.epochs, losses.last().unwrap(), start.elapsed());
        }
    }
    let epoch = trainer.measure(&mut state, losses[0], || ()).unwrap();
    println!("{:?}", epoch.scores);
    assert!(losses.last().unwrap().sum() < losses[0].sum() / 3.0);
    assert!(epoch.scores[0].map50 >= 0.95, "{:?}", epoch.scores);
}

/// Plain pictures of noise, without a data set.
fn noise(size: usize, pictures: usize) -> Vec<u8> {
    let mut random = crate::random::Random::new(&[2]);
    (0..pictures * size * size * 3).map(|_| random.below(256) as u8).collect()
}

/// With the statistics of one picture as running ones, the exported network computes for it in the engine what it
/// computed in training.
#[test]
fn the_engine_computes_what_was_trained() {
    const SIZE: usize = 128;
    for name in ["v5lite-e", "v5lite-s", "v5lite-c", "yolov5n"] {
        let architecture = Architecture { name: name.into(), multiples: [None; 2], classes: 2, seed: 3 };
        let (network, mut weights) = architecture.network(SIZE).unwrap();
        let picture = noise(SIZE, 1);
        let pass = Pass::new(&network, &weights, &picture, &Device::cpu());
        for (running, (statistics, _)) in weights.running.iter_mut().zip(pass.statistics()) {
            *running = Running { mean: statistics.mean, variance: statistics.variance };
        }
        let graph = super::export::graph(&network, &weights).unwrap();
        let mut engine = Engine::new(&graph, &EngineOptions::default()).unwrap();
        let reals: Vec<f32> = picture.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        engine.fill_reals(&reals);
        engine.run();
        for (i, map) in pass.maps().iter().enumerate() {
            let output = engine.output(i).plane;
            for cell in 0..map.extent.plane() {
                for channel in 0..map.extent.channels {
                    let trained = map.values[channel * map.extent.plane() + cell];
                    let ran = output.data[cell * output.pitch + channel];
                    assert!((trained - ran).abs() < 2e-3 * (1.0 + trained.abs()), "{name}: {trained} {ran}");
                }
            }
        }
    }
}

/// What training computes with codes is what the engine computes with them.
#[test]
fn the_engine_computes_what_was_trained_with_codes() {
    const SIZE: usize = 128;
    for (name, learned) in [("v5lite-e", false), ("v5lite-e", true), ("yolov5n", false)] {
        let float = Architecture { name: name.into(), multiples: [None; 2], classes: 2, seed: 3 }
            .graph(SIZE)
            .unwrap();
        let int8 = ocellus::zoo::quantized(&crate::quantize::simple(&float).unwrap(), 5).unwrap();
        let (mut network, mut weights) = Network::trained(int8).unwrap();
        assert!(!network.grids.is_empty() && weights.running.is_empty());
        if learned {
            let known = weights.parameters.len();
            network.learn_scales(&mut weights);
            for (at, factors) in weights.parameters.iter_mut().skip(known).enumerate() {
                factors.values.fill([-0.07, 0.0, 0.04][at % 3]);
            }
        }
        let picture = noise(SIZE, 1);
        let maps = Pass::new(&network, &weights, &picture, &Device::cpu()).maps();
        let graph = super::export::graph(&network, &weights).unwrap();
        let mut engine = Engine::new(&graph, &EngineOptions::default()).unwrap();
        assert_eq!(engine.plan().precision(), "int8");
        let reals: Vec<f32> = picture.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        engine.fill_reals(&reals);
        engine.run();
        for (i, map) in maps.iter().enumerate() {
            let output = engine.output(i).plane;
            let (mut error, mut size) = (0.0f64, 0.0f64);
            for cell in 0..map.extent.plane() {
                for channel in 0..map.extent.channels {
                    let trained = f64::from(map.values[channel * map.extent.plane() + cell]);
                    let ran = f64::from(output.data[cell * output.pitch + channel]);
                    error += (trained - ran).powi(2);
                    size += ran * ran;
                }
            }
            // Sums of floats round otherwise than one multiplication, so a code here and there is the next one; in
            // networks with random weights that spreads.
            assert!(error < 1e-2 * size, "{name} {i}: {error} of {size}");
        }
    }
}

/// A detector with random weights, as a file.
pub(super) struct Made(pub PathBuf);

impl Made {
    pub fn new(name: &str, size: usize) -> Self {
        let graph = Architecture { name: "v5lite-e".into(), multiples: [None; 2], classes: 2, seed: 3 }
            .graph(size)
            .unwrap();
        let metadata = [("names".to_owned(), "{0: 'person', 1: 'vehicle'}".to_owned())];
        let options = OnnxOptions { metadata: &metadata, other_size: None };
        let path = std::env::temp_dir().join(format!("calib-{name}-{}.onnx", std::process::id()));
        std::fs::write(&path, crate::write::onnx::onnx(&graph, &options).unwrap()).unwrap();
        Made(path)
    }

    /// The last layer that is no head.
    pub fn layer(&self) -> String {
        let read = ocellus::loader::load(&self.0, &Default::default()).unwrap();
        let graph = crate::quantize::simple(&read.graph).unwrap();
        let conv = graph.nodes.iter().rev().find(|node| !graph.outputs.contains(&node.output)).unwrap();
        conv.name.clone()
    }

    /// A short run that trains it further.
    pub fn plan(&self, size: usize, lesson: Option<Lesson>) -> Plan {
        Plan {
            data: PathBuf::new(),
            root: None,
            skip_bad: false,
            model: self.0.to_str().unwrap().to_owned(),
            multiples: [None; 2],
            size,
            epochs: 2,
            batch: 4,
            seed: 1,
            optimizer: Optimizer::AdamW,
            rate: 1e-3,
            objectness: None,
            patience: 0,
            augment: Augment::default(),
            lesson,
            learn_scales: false,
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// Grey pictures with a person each, in a folder of their own.
pub(super) struct Grey {
    folder: PathBuf,
    /// The pictures.
    pub set: TrainingSet,
}

impl Grey {
    pub fn new(name: &str, count: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("calib-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("grey")).unwrap();
        let picture = |at: usize| {
            let path = folder.join(format!("grey/{at}.png"));
            image::RgbImage::from_pixel(80, 60, image::Rgb([90; 3])).save(&path).unwrap();
            let left = 4.0 * at as f32;
            let boxes = vec![Labelled { class: Some(0), corners: [left, 10.0, left + 24.0, 50.0] }];
            Picture { path, size: [80, 60], origin: 0, boxes }
        };
        let pictures = (0..count).map(picture).collect();
        let origin = Origin { name: "grey".into(), known: vec![true; 2], repeat: 1 };
        let classes = vec!["person".into(), "vehicle".into()];
        Grey { set: TrainingSet { classes, origins: vec![origin], pictures }, folder }
    }

    /// A description of them, to train and to measure on, with a line of the caller's.
    pub fn description(&self, line: &str) -> PathBuf {
        for at in 0..self.set.pictures.len() {
            std::fs::write(self.folder.join(format!("grey/{at}.txt")), "0 0.5 0.5 0.3 0.5\n").unwrap();
        }
        let part = |kind: &str, name: &str| {
            format!(
                "[[{kind}]]\nname = '{name}'\nannotations = 'grey'\nnames = ['person', 'vehicle']\nformat = 'yolo'\n"
            )
        };
        let text = format!("classes = ['person', 'vehicle']\n{line}\n");
        let path = self.folder.join("data.toml");
        std::fs::write(&path, text + &part("train", "grey") + &part("val", "seen")).unwrap();
        path
    }
}

impl Drop for Grey {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn unlabelled(size: usize, pictures: usize) -> Batch {
    let images = noise(size, pictures);
    let pictures: Vec<u32> = (0..pictures as u32).collect();
    let known = vec![true; 2 * pictures.len()];
    Batch { images, size, targets: Vec::new(), ignored: Vec::new(), known, pictures }
}

/// A teacher says of each cell what a student with the same weights computes there: nothing is to be learned of classes
/// and objects.
#[test]
fn a_teacher_says_what_its_twin_computes() {
    const SIZE: usize = 96;
    let (made, names) = (Made::new("twin", SIZE), vec!["person".to_owned(), "vehicle".to_owned()]);
    let lesson = Lesson { model: made.0.clone(), map: Vec::new(), weight: 1.0, taps: None };
    let teacher = Teacher::open(&lesson, SIZE, &names, 2).unwrap();
    let source = source::Source::of(made.0.to_str().unwrap(), [None; 2], 2, 0);
    let (network, weights, anchors) = source.network(SIZE, &names).unwrap();
    assert_eq!(teacher.anchors_for(&network.graph, &source, anchors.clone()).unwrap(), anchors);
    let batch = unlabelled(SIZE, 3);
    let maps = Pass::new(&network, &weights, &batch.images, &Device::cpu()).maps();
    let sigmoid = |x: f32| 1.0 / (1.0 + f64::from(-x).exp());
    let mut seen = 0;
    for (map, hints) in maps.iter().zip(teacher.hints(&batch).unwrap()) {
        let Extent { images, columns, .. } = map.extent;
        for hint in hints {
            let cell = hint.at[0] * columns + hint.at[1];
            let number = |k: usize| {
                let channel = hint.anchor * 7 + k;
                sigmoid(map.values[(channel * images + hint.image) * map.extent.plane() + cell])
            };
            let classes = [number(5), number(6)];
            let best = classes[0].max(classes[1]);
            assert!((hint.score - number(4) * best).abs() < 1e-3, "{hint:?}");
            for (ours, theirs) in hint.classes.iter().zip(classes) {
                assert!((ours - theirs / best).abs() < 1e-2, "{hint:?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

/// The layer that brings a student's features to the teacher's is trained, and no part of the model.
#[test]
fn features_help_to_train_and_are_not_kept() {
    const SIZE: usize = 96;
    let Some(set) = few_pictures(8, 3) else { return };
    let made = Made::new("features", SIZE);
    let layer = made.layer();
    let taps = Taps { student: layer.clone(), teacher: layer, kind: Kind::Channelwise, weight: 0.5 };
    let data = || Data { train: set.clone(), held_out: TrainingSet::default(), val: set.clone() };
    let folder = std::env::temp_dir().join(format!("calib-features-{}", std::process::id()));
    let lesson = Lesson { model: made.0.clone(), map: Vec::new(), weight: 0.0, taps: Some(taps) };
    let plan = made.plan(SIZE, Some(lesson));
    let mut run = Run::begin(plan.clone(), data(), &folder, None).unwrap();
    let epoch = run.epoch(|_| (), || ()).unwrap();
    assert!(epoch.losses.features > 0.0);
    let outputs =
        ocellus::loader::load(&folder.join("last.onnx"), &Default::default()).unwrap().graph.outputs;
    assert_eq!(outputs.len(), 3);
    // The layer goes on with the run.
    assert_eq!(Run::resume(data(), &folder).unwrap().epochs(), 1);
    let wrong = Taps { teacher: "nothing".into(), ..plan.lesson.clone().unwrap().taps.unwrap() };
    let lesson = Lesson { taps: Some(wrong), ..plan.lesson.clone().unwrap() };
    let refused = Run::begin(Plan { lesson: Some(lesson), ..plan }, data(), &folder.join("other"), None);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(refused.err().unwrap().to_string().contains("the teacher has no layer `nothing`"));
}

/// A run that was stopped between two epochs goes on to the same numbers.
#[test]
fn a_run_goes_on_to_the_same_numbers() {
    let Some(set) = few_pictures(8, 3) else { return };
    let (trainer, mut whole) = trainer(set, 96, 4);
    let mut interrupted = whole.clone();
    let epochs = |state: &mut State, until: usize| {
        while state.epochs < until {
            trainer.epoch(state, |_| ()).unwrap();
        }
    };
    epochs(&mut whole, 4);
    epochs(&mut interrupted, 2);
    let path = std::env::temp_dir().join(format!("calib-resume-{}.safetensors", std::process::id()));
    checkpoint::write(&path, &interrupted, serde_json::Value::Null).unwrap();
    let read = Checkpoint::read(&path);
    std::fs::remove_file(&path).unwrap();
    // Restoring must not depend on what the state was before.
    let mut resumed = State::new(whole.average.clone());
    read.unwrap().restore(&mut resumed).unwrap();
    assert_eq!(resumed, interrupted);
    epochs(&mut resumed, 4);
    assert_eq!(resumed, whole);
}

/// RepOptimizer's first step is that of gradient descent, but for the centres of the kernels that halve maps in the backbone.
#[test]
fn centres_of_blocks_move_twice_as_far() {
    const SIZE: usize = 64;
    let Some(set) = few_pictures(8, 3) else { return };
    let first = |optimizer| {
        let (trainer, mut state) = trainer_of(("v5lite-g", optimizer), set.clone(), SIZE, 2);
        let batch = trainer.loader.epoch(0).next().unwrap().unwrap();
        let begun = state.weights.clone();
        let decay = trainer.schedule.rates(0, 0).decay;
        trainer.step(&mut state, &batch, 0).unwrap();
        // Without what is left of earlier steps a velocity is the gradient, and the decay.
        let velocities = state.velocity.into_iter().zip(begun.parameters);
        let gradients = velocities.map(|(velocity, parameter)| {
            let decay = if parameter.kind == ParameterKind::Weights { decay } else { 0.0 };
            velocity.iter().zip(&parameter.values).map(|(v, w)| v - decay * w).collect::<Vec<_>>()
        });
        (gradients.collect::<Vec<_>>(), trainer.blocks)
    };
    let ((plain, none), (multiplied, blocks)) = (first(Optimizer::Sgd), first(Optimizer::RepOpt));
    assert_eq!((none.len(), blocks.len()), (0, 4));
    for (place, (plain, multiplied)) in plain.iter().zip(&multiplied).enumerate() {
        let of_block = blocks.iter().any(|block| block.weights == place);
        let scale = plain.iter().map(|g| g.abs()).fold(0.0, f32::max);
        for (at, (plain, multiplied)) in plain.iter().zip(multiplied).enumerate() {
            let times = if of_block && at % 9 == 4 { 2.0 } else { 1.0 };
            assert!((multiplied - times * plain).abs() <= 1e-5 * scale, "{place} {at}: {plain} {multiplied}");
        }
        assert!(!of_block || scale > 0.0);
    }
}

/// The blocks follow from the network: a run with RepOptimizer goes on as any other, from weights that began as branches.
#[test]
fn repopt_goes_on_and_refuses_other_networks() {
    const SIZE: usize = 64;
    let Some(set) = few_pictures(8, 3) else { return };
    let data = || Data { train: set.clone(), val: set.clone(), held_out: TrainingSet::default() };
    let folder =
        |name: &str| std::env::temp_dir().join(format!("calib-repopt-{name}-{}", std::process::id()));
    let plan = |model: &str, optimizer| Plan {
        data: PathBuf::new(),
        root: None,
        skip_bad: false,
        model: model.to_owned(),
        multiples: [Some(0.33), Some(0.25)],
        size: SIZE,
        epochs: 3,
        batch: 8,
        seed: 1,
        optimizer,
        rate: 1e-2,
        objectness: None,
        patience: 0,
        augment: Augment::default(),
        lesson: None,
        learn_scales: false,
    };
    let [whole, parts, other] = ["whole", "parts", "other"].map(folder);
    let end = |folder: &Path| std::fs::read(folder.join("last.safetensors")).unwrap();
    let mut run = Run::begin(plan("v5lite-g", Optimizer::RepOpt), data(), &whole, None).unwrap();
    (0..2).for_each(|_| drop(run.epoch(|_| (), || ()).unwrap()));
    let mut run = Run::begin(plan("v5lite-g", Optimizer::RepOpt), data(), &parts, None).unwrap();
    run.epoch(|_| (), || ()).unwrap();
    Run::resume(data(), &parts).unwrap().epoch(|_| (), || ()).unwrap();
    let same = end(&whole) == end(&parts);
    let refused = Run::begin(plan("v5lite-e", Optimizer::RepOpt), data(), &other, None).err();
    [whole, parts].iter().for_each(|folder| std::fs::remove_dir_all(folder).unwrap());
    assert!(!other.exists());
    assert!(same);
    assert!(refused.unwrap().to_string().contains("v5lite-e has none: take sgd"));
}

/// CPU time of a training step. Run it alone: `cargo test --release --features train -- --ignored step_time`.
#[test]
#[ignore = "measures time"]
fn step_time() {
    let Some(set) = few_pictures(8, 3) else { return };
    let (trainer, mut state) = trainer(set, 256, 20);
    let batch = trainer.loader.epoch(0).next().unwrap().unwrap();
    let cpu = || -> f64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks = |i: usize| stat.split_whitespace().nth(i).and_then(|n| n.parse::<f64>().ok());
        // User and system time, in hundredths of a second.
        (ticks(13).unwrap_or(0.0) + ticks(14).unwrap_or(0.0)) / 100.0
    };
    trainer.step(&mut state, &batch, 0).unwrap();
    let (start, wall) = (cpu(), std::time::Instant::now());
    let steps = 20;
    for _ in 0..steps {
        trainer.step(&mut state, &batch, 0).unwrap();
    }
    let each = 1e3 / (steps * batch.len()) as f64;
    println!(
        "{:.1} CPU-ms an image, {:.1} ms of time",
        (cpu() - start) * each,
        wall.elapsed().as_secs_f64() * each
    );
}

/// Numbers of each convolution of a graph, weights and biases.
fn constants(graph: &ocellus::graph::Graph) -> Vec<Vec<f32>> {
    let convolutions = graph.nodes.iter().filter(|node| matches!(node.op, ocellus::graph::Op::Conv { .. }));
    let operands = convolutions.flat_map(|node| node.inputs[1..].iter().filter_map(|&id| graph.constant(id)));
    operands.map(|tensor| tensor.to_f32()).collect()
}

#[test]
fn a_checkpoint_of_pytorch_is_trained_further() {
    let names = |count: usize| (0..count).map(|i| format!("class {i}")).collect::<Vec<_>>();
    for name in ["v5lite-e", "v5lite-c", "v5lite-g", "yolov5"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{name}.pt"));
        let source = source::Source::of(path.to_str().unwrap(), [None; 2], 2, 0);
        let (network, weights, _) = source.network(64, &names(2)).unwrap();
        let begun = super::export::graph(&network, &weights).unwrap();
        let theirs = crate::pytorch::Checkpoint::open(&path).unwrap().graph([64; 2]).unwrap();
        let (begun, theirs) = (constants(&begun), constants(&theirs));
        assert_eq!(begun.len(), theirs.len(), "{name}");
        for (a, b) in begun.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{name}: {a} {b}");
        }
        let (model, map) = (path.clone(), Vec::new());
        let lesson = Lesson { model, map, weight: 1.0, taps: None };
        // A file without names has classes of these.
        Teacher::open(&lesson, 64, &names(2), 1).unwrap();
        // Of other classes: only the heads are new.
        let (network, weights, _) = source.network(64, &names(3)).unwrap();
        let other = constants(&super::export::graph(&network, &weights).unwrap());
        let same = other.iter().zip(&begun).filter(|(a, b)| a == b).count();
        assert_eq!(same, begun.len() - 6, "{name}");
    }
}
