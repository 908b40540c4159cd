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
        check(filter, taps * inputs);
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
        check(filter, rows * columns);
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
fn check(filter: &Filter<'_>, per_output: usize) {
    assert!(per_output > 0 && filter.out_channels > 0);
    assert_eq!(filter.weights.len(), filter.out_channels * per_output);
    assert_eq!(filter.bias.len(), filter.out_channels);
    assert!(!filter.weights.contains(&i8::MIN), "weights keep to -127..=127");
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, case, isas};
    use super::super::{Epilogue, Filter, Plane, PlaneMut, Requant, Window, reference};
    use super::ConvI8;
    use proptest::prelude::*;
    use std::ops::Range;

    type ReferenceCodes = fn((&Window, &Filter<'_>, &Requant), Plane<'_, i8>, PlaneMut<'_, i8>, Range<usize>);
    type ReferenceReals = fn((&Window, &Filter<'_>, &[f32]), Plane<'_, i8>, PlaneMut<'_, f32>, Range<usize>);

    /// Runs the two parts of the rows one after the other, each into its own part of `out`.
    fn split<T>(case: &Case, out: &mut [T], mut run: impl FnMut(PlaneMut<'_, T>, Range<usize>)) {
        let rows = case.window.output[0];
        for part in [0..case.split, case.split..rows] {
            let start = (part.start * case.window.output[1] * case.pitch()).min(out.len());
            run(PlaneMut { data: &mut out[start..], pitch: case.pitch() }, part);
        }
    }

    fn check(case: &Case, depthwise: bool) -> Result<(), TestCaseError> {
        let src: Plane<'_, i8> = case.src.plane();
        let (window, filter, rows) = (&case.window, &case.filter(), 0..case.window.output[0]);
        // What lies between the channels of neighbouring pixels belongs to somebody else: 77 must stay.
        let mut codes = vec![77i8; case.output_len()];
        let mut reals = vec![77f32; case.output_len()];
        let (pitch, multiplier) = (case.pitch(), &case.requant.multiplier);
        let dst = PlaneMut { data: &mut codes, pitch };
        let (to_codes, to_reals): (ReferenceCodes, ReferenceReals) = match depthwise {
            false => (reference::conv_codes, reference::conv_reals),
            true => (reference::depthwise_codes, reference::depthwise_reals),
        };
        to_codes((window, filter, &case.requant), src, dst, rows.clone());
        to_reals((window, filter, multiplier), src, PlaneMut { data: &mut reals, pitch }, rows);
        let new = if depthwise { ConvI8::depthwise } else { ConvI8::new };
        for isa in isas() {
            let conv = new(isa, window.clone(), filter, Epilogue::Codes(case.requant.clone()));
            let mut scratch = vec![0xa5; conv.scratch_bytes()];
            let mut out = vec![77i8; case.output_len()];
            split(case, &mut out, |dst, rows| conv.run_codes(src, dst, rows, &mut scratch));
            prop_assert_eq!(&out, &codes, "{}", conv.kernel());
            let conv = new(isa, window.clone(), filter, Epilogue::Reals(multiplier.clone()));
            let mut out = vec![77f32; case.output_len()];
            split(case, &mut out, |dst, rows| conv.run_reals(src, dst, rows, &mut scratch));
            prop_assert!(
                out.iter().map(|x| x.to_bits()).eq(reals.iter().map(|x| x.to_bits())),
                "{}",
                conv.kernel()
            );
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn dense_equals_the_reference_on_every_instruction_set(case in case(false)) {
            check(&case, false)?;
        }

        #[test]
        fn depthwise_equals_the_reference_on_every_instruction_set(case in case(true)) {
            check(&case, true)?;
        }
    }
}
