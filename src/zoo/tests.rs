use super::*;
use crate::engine::{Engine, EngineOptions, Input, Precision};

/// Parameters and multiply-accumulates (both in millions) of a network at an input size.
type Published = (&'static str, usize, f64, f64);

fn figures(name: &str, size: usize) -> (usize, u64) {
    let graph = find(name).unwrap().graph([size; 2]).unwrap();
    (parameters(&graph), macs(&graph))
}

/// How far a published figure may be from ours: they count BatchNorms before folding, biases or activations
/// in different ways, and are rounded.
const TOLERANCE: f64 = 0.07;

/// Figures of the networks' authors; FLOPs are halved where they count two for a multiply-accumulate.
/// YOLOv5-Lite, YOLOv5 6.0, NanoDet (its v0.3 README), Yolo-Fastest 1.1 and V2 (READMEs, BFLOPs), darknet's
/// yolov4-tiny; the papers of the classifiers, with SqueezeNet 1.1 and ResNets as torchvision lists them.
const PUBLISHED: [Published; 19] = [
    ("v5lite-e", 320, 0.78, 365.0),
    ("v5lite-s", 416, 1.64, 830.0),
    ("v5lite-c", 512, 4.57, 2960.0),
    ("v5lite-g", 640, 5.39, 7800.0),
    ("yolov5n", 640, 1.87, 2250.0),
    ("yolov5s", 640, 7.23, 8250.0),
    ("nanodet_m", 320, 0.95, 360.0),
    ("yolo-fastest-1.1", 320, 0.35, 126.0),
    ("yolo-fastestv2", 352, 0.25, 106.0),
    ("yolov4-tiny", 416, 6.06, 3450.0),
    ("squeezenet", 224, 1.24, 352.0),
    ("mobilenet", 224, 4.24, 569.0),
    ("mobilenet_v2", 224, 3.50, 300.0),
    ("shufflenet_v2", 224, 2.3, 146.0),
    ("mnasnet", 224, 4.38, 315.0),
    ("efficientnet_b0", 224, 5.29, 390.0),
    ("resnet18", 224, 11.69, 1814.0),
    ("resnet50", 224, 25.56, 3858.0),
    ("FastestDet", 352, 0.24, 121.0),
];

#[test]
fn sizes_are_the_published_ones() {
    for (name, size, parameters, macs) in PUBLISHED {
        let ours = figures(name, size);
        let close = |ours: f64, theirs: f64| (ours / 1e6 / theirs - 1.0).abs() <= TOLERANCE;
        assert!(close(ours.0 as f64, parameters), "{name}: {} parameters", ours.0);
        assert!(close(ours.1 as f64, macs), "{name}: {} multiply-accumulates", ours.1);
    }
}

/// Sums over the layers of benchncnn's own files: weights (parameter 6 or 2) and biases (0).
#[test]
fn parameters_are_those_of_the_files_of_benchncnn() {
    for (name, parameters) in [("FastestDet", 240_301), ("nanodet_m", 941_818), ("mobilenet_v3", 5_133_694)] {
        assert_eq!(figures(name, find(name).unwrap().size).0, parameters, "{name}");
    }
}

#[test]
fn every_network_has_a_name_and_outputs() {
    for network in &NETWORKS {
        assert!(std::ptr::eq(find(network.name).unwrap(), network));
        assert!(!network.graph([network.size; 2]).unwrap().outputs.is_empty(), "{}", network.name);
    }
    let odd = find("v5lite-s").unwrap().graph([200, 200]);
    assert!(odd.is_err(), "maps of odd sides do not meet their upsampled neighbours");
}

fn outputs(graph: &Graph, precision: Precision) -> (Vec<Vec<f32>>, &'static str) {
    let options = EngineOptions { precision, ..EngineOptions::default() };
    let mut engine = Engine::new(graph, &options).unwrap();
    let mut random = Random::new(7);
    match engine.input() {
        Input::Codes(plane, grid) => plane
            .data
            .chunks_mut(plane.pitch)
            .for_each(|pixel| pixel[..3].iter_mut().for_each(|code| *code = grid.quantize(random.unit()))),
        Input::Reals(plane) => plane.data.iter_mut().for_each(|x| *x = random.unit()),
    }
    engine.run();
    let all = (0..engine.outputs()).map(|i| engine.output(i).plane.data.to_vec()).collect();
    (all, engine.plan().precision())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Eight bits keep the direction of the outputs, on another picture than the one that gave the grids, also
/// through shuffles (yolo-fastestv2), gates (mobilenet_v3) and sums (yolo-fastest-1.1).
#[test]
fn int8_twins_are_close_to_their_floats() {
    for (name, size) in
        [("yolo-fastestv2", 96), ("yolo-fastest-1.1", 96), ("mobilenet_v3", 64), ("v5lite-e", 64)]
    {
        let graph = find(name).unwrap().graph([size; 2]).unwrap();
        let twin = quantized(&graph, 3).unwrap();
        let ((float, _), (int8, precision)) =
            (outputs(&graph, Precision::Fp32), outputs(&twin, Precision::Int8));
        assert_eq!(precision, "int8", "{name}");
        assert_eq!(float.len(), int8.len());
        for (a, b) in float.iter().zip(&int8) {
            let cosine = cosine(a, b);
            assert!(cosine > 0.9 && a != b, "{name}: {cosine}");
        }
    }
}
