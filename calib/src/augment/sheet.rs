//! Many pictures on one, with their boxes.

use super::Scene;
use crate::dataset::training::Labelled;
use ocellus::image::{Frame, Painter};

/// Pixels between pictures.
const GAP: usize = 4;
/// Colour around them.
const GROUND: u8 = 32;
/// Mixed with the pixels of set cells, half and half; no class has it.
const TINT: [u8; 3] = [255, 0, 255];

/// Boxes narrower than this have no name on a sheet: it would hide their neighbours. The colour tells their class.
const NAMED_WIDTH_MIN: f32 = 40.0;

/// Draws the boxes of a picture, with the names of their classes.
pub fn annotate(scene: &mut Scene, classes: &[String]) {
    let painter = Painter::new(scene.frame.width, scene.frame.height);
    // Whatever is ignored has a colour of its own, after the classes.
    let colour = |labelled: &Labelled| labelled.class.map_or(classes.len(), |class| class as usize);
    for labelled in &scene.boxes {
        painter.outline(&mut scene.frame, labelled.corners, colour(labelled));
    }
    let wide = |labelled: &&Labelled| labelled.corners[2] - labelled.corners[0] >= NAMED_WIDTH_MIN;
    for labelled in scene.boxes.iter().filter(wide) {
        let name = labelled.class.map_or("ignored", |class| classes[class as usize].as_str());
        painter.label(&mut scene.frame, labelled.corners, colour(labelled), name);
    }
}

/// Colours the parts of a picture whose cells are set, of a grid of `rows × columns` cells.
pub fn tint(frame: &mut Frame, cells: &[bool], [rows, columns]: [usize; 2]) {
    let (width, height) = (frame.width.max(1), frame.height.max(1));
    for (at, pixel) in frame.rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = (at % width, at / width);
        if cells[y * rows / height * columns + x * columns / width] {
            for (channel, tint) in pixel.iter_mut().zip(TINT) {
                *channel = ((u16::from(*channel) + u16::from(tint)) / 2) as u8;
            }
        }
    }
}

/// `pictures`, squares of side `side`, in rows of `columns`.
pub fn arrange(pictures: &[Frame], side: usize, columns: usize) -> Frame {
    let columns = columns.clamp(1, pictures.len().max(1));
    let rows = pictures.len().div_ceil(columns).max(1);
    let extent = |count: usize| count * (side + GAP) + GAP;
    let (width, height) = (extent(columns), extent(rows));
    let mut sheet = Frame { width, height, rgb: vec![GROUND; width * height * 3] };
    for (at, picture) in pictures.iter().enumerate() {
        let (left, top) = (extent(at % columns), extent(at / columns));
        for (row, pixels) in picture.rgb.chunks_exact(side * 3).take(side).enumerate() {
            let start = ((top + row) * width + left) * 3;
            sheet.rgb[start..start + side * 3].copy_from_slice(pixels);
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_tinted() {
        // 4×2 pixels, 2×1 cells: the right half.
        let mut frame = Frame { width: 4, height: 2, rgb: vec![100; 24] };
        tint(&mut frame, &[false, true], [1, 2]);
        let pixels: Vec<&[u8]> = frame.rgb.chunks(3).collect();
        let (plain, tinted): (&[u8], &[u8]) = (&[100; 3], &[177, 50, 177]);
        assert_eq!(pixels, [plain, plain, tinted, tinted].repeat(2));
    }

    #[test]
    fn pictures_are_laid_out_in_rows() {
        let picture = |value| Frame { width: 2, height: 2, rgb: vec![value; 12] };
        let sheet = arrange(&[picture(1), picture(2), picture(3)], 2, 2);
        assert_eq!([sheet.width, sheet.height], [2 * 2 + 3 * GAP; 2]);
        let at = |x: usize, y: usize| sheet.rgb[(y * sheet.width + x) * 3];
        assert_eq!([at(GAP, GAP), at(2 * GAP + 2, GAP), at(GAP + 1, 2 * GAP + 3)], [1, 2, 3]);
        assert_eq!([at(0, 0), at(2 * GAP + 2, 2 * GAP + 2)], [GROUND; 2]);
    }
}
