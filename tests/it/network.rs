//! A small int8 network with every kind of step that matters, made here: the tests of exactness need no file.

use ocellus::engine::Input;
use ocellus::graph::{Binary, Graph, Op, PoolKind, ResizeCoords, ResizeMode, Unary, ValueId, WindowAttrs};
use ocellus::tensor::{Data, Quant, Shape, Tensor};

/// Pseudo-random numbers (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }
}

struct Builder {
    graph: Graph,
    dice: Dice,
}

impl Builder {
    fn push(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        self.graph.push(name, op, inputs.to_vec(), format!("{name}.out")).unwrap()
    }

    fn channels(&self, x: ValueId) -> usize {
        self.graph.shape(x)[1]
    }

    /// States the grid of a tensor, as a QDQ file does.
    fn grid(&mut self, x: ValueId, lo: f32, hi: f32) -> ValueId {
        let name = format!("{}.grid", self.graph.value(x).name);
        self.push(&name, Op::FakeQuant(Quant::from_range(lo, hi).unwrap()), &[x])
    }

    /// A convolution with random int8 weights (standard deviation 73) whose results keep the operand's size,
    /// about, so that the grids below hold them.
    fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        out: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> ValueId {
        let depth = self.channels(x) / groups;
        let fan_in = (depth * kernel * kernel) as f32;
        let shape = Shape::new([out, depth, kernel, kernel]).unwrap();
        let codes: Vec<i8> =
            (0..shape.elements()).map(|_| (self.dice.roll(255) as i32 - 127) as i8).collect();
        let scales = (0..out).map(|i| (0.6 + 0.05 * (i % 5) as f32) / (73.0 * fan_in.sqrt())).collect();
        let weights = Tensor::new(shape, Data::Q8 { codes, scales }).unwrap();
        let bias: Vec<f32> = (0..out).map(|_| self.dice.roll(100) as f32 / 100.0 - 0.5).collect();
        let bias = Tensor::new(Shape::new([out]).unwrap(), Data::F32(bias)).unwrap();
        let weights = self.graph.push_constant(format!("{name}.weight"), weights).unwrap();
        let bias = self.graph.push_constant(format!("{name}.bias"), bias).unwrap();
        let op = Op::Conv { window: window(kernel, stride), groups, activation: None };
        self.push(name, op, &[x, weights, bias])
    }

    fn slice(&mut self, name: &str, x: ValueId, channels: std::ops::Range<usize>) -> ValueId {
        let mut count = self.graph.shape(x).dims().to_vec();
        count[1] = channels.len();
        self.push(name, Op::Slice { start: vec![0, channels.start, 0, 0], step: vec![1; 4], count }, &[x])
    }
}

fn window(kernel: usize, stride: usize) -> WindowAttrs {
    WindowAttrs {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad: [kernel / 2, kernel / 2, kernel / 2, kernel / 2],
    }
}

/// Dense, depthwise and pointwise convolutions, ReLU and SiLU, a ShuffleNet unit (slice, concat, shuffle),
/// maximum pooling, a sum, nearest-neighbour upsampling, and two float heads. Grids are those of a QDQ file;
/// channel counts are no multiples of a vector.
pub fn network() -> Graph {
    let mut b = Builder { graph: Graph::new(), dice: Dice(1) };
    let image = b.graph.push_input("images", Shape::new([1, 3, 48, 64]).unwrap()).unwrap();
    let image = b.grid(image, 0.0, 1.0);
    let stem = b.conv("stem", image, 18, 3, 2, 1);
    let stem = b.push("stem.relu", Op::Unary(Unary::Relu), &[stem]);
    let stem = b.grid(stem, 0.0, 2.5);
    let pool = Op::Pool { kind: PoolKind::Max, window: window(3, 2), count_include_pad: false, tail: [0, 0] };
    let pooled = b.push("pool", pool, &[stem]);
    let depthwise = b.conv("depthwise", pooled, 18, 3, 1, 18);
    let depthwise = b.grid(depthwise, -2.5, 2.5);
    let pointwise = b.conv("pointwise", depthwise, 42, 1, 1, 1);
    let pointwise = b.push("pointwise.silu", Op::Unary(Unary::Silu), &[pointwise]);
    let pointwise = b.grid(pointwise, -0.2785, 2.5);

    let left = b.slice("left", pointwise, 0..21);
    let right = b.slice("right", pointwise, 21..42);
    let right = b.conv("branch", right, 21, 1, 1, 1);
    let right = b.push("branch.relu", Op::Unary(Unary::Relu), &[right]);
    let right = b.grid(right, 0.0, 2.0);
    let joined = b.push("concat", Op::Concat { axis: 1 }, &[left, right]);
    let joined = b.grid(joined, -0.2785, 2.5);
    let shuffle = (0..42).map(|i| (i % 2) * 21 + i / 2).collect();
    let shuffled = b.push("shuffle", Op::Gather { axis: 1, indices: shuffle }, &[joined]);

    let deep = b.conv("deep", shuffled, 42, 3, 1, 1);
    let deep = b.grid(deep, -2.5, 2.5);
    let sum = b.push("sum", Op::Binary { kind: Binary::Add, activation: None }, &[deep, shuffled]);
    let sum = b.grid(sum, -2.8, 4.0);
    let up = Op::Resize {
        output: [24, 32],
        scale: [2.0, 2.0],
        mode: ResizeMode::Nearest,
        coords: ResizeCoords::Asymmetric,
    };
    let up = b.push("up", up, &[sum]);
    let merged = b.push("merge", Op::Concat { axis: 1 }, &[up, stem]);
    let merged = b.grid(merged, -2.8, 4.0);
    let fine = b.conv("head.fine", merged, 21, 1, 1, 1);
    let coarse = b.conv("head.coarse", sum, 21, 1, 1, 1);
    b.graph.outputs = vec![fine, coarse];
    b.graph
}

/// Fills the input of `[height, width]` with noise, image `number` of endlessly many: the same real numbers in
/// either element type.
pub fn fill_input(input: Input<'_>, [height, width]: [usize; 2], number: u64) {
    let mut dice = Dice(2 + number);
    let mut noise: Vec<f32> = Vec::with_capacity(height * width * 3);
    noise.resize_with(height * width * 3, || dice.roll(256) as f32 / 255.0);
    match input {
        Input::Codes(plane, quant) => {
            for (pixel, reals) in plane.data.chunks_mut(plane.pitch).zip(noise.chunks(3)) {
                pixel.iter_mut().zip(reals).for_each(|(code, &real)| *code = quant.quantize(real));
            }
        }
        Input::Reals(plane) => {
            for (pixel, reals) in plane.data.chunks_mut(plane.pitch).zip(noise.chunks(3)) {
                pixel.iter_mut().zip(reals).for_each(|(value, &real)| *value = real);
            }
        }
    }
}
