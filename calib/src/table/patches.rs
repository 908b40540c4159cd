//! What weighted layers read, position by position: a sample of it over many pictures.

use super::skip;
use crate::error::Result;
use crate::random::next_random;
use crate::runtime::activations::Observer;
use crate::runtime::network::{Network, weighted};
use crate::share::share;
use ocellus::graph::{Graph, Node, Op, ValueId, WindowAttrs};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most pictures that are worth sampling: more of them say little that is new.
pub const SAMPLED_MAX: usize = 256;
/// Most positions of a layer.
const ROWS_MAX: usize = 1024;
/// Most bytes of all layers together.
const BYTES_MAX: usize = 128 << 20;

/// A sample of a layer's input: one row per position of its window, the numbers under it as its weights lie,
/// `[I][kh][kw]`; cells outside the picture are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    /// Numbers of a row.
    pub width: usize,
    /// Rows, one after the other.
    pub numbers: Vec<f32>,
}

impl Patches {
    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.numbers.chunks_exact(self.width.max(1))
    }
}

/// A layer's place in the graph, its input, and its window.
struct Reader {
    at: usize,
    tensor: usize,
    /// Extents of the input, `[h, w, c]`.
    input: [usize; 3],
    /// Rows and columns of the output.
    output: [usize; 2],
    window: WindowAttrs,
}

/// Patches of every weighted layer, by the place of its node.
pub type Sample = BTreeMap<usize, Patches>;

/// What one thread has gathered of one layer: per picture, by its place, the rows of both samples.
type Gathered = Vec<(usize, [Vec<f32>; 2])>;

/// Two independent samples of what every weighted layer reads, from the float network over `pictures`, on
/// `threads` threads: one to choose by, one to correct by, as what fits one sample best is off on any other. The
/// same ones whatever the number of threads; pictures that cannot be read are left out.
///
/// # Errors
/// The runtime fails.
pub fn samples(
    network: &Network,
    pictures: &[PathBuf],
    threads: usize,
    progress: impl Fn() + Sync,
) -> Result<[Sample; 2]> {
    let graph = network.graph();
    let (readers, tensors) = readers(graph);
    let total: usize = readers.iter().map(Reader::width).sum();
    let rows = (BYTES_MAX / (8 * total.max(1))).clamp(1, ROWS_MAX);
    let each = rows.div_ceil(pictures.len().max(1));
    let make = || {
        let observer = Observer::new(graph, &network.preprocess, &tensors)?;
        Ok((observer, vec![Gathered::new(); readers.len()]))
    };
    let parts = share(pictures, threads, make, |(observer, found), at, picture| {
        let seen = observer.look(picture);
        progress();
        if let Err(error) = seen {
            return skip(error, picture).map(drop);
        }
        for (reader, found) in readers.iter().zip(found) {
            found.push((at, [0, 1].map(|sample| reader.rows(observer, (sample, at), each))));
        }
        Ok(())
    })?;
    let mut found = vec![Gathered::new(); readers.len()];
    for (_, part) in parts {
        found.iter_mut().zip(part).for_each(|(all, part)| all.extend(part));
    }
    let mut samples = [Sample::new(), Sample::new()];
    for (reader, mut parts) in readers.iter().zip(found) {
        parts.sort_by_key(|(at, _)| *at);
        for (i, sample) in samples.iter_mut().enumerate() {
            let numbers = parts.iter().flat_map(|(_, both)| &both[i]).copied().collect();
            sample.insert(reader.at, Patches { width: reader.width(), numbers });
        }
    }
    Ok(samples)
}

/// The weighted layers and the tensors that they read.
fn readers(graph: &Graph) -> (Vec<Reader>, Vec<ValueId>) {
    let (mut readers, mut tensors) = (Vec::new(), Vec::new());
    for layer in weighted(graph) {
        let input = layer.node.inputs[0];
        let tensor = tensors.iter().position(|&id| id == input).unwrap_or_else(|| {
            tensors.push(input);
            tensors.len() - 1
        });
        readers.push(Reader::new(graph, layer.node, layer.at, tensor));
    }
    (readers, tensors)
}

/// Extents `[h, w, c]` of what a layer sees as an image: rows of a matrix are pixels.
fn extents(graph: &Graph, id: ValueId) -> [usize; 3] {
    let shape = graph.shape(id);
    match shape.nchw() {
        Some([n, c, h, w]) => [n * h, w, c],
        None => {
            let c = shape.dims().last().copied().unwrap_or(1);
            [1, shape.elements() / c.max(1), c]
        }
    }
}

impl Reader {
    fn new(graph: &Graph, node: &Node, at: usize, tensor: usize) -> Self {
        let point = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
        let window = if let Op::Conv { window, .. } = &node.op { window.clone() } else { point };
        let [rows, columns, _] = extents(graph, node.output);
        let output = [rows, columns];
        Reader { at, tensor, input: extents(graph, node.inputs[0]), output, window }
    }

    fn width(&self) -> usize {
        self.input[2] * self.window.kernel[0] * self.window.kernel[1]
    }

    /// `count` rows of a picture, at positions that depend on sample, picture and layer alone.
    fn rows(&self, observer: &Observer, (sample, picture): (u64, usize), count: usize) -> Vec<f32> {
        let mut rows = Vec::with_capacity(count * self.width());
        let mut state = sample << 48 | (picture as u64) << 24 | self.at as u64;
        for _ in 0..count {
            let pixel = next_random(&mut state) as usize % (self.output[0] * self.output[1]).max(1);
            self.gather(observer, pixel, &mut rows);
        }
        rows
    }

    /// Appends the numbers under the window at output position `pixel`.
    fn gather(&self, observer: &Observer, pixel: usize, to: &mut Vec<f32>) {
        let ([height, width, channels], WindowAttrs { kernel, stride, dilation, pad }) =
            (self.input, &self.window);
        let at = [pixel / self.output[1].max(1), pixel % self.output[1].max(1)];
        let start = to.len();
        to.resize(start + self.width(), 0.0);
        let taps = kernel[0] * kernel[1];
        for tap in 0..taps {
            let cell = [tap / kernel[1], tap % kernel[1]];
            let source =
                |axis: usize| (at[axis] * stride[axis] + cell[axis] * dilation[axis]).checked_sub(pad[axis]);
            let (Some(y), Some(x)) = (source(0), source(1)) else { continue };
            if y < height && x < width {
                let numbers = observer.pixel(self.tensor, y * width + x);
                numbers[..channels].iter().enumerate().for_each(|(c, &n)| to[start + c * taps + tap] = n);
            }
        }
    }
}
