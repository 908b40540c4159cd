//! INT8 object detection on small CPUs: the whole network in int8, the same bytes on every machine.
//!
//! ```text
//!  LOAD   bytes ─loader─► Graph ─passes─► Graph + Grids ─plan─► Plan ─► Engine
//!  (once) trusts nothing  checked         simpler, one int8     steps, offsets, packed weights,
//!                                         grid per tensor       one kernel per step
//!  ────────────────────────────────────────────────────────────────────────────────────────────
//!  RUN    Frame ─image─► i8 ─engine.run─► heads ─detect─► Detections
//!  (each  letterbox +    one arena,       f32    decode, suppress,
//!  frame) quantize       no allocation           back to the picture
//! ```
//!
//! Knowledge flows one way. [`graph`] knows no file format; [`passes`] know no memory and no CPU; [`kernels`] know
//! neither graphs nor files; [`plan`] joins the two, and [`engine`] only walks over what it planned. [`image`] knows no
//! models, [`detect`] no engine. [`engines`] puts other runtimes behind the same preprocessing and decoding, and
//! [`Detector`] is all of it in one piece. Below all of them lie [`tensor`], [`error`] and [`limits`].
//!
//! # Int8 is exact
//!
//! Activations are `i8` codes with one scale and zero point per tensor, weights `i8` with one scale per output channel,
//! accumulators `i32`. There is one rounding rule: `i32 → f32`, one multiplication, round half to even, add the zero
//! point, clamp; any other function is a table of 256 codes. So [`kernels::reference`] is a specification, and every
//! kernel, on every instruction set, with any number of threads, gives the same bytes.
//!
//! # Example
//!
//! A network may come from a file ([`loader::load`]) or, as here, be made on the spot. Where its tensors have grids, it
//! runs in int8:
//!
//! ```
//! use ocellus::engine::{Engine, EngineOptions, Input};
//! use ocellus::graph::{Graph, Op, Unary, WindowAttrs};
//! use ocellus::tensor::{Data, Quant, Shape, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut graph = Graph::new();
//! let image = graph.push_input("image", Shape::new([1, 1, 2, 2])?)?;
//! let unit = Quant::from_range(0.0, 1.0).ok_or("an empty range")?;
//! let image = graph.push("grid", Op::FakeQuant(unit), vec![image], "pixels")?;
//! // One weight, 127 codes of 1/127.
//! let weights = Data::Q8 { codes: vec![127], scales: vec![1.0 / 127.0] };
//! let weights = Tensor::new(Shape::new([1, 1, 1, 1])?, weights).ok_or("another size")?;
//! let weights = graph.push_constant("weights", weights)?;
//! let window = WindowAttrs { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
//! let conv = Op::Conv { window, groups: 1, activation: Some(Unary::Relu) };
//! let result = graph.push("conv", conv, vec![image, weights], "result")?;
//! graph.outputs = vec![result];
//!
//! let mut engine = Engine::new(&graph, &EngineOptions::default())?;
//! assert_eq!(engine.plan().precision(), "int8");
//! let Input::Codes(pixels, quant) = engine.input() else { unreachable!("the input has a grid") };
//! pixels.data[..].fill(quant.quantize(0.5));
//! engine.run();
//! let result = engine.output(0);
//! assert!((result.plane.data[0] - 0.5).abs() < 1.0 / 255.0);
//! # Ok(())
//! # }
//! ```
//!
//! To find objects in a picture:
//!
//! ```no_run
//! use ocellus::{Detector, DetectorOptions, image};
//!
//! # fn main() -> ocellus::Result<()> {
//! let mut detector = Detector::open("model.onnx", &DetectorOptions::default())?;
//! let frame = image::decode("picture.jpg")?;
//! let (found, timing) = detector.detect(&frame)?;
//! for object in found {
//!     println!("class {} {:.2} {:?}", object.class_id, object.score, object.bbox);
//! }
//! println!("{:?}", timing.inference);
//! # Ok(())
//! # }
//! ```
pub mod bench;
pub mod detect;
mod detector;
pub mod engine;
pub mod engines;
pub mod error;
pub mod graph;
pub mod image;
pub mod kernels;
pub mod limits;
pub mod loader;
mod memory;
pub mod passes;
pub mod plan;
pub mod publish;
#[cfg(feature = "http")]
pub mod serve;
pub mod tensor;
pub mod threads;
pub mod watch;
pub mod zoo;

pub use detector::{Detector, DetectorOptions, Timing};
pub use error::{Error, Result};
