//! Letters for labels, from a pre-rendered monospace font.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};

/// A text size: a raster of the font, enlarged by a whole factor for large pictures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face {
    raster: RasterHeight,
    factor: usize,
}

/// The sizes, by height in pixels, ascending.
const FACES: [(usize, RasterHeight); 4] = [
    (16, RasterHeight::Size16),
    (20, RasterHeight::Size20),
    (24, RasterHeight::Size24),
    (32, RasterHeight::Size32),
];

impl Face {
    /// The largest face that is at most `height` pixels high, or the smallest there is.
    pub(super) fn with_height(height: usize) -> Self {
        let factor = height.div_ceil(32).max(1);
        let fitting = FACES.iter().rev().find(|(raster, _)| raster * factor <= height);
        let (_, raster) = *fitting.unwrap_or(&FACES[0]);
        Face { raster, factor }
    }

    /// Height of a line in pixels.
    pub(super) fn height(self) -> usize {
        self.raster.val() * self.factor
    }

    /// Width of a letter in pixels.
    pub(super) fn advance(self) -> usize {
        get_raster_width(FontWeight::Bold, self.raster) * self.factor
    }

    /// Calls `dot(x, y, coverage)` for every pixel of `letter` that it covers, from its top left corner.
    /// Letters outside Latin-1 become question marks.
    pub(super) fn letter(self, letter: char, mut dot: impl FnMut(usize, usize, f32)) {
        let raster = |c| get_raster(c, FontWeight::Bold, self.raster);
        let Some(glyph) = raster(letter).or_else(|| raster('?')) else { return };
        for y in 0..self.height() {
            for x in 0..self.advance() {
                let coverage = self.coverage(&glyph, x, y);
                if coverage > 0.0 {
                    dot(x, y, coverage);
                }
            }
        }
    }

    /// Coverage 0..=1 of pixel `(x, y)`: the raster's, or bilinear between its pixels where it is enlarged.
    fn coverage(self, glyph: &RasterizedChar, x: usize, y: usize) -> f32 {
        let pixel = |x: isize, y: isize| {
            let at = usize::try_from(x).ok().zip(usize::try_from(y).ok());
            f32::from(at.and_then(|(x, y)| glyph.pixel(x, y)).unwrap_or(0)) / 255.0
        };
        let sample = |i: usize| {
            let at = (i as f32 + 0.5) / self.factor as f32 - 0.5;
            (at.floor() as isize, at - at.floor())
        };
        let ((x, fx), (y, fy)) = (sample(x), sample(y));
        let row = |y: isize| pixel(x, y) * (1.0 - fx) + pixel(x + 1, y) * fx;
        row(y) * (1.0 - fy) + row(y + 1) * fy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_step_up_with_the_wanted_height() {
        let heights: Vec<usize> =
            [1, 16, 19, 24, 31, 32, 40, 47, 48, 64, 100].map(|h| Face::with_height(h).height()).to_vec();
        assert_eq!(heights, [16, 16, 16, 24, 24, 32, 40, 40, 48, 64, 96]);
    }

    #[test]
    fn unknown_letters_are_question_marks() {
        let dots = |letter| {
            let mut dots = Vec::new();
            Face::with_height(40).letter(letter, |x, y, coverage| dots.push((x, y, coverage)));
            dots
        };
        assert_eq!(dots('車'), dots('?'));
        assert!(!dots('?').is_empty() && dots(' ').is_empty());
    }
}
