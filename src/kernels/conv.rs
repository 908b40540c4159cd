//! Int8 convolution: weights packed once, then any rows of any image of the planned size.

use super::arch::{self, LookUp, Run};
use super::depthwise;
use super::isa::Isa;
use super::job::{Job, Output};
use super::lines::Lines;
use super::packed::{Matrix, Packed, widest};
use super::{Epilogue, Filter, Plane, PlaneMut, Requantization, Window};
use crate::limits::CHANNEL_GROUP;
use std::ops::Range;

/// Most tensors that a convolution collects its input channels from.
pub const RUNS_MAX: usize = 16;

/// A convolution, ready to run. Equals [`reference`](mod@super::reference) byte for byte.
#[derive(Debug)]
pub struct ConvI8 {
    window: Window,
    /// Bytes of a pixel that are read of each source.
    source_bytes: Vec<usize>,
    zero_point: i8,
    epilogue: Epilogue,
    packed: Packed,
    /// See [`Job`].
    lower: Option<Packed>,
    scratch_bytes: usize,
    name: &'static str,
    run: Run,
    look_up: LookUp,
}

impl ConvI8 {
    /// A dense convolution; packs the weights `[oc][kh][kw][ic]` for `isa`.
    ///
    /// Packing pads channels to whole vectors: it takes little more than one byte per weight of a common layer,
    /// and never more than 64 per weight and 128 per output channel.
    ///
    /// # Panics
    /// The lengths do not fit the shapes, a weight is −128, the code range is empty, or this CPU lacks `isa`.
    pub fn new(isa: Isa, window: Window, filter: &Filter<'_>, epilogue: Epilogue) -> Self {
        ConvI8::collecting(isa, window, filter, &[filter.in_channels], epilogue)
    }

    /// A dense convolution whose input channels lie in several tensors of equal size: the first `runs[0]` of
    /// them in the first source of a run, the next `runs[1]` in the second, and so on.
    ///
    /// # Panics
    /// As [`ConvI8::new`], or `runs` does not add up to the input channels, has more than [`RUNS_MAX`] entries,
    /// or a zero.
    pub fn collecting(
        isa: Isa,
        window: Window,
        filter: &Filter<'_>,
        runs: &[usize],
        epilogue: Epilogue,
    ) -> Self {
        let places = places(runs);
        let groups = window.kernel[1] * places.len() / CHANNEL_GROUP;
        let kernels = match epilogue.method() {
            Requantization::Float => arch::dense_kernels(isa, window.output[0] * window.output[1], groups),
            Requantization::Fixed => arch::fixed_kernels(),
        };
        let (inputs, taps) = (filter.in_channels, window.kernel[0] * window.kernel[1]);
        check(&window, filter, taps * inputs);
        assert!(runs.len() <= RUNS_MAX && !runs.contains(&0) && runs.iter().sum::<usize>() == inputs);
        let tile = kernels.tiles[widest(filter.out_channels, kernels.lanes, kernels.tiles.len()) - 1];
        let lines = Lines::new(&window, places.len(), tile.shape);
        // Where the weight at each place of a packed row is in a row of the filter.
        let from: Vec<Option<usize>> = (0..lines.packed_groups() * CHANNEL_GROUP)
            .map(|k| {
                let k = lines.tap_byte(k)?;
                Some(k / places.len() * inputs + places[k % places.len()]?)
            })
            .collect();
        let rows = filter.weights.chunks_exact(taps * inputs).collect::<Vec<_>>();
        let matrix = Matrix {
            groups: lines.packed_groups(),
            weight: |channel: usize, k: usize| from[k].map_or(0, |at| rows[channel][at]),
            bias: filter.bias,
            multiplier: epilogue.multiplier(filter.out_channels),
            zero_point: i32::from(filter.zero_point) + i32::from(kernels.dense.flip),
        };
        let packed = Packed::new((kernels.lanes, kernels.dense.halves), kernels.tiles.len(), &matrix);
        ConvI8 {
            window,
            source_bytes: runs.iter().map(|run| run.next_multiple_of(CHANNEL_GROUP)).collect(),
            zero_point: filter.zero_point,
            epilogue,
            scratch_bytes: lines.scratch_bytes(),
            packed,
            lower: None,
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
        let kernels = match epilogue.method() {
            Requantization::Float => arch::kernels(isa),
            Requantization::Fixed => arch::fixed_kernels(),
        };
        let ([rows, columns], channels) = (window.kernel, filter.out_channels);
        check(&window, filter, rows * columns);
        assert_eq!(filter.in_channels, channels);
        let row_groups = depthwise::row_groups(&window);
        let packed = |down: usize| {
            let weight = |channel: usize, k: usize| {
                let column = k / (row_groups * CHANNEL_GROUP);
                let row = (k % (row_groups * CHANNEL_GROUP)).wrapping_sub(down);
                if row < rows { filter.weights[(row * columns + column) * channels + channel] } else { 0 }
            };
            let matrix = Matrix {
                groups: columns * row_groups,
                weight,
                bias: filter.bias,
                multiplier: epilogue.multiplier(channels),
                zero_point: i32::from(filter.zero_point) + i32::from(kernels.depthwise_feed.flip),
            };
            Packed::new((kernels.lanes, kernels.depthwise_feed.halves), kernels.tiles.len(), &matrix)
        };
        let lower = depthwise::shares_rows(&window).then(|| packed(1));
        let packed = packed(0);
        let layout = depthwise::Layout::new(&window, channels, packed.multiplier.len());
        ConvI8 {
            window,
            source_bytes: vec![channels.next_multiple_of(CHANNEL_GROUP)],
            zero_point: filter.zero_point,
            epilogue,
            packed,
            lower,
            scratch_bytes: layout.scratch_bytes(),
            name: kernels.depthwise_name,
            run: kernels.depthwise,
            look_up: kernels.look_up,
        }
    }

    /// Number of tensors that the input channels lie in.
    pub fn sources(&self) -> usize {
        self.source_bytes.len()
    }

    /// Name of the kernel: instruction set, method, output pixels × output channels at once.
    pub fn kernel(&self) -> &'static str {
        self.name
    }

    /// Memory of the packed weights and the parameters of the output channels.
    pub fn weights_bytes(&self) -> usize {
        self.packed.bytes() + self.lower.as_ref().map_or(0, Packed::bytes)
    }

    /// Scratch memory that a run needs; its contents before and after mean nothing.
    pub fn scratch_bytes(&self) -> usize {
        self.scratch_bytes
    }

    /// Computes the codes of the output rows `rows`; `dst` starts at the first of them.
    /// `src` has [`ConvI8::sources`] images.
    ///
    /// # Panics
    /// The epilogue gives real numbers, or a slice is too short.
    pub fn run_codes(
        &self,
        src: &[Plane<'_, i8>],
        dst: PlaneMut<'_, i8>,
        rows: Range<usize>,
        scratch: &mut [u8],
    ) {
        let Epilogue::Codes(requant) = &self.epilogue else { panic!("this convolution gives real numbers") };
        let table = requant.table.as_deref().map(|table| (self.look_up, table));
        self.run(self.zero_point, src, Output::Codes { dst, range: requant.range(), table }, rows, scratch);
    }

    /// Computes the real numbers of the output rows `rows`; `dst` starts at the first of them.
    /// `src` has [`ConvI8::sources`] images.
    ///
    /// # Panics
    /// The epilogue gives codes, or a slice is too short.
    pub fn run_reals(
        &self,
        src: &[Plane<'_, i8>],
        dst: PlaneMut<'_, f32>,
        rows: Range<usize>,
        scratch: &mut [u8],
    ) {
        assert!(matches!(self.epilogue, Epilogue::Reals(_)), "this convolution gives codes");
        self.run(self.zero_point, src, Output::Reals(dst), rows, scratch);
    }

    /// As [`ConvI8::run_reals`] of one source, with padding cells of code `padding`.
    pub(super) fn run_reals_padded(
        &self,
        padding: i8,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, f32>,
        rows: Range<usize>,
        scratch: &mut [u8],
    ) {
        assert!(matches!(self.epilogue, Epilogue::Reals(_)), "this convolution gives codes");
        self.run(padding, &[src], Output::Reals(dst), rows, scratch);
    }

    /// Number of pixels in some output rows.
    pub(super) fn pixels(&self, rows: &Range<usize>) -> usize {
        rows.len() * self.window.output[1]
    }

    fn run(
        &self,
        padding: i8,
        src: &[Plane<'_, i8>],
        output: Output<'_>,
        rows: Range<usize>,
        scratch: &mut [u8],
    ) {
        assert_eq!(src.len(), self.source_bytes.len());
        let mut job = Job {
            window: &self.window,
            packed: &self.packed,
            lower: self.lower.as_ref(),
            src,
            source_bytes: &self.source_bytes,
            zero_point: padding,
            rows,
            output,
            scratch,
        };
        // SAFETY: `arch::kernels` gave `self.run` only because the CPU has its instruction set.
        unsafe { (self.run)(&mut job) };
    }
}

/// The input channel at each byte of a tap; `None` fills a source's last group.
fn places(runs: &[usize]) -> Vec<Option<usize>> {
    let mut places = Vec::new();
    let mut first = 0;
    for &run in runs {
        places.extend((first..first + run).map(Some));
        places.resize(places.len().next_multiple_of(CHANNEL_GROUP), None);
        first += run;
    }
    places
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
    use super::super::{
        CodeRange, Epilogue, Filter, Plane, PlaneMut, Requant, Requantization, Window, reference,
    };
    use super::{ConvI8, RUNS_MAX};
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
                conv.run_codes(&[src], dst, rows, &mut vec![0xa5; conv.scratch_bytes()]);
            },
        )?;
        case.target.compare_reals(
            |dst, rows| match depthwise {
                false => reference::conv_reals((window, filter, multiplier), src, dst, rows),
                true => reference::depthwise_reals((window, filter, multiplier), src, dst, rows),
            },
            |isa, dst, rows| {
                let conv = conv(isa, Epilogue::Reals(multiplier.clone()));
                conv.run_reals(&[src], dst, rows, &mut vec![0xa5; conv.scratch_bytes()]);
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

    /// The channels of `src` in tensors of their own, cut after every channel whose bit in `cuts` is set.
    fn scattered(
        src: Plane<'_, i8>,
        pixels: usize,
        channels: usize,
        cuts: u64,
    ) -> Vec<(usize, Vec<i8>, usize)> {
        let mut ends: Vec<usize> =
            (1..channels).filter(|c| cuts >> (c % 64) & 1 == 1).take(RUNS_MAX - 1).collect();
        ends.push(channels);
        let mut first = 0;
        let mut tensor = |end: usize| {
            let (count, pitch) = (end - first, (end - first).next_multiple_of(4) + end % 3);
            let mut data = vec![-77; pixels * pitch];
            for pixel in 0..pixels {
                data[pixel * pitch..][..count]
                    .copy_from_slice(&src.data[pixel * src.pitch + first..][..count]);
            }
            first = end;
            (count, data, pitch)
        };
        ends.into_iter().map(&mut tensor).collect()
    }

    proptest! {
        #[test]
        fn collected_channels_equal_joint_ones((case, cuts) in (case(false), any::<u64>())) {
            let (window, filter, src) = (&case.window, &case.filter(), case.src.plane());
            let parts = scattered(src, window.input[0] * window.input[1], filter.in_channels, cuts & cuts >> 7);
            let runs: Vec<usize> = parts.iter().map(|part| part.0).collect();
            let planes: Vec<Plane<'_, i8>> =
                parts.iter().map(|(_, data, pitch)| Plane { data, pitch: *pitch }).collect();
            case.target.compare_codes(
                |dst, rows| reference::conv_codes((window, filter, &case.requant), src, dst, rows),
                |isa, dst, rows| {
                    let epilogue = Epilogue::Codes(case.requant.clone());
                    let conv = ConvI8::collecting(isa, window.clone(), filter, &runs, epilogue);
                    conv.run_codes(&planes, dst, rows, &mut vec![0xa5; conv.scratch_bytes()]);
                },
            )?;
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
                let method = Requantization::Float;
                let multipliers = vec![multiplier; channels];
                let requant = Requant { method, multiplier: multipliers, zero_point, lo, hi, table: None };
                let range = CodeRange { zero_point, lo, hi };
                let expected: Vec<i8> =
                    bias.iter().map(|&acc| reference::requantize(acc, multiplier, range)).collect();
                for isa in isas() {
                    let conv = ConvI8::new(isa, window.clone(), &filter, Epilogue::Codes(requant.clone()));
                    let mut out = vec![0; channels];
                    let dst = PlaneMut { data: &mut out, pitch: channels };
                    let src = Plane { data: &[0; 4], pitch: 4 };
                    conv.run_codes(&[src], dst, 0..1, &mut vec![0; conv.scratch_bytes()]);
                    assert_eq!(out, expected, "{isa}, multiplier {multiplier}, zero point {zero_point}");
                }
            }
        }
    }
}
