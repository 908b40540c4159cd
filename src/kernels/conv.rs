//! Dense int8 convolution: weights packed once, then any rows of any image of the planned size.

use super::arch::{self, Kernels, Tile};
use super::gemm::{Job, Matrix, Output, Packed};
use super::isa::Isa;
use super::{Epilogue, Filter, Plane, PlaneMut, Window};
use crate::limits::CHANNEL_GROUP;
use std::ops::Range;

/// A dense convolution, ready to run. Equals [`reference::conv_codes`](super::reference::conv_codes) and
/// [`reference::conv_reals`](super::reference::conv_reals) byte for byte.
#[derive(Debug)]
pub struct ConvI8 {
    window: Window,
    in_channels: usize,
    zero_point: i8,
    epilogue: Epilogue,
    kernels: Kernels,
    tile: Tile,
    packed: Packed,
}

impl ConvI8 {
    /// Packs the weights `[oc][kh][kw][ic]` for `isa`.
    ///
    /// # Panics
    /// The lengths do not fit the shapes, a weight is −128, the code range is empty, or this CPU lacks `isa`.
    pub fn new(isa: Isa, window: Window, filter: &Filter<'_>, epilogue: Epilogue) -> Self {
        let kernels = arch::kernels(isa);
        let (inputs, outputs) = (filter.in_channels, filter.out_channels);
        let taps = window.kernel[0] * window.kernel[1];
        assert!(inputs > 0 && outputs > 0 && taps > 0);
        assert_eq!(filter.weights.len(), outputs * taps * inputs);
        assert!(!filter.weights.contains(&i8::MIN), "weights keep to -127..=127");
        let groups = inputs.div_ceil(CHANNEL_GROUP);
        let weight = |channel: usize, k: usize| {
            let (tap, input) = (k / (groups * CHANNEL_GROUP), k % (groups * CHANNEL_GROUP));
            if input < inputs { filter.weights[(channel * taps + tap) * inputs + input] } else { 0 }
        };
        let matrix = Matrix {
            groups: taps * groups,
            weight,
            bias: filter.bias,
            multiplier: epilogue.multiplier(outputs),
            zero_point: i32::from(filter.zero_point) + i32::from(kernels.flip),
        };
        let packed = Packed::new(kernels.lanes, kernels.tiles.len(), &matrix);
        let tile = kernels.tiles[packed.widest() - 1];
        ConvI8 { window, in_channels: inputs, zero_point: filter.zero_point, epilogue, kernels, tile, packed }
    }

    /// Name of the kernel: instruction set, method, output pixels × output channels of a tile.
    pub fn kernel(&self) -> &'static str {
        self.tile.name
    }

    /// Memory of the packed weights and the parameters of the output channels.
    pub fn weights_bytes(&self) -> usize {
        self.packed.bytes()
    }

    /// Scratch memory that a run needs.
    pub fn scratch_bytes(&self) -> usize {
        self.tile.pixels * self.packed.row_bytes()
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
        let table = requant.table.as_deref().map(|table| (self.kernels.look_up, table));
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
            channel_groups: self.in_channels.div_ceil(CHANNEL_GROUP),
            zero_point: self.zero_point,
            rows,
            output,
            scratch,
        };
        // SAFETY: `self.kernels` exists only where the CPU has its instruction set.
        unsafe { (self.tile.conv)(&mut job) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, case, isas};
    use super::super::{Epilogue, Plane, PlaneMut, reference};
    use super::ConvI8;
    use proptest::prelude::*;

    /// Runs the two parts of the rows one after the other, each into its own part of `out`.
    fn split<T>(case: &Case, out: &mut [T], mut run: impl FnMut(PlaneMut<'_, T>, std::ops::Range<usize>)) {
        let rows = case.window.output[0];
        for part in [0..case.split, case.split..rows] {
            let start = (part.start * case.window.output[1] * case.pitch()).min(out.len());
            run(PlaneMut { data: &mut out[start..], pitch: case.pitch() }, part);
        }
    }

    fn check(case: &Case) -> Result<(), TestCaseError> {
        let src: Plane<'_, i8> = case.src.plane();
        let (window, filter, rows) = (&case.window, &case.filter(), 0..case.window.output[0]);
        // What lies between the channels of neighbouring pixels belongs to somebody else: 77 must stay.
        let mut codes = vec![77i8; case.output_len()];
        let mut reals = vec![77f32; case.output_len()];
        let (pitch, multiplier) = (case.pitch(), &case.requant.multiplier);
        let dst = PlaneMut { data: &mut codes, pitch };
        reference::conv_codes((window, filter, &case.requant), src, dst, rows.clone());
        reference::conv_reals((window, filter, multiplier), src, PlaneMut { data: &mut reals, pitch }, rows);
        for isa in isas() {
            let conv = ConvI8::new(isa, window.clone(), filter, Epilogue::Codes(case.requant.clone()));
            let mut scratch = vec![0xa5; conv.scratch_bytes()];
            let mut out = vec![77i8; case.output_len()];
            split(case, &mut out, |dst, rows| conv.run_codes(src, dst, rows, &mut scratch));
            prop_assert_eq!(&out, &codes, "{}", conv.kernel());
            let conv = ConvI8::new(isa, window.clone(), filter, Epilogue::Reals(multiplier.clone()));
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
        fn every_instruction_set_equals_the_reference(case in case(false)) {
            check(&case)?;
        }
    }
}
