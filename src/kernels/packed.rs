//! Weights in the order of the kernels' reading.

use crate::limits::{ARENA_ALIGN, CHANNEL_GROUP};

/// Bytes that start at a cache line, so that no vector of weights straddles two.
#[derive(Debug)]
pub(crate) struct AlignedBytes {
    storage: Box<[u8]>,
    start: usize,
}

impl AlignedBytes {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let storage = vec![0; len + ARENA_ALIGN].into_boxed_slice();
        let start = storage.as_ptr().align_offset(ARENA_ALIGN).min(ARENA_ALIGN);
        AlignedBytes { storage, start }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..][..self.storage.len() - ARENA_ALIGN]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        let len = self.storage.len() - ARENA_ALIGN;
        &mut self.storage[self.start..][..len]
    }
}

/// Numbers that start at a cache line.
#[derive(Debug)]
pub(crate) struct AlignedBias(Vec<BiasLine>);

#[repr(align(64))]
#[derive(Clone, Debug)]
struct BiasLine([i32; 16]);

impl AlignedBias {
    fn zeroed(len: usize) -> Self {
        AlignedBias(vec![BiasLine([0; 16]); len.div_ceil(16)])
    }

    fn set(&mut self, at: usize, value: i32) {
        self.0[at / 16].0[at % 16] = value;
    }

    /// First of as many numbers as there are multipliers.
    pub(crate) fn as_ptr(&self) -> *const i32 {
        self.0.as_ptr().cast()
    }

    fn len(&self) -> usize {
        self.0.len() * 16
    }
}

/// Some output channels, as many vectors as the micro-kernel keeps in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    pub(crate) vectors: usize,
    /// First output channel.
    pub(crate) channel: usize,
}

/// Weights in the order in which the micro-kernel reads them, with the parameters of each output channel.
///
/// Panel by panel, group by group: `vectors · lanes` groups of four weights. Output channels are padded to
/// whole vectors, input channels to whole groups, with zeros.
#[derive(Debug)]
pub(crate) struct Packed {
    /// Groups of four weights of an output channel.
    pub(crate) groups: usize,
    /// Output channels.
    pub(crate) channels: usize,
    pub(crate) panels: Vec<Panel>,
    pub(crate) weights: AlignedBytes,
    pub(crate) bias: AlignedBias,
    pub(crate) multiplier: Vec<f32>,
    /// Whether every multiplier lies between −1 and 1.
    pub(crate) scales_down: bool,
}

/// A matrix to pack: `weight(channel, k)` for `k` below `4 · groups`.
pub(crate) struct Matrix<'a, W: Fn(usize, usize) -> i8> {
    pub(crate) groups: usize,
    pub(crate) weight: W,
    pub(crate) bias: &'a [i32],
    pub(crate) multiplier: &'a [f32],
    /// Value of zero in the activations as the dot product sees them: flipped where it wants that.
    pub(crate) zero_point: i32,
}

impl Packed {
    /// Packs for vectors of `lanes` groups, in [`halves`](super::dot::Dot::HALVES) or not; the zero point is folded into the bias.
    pub(crate) fn new<W: Fn(usize, usize) -> i8>(
        (lanes, halves): (usize, bool),
        widest: usize,
        matrix: &Matrix<'_, W>,
    ) -> Self {
        let (groups, channels) = (matrix.groups, matrix.bias.len());
        let vectors = channels.div_ceil(lanes);
        let mut packed = Packed {
            groups,
            channels,
            panels: panels(vectors, widest, lanes),
            weights: AlignedBytes::zeroed(vectors * lanes * groups * CHANNEL_GROUP),
            bias: AlignedBias::zeroed(vectors * lanes),
            multiplier: vec![0.0; vectors * lanes],
            scales_down: matrix.multiplier.iter().all(|m| m.abs() < 1.0),
        };
        packed.multiplier[..channels].copy_from_slice(matrix.multiplier);
        let weights = packed.weights.as_mut_slice();
        let mut row = vec![0; groups * CHANNEL_GROUP];
        for panel in &packed.panels {
            let rows = &mut weights[panel.channel * row.len()..];
            for lane in 0..(channels - panel.channel).min(panel.vectors * lanes) {
                let channel = panel.channel + lane;
                row.iter_mut().enumerate().for_each(|(k, cell)| *cell = (matrix.weight)(channel, k));
                let sum = row.iter().fold(0i32, |sum, &w| sum.wrapping_add(i32::from(w)));
                let zero = matrix.zero_point.wrapping_mul(sum);
                packed.bias.set(channel, matrix.bias[channel].wrapping_sub(zero));
                let (vector, lane) = (lane / lanes, lane % lanes);
                for (group, codes) in row.as_chunks::<CHANNEL_GROUP>().0.iter().enumerate() {
                    let at = (group * panel.vectors + vector) * lanes * CHANNEL_GROUP;
                    scatter(codes, &mut rows[at..][..lanes * CHANNEL_GROUP], lane, halves);
                }
            }
        }
        packed
    }

    /// Proves that every panel's weights and parameters are there, for vectors of `lanes`.
    pub(crate) fn check(&self, lanes: usize) {
        let padded = self.panels.iter().map(|panel| panel.vectors * lanes).sum();
        assert!(self.channels <= padded && self.bias.len() >= padded && self.multiplier.len() == padded);
        assert!(self.panels.iter().all(|panel| panel.channel + panel.vectors * lanes <= padded));
        assert!(self.weights.as_slice().len() == padded * self.row_bytes());
    }

    /// Bytes of packed weights and parameters.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.as_slice().len() + (self.bias.len() + self.multiplier.len()) * 4
    }

    /// Bytes of a pixel's taps.
    pub(crate) fn row_bytes(&self) -> usize {
        self.groups * CHANNEL_GROUP
    }
}

/// Puts the group of a lane into a vector of groups, in [`halves`](super::dot::Dot::HALVES) or not.
fn scatter(codes: &[i8; CHANNEL_GROUP], vector: &mut [u8], lane: usize, halves: bool) {
    const HALF: usize = CHANNEL_GROUP / 2;
    let [a, b, c, d] = codes.map(|code| code as u8);
    if halves {
        let second = vector.len() / 2 + lane * HALF;
        vector[lane * HALF..][..HALF].copy_from_slice(&[a, b]);
        vector[second..][..HALF].copy_from_slice(&[c, d]);
    } else {
        vector[lane * CHANNEL_GROUP..][..CHANNEL_GROUP].copy_from_slice(&[a, b, c, d]);
    }
}

/// Vectors of the widest panel of so many channels.
pub(crate) fn widest(channels: usize, lanes: usize, widest: usize) -> usize {
    panels(channels.div_ceil(lanes), widest, lanes).iter().map(|panel| panel.vectors).max().unwrap_or(1)
}

/// As few panels as `widest` allows, all of nearly the same width.
fn panels(vectors: usize, widest: usize, lanes: usize) -> Vec<Panel> {
    let count = vectors.div_ceil(widest).max(1);
    let mut first = 0;
    let panel = |i: usize| {
        let vectors = vectors / count + usize::from(i < vectors % count);
        first += vectors;
        Panel { vectors, channel: (first - vectors) * lanes }
    };
    (0..count).map(panel).collect()
}
