//! Pooling and Interp, and how windows are spelled.

use super::layer::{Params, Step, unsupported};
use super::writer::Writer;
use crate::error::Result;
use ocellus::graph::{Node, Op, PoolKind, ResizeCoords, ResizeMode, WindowAttrs};

/// Pooling's pad modes: windows up to the end, the last one completed; and only whole windows.
const FULL: usize = 0;
const VALID: usize = 1;

/// Adds kernel, stride and padding by their ids, leaving out what ncnn assumes. Rows follow columns, right and
/// top follow left, bottom follows top.
pub(super) fn window_params(
    params: Params,
    window: &WindowAttrs,
    [kernel, stride]: [[usize; 2]; 2],
    pad: [usize; 4],
) -> Params {
    let [rows, columns] = window.kernel;
    let [down, right] = window.stride;
    let params = params.int(kernel[1], columns).int_unless(kernel[0], rows, columns);
    let params = params.int_unless(stride[1], right, 1).int_unless(stride[0], down, right);
    padding(params, window.pad, pad)
}

/// Adds the padding `[top, left, bottom, right]` by its ids.
fn padding(params: Params, cells: [usize; 4], ids: [usize; 4]) -> Params {
    let [top, left, bottom, right] = cells;
    let params = params.int_unless(ids[1], left, 0).int_unless(ids[3], right, left);
    params.int_unless(ids[0], top, left).int_unless(ids[2], bottom, top)
}

/// Adds the dilation, columns with id 2 and rows with 12.
pub(super) fn dilation(params: Params, window: &WindowAttrs) -> Params {
    let [down, right] = window.dilation;
    params.int_unless(2, right, 1).int_unless(12, down, right)
}

/// Cells at the bottom and right that complete the last window behind the padding `pad`.
fn completing(window: &WindowAttrs, pad: [usize; 4], input: [usize; 2]) -> Option<[usize; 2]> {
    let mut cells = [0; 2];
    for axis in 0..2 {
        let padded = input[axis] + pad[axis] + pad[axis + 2];
        let beyond = padded.checked_sub(window.kernel[axis])?;
        cells[axis] = beyond.next_multiple_of(window.stride[axis]) - beyond;
    }
    Some(cells)
}

fn kind_number(kind: PoolKind) -> usize {
    match kind {
        PoolKind::Max => 0,
        PoolKind::Avg => 1,
    }
}

impl Writer<'_> {
    /// Pooling with its padding as it is, or, where the other size asks for another one, with the last window
    /// completed as ncnn does it.
    pub(super) fn pool(&mut self, at: usize, node: &Node) -> Result<()> {
        let (Op::Pool { kind, window, count_include_pad, tail }, Op::Pool { window: other, .. }) =
            (&node.op, &self.other.nodes[at].op)
        else {
            return self.depends_on_size();
        };
        self.image(node.inputs[0])?;
        if window.dilation != [1, 1] {
            return unsupported("it is a pooling with dilation");
        }
        // Cells of the tail never count; ncnn counts all padding or none.
        let own = [window.pad[0], window.pad[1], window.pad[2] - tail[0], window.pad[3] - tail[1]];
        let counts = *kind == PoolKind::Avg && *count_include_pad && own != [0; 4];
        if counts && *tail != [0, 0] {
            return unsupported("its average counts some of its padding");
        }
        let mut window = window.clone();
        let mut mode = VALID;
        if *tail != [0, 0] || window.pad != other.pad {
            let symmetric = [window.pad[0], window.pad[1], window.pad[0], window.pad[1]];
            match [own, symmetric].into_iter().find(|&pad| self.completes(at, node, pad)) {
                Some(pad) if !counts => (window.pad, mode) = (pad, FULL),
                _ if window.pad != other.pad => return self.depends_on_size(),
                _ => {}
            }
        }
        let params = Params::default().int_unless(0, kind_number(*kind), 0);
        let params = window_params(params, &window, [[11, 1], [12, 2]], [13, 3, 15, 14]);
        let params = params.int_unless(5, mode, FULL).int_unless(6, usize::from(counts), 0);
        self.chain_one(at, node, vec![Step::new("Pooling", params)])
    }

    /// Whether ncnn, given the padding `pad`, adds what the node has at both sizes.
    fn completes(&self, at: usize, node: &Node, pad: [usize; 4]) -> bool {
        [self.graph, self.other].iter().all(|graph| {
            let Op::Pool { window, .. } = &graph.nodes[at].op else { return false };
            let input = graph.shape(node.inputs[0]).nchw().map(|[_, _, h, w]| [h, w]);
            let cells = input.and_then(|input| completing(window, pad, input));
            cells.is_some_and(|[down, right]| window.pad == [pad[0], pad[1], pad[2] + down, pad[3] + right])
        })
    }

    /// Pooling to a fixed size. Where only a vector is read of one pixel, ncnn's global pooling makes that.
    pub(super) fn adaptive_pool(
        &mut self,
        at: usize,
        node: &Node,
        kind: PoolKind,
        [rows, columns]: [usize; 2],
    ) -> Result<()> {
        self.image(node.inputs[0])?;
        let params = Params::default().int_unless(0, kind_number(kind), 0);
        if let Some(vector) = self.flattened(node.output).map(|(_, vector)| vector.output) {
            let named = Node { output: vector, ..node.clone() };
            return self.chain_one(at, &named, vec![Step::new("Pooling", params.int(4, 1))]);
        }
        let params = params.int(7, 1).int(8, columns).int_unless(18, rows, columns);
        self.chain_one(at, node, vec![Step::new("Pooling", params)])
    }

    /// Interp by factor where that gives the size at hand and at the other input size, else by size.
    pub(super) fn resize(&mut self, at: usize, node: &Node) -> Result<()> {
        let (Op::Resize { output, scale, mode, coords }, Op::Resize { output: other, .. }) =
            (&node.op, &self.other.nodes[at].op)
        else {
            return self.depends_on_size();
        };
        let [_, height, width] = self.image(node.inputs[0])?;
        let whole = output[0] % height == 0 && output[1] % width == 0;
        let (number, align) = match (mode, coords) {
            (ResizeMode::Nearest, ResizeCoords::Asymmetric) => (1, 0),
            // Each pixel becomes a block of equal ones, whatever the coordinates' origin.
            (ResizeMode::Nearest, ResizeCoords::HalfPixel) if whole => (1, 0),
            (ResizeMode::Linear, ResizeCoords::HalfPixel) => (2, 0),
            (ResizeMode::Linear, ResizeCoords::AlignCorners) => (2, 1),
            _ => return unsupported(format!("it resizes {mode:?} with {coords:?} coordinates")),
        };
        let params = Params::default().int(0, number);
        let by_scale = [(self.graph, output), (self.other, other)].iter().all(|(graph, output)| {
            let Some([_, _, h, w]) = graph.shape(node.inputs[0]).nchw() else { return false };
            // ncnn cuts the product to an integer.
            [(h as f32 * scale[0]) as usize, (w as f32 * scale[1]) as usize] == **output
        });
        let params = match by_scale {
            true => params.float(1, scale[0]).float(2, scale[1]),
            false if output == other && self.fits_scale(node, *output, *scale) => {
                params.int(3, output[0]).int(4, output[1])
            }
            false if output == other => {
                return unsupported("it resizes by factors that do not give its size");
            }
            false => return self.depends_on_size(),
        };
        self.chain_one(at, node, vec![Step::new("Interp", params.int_unless(6, align, 0))])
    }

    /// Whether the factors are those that ncnn computes from the sizes.
    fn fits_scale(&self, node: &Node, output: [usize; 2], scale: [f32; 2]) -> bool {
        let Some([_, _, height, width]) = self.graph.shape(node.inputs[0]).nchw() else { return false };
        let ratios = [output[0] as f32 / height as f32, output[1] as f32 / width as f32];
        ratios.iter().zip(scale).all(|(ratio, scale)| (ratio - scale).abs() <= 1e-6 * ratio)
    }
}
