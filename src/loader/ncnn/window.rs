//! Layers that slide a window or resize: Pooling and Interp; windows and padding of the convolutions.

use super::param::Layer;
use super::params::Params;
use super::translate::Translator;
use crate::error::{Error, Result};
use crate::graph::{Op, PoolKind, ResizeCoords, ResizeMode, WindowAttrs};
use crate::limits::{DIM_MAX, WINDOW_MAX};

/// ncnn's marker for "as much as there is" and for ONNX's SAME_UPPER padding.
pub(super) const ABSENT: i32 = -233;
/// ncnn's marker for ONNX's SAME_LOWER padding.
const SAME_LOWER: i32 = -234;

/// Padding as a file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// Top, left, bottom, right.
    Explicit([usize; 4]),
    /// Output = ⌈input / stride⌉, the odd cell at the end.
    Upper,
    /// The same, the odd cell at the start.
    Lower,
}

impl Padding {
    /// `ids` of top, left, bottom and right; right and top default to left, bottom to top.
    pub(super) fn read(p: &Params, ids: [usize; 4]) -> Result<Self> {
        let left = p.int(ids[1], 0)?;
        let right = p.int(ids[3], left)?;
        let top = p.int(ids[0], left)?;
        let bottom = p.int(ids[2], top)?;
        match [top, left, bottom, right] {
            [ABSENT, ABSENT, ABSENT, ABSENT] => Ok(Padding::Upper),
            [SAME_LOWER, SAME_LOWER, SAME_LOWER, SAME_LOWER] => Ok(Padding::Lower),
            pad => {
                let mut explicit = [0; 4];
                for (cells, given) in explicit.iter_mut().zip(pad) {
                    *cells = usize::try_from(given).ok().filter(|&n| n <= WINDOW_MAX).ok_or_else(|| {
                        Error::bad_model(format!("its padding {pad:?} is outside 0..={WINDOW_MAX}"))
                    })?;
                }
                Ok(Padding::Explicit(explicit))
            }
        }
    }
}

/// Kernel, stride and dilation by their `[rows, columns]` ids; rows default to columns. No padding yet.
pub(super) fn window(
    p: &Params,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: Option<[usize; 2]>,
) -> Result<WindowAttrs> {
    let pair = |ids: [usize; 2], default: usize| -> Result<[usize; 2]> {
        let columns = p.size(ids[1], default, 1..=WINDOW_MAX)?;
        Ok([p.size(ids[0], columns, 1..=WINDOW_MAX)?, columns])
    };
    let dilation = dilation.map_or(Ok([1, 1]), |ids| pair(ids, 1))?;
    Ok(WindowAttrs { kernel: pair(kernel, 0)?, stride: pair(stride, 1)?, dilation, pad: [0; 4] })
}

/// SAME padding of an input of `[rows, columns]`: top, left, bottom, right.
pub(super) fn same_padding(window: &WindowAttrs, input: [usize; 2], same: Padding) -> [usize; 4] {
    let mut pad = [0; 4];
    for axis in 0..2 {
        let reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
        let last_start = input[axis].saturating_sub(1) / window.stride[axis] * window.stride[axis];
        let cells = (reach + last_start).saturating_sub(input[axis]);
        let (less, more) = (cells / 2, cells - cells / 2);
        [pad[axis], pad[axis + 2]] = if same == Padding::Lower { [more, less] } else { [less, more] };
    }
    pad
}

/// Adds the cells at the bottom and right that complete the last window.
fn complete_last_window(window: &mut WindowAttrs, input: [usize; 2]) -> Result<()> {
    for axis in 0..2 {
        let padded = input[axis] + window.pad[axis] + window.pad[axis + 2];
        let beyond = padded.checked_sub(window.kernel[axis]).ok_or_else(|| {
            Error::bad_model(format!("its kernel {:?} exceeds the padded input {input:?}", window.kernel))
        })?;
        window.pad[axis + 2] += beyond.next_multiple_of(window.stride[axis]) - beyond;
    }
    Ok(())
}

impl<'a> Translator<'a> {
    pub(super) fn pooling(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let p = &layer.params;
        let kind = match p.int(0, 0)? {
            0 => PoolKind::Max,
            1 => PoolKind::Avg,
            other => return Err(Error::bad_model(format!("pooling type {other}"))),
        };
        let (global, mode) = (p.flag(4, false)?, p.int(5, 0)?);
        let (count_pad, adaptive) = (p.flag(6, false)?, p.flag(7, false)?);
        let out_columns = p.int(8, 0)?;
        let out_rows = p.int(18, out_columns)?;
        let padding = Padding::read(p, [13, 3, 15, 14])?;
        let [channels, height, width] = self.image(blob)?;
        if global {
            // The kernel, if there is one, has no meaning. The output is a vector.
            let ignored = [1, 2, 11, 12].map(|id| p.int(id, 0));
            ignored.into_iter().collect::<Result<Vec<_>>>()?;
            let pool = Op::AdaptivePool { kind, output: [1, 1] };
            let vector = Op::Reshape { shape: vec![1, channels] };
            return self.chain_to(layer, 0, blob.value, vec![pool.into(), vector.into()]);
        }
        if adaptive {
            let extent = |given: i32, input: usize| match given {
                ABSENT => Ok(input),
                n => usize::try_from(n)
                    .ok()
                    .filter(|n| (1..=input.max(WINDOW_MAX)).contains(n))
                    .ok_or_else(|| Error::bad_model(format!("its output size is {n}"))),
            };
            [1, 2, 11, 12].map(|id| p.int(id, 0)).into_iter().collect::<Result<Vec<_>>>()?;
            let output = [extent(out_rows, height)?, extent(out_columns, width)?];
            return self.chain_to(layer, 0, blob.value, vec![Op::AdaptivePool { kind, output }.into()]);
        }
        let mut window = window(p, [11, 1], [12, 2], None)?;
        let mut count_include_pad = count_pad;
        match (mode, padding) {
            (0, Padding::Explicit(pad)) => {
                window.pad = pad;
                complete_last_window(&mut window, [height, width])?;
            }
            (1, Padding::Explicit(pad)) => window.pad = pad,
            (2 | 3, Padding::Explicit(pad)) => {
                // ncnn leaves out of an average only the padding that the file gives, which is none here.
                let same = if mode == 2 { Padding::Upper } else { Padding::Lower };
                window.pad = same_padding(&window, [height, width], same);
                count_include_pad = true;
                if pad != [0; 4] {
                    return Err(Error::unsupported("explicit padding beside SAME padding is not supported"));
                }
            }
            _ => return Err(Error::bad_model(format!("pad mode {mode} with {padding:?} padding"))),
        }
        // In an average that counts padding, ncnn counts the cells of the last window as well: no tail.
        let op = Op::Pool { kind, window, count_include_pad, tail: [0, 0] };
        self.chain_to(layer, 0, blob.value, vec![op.into()])
    }

    pub(super) fn interp(&mut self, layer: &'a Layer) -> Result<()> {
        let p = &layer.params;
        p.refuse(9, "an output size given as an expression")?;
        let follows = p.flag(5, false)?;
        self.arity(layer, if follows { 2 } else { 1 }, 1)?;
        let blob = self.input(layer, 0);
        let mode = match p.int(0, 0)? {
            1 => ResizeMode::Nearest,
            2 => ResizeMode::Linear,
            3 => return Err(Error::unsupported("bicubic interpolation is not supported")),
            other => return Err(Error::bad_model(format!("interpolation type {other}"))),
        };
        let factors = [p.float(1, 1.0)?, p.float(2, 1.0)?];
        let mut given = [p.size(3, 0, 0..=DIM_MAX)?, p.size(4, 0, 0..=DIM_MAX)?];
        let align = p.flag(6, false)?;
        let [_, height, width] = self.image(blob)?;
        let input = [height, width];
        if follows {
            let [_, height, width] = self.image(self.input(layer, 1))?;
            given = [height, width];
        }
        let by_factor = given.contains(&0);
        if by_factor && !factors.iter().all(|&f| f > 0.0 && f <= WINDOW_MAX as f32) {
            return Err(Error::bad_model(format!("its scale factors are {factors:?}")));
        }
        // The product of file and input is cut to an integer, as ncnn does.
        let scaled = |axis: usize| (input[axis] as f32 * factors[axis]) as usize;
        let output = if by_factor { [scaled(0), scaled(1)] } else { given };
        if output == input {
            return self.chain_to(layer, 0, blob.value, Vec::new());
        }
        let ratio = |axis: usize| output[axis] as f32 / input[axis] as f32;
        let scale = if by_factor { factors } else { [ratio(0), ratio(1)] };
        let coords = match (mode, align) {
            (ResizeMode::Nearest, _) => ResizeCoords::Asymmetric,
            (ResizeMode::Linear, true) => ResizeCoords::AlignCorners,
            (ResizeMode::Linear, false) => ResizeCoords::HalfPixel,
        };
        self.chain_to(layer, 0, blob.value, vec![Op::Resize { output, scale, mode, coords }.into()])
    }
}
