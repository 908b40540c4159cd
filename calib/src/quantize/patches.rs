//! What weighted layers read, position by position: a sample of it over many pictures.

use crate::error::Result;
use crate::runtime::activations::Observer;
use crate::runtime::network::{Network, weighted};
use crate::share::share;
use crate::table::next_random;
use ocellus::graph::{Graph, Node, Op, ValueId, WindowAttrs};
use std::collections::BTreeMap;
use std::path::PathBuf;

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

/// Patches of every weighted layer, by place, from the float network over `pictures`, on `threads` threads. The
/// same ones whatever their number.
///
/// # Errors
/// A picture cannot be read, or the runtime fails.
pub fn patches(
    network: &Network,
    pictures: &[PathBuf],
    (threads, seed): (usize, u64),
    progress: impl Fn() + Sync,
) -> Result<BTreeMap<usize, Patches>> {
    let graph = network.graph();
    let (readers, tensors) = readers(graph);
    let total: usize = readers.iter().map(Reader::width).sum();
    let rows = (BYTES_MAX / (4 * total.max(1))).clamp(1, ROWS_MAX);
    let each = rows.div_ceil(pictures.len().max(1));
    let make = || {
        let observer = Observer::new(graph, &network.preprocess, &tensors)?;
        Ok((observer, vec![Vec::<(usize, Vec<f32>)>::new(); readers.len()]))
    };
    let parts = share(pictures, threads, make, |(observer, found), at, picture| {
        observer.look(picture)?;
        for (reader, found) in readers.iter().zip(found) {
            let mut numbers = Vec::with_capacity(each * reader.width());
            let mut state = seed << 48 | (at as u64) << 24 | reader.at as u64;
            for _ in 0..each {
                let pixel = next_random(&mut state) as usize % (reader.output[0] * reader.output[1]).max(1);
                reader.gather(observer, pixel, &mut numbers);
            }
            found.push((at, numbers));
        }
        progress();
        Ok(())
    })?;
    let mut found: Vec<Vec<(usize, Vec<f32>)>> = vec![Vec::new(); readers.len()];
    for (_, part) in parts {
        found.iter_mut().zip(part).for_each(|(all, part)| all.extend(part));
    }
    let whole = |(reader, mut parts): (&Reader, Vec<(usize, Vec<f32>)>)| {
        parts.sort_by_key(|(at, _)| *at);
        let numbers = parts.into_iter().flat_map(|(_, numbers)| numbers).collect();
        (reader.at, Patches { width: reader.width(), numbers })
    };
    Ok(readers.iter().zip(found).map(whole).collect())
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
