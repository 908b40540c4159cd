//! Bilinear resize with the arithmetic of OpenCV's `resize(INTER_LINEAR)` on 8-bit pictures.
//!
//! Datasets are measured with what OpenCV makes of them, so the same picture must give the same bytes here.
//! Weights are 11-bit fixed point; a horizontal pass makes 15-bit rows, a vertical pass joins two of them.
//! Sample points are pixel centres and nothing is smoothed before a reduction.

/// Fixed-point one of a weight.
const ONE: f32 = 2048.0;
/// Bits dropped between the passes, so that a row fits 16 bits: 255 · 2048 >> 4 = 32 640.
const ROW_SHIFT: u32 = 4;

/// Two source samples and their weights, for one output column or row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    source: [u32; 2],
    weight: [u16; 2],
}

/// Resizes RGB8 pictures of one size to another, row by row.
///
/// Owns its tables and row buffers: a run allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Resizer {
    source: [usize; 2],
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Two source rows after the horizontal pass, and the row that each holds.
    blended: [Vec<u16>; 2],
    held: [Option<u32>; 2],
    line: Vec<u8>,
}

impl Resizer {
    /// A resizer between two `[height, width]`; every extent is at least 1.
    pub(super) fn new(source: [usize; 2], target: [usize; 2]) -> Self {
        let width = target[1] * 3;
        Resizer {
            source,
            columns: taps(source[1], target[1], Edge::Exact),
            rows: taps(source[0], target[0], Edge::Repeated),
            blended: [vec![0; width], vec![0; width]],
            held: [None; 2],
            line: vec![0; width],
        }
    }

    /// Calls `each` with every output row, from the top, as packed RGB8.
    ///
    /// # Panics
    /// If `rgb` is not a picture of the source's size.
    pub(super) fn run(&mut self, rgb: &[u8], mut each: impl FnMut(usize, &[u8])) {
        let [height, width] = self.source;
        assert_eq!(rgb.len(), height * width * 3, "picture of another size");
        if (height, width) == (self.rows.len(), self.columns.len()) {
            return rgb.chunks_exact(width * 3).enumerate().for_each(|(y, line)| each(y, line));
        }
        self.held = [None; 2];
        for y in 0..self.rows.len() {
            let tap = self.rows[y];
            let first = self.hold(rgb, tap.source[0], None);
            let second = self.hold(rgb, tap.source[1], Some(first));
            join_rows(&self.blended[first], &self.blended[second], tap.weight, &mut self.line);
            each(y, &self.line);
        }
    }

    /// Index of the buffer that holds source row `y`, filled now if it was not. Buffer `keep` is not touched.
    fn hold(&mut self, rgb: &[u8], y: u32, keep: Option<usize>) -> usize {
        if let Some(found) = self.held.iter().position(|&held| held == Some(y)) {
            return found;
        }
        // Rows are asked for from top to bottom: the higher one is not needed again.
        let slot = keep.map_or(usize::from(self.held[1] < self.held[0]), |k| 1 - k);
        let bytes = self.source[1] * 3;
        let row = &rgb[y as usize * bytes..][..bytes];
        blend_columns(row, &self.columns, &mut self.blended[slot]);
        self.held[slot] = Some(y);
        slot
    }
}

/// How an axis treats sample points outside the picture.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    /// The edge pixel with weight one (OpenCV's columns).
    Exact,
    /// The edge pixel twice, with the weights as they are (OpenCV's rows). Rounding differs.
    Repeated,
}

fn taps(source: usize, target: usize, edge: Edge) -> Vec<Tap> {
    let last = source as i64 - 1;
    // OpenCV takes the reciprocal of the reciprocal; the last bit of a weight can depend on it.
    let scale = 1.0 / (target as f64 / source as f64);
    let tap = |i: usize| {
        let at = ((i as f64 + 0.5) * scale - 0.5) as f32;
        let mut first = at.floor() as i64;
        let mut second_share = at - at.floor();
        if edge == Edge::Exact && (first < 0 || first >= last) {
            first = first.clamp(0, last);
            second_share = 0.0;
        }
        let weight = |share: f32| (share * ONE).round_ties_even() as u16;
        Tap {
            source: [first.clamp(0, last) as u32, (first + 1).clamp(0, last) as u32],
            weight: [weight(1.0 - second_share), weight(second_share)],
        }
    };
    (0..target).map(tap).collect()
}

fn blend_columns(row: &[u8], columns: &[Tap], out: &mut [u16]) {
    let (pixels, _) = row.as_chunks::<3>();
    let (out, _) = out.as_chunks_mut::<3>();
    for (out, tap) in out.iter_mut().zip(columns) {
        let [a, b] = tap.source.map(|x| pixels[x as usize]);
        let [wa, wb] = tap.weight.map(u32::from);
        for c in 0..3 {
            out[c] = ((u32::from(a[c]) * wa + u32::from(b[c]) * wb) >> ROW_SHIFT) as u16;
        }
    }
}

fn join_rows(a: &[u16], b: &[u16], weight: [u16; 2], out: &mut [u8]) {
    let [wa, wb] = weight.map(u32::from);
    for ((&a, &b), out) in a.iter().zip(b).zip(out) {
        // Each product loses its low 16 bits before the sum: that is OpenCV's rounding, not a nicer one.
        let sum = ((u32::from(a) * wa) >> 16) + ((u32::from(b) * wb) >> 16);
        *out = ((sum + 2) >> 2) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture that the golden numbers were made from: byte n is (7n² + 31n + 5) mod 251.
    fn pattern(height: usize, width: usize) -> Vec<u8> {
        (0..height * width * 3).map(|n| ((n * n * 7 + n * 31 + 5) % 251) as u8).collect()
    }

    fn resized(source: [usize; 2], target: [usize; 2]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut resizer = Resizer::new(source, target);
        resizer.run(&pattern(source[0], source[1]), |_, line| out.extend_from_slice(line));
        out
    }

    /// Golden rows: `cv2.resize(pattern, (7, 5), interpolation=cv2.INTER_LINEAR)`, OpenCV 5.0.0.
    #[test]
    fn enlarges_as_opencv() {
        #[rustfmt::skip]
        let expected = [
            5, 43, 95, 61, 114, 91, 150, 227, 85, 176, 152, 141, 185, 59, 198, 131, 29, 193, 98, 11, 189,
            55, 60, 79, 75, 95, 75, 107, 151, 69, 127, 120, 126, 144, 78, 183, 148, 48, 178, 150, 30, 175,
            130, 85, 54, 97, 67, 51, 44, 38, 46, 54, 72, 104, 81, 105, 161, 172, 77, 157, 229, 59, 154,
            59, 115, 34, 80, 97, 31, 114, 69, 27, 135, 103, 85, 153, 138, 144, 158, 110, 140, 162, 93, 138,
            12, 135, 21, 69, 117, 18, 160, 89, 14, 189, 124, 73, 200, 159, 133, 149, 132, 129, 117, 115, 127,
        ];
        assert_eq!(resized([3, 4], [5, 7]), expected);
    }

    /// Golden rows: `cv2.resize(pattern, (4, 3), interpolation=cv2.INTER_LINEAR)`, OpenCV 5.0.0.
    #[test]
    fn reduces_as_opencv() {
        #[rustfmt::skip]
        let expected = [
            163, 145, 88, 135, 128, 218, 73, 160, 94, 124, 86, 187,
            28, 65, 179, 34, 72, 123, 215, 96, 243, 164, 140, 129,
            142, 47, 154, 88, 87, 111, 74, 136, 76, 202, 192, 175,
        ];
        assert_eq!(resized([7, 9], [3, 4]), expected);
    }

    /// FNV-1a of what OpenCV 5.0.0 makes of the pattern: exact halves and thirds, odd sizes, single pixels.
    #[test]
    fn equals_opencv_at_many_sizes() {
        let golden: [([usize; 2], [usize; 2], u64); 10] = [
            ([48, 64], [24, 32], 0x5f1dfe5748730949),
            ([108, 81], [32, 24], 0xca5d16f42a510b05),
            ([33, 50], [21, 32], 0x50fc7b1ace1b5762),
            ([8, 10], [26, 32], 0x70d57f47034fee65),
            ([7, 13], [31, 29], 0x1e79f528343502c7),
            ([54, 96], [18, 32], 0x61c4e100dff382f1),
            ([19, 17], [4, 5], 0x93d27e9b0ff01dfe),
            ([1, 1], [5, 5], 0x9ab6379c66b72992),
            ([3, 2], [9, 9], 0xeb19836b84801e20),
            ([3, 200], [2, 7], 0xda7b4b4b97ab46fd),
        ];
        for (source, target, expected) in golden {
            let fnv = resized(source, target)
                .iter()
                .fold(0xcbf29ce484222325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100000001b3));
            assert_eq!(fnv, expected, "{source:?} to {target:?}");
        }
    }

    #[test]
    fn the_same_size_is_a_copy_and_a_second_run_repeats_the_first() {
        assert_eq!(resized([5, 6], [5, 6]), pattern(5, 6));
        let mut resizer = Resizer::new([9, 8], [5, 7]);
        let mut runs = [Vec::new(), Vec::new()];
        for run in &mut runs {
            resizer.run(&pattern(9, 8), |_, line| run.extend_from_slice(line));
        }
        assert_eq!(runs[0], runs[1]);
    }
}
