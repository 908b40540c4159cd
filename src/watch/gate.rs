//! The motion gate: tells a still scene from one in which something moves, for far less than the network costs.
//!
//! The picture is seen as a coarse grid of brightness, each cell the mean of a few of its pixels, so that the noise of
//! the sensor averages out. A scene moves if enough cells differ from what they were when the network looked last; so
//! what moves slowly is noticed as well, in the end.

use crate::image::Frame;
use std::time::Duration;

/// Cells of the grid in a row and in a column.
const CELLS: usize = 48;
/// Pixels of a cell that are looked at, in a row and in a column.
const SAMPLES: usize = 4;
/// Least change of a cell's brightness, of 255.
const CHANGE: u32 = 12;
/// A still scene is looked at all the same when this time has passed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The motion gate of one camera.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Brightness of the cells when the network looked last, and when that was.
    seen: Vec<u8>,
    when: Duration,
    size: [usize; 2],
    /// Scratch: brightness of the cells now.
    now: Vec<u8>,
}

impl Gate {
    /// Whether nothing has moved since the network looked last: less than `share` of the picture. If something has, the
    /// network is expected to look now.
    pub fn is_still(&mut self, frame: &Frame, now: Duration, share: f32) -> bool {
        brightness(frame, &mut self.now);
        let size = [frame.width, frame.height];
        let changed =
            self.seen.iter().zip(&self.now).filter(|(a, b)| u32::from(a.abs_diff(**b)) >= CHANGE).count();
        let is_known = self.size == size && self.seen.len() == self.now.len() && !self.seen.is_empty();
        let is_recent = now.saturating_sub(self.when) < PATIENCE;
        if is_known && is_recent && (changed as f32) < share * self.now.len() as f32 {
            return true;
        }
        self.looks(now, size);
        false
    }

    fn looks(&mut self, now: Duration, size: [usize; 2]) {
        std::mem::swap(&mut self.seen, &mut self.now);
        (self.when, self.size) = (now, size);
    }
}

/// Mean brightness of each cell.
fn brightness(frame: &Frame, cells: &mut Vec<u8>) {
    cells.clear();
    // The middle of sample `i` of all samples over a side.
    let at = |i: usize, side: usize| (2 * i + 1) * side / (2 * CELLS * SAMPLES);
    for row in 0..CELLS {
        let mut sums = [0u32; CELLS];
        for y in (row * SAMPLES..(row + 1) * SAMPLES).map(|i| at(i, frame.height)) {
            let line = &frame.rgb[y * frame.width * 3..][..frame.width * 3];
            for (i, sum) in (0..CELLS * SAMPLES).map(|i| (i, i / SAMPLES)) {
                let pixel = &line[at(i, frame.width) * 3..][..3];
                // Weights of BT.601 in 256ths.
                sums[sum] +=
                    (77 * u32::from(pixel[0]) + 150 * u32::from(pixel[1]) + 29 * u32::from(pixel[2])) >> 8;
            }
        }
        cells.extend(sums.map(|sum| (sum / (SAMPLES * SAMPLES) as u32) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn grey(width: usize, height: usize) -> Frame {
        Frame::new(width, height, vec![100; width * height * 3]).unwrap()
    }

    /// A bright square.
    fn with_square(x: usize, side: usize) -> Frame {
        let mut frame = grey(320, 240);
        for row in 100..100 + side {
            frame.rgb[(row * 320 + x) * 3..][..side * 3].fill(220);
        }
        frame
    }

    #[test]
    fn a_scene_is_still_until_something_moves() {
        let mut gate = Gate::default();
        let mut is_still = |frame: &Frame| gate.is_still(frame, SECOND, 0.002);
        assert!(!is_still(&grey(320, 240)), "the first frame is looked at");
        assert!(is_still(&grey(320, 240)));
        assert!(!is_still(&with_square(100, 32)), "something has come");
        assert!(is_still(&with_square(100, 32)));
        assert!(!is_still(&with_square(130, 32)), "it has moved");
        assert!(!is_still(&grey(160, 120)), "another picture size");
    }

    /// Noise of ±20 in each pixel, by a fixed sequence.
    #[test]
    fn noise_does_not_move() {
        let mut gate = Gate::default();
        let mut state = 1u32;
        for i in 0..20 {
            let mut frame = grey(320, 240);
            for byte in &mut frame.rgb {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (80 + (state >> 24) % 41) as u8;
            }
            assert_eq!(gate.is_still(&frame, SECOND, 0.002), i > 0, "frame {i}");
        }
    }

    #[test]
    fn slow_change_and_long_stillness_are_looked_at_in_the_end() {
        let mut gate = Gate::default();
        let looks = |gate: &mut Gate, i: u32, step: u8| {
            let mut frame = grey(64, 64);
            frame.rgb.fill(100 + step);
            !gate.is_still(&frame, SECOND * i, 0.002)
        };
        let by_time: Vec<u32> = (0..25).filter(|&i| looks(&mut gate, i, 0)).collect();
        assert_eq!(by_time, [0, 10, 20]);
        let mut gate = Gate::default();
        let by_dusk: Vec<u32> = (0..8).filter(|&i| looks(&mut gate, i, 3 * i as u8)).collect();
        assert_eq!(by_dusk, [0, 4]);
    }

    #[test]
    fn tiny_pictures_do_no_harm() {
        let mut gate = Gate::default();
        for [width, height] in [[1, 1], [3, 500], [191, 2]] {
            assert!(!gate.is_still(&grey(width, height), SECOND, 0.5));
            assert!(gate.is_still(&grey(width, height), SECOND, 0.5));
        }
    }
}
