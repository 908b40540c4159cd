//! From a picture to the network's input: resize, padding and quantization in one pass.
//!
//! The results are tested against Pillow's and OpenCV's in `src/image`. Here a picture of the network's size must be
//! looked up pixel by pixel, and one of a single colour keep it.

use crate::operands::{Tensor, noise};
use criterion::{Criterion, Throughput};
use ocellus::image::{Frame, Interpolation, Letterbox, Preprocess};
use ocellus::kernels::isa::Isa;
use ocellus::tensor::Quant;

const NETWORK: usize = 320;

/// From a camera's picture, as Pillow and as OpenCV resize it.
pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("letterbox to {NETWORK}x{NETWORK}"));
    group.throughput(Throughput::Elements((3 * NETWORK * NETWORK) as u64));
    for (name, interpolation) in [("antialias", Interpolation::Antialias), ("linear", Interpolation::Linear)]
    {
        let preprocess = Preprocess { interpolation, ..Preprocess::default() };
        let grid = Quant::from_range(0.0, 1.0).expect("a range of numbers");
        let table = preprocess.code_table(grid);
        let fit = |frame: &Frame, isa: Isa| {
            let mut letterbox = Letterbox::new([frame.height, frame.width], [NETWORK; 2], &preprocess, isa)
                .expect("sizes within the limits");
            let mut result = Tensor::new(NETWORK * NETWORK, 3);
            letterbox.run(frame, &table, result.plane_mut()).expect("the frame has its size");
            (letterbox, result)
        };
        let same = picture(NETWORK, NETWORK, noise(1));
        let frame = picture(640, 480, noise(2));
        for isa in Isa::available() {
            let looked_up = same.rgb.iter().enumerate().map(|(i, &x)| table[i % 3][usize::from(x)]);
            let result = fit(&same, isa).1;
            assert!(
                looked_up.eq(colours(&result)),
                "{name}, {isa}: a picture of the same size has other codes"
            );
            let (mut letterbox, mut result) = fit(&picture(640, 480, || 77), isa);
            let middle = colours(&result).skip(3 * NETWORK * 40).take(3 * NETWORK * 240);
            assert!(
                middle.eq((0..3 * NETWORK * 240).map(|i| table[i % 3][77])),
                "{name}, {isa}: two colours"
            );
            group.bench_function(format!("640x480 {name} {isa}"), |b| {
                b.iter(|| letterbox.run(&frame, &table, result.plane_mut()));
            });
        }
    }
    group.finish();
}

fn picture(width: usize, height: usize, mut value: impl FnMut() -> i8) -> Frame {
    let rgb = (0..3 * width * height).map(|_| value() as u8).collect();
    Frame::new(width, height, rgb).expect("as many bytes as pixels")
}

/// The codes of all pixels, without the byte between them.
fn colours(pixels: &Tensor<i8>) -> impl Iterator<Item = i8> {
    pixels.as_slice().chunks(4).flat_map(|pixel| pixel[..3].to_vec())
}
