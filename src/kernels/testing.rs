//! What the tests of the kernels share: random cases, and the instruction sets to run them on.

use super::isa::Isa;
use super::{CodeRange, Filter, Plane, PlaneMut, Requant, Requantization, Window};
use crate::limits::CHANNEL_GROUP;
use proptest::prelude::*;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Once;

/// The instruction sets of this CPU; prints once which ones are tested and which ones are not.
pub(super) fn isas() -> Vec<Isa> {
    static PRINT: Once = Once::new();
    PRINT.call_once(|| {
        for isa in Isa::ALL {
            eprintln!(
                "{isa}: {}",
                if isa.is_available() { "exercised" } else { "SKIPPED, this CPU lacks it" }
            );
        }
    });
    Isa::available()
}

/// Codes in which the extremes are as frequent as everything else.
pub(super) fn code() -> impl Strategy<Value = i8> {
    prop_oneof![any::<i8>(), Just(i8::MIN), Just(i8::MAX), Just(-127)]
}

/// Multipliers: plausible, negative, and so large that every code saturates.
pub(super) fn multiplier() -> impl Strategy<Value = f32> {
    prop_oneof![8 => 1e-5..0.1f32, 1 => -0.01..0.01f32, 1 => Just(1e9f32), 1 => Just(0.5f32)]
}

pub(super) fn range() -> impl Strategy<Value = CodeRange> {
    (code(), code(), code()).prop_map(|(zero_point, a, b)| CodeRange {
        zero_point,
        lo: a.min(b),
        hi: a.max(b),
    })
}

pub(super) fn table() -> impl Strategy<Value = Option<Box<[i8; 256]>>> {
    prop::option::of(prop::collection::vec(any::<i8>(), 256).prop_map(|t| t.try_into().unwrap()))
}

/// One extent of a window: input, output, kernel, stride, dilation, pad.
fn axis(kernel_max: usize) -> impl Strategy<Value = [usize; 6]> {
    (1..12usize, 1..=kernel_max, 1..4usize, 1..4usize).prop_flat_map(|(output, kernel, stride, dilation)| {
        let reach = (output - 1) * stride + (kernel - 1) * dilation + 1;
        // Padding on both sides may leave any part of the reach to the image, even none of some windows.
        (1..=reach + 2).prop_flat_map(move |input| {
            (0..=reach.saturating_sub(1)).prop_map(move |pad| [input, output, kernel, stride, dilation, pad])
        })
    })
}

/// Any window, with kernels up to `kernel_max`; half of them pointwise or without gaps, as networks have them.
pub(super) fn window(kernel_max: usize) -> impl Strategy<Value = Window> {
    let of = |rows: [usize; 6], columns: [usize; 6]| Window {
        input: [rows[0], columns[0]],
        output: [rows[1], columns[1]],
        kernel: [rows[2], columns[2]],
        stride: [rows[3], columns[3]],
        dilation: [rows[4], columns[4]],
        pad: [rows[5], columns[5]],
    };
    let any = (axis(kernel_max), axis(kernel_max)).prop_map(move |(rows, columns)| of(rows, columns));
    let pointwise =
        (1..9usize, 1..20usize).prop_map(move |(h, w)| of([h, h, 1, 1, 1, 0], [w, w, 1, 1, 1, 0]));
    let same = (1..9usize, 1..20usize)
        .prop_map(move |(h, w)| of([h, h.div_ceil(2), 3, 2, 1, 1], [w, w.div_ceil(2), 3, 2, 1, 1]));
    // Rows of several tiles, the last one seldom full.
    let wide = (1..4usize, 12..60usize, 2..5usize, 1..3usize, 0..3usize).prop_map(
        move |(height, width, kernel, stride, pad)| {
            let input = (width - 1) * stride + kernel;
            of([height, height, 1, 1, 1, 0], [input.saturating_sub(2 * pad), width, kernel, stride, 1, pad])
        },
    );
    prop_oneof![2 => any, 1 => pointwise, 1 => same, 1 => wide]
}

/// Deterministic bytes, extremes included: cheaper than a strategy where there are thousands.
pub(super) fn noise(seed: u64, len: usize) -> Vec<i8> {
    let mut state = seed | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state >> 60 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => (state >> 24) as i8,
        }
    };
    (0..len).map(next).collect()
}

/// An image with channels and pitch, all bytes random, none behind what a kernel may read.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) data: Vec<i8>,
    pub(super) pitch: usize,
}

impl Image {
    pub(super) fn new(seed: u64, pixels: usize, channels: usize, gap: usize) -> Self {
        let readable = channels.next_multiple_of(CHANNEL_GROUP);
        let pitch = channels + gap;
        Image { data: noise(seed, (pixels - 1) * pitch + readable), pitch }
    }

    pub(super) fn plane(&self) -> Plane<'_, i8> {
        Plane { data: &self.data, pitch: self.pitch }
    }
}

/// Where results go: rows of pixels with gaps between their channels, computed in two parts.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) rows: usize,
    /// Pixels per row.
    pub(super) width: usize,
    pub(super) channels: usize,
    /// Pitch beyond the channels.
    pub(super) gap: usize,
    /// Row at which the second part begins.
    pub(super) split: usize,
}

impl Target {
    /// Runs the reference at once and every instruction set in two parts; all elements must be equal, and
    /// the gaps, which belong to somebody else, untouched.
    pub(super) fn compare<T: Copy + PartialEq + Debug>(
        &self,
        (untouched, bits): (T, fn(&T) -> u32),
        reference: impl Fn(PlaneMut<'_, T>, Range<usize>),
        kernel: impl Fn(Isa, PlaneMut<'_, T>, Range<usize>),
    ) -> Result<(), TestCaseError> {
        let pitch = self.channels + self.gap;
        let len = (self.rows * self.width).saturating_sub(1) * pitch + self.channels;
        let mut expected = vec![untouched; len];
        reference(PlaneMut { data: &mut expected, pitch }, 0..self.rows);
        for isa in isas() {
            let mut out = vec![untouched; len];
            for part in [0..self.split, self.split..self.rows] {
                let start = (part.start * self.width * pitch).min(len);
                kernel(isa, PlaneMut { data: &mut out[start..], pitch }, part);
            }
            let differs = out.iter().zip(&expected).position(|(a, b)| bits(a) != bits(b));
            if let Some(i) = differs {
                let (got, want) = (out[i], expected[i]);
                let (pixel, channel) = (i / pitch, i % pitch);
                prop_assert!(false, "{isa}: pixel {pixel}, channel {channel}: {got:?}, reference {want:?}");
            }
        }
        Ok(())
    }

    pub(super) fn compare_codes(
        &self,
        reference: impl Fn(PlaneMut<'_, i8>, Range<usize>),
        kernel: impl Fn(Isa, PlaneMut<'_, i8>, Range<usize>),
    ) -> Result<(), TestCaseError> {
        self.compare((77, |&code| code as u32), reference, kernel)
    }

    pub(super) fn compare_reals(
        &self,
        reference: impl Fn(PlaneMut<'_, f32>, Range<usize>),
        kernel: impl Fn(Isa, PlaneMut<'_, f32>, Range<usize>),
    ) -> Result<(), TestCaseError> {
        self.compare((77.0, |real: &f32| real.to_bits()), reference, kernel)
    }
}

/// The output of a window, split somewhere.
pub(super) fn target(window: &Window, channels: usize, gap: usize, seed: u64) -> Target {
    let [rows, width] = window.output;
    Target { rows, width, channels, gap, split: seed as usize % (rows + 1) }
}

/// A convolution with an input, to be run by the reference and by a kernel.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) window: Window,
    pub(super) channels: [usize; 2],
    pub(super) zero_point: i8,
    pub(super) weights: Vec<i8>,
    pub(super) bias: Vec<i32>,
    pub(super) requant: Requant,
    pub(super) src: Image,
    pub(super) target: Target,
}

impl Case {
    pub(super) fn filter(&self) -> Filter<'_> {
        Filter {
            in_channels: self.channels[0],
            out_channels: self.channels[1],
            zero_point: self.zero_point,
            weights: &self.weights,
            bias: &self.bias,
        }
    }
}

/// Cases of dense or depthwise convolution.
pub(super) fn case(depthwise: bool) -> impl Strategy<Value = Case> {
    let channels = (1..=130usize, 1..=130usize)
        .prop_map(move |(inputs, outputs)| [inputs, if depthwise { inputs } else { outputs }]);
    let small = (1..=9usize, 1..=20usize)
        .prop_map(move |(inputs, outputs)| [inputs, if depthwise { inputs } else { outputs }]);
    let shape = (window(6), prop_oneof![channels, small], 0..9usize, 0..9usize, any::<u64>());
    let method = prop_oneof![3 => Just(Requantization::Float), 1 => Just(Requantization::Fixed)];
    let numbers = (code(), any::<bool>(), multiplier(), range(), table(), method);
    (shape, numbers).prop_map(move |((window, channels, src_gap, gap, seed), numbers)| {
        let (zero_point, extreme, multiplier, range, table, method) = numbers;
        let taps = window.kernel[0] * window.kernel[1];
        let weights = taps * channels[1] * if depthwise { 1 } else { channels[0] };
        let weights = noise(seed ^ 1, weights).into_iter().map(|w| match extreme {
            true => {
                if w < 0 {
                    -127
                } else {
                    127
                }
            }
            false => w.max(-127),
        });
        let wide = |b: i8| if extreme { i32::from(b) << 24 } else { i32::from(b) << 5 };
        let input = window.input[0] * window.input[1];
        Case {
            channels,
            zero_point,
            weights: weights.collect(),
            bias: noise(seed ^ 2, channels[1]).into_iter().map(wide).collect(),
            requant: Requant {
                method,
                multiplier: (0..channels[1]).map(|c| multiplier * (1.0 + c as f32 / 64.0)).collect(),
                zero_point: range.zero_point,
                lo: range.lo,
                hi: range.hi,
                table,
            },
            src: Image::new(seed ^ 3, input, channels[0], src_gap),
            target: target(&window, channels[1], gap, seed),
            window,
        }
    })
}
