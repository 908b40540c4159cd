//! Int8 convolution: weights packed once, then any rows of any image of the planned size.

use super::arch::{self, LookUp, Run};
use super::depthwise;
use super::isa::Isa;
use super::job::{Job, Output};
use super::packed::{Matrix, Packed};
use super::{Epilogue, Filter, Plane, PlaneMut, Window};
use crate::limits::CHANNEL_GROUP;
use std::ops::Range;

/// A convolution, ready to run. Equals [`reference`](super::reference) byte for byte.
#[derive(Debug)]
pub struct ConvI8 {
    window: Window,
    /// Groups of input channels.
    groups: usize,
    zero_point: i8,
    epilogue: Epilogue,
    packed: Packed,
    scratch_bytes: usize,
    name: &'static str,
    run: Run,
    look_up: LookUp,
}

impl ConvI8 {
    /// A dense convolution; packs the weights `[oc][kh][kw][ic]` for `isa`.
    ///
    /// # Panics
    /// The lengths do not fit the shapes, a weight is −128, the code range is empty, or this CPU lacks `isa`.
    pub fn new(isa: Isa, window: Window, filter: &Filter<'_>, epilogue: Epilogue) -> Self {
        let kernels = arch::kernels(isa);
        let (inputs, taps) = (filter.in_channels, window.kernel[0] * window.kernel[1]);
        check(&window, filter, taps * inputs);
        let groups = inputs.div_ceil(CHANNEL_GROUP);
        let weight = |channel: usize, k: usize| {
            let (tap, input) = (k / (groups * CHANNEL_GROUP), k % (groups * CHANNEL_GROUP));
            if input < inputs { filter.weights[(channel * taps + tap) * inputs + input] } else { 0 }
        };
        let matrix = Matrix {
            groups: taps * groups,
            weight,
            bias: filter.bias,
            multiplier: epilogue.multiplier(filter.out_channels),
            zero_point: i32::from(filter.zero_point) + i32::from(kernels.flip),
        };
        let packed = Packed::new(kernels.lanes, kernels.tiles.len(), &matrix);
        let tile = kernels.tiles[packed.widest() - 1];
        ConvI8 {
            window,
            groups,
            zero_point: filter.zero_point,
            epilogue,
            scratch_bytes: tile.pixels * packed.row_bytes(),
            packed,
            name: tile.name,
            run: tile.conv,
            look_up: kernels.look_up,
        }
    }

    /// A depthwise convolution; packs the weights `[kh][kw][c]` for `isa`.
    ///
    /// # Panics
    /// As [`ConvI8::new`], or the numbers of input and output channels differ.
    pub fn depthwise(isa: Isa, window: Window, filter: &Filter<'_>, epilogue: Epilogue) -> Self {
        let kernels = arch::kernels(isa);
        let ([rows, columns], channels) = (window.kernel, filter.out_channels);
        check(&window, filter, rows * columns);
        assert_eq!(filter.in_channels, channels);
        let row_groups = depthwise::row_groups(&window);
        let weight = |channel: usize, k: usize| {
            let column = k / (row_groups * CHANNEL_GROUP);
            let row = k % (row_groups * CHANNEL_GROUP);
            if row < rows { filter.weights[(row * columns + column) * channels + channel] } else { 0 }
        };
        let matrix = Matrix {
            groups: columns * row_groups,
            weight,
            bias: filter.bias,
            multiplier: epilogue.multiplier(channels),
            zero_point: i32::from(filter.zero_point) + i32::from(kernels.flip),
        };
        let packed = Packed::new(kernels.lanes, kernels.tiles.len(), &matrix);
        let layout = depthwise::Layout::new(&window, channels, packed.bias.len());
        ConvI8 {
            window,
            groups: channels.div_ceil(CHANNEL_GROUP),
            zero_point: filter.zero_point,
            epilogue,
            packed,
            scratch_bytes: layout.scratch_bytes(),
            name: kernels.depthwise_name,
            run: kernels.depthwise,
            look_up: kernels.look_up,
        }
    }

    /// Name of the kernel: instruction set, method, output pixels × output channels at once.
    pub fn kernel(&self) -> &'static str {
        self.name
    }

    /// Memory of the packed weights and the parameters of the output channels.
    pub fn weights_bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// Scratch memory that a run needs; its contents before and after mean nothing.
    pub fn scratch_bytes(&self) -> usize {
        self.scratch_bytes
    }

    /// Computes the codes of the output rows `rows`; `dst` starts at the first of them.
    ///
    /// # Panics
    /// The epilogue gives real numbers, or a slice is too short.
    pub fn run_codes(
        &self,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, i8>,
        rows: Range<usize>,
        scratch: &mut [u8],
    ) {
        let Epilogue::Codes(requant) = &self.epilogue else { panic!("this convolution gives real numbers") };
        let table = requant.table.as_deref().map(|table| (self.look_up, table));
        self.run(src, Output::Codes { dst, range: requant.range(), table }, rows, scratch);
    }

    /// Computes the real numbers of the output rows `rows`; `dst` starts at the first of them.
    ///
    /// # Panics
    /// The epilogue gives codes, or a slice is too short.
    pub fn run_reals(
        &self,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, f32>,
        rows: Range<usize>,
        scratch: &mut [u8],
    ) {
        assert!(matches!(self.epilogue, Epilogue::Reals(_)), "this convolution gives codes");
        self.run(src, Output::Reals(dst), rows, scratch);
    }

    fn run(&self, src: Plane<'_, i8>, output: Output<'_>, rows: Range<usize>, scratch: &mut [u8]) {
        let mut job = Job {
            window: &self.window,
            packed: &self.packed,
            src,
            groups: self.groups,
            zero_point: self.zero_point,
            rows,
            output,
            scratch,
        };
        // SAFETY: `arch::kernels` gave `self.run` only because the CPU has its instruction set.
        unsafe { (self.run)(&mut job) };
    }
}

/// Panics unless there are `per_output` weights per output channel, all of them in −127..=127.
fn check(window: &Window, filter: &Filter<'_>, per_output: usize) {
    let extents = [window.input, window.output, window.kernel, window.stride, window.dilation];
    assert!(extents.as_flattened().iter().all(|&extent| extent > 0), "{window:?}");
    assert!(per_output > 0 && filter.out_channels > 0);
    assert_eq!(filter.weights.len(), filter.out_channels * per_output);
    assert_eq!(filter.bias.len(), filter.out_channels);
    assert!(!filter.weights.contains(&i8::MIN), "weights keep to -127..=127");
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, case, isas};
    use super::super::{CodeRange, Epilogue, Filter, Plane, PlaneMut, Requant, Window, reference};
    use super::ConvI8;
    use proptest::prelude::*;

    fn check(case: &Case, depthwise: bool) -> Result<(), TestCaseError> {
        let (window, filter, src) = (&case.window, &case.filter(), case.src.plane());
        let (requant, multiplier) = (&case.requant, &case.requant.multiplier);
        let conv = |isa, epilogue| match depthwise {
            false => ConvI8::new(isa, window.clone(), filter, epilogue),
            true => ConvI8::depthwise(isa, window.clone(), filter, epilogue),
        };
        case.target.compare_codes(
            |dst, rows| match depthwise {
                false => reference::conv_codes((window, filter, requant), src, dst, rows),
                true => reference::depthwise_codes((window, filter, requant), src, dst, rows),
            },
            |isa, dst, rows| {
                let conv = conv(isa, Epilogue::Codes(requant.clone()));
                conv.run_codes(src, dst, rows, &mut vec![0xa5; conv.scratch_bytes()]);
            },
        )?;
        case.target.compare_reals(
            |dst, rows| match depthwise {
                false => reference::conv_reals((window, filter, multiplier), src, dst, rows),
                true => reference::depthwise_reals((window, filter, multiplier), src, dst, rows),
            },
            |isa, dst, rows| {
                let conv = conv(isa, Epilogue::Reals(multiplier.clone()));
                conv.run_reals(src, dst, rows, &mut vec![0xa5; conv.scratch_bytes()]);
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn dense_equals_the_reference(case in case(false)) {
            check(&case, false)?;
        }

        #[test]
        fn depthwise_equals_the_reference(case in case(true)) {
            check(&case, true)?;
        }
    }

    /// Every accumulator a layer can have, through the requantization of every instruction set: a pixel of
    /// zeros leaves the bias.
    #[test]
    fn extreme_accumulators_are_requantized_alike() {
        let mut bias: Vec<i32> = (0..31).flat_map(|bit| [1 << bit, -(1 << bit), (1 << bit) + 1]).collect();
        bias.extend([i32::MIN, i32::MIN + 1, i32::MAX, i32::MAX - 1, 0, 127, -128, 255, 256, -257]);
        let channels = bias.len();
        let filter = Filter {
            in_channels: 1,
            out_channels: channels,
            zero_point: 0,
            weights: &vec![0; channels],
            bias: &bias,
        };
        let one = [1, 1];
        let window = Window { input: one, output: one, kernel: one, stride: one, dilation: one, pad: [0, 0] };
        for multiplier in [1.0, 0.5, 1e-9, -0.5, 3e38, -3e38, f32::MIN_POSITIVE, 0.0] {
            for (zero_point, lo, hi) in [(0, -128, 127), (-128, -128, 127), (127, -128, 127), (-3, 5, 5)] {
                let requant =
                    Requant { multiplier: vec![multiplier; channels], zero_point, lo, hi, table: None };
                let range = CodeRange { zero_point, lo, hi };
                let expected: Vec<i8> =
                    bias.iter().map(|&acc| reference::requantize(acc, multiplier, range)).collect();
                for isa in isas() {
                    let conv = ConvI8::new(isa, window.clone(), &filter, Epilogue::Codes(requant.clone()));
                    let mut out = vec![0; channels];
                    let dst = PlaneMut { data: &mut out, pitch: channels };
                    let src = Plane { data: &[0; 4], pitch: 4 };
                    conv.run_codes(src, dst, 0..1, &mut vec![0; conv.scratch_bytes()]);
                    assert_eq!(out, expected, "{isa}, multiplier {multiplier}, zero point {zero_point}");
                }
            }
        }
    }
}
