//! shim
use crate::kernels::isa::Isa;
use crate::kernels::*;
use std::ops::Range;
pub(super) struct DepthwiseI8 {
    window: Window,
    in_channels: usize,
    zero_point: i8,
    weights: Vec<i8>,
    bias: Vec<i32>,
    epilogue: Epilogue,
}
impl DepthwiseI8 {
    pub fn new(_isa: Isa, window: Window, f: &Filter<'_>, epilogue: Epilogue) -> Self {
        DepthwiseI8 {
            window,
            in_channels: f.in_channels,
            zero_point: f.zero_point,
            weights: f.weights.to_vec(),
            bias: f.bias.to_vec(),
            epilogue,
        }
    }
    fn filter(&self) -> Filter<'_> {
        Filter {
            in_channels: self.in_channels,
            out_channels: self.in_channels,
            zero_point: self.zero_point,
            weights: &self.weights,
            bias: &self.bias,
        }
    }
    pub fn kernel(&self) -> &'static str {
        "reference"
    }
    pub fn weights_bytes(&self) -> usize {
        self.weights.len()
    }
    pub fn scratch_bytes(&self) -> usize {
        0
    }
    pub fn run_codes(&self, src: Plane<'_, i8>, dst: PlaneMut<'_, i8>, rows: Range<usize>, _: &mut [u8]) {
        let Epilogue::Codes(r) = &self.epilogue else { panic!() };
        reference::depthwise_codes((&self.window, &self.filter(), r), src, dst, rows)
    }
    pub fn run_reals(&self, src: Plane<'_, i8>, dst: PlaneMut<'_, f32>, rows: Range<usize>, _: &mut [u8]) {
        let Epilogue::Reals(r) = &self.epilogue else { panic!() };
        reference::depthwise_reals((&self.window, &self.filter(), r), src, dst, rows)
    }
}
pub(super) mod pool {
    use super::*;
    pub fn max_pool(_: Isa, w: &Window, c: usize, s: Plane<'_, i8>, d: PlaneMut<'_, i8>, r: Range<usize>) {
        reference::max_pool(w, c, s, d, r)
    }
    pub fn average_pool(
        _: Isa,
        w: (&Window, &Average),
        c: usize,
        s: Plane<'_, i8>,
        d: PlaneMut<'_, i8>,
        r: Range<usize>,
    ) {
        reference::average_pool(w, c, s, d, r)
    }
}
pub(super) mod elementwise {
    use super::*;
    use crate::tensor::Quant;
    pub fn add(_: Isa, a: &Add, c: usize, p: [Plane<'_, i8>; 2], d: PlaneMut<'_, i8>, r: Range<usize>) {
        reference::add(a, c, p, d, r)
    }
    pub fn mul(_: Isa, a: &Mul, c: usize, p: [Plane<'_, i8>; 2], d: PlaneMut<'_, i8>, r: Range<usize>) {
        reference::mul(a, c, p, d, r)
    }
    pub fn table(t: &[i8; 256], c: usize, p: Plane<'_, i8>, d: PlaneMut<'_, i8>, r: Range<usize>) {
        reference::table(t, c, p, d, r)
    }
    pub fn quantize(q: Quant, c: usize, p: Plane<'_, f32>, d: PlaneMut<'_, i8>, r: Range<usize>) {
        reference::quantize(q, c, p, d, r)
    }
    pub fn dequantize(q: Quant, c: usize, p: Plane<'_, i8>, d: PlaneMut<'_, f32>, r: Range<usize>) {
        reference::dequantize(q, c, p, d, r)
    }
}
