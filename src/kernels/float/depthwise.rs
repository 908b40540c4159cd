//! Depthwise convolution: every channel has a kernel of its own.

use super::lanes::{Kernels, Lanes};
use super::taps::taps_inside;
use crate::kernels::{Plane, PlaneMut, Window};
use std::ops::Range;

/// Most kernel rows of [`strip`].
const STRIP_ROWS: usize = 7;

/// Computes one output row; `dst` starts at it. Safe to call where the instruction set of its [`Kernels`] is
/// there.
pub(super) type Run = unsafe fn(&Depthwise, Plane<'_, f32>, PlaneMut<'_, f32>, usize);

/// A depthwise convolution with its weights, `[kernel row][kernel column][channel]`.
#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    window: Window,
    channels: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    clamp: Option<[f32; 2]>,
    run: Run,
}

impl Depthwise {
    /// `weights` are `[channel][kernel row][kernel column]`; `clamp` bounds the results.
    ///
    /// # Panics
    /// A slice has another length.
    pub fn new(
        kernels: Kernels,
        window: Window,
        weights: &[f32],
        bias: &[f32],
        clamp: Option<[f32; 2]>,
    ) -> Self {
        let taps = window.kernel[0] * window.kernel[1];
        let channels = bias.len();
        assert_eq!(weights.len(), taps * channels);
        let weights = (0..taps * channels).map(|i| weights[i % channels * taps + i / channels]).collect();
        Depthwise { window, channels, weights, bias: bias.to_vec(), clamp, run: kernels.depthwise }
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.weights) + size_of_val(&*self.bias)
    }

    /// Computes output row `row`; `dst` starts at its first pixel.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    pub fn run(&self, src: Plane<'_, f32>, dst: PlaneMut<'_, f32>, row: usize) {
        // SAFETY: `lanes::kernels` gave `run` only because the CPU has its instruction set.
        unsafe { (self.run)(self, src, dst, row) }
    }

    /// Output columns whose taps all lie in the image.
    fn inside(&self) -> Range<usize> {
        let w = &self.window;
        let reach = (w.kernel[1] - 1) * w.dilation[1] + 1;
        let end = match (w.input[1] + w.pad[1]).checked_sub(reach) {
            Some(last) => (last / w.stride[1] + 1).min(w.output[1]),
            None => 0,
        };
        w.pad[1].div_ceil(w.stride[1]).min(end)..end
    }
}

/// Some vectors of one row: what is the same for all its pixels.
struct Part<'a> {
    layer: &'a Depthwise,
    src: Plane<'a, f32>,
    /// Output row, and kernel rows that lie in the image.
    row: usize,
    kernel_rows: Range<usize>,
    /// First channel, and how many; at most one vector.
    channel: usize,
    count: usize,
}

/// The body of a [`Run`].
///
/// # Safety
/// The CPU has the instruction set of `lanes`.
#[inline(always)]
pub(super) unsafe fn convolve_row<L: Lanes>(
    lanes: L,
    layer: &Depthwise,
    src: Plane<'_, f32>,
    mut dst: PlaneMut<'_, f32>,
    row: usize,
) {
    let kernel_rows = taps_inside(&layer.window, 0, row);
    let count = L::COUNT.min(layer.channels);
    for channel in (0..layer.channels).step_by(L::COUNT) {
        // The last vector begins where it is whole; what two vectors compute is the same.
        let channel = channel.min(layer.channels - count);
        let part = Part { layer, src, row, kernel_rows: kernel_rows.clone(), channel, count };
        // SAFETY: the caller's; a whole vector has L::COUNT channels.
        unsafe {
            match count == L::COUNT {
                true => convolve_channels::<L, true>(lanes, &part, &mut dst),
                false => convolve_channels::<L, false>(lanes, &part, &mut dst),
            }
        }
    }
}

/// All pixels of a part.
///
/// # Safety
/// As [`convolve_row`]; the part has a vector of channels if it is `WHOLE`.
#[inline(always)]
unsafe fn convolve_channels<L: Lanes, const WHOLE: bool>(
    lanes: L,
    part: &Part<'_>,
    dst: &mut PlaneMut<'_, f32>,
) {
    let window = &part.layer.window;
    let inside = part.layer.inside();
    // SAFETY: the caller's; the pixels of a tile are inside.
    unsafe {
        for x in (0..inside.start).chain(inside.end..window.output[1]) {
            let columns = taps_inside(window, 1, x);
            pixel::<L, WHOLE>(lanes, part, dst, x, columns);
        }
        let [rows, columns] = window.kernel;
        let strips = rows <= STRIP_ROWS && window.dilation[1] == 1;
        match (columns, window.stride[1], inside.len()) {
            (3, 1, 8..) if strips => strip::<L, 3, 1, 8, WHOLE>(lanes, part, dst, inside),
            (3, 1, 4..) if strips => strip::<L, 3, 1, 4, WHOLE>(lanes, part, dst, inside),
            (3, 2, 4..) if strips => strip::<L, 3, 2, 4, WHOLE>(lanes, part, dst, inside),
            (5, 1, 4..) if strips => strip::<L, 5, 1, 4, WHOLE>(lanes, part, dst, inside),
            (5, 2, 4..) if strips => strip::<L, 5, 2, 4, WHOLE>(lanes, part, dst, inside),
            _ => inside.for_each(|x| pixel::<L, WHOLE>(lanes, part, dst, x, 0..columns)),
        }
    }
}

impl Part<'_> {
    /// The channels of `columns` input pixels: those under kernel row `ky`, from under kernel column `kx` of
    /// output pixel `x` on.
    #[inline(always)]
    fn pixels(&self, ky: usize, x: usize, kx: usize, columns: usize) -> &[f32] {
        let w = &self.layer.window;
        let y = self.row * w.stride[0] + ky * w.dilation[0] - w.pad[0];
        let x = x * w.stride[1] + kx * w.dilation[1] - w.pad[1];
        &self.src.data[(y * w.input[1] + x) * self.src.pitch + self.channel..]
            [..(columns - 1) * self.src.pitch + self.count]
    }

    /// The weights of `taps` taps, from one on.
    #[inline(always)]
    fn weights(&self, ky: usize, kx: usize, taps: usize) -> &[f32] {
        let first = (ky * self.layer.window.kernel[1] + kx) * self.layer.channels + self.channel;
        &self.layer.weights[first..][..(taps - 1) * self.layer.channels + self.count]
    }

    /// # Safety
    /// The CPU has the instruction set of `lanes`; `count` numbers at `from` are readable, and `count` is a
    /// whole vector if the part is `WHOLE`.
    #[inline(always)]
    unsafe fn load<L: Lanes, const WHOLE: bool>(&self, lanes: L, from: *const f32) -> L::Vector {
        // SAFETY: the caller's.
        unsafe { if WHOLE { lanes.load(from) } else { lanes.load_first(from, self.count) } }
    }
}

/// Output pixel `x`, of which the kernel columns `columns` lie in the image.
///
/// # Safety
/// As [`convolve_channels`].
#[inline(always)]
unsafe fn pixel<L: Lanes, const WHOLE: bool>(
    lanes: L,
    part: &Part<'_>,
    dst: &mut PlaneMut<'_, f32>,
    x: usize,
    columns: Range<usize>,
) {
    // SAFETY: every slice has `count` channels of each pixel and tap that is read.
    unsafe {
        let mut sum = part.load::<L, WHOLE>(lanes, part.layer.bias[part.channel..][..part.count].as_ptr());
        for ky in part.kernel_rows.clone() {
            for kx in columns.clone() {
                let weight = part.load::<L, WHOLE>(lanes, part.weights(ky, kx, 1).as_ptr());
                let input = part.load::<L, WHOLE>(lanes, part.pixels(ky, x, kx, 1).as_ptr());
                sum = lanes.mul_add(input, weight, sum);
            }
        }
        store(lanes, part, dst, x, [sum]);
    }
}

/// A loop over the columns below `$count`, unrolled: with a number for the column, conditions on it are constant, and
/// sums and taps stay in registers.
macro_rules! for_columns {
    ($($number:literal)+, $count:expr, |$column:ident| $body:block) => {
        const { assert!($count <= [$($number),+].len()) };
        $(if $number < $count { let $column = $number; $body })+
    };
}

/// The output pixels `inside`, at least `N` of them, `N` at a time: a column of the input is loaded once for all
/// pixels that see it.
///
/// # Safety
/// As [`convolve_channels`]; all taps of `inside` lie in the image, and the kernel has up to [`STRIP_ROWS`] rows and
/// `K` columns side by side.
#[inline(always)]
unsafe fn strip<L: Lanes, const K: usize, const STRIDE: usize, const N: usize, const WHOLE: bool>(
    lanes: L,
    part: &Part<'_>,
    dst: &mut PlaneMut<'_, f32>,
    inside: Range<usize>,
) {
    let pitch = part.src.pitch;
    let mut rows = [(std::ptr::null(), std::ptr::null()); STRIP_ROWS];
    for (row, ky) in rows.iter_mut().zip(part.kernel_rows.clone()) {
        let columns = (inside.len() - 1) * STRIDE + K;
        *row = (part.pixels(ky, inside.start, 0, columns).as_ptr(), part.weights(ky, 0, K).as_ptr());
    }
    let rows = &rows[..part.kernel_rows.len()];
    // SAFETY: the slices have `count` channels of each pixel and tap that is read.
    unsafe {
        let bias = part.load::<L, WHOLE>(lanes, part.layer.bias[part.channel..][..part.count].as_ptr());
        for x in inside.clone().step_by(N) {
            // The last pixels begin where they are N; what two groups compute is the same.
            let x = x.min(inside.end - N);
            let mut sums = [bias; N];
            for &(pixels, weights) in rows {
                let mut taps = [bias; K];
                for (kx, tap) in taps.iter_mut().enumerate() {
                    *tap = part.load::<L, WHOLE>(lanes, weights.add(kx * part.layer.channels));
                }
                let pixels = pixels.add((x - inside.start) * STRIDE * pitch);
                for_columns!(0 1 2 3 4 5 6 7 8 9 10, (N - 1) * STRIDE + K, |column| {
                    let pixel = part.load::<L, WHOLE>(lanes, pixels.add(column * pitch));
                    for i in 0..N {
                        if i * STRIDE <= column && column < i * STRIDE + K {
                            sums[i] = lanes.mul_add(pixel, taps[column - i * STRIDE], sums[i]);
                        }
                    }
                });
            }
            store(lanes, part, dst, x, sums);
        }
    }
}

/// Clamps and stores the sums of `N` pixels from `x` on.
///
/// # Safety
/// The CPU has the instruction set of `lanes`.
#[inline(always)]
unsafe fn store<L: Lanes, const N: usize>(
    lanes: L,
    part: &Part<'_>,
    dst: &mut PlaneMut<'_, f32>,
    x: usize,
    mut sums: [L::Vector; N],
) {
    if let Some([lo, hi]) = part.layer.clamp {
        let (lo, hi) = (lanes.splat(lo), lanes.splat(hi));
        // Not `for_each`: nothing makes the compiler inline a closure, and a call knows no wide vectors.
        for sum in &mut sums {
            *sum = lanes.clamp(*sum, lo, hi);
        }
    }
    for (i, sum) in sums.into_iter().enumerate() {
        let to = &mut dst.data[(x + i) * dst.pitch + part.channel..][..part.count];
        // SAFETY: the slice has `count` channels.
        unsafe { lanes.store_first(sum, to.as_mut_ptr(), part.count) };
    }
}
