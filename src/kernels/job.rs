//! One run of a convolution kernel: what it reads, where its results go, and how they get there.

use super::arch::LookUp;
use super::dot::Dot;
use super::packed::{Packed, Panel};
use super::{CodeRange, Plane, PlaneMut, Window};
use std::ops::Range;

/// Pixels that wait for their look-up, so that it finds them in the cache, but no longer in flight to it.
const LOOK_UP_PIXELS: usize = 64;

/// Where the results of a convolution go.
pub(crate) enum Output<'a> {
    Codes { dst: PlaneMut<'a, i8>, range: CodeRange, table: Option<(LookUp, &'a [i8; 256])> },
    Reals(PlaneMut<'a, f32>),
}

/// Some output rows of a convolution.
pub(crate) struct Job<'a> {
    pub(crate) window: &'a Window,
    pub(crate) packed: &'a Packed,
    /// Depthwise: the same with the weights one kernel row lower, where two output rows share their input.
    pub(crate) lower: Option<&'a Packed>,
    pub(crate) src: &'a [Plane<'a, i8>],
    /// Bytes of a pixel that are read of each of `src`: whole groups of channels.
    pub(crate) source_bytes: &'a [usize],
    pub(crate) zero_point: i8,
    pub(crate) rows: Range<usize>,
    pub(crate) output: Output<'a>,
    /// As much as the kernel asks for.
    pub(crate) scratch: &'a mut [u8],
}

/// Neighbouring output pixels, counted from the first one of the job.
#[derive(Clone, Copy)]
pub(crate) struct Pixels {
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Job<'_> {
    /// Proves that what a micro-kernel touches without a bounds check is there: rows, parameters, destination.
    pub(crate) fn check(&self, lanes: usize) {
        assert!(self.rows.start <= self.rows.end && self.rows.end <= self.window.output[0]);
        self.packed.check(lanes);
        let (len, pitch) = match &self.output {
            Output::Codes { dst, .. } => (dst.data.len(), dst.pitch),
            Output::Reals(dst) => (dst.data.len(), dst.pitch),
        };
        let pixels = self.rows.len() * self.window.output[1];
        assert!(pixels == 0 || len >= (pixels - 1) * pitch + self.packed.channels, "destination too small");
    }

    /// Brings the pixels before `done` through the table, if there is one, as soon as enough of them wait.
    ///
    /// # Safety
    /// The CPU has the instruction set of the look-up.
    #[inline(always)]
    pub(crate) unsafe fn look_up(&mut self, waiting: &mut usize, done: usize) {
        let count = done - *waiting;
        if count < LOOK_UP_PIXELS && done < self.rows.len() * self.window.output[1] {
            return;
        }
        if let Output::Codes { dst, table: Some((look_up, table)), .. } = &mut self.output {
            let data = &mut dst.data[*waiting * dst.pitch..];
            // SAFETY: the caller's.
            unsafe { look_up(table, self.packed.channels, PlaneMut { data, pitch: dst.pitch }, count) };
        }
        *waiting = done;
    }
}

/// Stores each row of a tile that has a pixel. Spelled out, because a loop that the compiler does not unroll
/// would move every accumulator through memory.
macro_rules! for_each_row {
    ($rows:ident, $count:expr, |$row:ident, $acc:ident| $store:expr) => {
        for_each_row!($rows, $count, $row, $acc, $store, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    ($rows:ident, $count:expr, $row:ident, $acc:ident, $store:expr, $($i:literal)*) => {
        $(if let Some(&$acc) = $rows.get($i) && $i < $count { let $row = $i; $store })*
    };
}

/// Requantizes or scales the accumulators of a tile and stores those of real pixels and channels.
///
/// # Safety
/// The lengths passed [`Job::check`]; `packed`, `output` and `pixels` are the job's; the panel has `NV` vectors.
#[inline(always)]
pub(crate) unsafe fn finish<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    acc: [[D::Acc; NV]; MR],
    packed: &Packed,
    output: &mut Output<'_>,
    panel: &Panel,
    pixels: Pixels,
) {
    const { assert!(MR <= 12) };
    let all = NV * D::LANES;
    let channels = (packed.channels - panel.channel).min(all);
    // Most tiles are whole: one decision for all their rows.
    let whole = D::LANES == 4 && channels == all && pixels.count == MR;
    // SAFETY: multipliers are padded to whole vectors; the destination has `pixels.count` pixels from
    // `pixels.first` on, each with the channels that are left.
    unsafe {
        let multiplier = packed.multiplier.as_ptr().add(panel.channel);
        match output {
            Output::Codes { dst, range, .. } => {
                let (range, pitch) = (*range, dst.pitch);
                let to = dst.data.as_mut_ptr().add(pixels.first * pitch + panel.channel);
                if whole {
                    for_each_row!(acc, MR, |row, acc| {
                        dot.store_codes(acc, multiplier, range, to.add(row * pitch), all)
                    });
                    return;
                }
                if packed.scales_down {
                    for_each_row!(acc, pixels.count, |row, acc| {
                        dot.store_scaled_down(acc, multiplier, range, to.add(row * pitch), channels)
                    });
                } else {
                    for_each_row!(acc, pixels.count, |row, acc| {
                        dot.store_codes(acc, multiplier, range, to.add(row * pitch), channels)
                    });
                }
            }
            Output::Reals(dst) => {
                let pitch = dst.pitch;
                let to = dst.data.as_mut_ptr().add(pixels.first * pitch + panel.channel);
                if whole {
                    for_each_row!(acc, MR, |row, acc| {
                        dot.store_reals(acc, multiplier, to.add(row * pitch), all)
                    });
                    return;
                }
                for_each_row!(acc, pixels.count, |row, acc| {
                    dot.store_reals(acc, multiplier, to.add(row * pitch), channels)
                });
            }
        }
    }
}
