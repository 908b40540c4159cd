//! Picture to network input in one pass: resize, padding, channel order, mean/norm, quantization.

use super::{ChannelOrder, Fit, Frame, Mapping, Preprocess, resize::Resizer};
use crate::error::{Error, Result};
use crate::kernels::PlaneMut;
use crate::kernels::isa::Isa;
use crate::limits::{INPUT_SIDE_MAX, PICTURE_SIDE_MAX};

/// Fits pictures of one size to a network of one size.
///
/// Owns the tables and buffers; a run allocates nothing.
#[derive(Clone, Debug)]
pub struct Letterbox {
    frame: [usize; 2],
    network: [usize; 2],
    /// Rows and columns of the picture in the network's input.
    content: [usize; 2],
    top: usize,
    left: usize,
    order: ChannelOrder,
    fill: u8,
    resizer: Resizer,
}

impl Letterbox {
    /// From pictures of `frame` `[height, width]` to a network input of `network` `[height, width]`.
    ///
    /// The geometry is YOLOv5's: the picture keeps its aspect ratio, its scaled extents are rounded half to
    /// even, and of an odd margin the larger part lies right and below.
    ///
    /// The pixels are the same on every instruction set; `isa` must be one that this CPU has.
    ///
    /// # Errors
    /// [`Error::Usage`]: an extent is zero or above the limits.
    pub fn new(frame: [usize; 2], network: [usize; 2], preprocess: &Preprocess, isa: Isa) -> Result<Self> {
        let check = |what: &str, size: [usize; 2], side_max: usize| {
            let [height, width] = size;
            let fits = (1..=side_max).contains(&height) && (1..=side_max).contains(&width);
            let message = || Error::Usage(format!("{what} is {width}×{height}; sides are 1 to {side_max}"));
            if fits { Ok(()) } else { Err(message()) }
        };
        check("the picture", frame, PICTURE_SIDE_MAX as usize)?;
        check("the network's input", network, INPUT_SIDE_MAX)?;
        let content = match preprocess.fit {
            Fit::Stretch => network,
            Fit::Letterbox => keep_aspect(frame, network),
        };
        let margin = |axis: usize| {
            let half = (network[axis] - content[axis]) as f64 / 2.0;
            (half - 0.1).round_ties_even().max(0.0) as usize
        };
        Ok(Letterbox {
            frame,
            network,
            content,
            top: margin(0),
            left: margin(1),
            order: preprocess.order,
            fill: preprocess.fill,
            resizer: Resizer::new(isa, frame, content, preprocess.interpolation),
        })
    }

    /// Size of the pictures, `[height, width]`.
    pub fn frame_size(&self) -> [usize; 2] {
        self.frame
    }

    /// The way back for boxes.
    pub fn mapping(&self) -> Mapping {
        let per_axis = |axis: usize| self.content[axis] as f32 / self.frame[axis] as f32;
        Mapping {
            scale: [per_axis(1), per_axis(0)],
            offset: [self.left as f32, self.top as f32],
            picture: [self.frame[1] as f32, self.frame[0] as f32],
        }
    }

    /// Writes the network's input for `frame`: `[1, 3, H, W]` in NHWC.
    ///
    /// `table[c][x]` is what channel `c` (in the network's order) holds for pixel value `x`; see
    /// [`Preprocess::real_table`] and [`Preprocess::code_table`]. Of every pixel the first three elements are
    /// written, the rest of its pitch is left alone.
    ///
    /// # Errors
    /// [`Error::Usage`]: the frame has another size, or `dst` is too short.
    pub fn run<T: Copy>(&mut self, frame: &Frame, table: &[[T; 256]; 3], dst: PlaneMut<T>) -> Result<()> {
        let [height, width] = self.network;
        let pitch = dst.pitch;
        let needed = (height * width - 1).checked_mul(pitch).and_then(|n| n.checked_add(3));
        if [frame.height, frame.width] != self.frame || !frame.is_consistent() {
            return Err(Error::Usage(format!(
                "a frame of {}×{} with {} bytes met a letterbox for {}×{}",
                frame.width,
                frame.height,
                frame.rgb.len(),
                self.frame[1],
                self.frame[0]
            )));
        }
        // Exactly to the third channel of the last pixel: what follows in the arena is somebody else's.
        let data = needed.filter(|_| pitch >= 3).and_then(|n| dst.data.get_mut(..n)).ok_or_else(|| {
            Error::Usage(format!("{width}×{height} pixels at pitch {pitch} do not fit the network's input"))
        })?;
        let pad = std::array::from_fn(|c| table[c][usize::from(self.fill)]);
        let row = width * pitch;
        let (above, rest) = data.split_at_mut(self.top * row);
        let content = rest.len().min(self.content[0] * row);
        let (inside, below) = rest.split_at_mut(content);
        fill(above, pitch, pad);
        fill(below, pitch, pad);

        let (left, columns) = (self.left * pitch, self.content[1] * pitch);
        let mut rows = inside.chunks_mut(row);
        self.resizer.run(&frame.rgb, |line| {
            let Some(row) = rows.next() else { return };
            let (before, rest) = row.split_at_mut(left);
            let (pixels, after) = rest.split_at_mut(columns.min(rest.len()));
            fill(before, pitch, pad);
            fill(after, pitch, pad);
            match self.order {
                ChannelOrder::Rgb => write_row(line, |[r, g, b]| [r, g, b], table, pixels, pitch),
                ChannelOrder::Bgr => write_row(line, |[r, g, b]| [b, g, r], table, pixels, pitch),
            }
        });
        Ok(())
    }
}

/// Largest `[rows, columns]` with the frame's aspect ratio inside the network's input, at least one pixel.
fn keep_aspect(frame: [usize; 2], network: [usize; 2]) -> [usize; 2] {
    let ratio = |axis: usize| network[axis] as f64 / frame[axis] as f64;
    let scale = ratio(0).min(ratio(1));
    std::array::from_fn(|axis| {
        let extent = (frame[axis] as f64 * scale).round_ties_even() as usize;
        extent.clamp(1, network[axis])
    })
}

/// Cells of the usual pitch, whose length the compiler knows, and the others.
fn split_fours<T>(cells: &mut [T], pitch: usize) -> (&mut [[T; 4]], &mut [T]) {
    if pitch == 4 { cells.as_chunks_mut() } else { (&mut [], cells) }
}

fn fill<T: Copy>(cells: &mut [T], pitch: usize, pad: [T; 3]) {
    let (fours, rest) = split_fours(cells, pitch);
    for cell in fours {
        *cell = [pad[0], pad[1], pad[2], cell[3]];
    }
    for cell in rest.chunks_mut(pitch) {
        if let Some(cell) = cell.first_chunk_mut::<3>() {
            *cell = pad;
        }
    }
}

/// `order` brings a pixel's channels into the network's order.
fn write_row<T: Copy>(
    line: &[u8],
    order: impl Fn([u8; 3]) -> [u8; 3],
    table: &[[T; 256]; 3],
    out: &mut [T],
    pitch: usize,
) {
    let (pixels, _) = line.as_chunks::<3>();
    let look_up = |pixel: [u8; 3]| {
        let [a, b, c] = order(pixel).map(usize::from);
        [table[0][a], table[1][b], table[2][c]]
    };
    let (fours, rest) = split_fours(out, pitch);
    let (first, last) = pixels.split_at(fours.len().min(pixels.len()));
    for (&pixel, cell) in first.iter().zip(fours) {
        let [a, b, c] = look_up(pixel);
        *cell = [a, b, c, cell[3]];
    }
    for (&pixel, cell) in last.iter().zip(rest.chunks_mut(pitch)) {
        if let Some(cell) = cell.first_chunk_mut::<3>() {
            *cell = look_up(pixel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity_table() -> [[u8; 256]; 3] {
        [std::array::from_fn(|x| x as u8); 3]
    }

    fn letterbox(frame: [usize; 2], network: [usize; 2]) -> Letterbox {
        Letterbox::new(frame, network, &Preprocess::default(), Isa::detect()).unwrap()
    }

    /// Worked by hand from YOLOv5's `letterbox`: r = min(H/h, W/w), round(w·r), round(h·r), round(d/2 − 0.1).
    #[test]
    fn geometry_is_that_of_yolov5() {
        // frame [h, w], network [h, w] → content [h, w], top, left
        let worked = [
            ([1080, 810], [320, 320], [320, 240], 0, 40),
            ([720, 1280], [640, 640], [360, 640], 140, 0),
            ([427, 640], [320, 320], [214, 320], 53, 0), // 213.5 → 214 (half to even), margin 106
            ([333, 500], [320, 320], [213, 320], 53, 0), // margin 107: 53 above, 54 below
            ([480, 640], [320, 416], [312, 416], 4, 0),
            ([1, 5000], [320, 320], [1, 320], 159, 0), // 319 / 2 − 0.1 = 159.4
        ];
        for (frame, network, content, top, left) in worked {
            let made = letterbox(frame, network);
            assert_eq!((made.content, made.top, made.left), (content, top, left), "{frame:?}");
        }
        let stretch = Preprocess { fit: Fit::Stretch, ..Preprocess::default() };
        let made = Letterbox::new([480, 640], [352, 352], &stretch, Isa::detect()).unwrap();
        assert_eq!((made.content, made.top, made.left), ([352, 352], 0, 0));
    }

    #[test]
    fn pads_swaps_channels_and_touches_nothing_else() {
        let frame = Frame::new(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let bgr = Preprocess { order: ChannelOrder::Bgr, fill: 9, ..Preprocess::default() };
        let mut made = Letterbox::new([1, 2], [2, 2], &bgr, Isa::detect()).unwrap();
        let mut out = [0u8; 2 * 2 * 4 + 8];
        made.run(&frame, &identity_table(), PlaneMut { data: &mut out, pitch: 4 }).unwrap();
        // Margin of one row: round(0.5 − 0.1) = 0 above.
        #[rustfmt::skip]
        let expected = [
            3, 2, 1, 0,  6, 5, 4, 0,
            9, 9, 9, 0,  9, 9, 9, 0,
            0, 0, 0, 0,  0, 0, 0, 0,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn mismatched_frames_and_short_buffers_are_errors() {
        let frame = Frame::new(2, 1, vec![0; 6]).unwrap();
        let mut short = [0u8; 11];
        let table = identity_table();
        let mut made = letterbox([1, 2], [2, 2]);
        assert!(made.run(&frame, &table, PlaneMut { data: &mut short, pitch: 3 }).is_err());
        let mut enough = [0u8; 12];
        assert!(made.run(&frame, &table, PlaneMut { data: &mut enough, pitch: 3 }).is_ok());
        assert!(made.run(&frame, &table, PlaneMut { data: &mut enough, pitch: 2 }).is_err());
        assert!(made.run(&frame, &table, PlaneMut { data: &mut enough, pitch: usize::MAX }).is_err());
        let torn = Frame { rgb: vec![0; 5], ..frame };
        assert!(made.run(&torn, &table, PlaneMut { data: &mut enough, pitch: 3 }).is_err());
        assert!(Letterbox::new([0, 2], [2, 2], &Preprocess::default(), Isa::detect()).is_err());
        assert!(
            Letterbox::new([2, 2], [2, INPUT_SIDE_MAX + 1], &Preprocess::default(), Isa::detect()).is_err()
        );
    }

    proptest! {
        #[test]
        fn boxes_return_to_where_they_came_from(
            h in 1usize..2000, w in 1usize..2000, rows in 1usize..20, columns in 1usize..20,
            corners in prop::array::uniform4(0f32..1.0), stretch: bool,
        ) {
            let fit = if stretch { Fit::Stretch } else { Fit::Letterbox };
            let preprocess = Preprocess { fit, ..Preprocess::default() };
            let mapping =
                Letterbox::new([h, w], [rows * 32, columns * 32], &preprocess, Isa::detect()).unwrap().mapping();
            let bbox: [f32; 4] = std::array::from_fn(|i| corners[i] * mapping.picture[i % 2]);
            let back = mapping.to_picture(mapping.to_network(bbox));
            for i in 0..4 {
                prop_assert!((back[i] - bbox[i]).abs() <= 1e-3 * mapping.picture[i % 2].max(1.0));
            }
            let clipped = mapping.to_picture([-1e9, f32::NAN, 1e9, f32::INFINITY]);
            prop_assert_eq!(clipped, [0.0, 0.0, mapping.picture[0], mapping.picture[1]]);
        }

        #[test]
        fn every_pixel_of_the_input_is_written(
            h in 1usize..40, w in 1usize..40, rows in 1usize..40, columns in 1usize..40, pitch in 3usize..6,
        ) {
            let frame = Frame::new(w, h, vec![7; h * w * 3]).unwrap();
            let mut out = vec![255u8; rows * columns * pitch];
            let mut made = letterbox([h, w], [rows, columns]);
            made.run(&frame, &identity_table(), PlaneMut { data: &mut out, pitch }).unwrap();
            let written: Vec<[u8; 3]> = out.chunks(pitch).map(|cell| [cell[0], cell[1], cell[2]]).collect();
            prop_assert!(written.iter().all(|&cell| cell == [7; 3] || cell == [114; 3]));
            let inside = written.iter().filter(|&&cell| cell == [7; 3]).count();
            prop_assert_eq!(inside, made.content[0] * made.content[1]);
        }
    }
}
