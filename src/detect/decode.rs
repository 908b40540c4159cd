//! Output tensors to candidate boxes.

use super::heads::{BOX_COLUMNS, Cells, Encoding, Heads, Layout, Scale};
use super::math::{logit, pow, sigmoid, tanh};
use super::nms::Candidates;
use crate::error::{Error, Result};

/// An output of the network.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Elements: NHWC for rank 4 (`[1, C, h, w]`), row-major for every other rank.
    pub data: &'a [f32],
    /// Elements from one pixel to the next, at least `C`; of no meaning for other ranks than 4.
    pub pitch: usize,
}

/// Which activations a tensor's numbers have behind them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Numbers {
    /// None: all columns are logits.
    Logits,
    /// Sigmoid on all columns; boxes relative to cell and anchor.
    Activated,
    /// All: centre, width and height in network pixels.
    Pixels,
}

/// Adds a candidate for every box (with `multi_label`: for every class of every box) whose score, objectness
/// times class, is above `threshold`.
///
/// # Errors
/// [`Error::Usage`]: an output is missing or shorter than the heads say.
pub(super) fn decode(
    heads: &Heads,
    outputs: &[Output],
    threshold: f32,
    multi_label: bool,
    found: &mut Candidates,
) -> Result<()> {
    let row = BOX_COLUMNS + heads.classes;
    let sink = Sink { threshold, multi_label, found };
    match &heads.layout {
        Layout::Anchored { scales, encoding } => {
            let numbers = numbers_of(scales, *encoding, outputs, row)?;
            decode_anchored(scales, outputs, row, numbers, sink);
        }
        Layout::FastestDet { output, grid } => {
            let cells = grid[0] * grid[1];
            let output = checked(outputs, *output, |output| map_fits(output, cells, row))?;
            decode_fastest_det(heads, output, *grid, row, sink);
        }
    }
    Ok(())
}

fn checked<'a, 'b>(
    outputs: &'b [Output<'a>],
    index: usize,
    fits: impl Fn(&Output) -> bool,
) -> Result<&'b Output<'a>> {
    let message = || Error::Usage(format!("output {index} is missing or shorter than its shape says"));
    outputs.get(index).filter(|output| fits(output)).ok_or_else(message)
}

fn map_fits(output: &Output, cells: usize, channels: usize) -> bool {
    let needed = (cells - 1).checked_mul(output.pitch).and_then(|n| n.checked_add(channels));
    output.pitch >= channels && needed.is_some_and(|n| n <= output.data.len())
}

fn scale_fits(scale: &Scale, output: &Output, row: usize) -> bool {
    let cells = scale.grid[0] * scale.grid[1];
    match scale.cells {
        Cells::Pixels => map_fits(output, cells, scale.anchors.len() * row),
        Cells::Rows(first) => (first + cells * scale.anchors.len()) * row <= output.data.len(),
        Cells::AnchorsLast => map_fits(output, cells * row, scale.anchors.len()),
    }
}

/// Tells rows apart by their numbers: a sigmoid's lie in 0..=1; of decoded rows that holds for objectness only.
/// Logits leave it at once, background cells being far below zero. A tensor that was int8 may miss the ends by
/// a step, hence the tolerance.
fn recognise(scales: &[Scale], outputs: &[Output], row: usize) -> Numbers {
    let unit = |x: &f32| (-0.05..=1.05).contains(x);
    let all = |columns: std::ops::Range<usize>| {
        scales.iter().all(|scale| {
            let Cells::Rows(first) = scale.cells else { return false };
            let count = scale.grid[0] * scale.grid[1] * scale.anchors.len();
            let rows = outputs[scale.output].data[first * row..].chunks_exact(row).take(count);
            rows.into_iter().all(|cell| cell[columns.clone()].iter().all(unit))
        })
    };
    match (all(4..5), all(0..4)) {
        (false, _) => Numbers::Logits,
        (true, true) => Numbers::Activated,
        (true, false) => Numbers::Pixels,
    }
}

/// Logits this far below a threshold's logit are passed over without a sigmoid. The margin covers all
/// rounding, so that scores alone decide; numbers that are activated already have a factor 0.999 for that.
const LOGIT_MARGIN: f32 = 1e-3;

/// Where candidates go, and which.
struct Sink<'a> {
    threshold: f32,
    multi_label: bool,
    found: &'a mut Candidates,
}

impl Sink<'_> {
    /// Adds the best of `classes` (or all) with `score(class value)` above the threshold. `score` ascends;
    /// below `class_limit` it is surely too low.
    fn offer(
        &mut self,
        bbox: impl FnOnce() -> [f32; 4],
        classes: impl Iterator<Item = f32>,
        class_limit: f32,
        score: impl Fn(f32) -> f32,
    ) {
        if self.multi_label {
            let bbox = bbox();
            for (class_id, value) in classes.enumerate().filter(|(_, value)| *value > class_limit) {
                let score = score(value);
                if score > self.threshold {
                    self.found.push(bbox, score, class_id);
                }
            }
            return;
        }
        let mut best = (0, f32::NEG_INFINITY);
        for (class_id, value) in classes.enumerate() {
            if value > best.1 {
                best = (class_id, value);
            }
        }
        if best.1 > class_limit {
            let score = score(best.1);
            if score > self.threshold {
                self.found.push(bbox(), score, best.0);
            }
        }
    }
}

/// A cell of a scale with one of its anchors, and where its numbers lie.
struct Place<'a> {
    scale: usize,
    anchor: usize,
    /// Index of the cell, row by row.
    cell: usize,
    data: &'a [f32],
    step: usize,
}

impl Place<'_> {
    fn column(&self, i: usize) -> f32 {
        self.data[i * self.step]
    }

    /// `[x1, y1, x2, y2]` in network pixels.
    fn bbox(&self, scale: &Scale, numbers: Numbers) -> [f32; 4] {
        let values = std::array::from_fn(|i| self.column(i));
        let columns = scale.grid[1];
        let at = [(self.cell % columns) as f32, (self.cell / columns) as f32];
        match numbers {
            Numbers::Pixels => corners(values),
            _ => anchored_box(
                values.map(numbers.activate()),
                at,
                scale.stride as f32,
                scale.anchors[self.anchor],
            ),
        }
    }
}

impl Numbers {
    fn activate(self) -> fn(f32) -> f32 {
        if self == Numbers::Logits { sigmoid } else { |x| x }
    }

    /// What a column has to be above for its activation to be above `least`; a little lower.
    fn limit(self, least: f32) -> f32 {
        if self == Numbers::Logits { logit(least) - LOGIT_MARGIN } else { least * 0.999 }
    }
}

/// Visits every place with an objectness above about `least`, with that objectness.
fn above<'a>(
    scales: &[Scale],
    outputs: &[Output<'a>],
    row: usize,
    numbers: Numbers,
    least: f32,
    mut visit: impl FnMut(&Scale, Place<'a>, f32),
) {
    let limit = numbers.limit(least);
    for (index, scale) in scales.iter().enumerate() {
        let output = &outputs[scale.output];
        let cells = scale.grid[0] * scale.grid[1];
        for anchor in 0..scale.anchors.len() {
            for cell in 0..cells {
                let (start, step) = match scale.cells {
                    Cells::Pixels => (cell * output.pitch + anchor * row, 1),
                    Cells::Rows(first) => ((first + anchor * cells + cell) * row, 1),
                    Cells::AnchorsLast => (cell * row * output.pitch + anchor, output.pitch),
                };
                let objectness = output.data[start + 4 * step];
                if objectness <= limit || objectness.is_nan() {
                    continue;
                }
                let place = Place { scale: index, anchor, cell, data: &output.data[start..], step };
                visit(scale, place, numbers.activate()(objectness));
            }
        }
    }
}

/// Decodes cell after cell. NaN scores fail their comparison here; [`Candidates::push`] drops NaN boxes.
fn decode_anchored(scales: &[Scale], outputs: &[Output], row: usize, numbers: Numbers, mut sink: Sink) {
    let activate = numbers.activate();
    let threshold = sink.threshold;
    // No class lifts a score above its objectness, so most cells are done with one comparison.
    above(scales, outputs, row, numbers, threshold, |scale, place, objectness| {
        let class_limit = numbers.limit(threshold / objectness);
        let classes = (BOX_COLUMNS..row).map(|i| place.column(i));
        let bbox = || place.bbox(scale, numbers);
        sink.offer(bbox, classes, class_limit, |class| objectness * activate(class));
    });
}

/// What a network with YOLOv5's heads says at one cell with one anchor, before any suppression.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// Index of the scale, in ascending order of stride.
    pub scale: usize,
    /// Index of the anchor.
    pub anchor: usize,
    /// Row and column of the cell.
    pub at: [usize; 2],
    /// `[x1, y1, x2, y2]` in network pixels.
    pub bbox: [f32; 4],
    /// Whether there is an object at all, 0..=1.
    pub objectness: f32,
    /// Of which class, if there is one: 0..=1 each.
    pub classes: &'a [f32],
}

impl Heads {
    /// Visits what the outputs say at every cell whose objectness is above about `least`, before any suppression.
    ///
    /// # Errors
    /// [`Error::Usage`]: the heads have no anchors, or an output is missing or shorter than the heads say.
    pub fn cells(&self, outputs: &[Output], least: f32, mut visit: impl FnMut(Cell)) -> Result<()> {
        let row = BOX_COLUMNS + self.classes;
        let Layout::Anchored { scales, encoding } = &self.layout else {
            return Err(Error::Usage(format!("only YOLOv5's heads have cells with anchors; this is {self}")));
        };
        let numbers = numbers_of(scales, *encoding, outputs, row)?;
        let mut classes = Vec::with_capacity(self.classes);
        above(scales, outputs, row, numbers, least, |scale, place, objectness| {
            classes.clear();
            classes.extend((BOX_COLUMNS..row).map(|i| numbers.activate()(place.column(i))));
            visit(Cell {
                scale: place.scale,
                anchor: place.anchor,
                at: [place.cell / scale.grid[1], place.cell % scale.grid[1]],
                bbox: place.bbox(scale, numbers),
                objectness,
                classes: &classes,
            });
        });
        Ok(())
    }
}

/// What the numbers of an anchored head are, once it is sure that they are all there.
fn numbers_of(scales: &[Scale], encoding: Encoding, outputs: &[Output], row: usize) -> Result<Numbers> {
    for scale in scales {
        checked(outputs, scale.output, |output| scale_fits(scale, output, row))?;
    }
    Ok(match encoding {
        Encoding::Logits => Numbers::Logits,
        Encoding::FromData => recognise(scales, outputs, row),
    })
}

/// YOLOv5's box: the centre within one and a half cells, the extents up to four times the anchor's.
fn anchored_box([x, y, w, h]: [f32; 4], at: [f32; 2], stride: f32, anchor: [f32; 2]) -> [f32; 4] {
    let centre = |t: f32, cell: f32| (2.0 * t - 0.5 + cell) * stride;
    let extent = |t: f32, anchor: f32| (2.0 * t) * (2.0 * t) * anchor;
    corners([centre(x, at[0]), centre(y, at[1]), extent(w, anchor[0]), extent(h, anchor[1])])
}

/// Centre and extents to corners.
fn corners([x, y, w, h]: [f32; 4]) -> [f32; 4] {
    [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
}

/// Exponents of objectness and class in FastestDet's score, as in its ncnn example. Early versions of its Python
/// code take the plain product instead, which gives lower scores in the same range.
const FASTEST_DET_WEIGHTS: [f64; 2] = [0.6, 0.4];

fn decode_fastest_det(heads: &Heads, output: &Output, grid: [usize; 2], row: usize, mut sink: Sink) {
    let [weight_objectness, weight_class] = FASTEST_DET_WEIGHTS;
    // Classes are at most 1, so objectness^0.6 bounds the score; the factor covers rounding.
    let limit = pow(sink.threshold, 1.0 / weight_objectness) * 0.999;
    let [rows, columns] = grid;
    let [height, width] = heads.network.map(|side| side as f32);
    let stride = [width / columns as f32, height / rows as f32];
    for p in 0..rows * columns {
        let cell = &output.data[p * output.pitch..][..row];
        if cell[0] <= limit || cell[0].is_nan() {
            continue;
        }
        let objectness = pow(cell[0], weight_objectness);
        let bbox = || {
            let x = (tanh(cell[1]) + (p % columns) as f32) * stride[0];
            let y = (tanh(cell[2]) + (p / columns) as f32) * stride[1];
            corners([x, y, sigmoid(cell[3]) * width, sigmoid(cell[4]) * height])
        };
        let classes = cell[BOX_COLUMNS..].iter().copied();
        sink.offer(bbox, classes, 0.0, |class| objectness * pow(class, weight_class));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Candidate, HeadOptions};

    const NETWORK: [usize; 2] = [64, 64];
    const CLASSES: usize = 2;
    const ROW: usize = BOX_COLUMNS + CLASSES;
    /// 3 anchors · (8² + 4² + 2²) cells.
    const ROWS: usize = 252;

    fn heads(network: [usize; 2], shapes: &[&[usize]]) -> Heads {
        let named: Vec<_> = shapes.iter().map(|dims| ("head".to_owned(), dims.to_vec())).collect();
        let options = HeadOptions { network, classes: Some(CLASSES), anchors: None };
        Heads::from_shapes(&named, &options).unwrap()
    }

    fn found(heads: &Heads, outputs: &[Output], threshold: f32, multi_label: bool) -> Vec<Candidate> {
        let mut candidates = Candidates::default();
        decode(heads, outputs, threshold, multi_label, &mut candidates).unwrap();
        candidates.suppress(2.0, usize::MAX, false).to_vec()
    }

    /// The logits that the golden numbers were made from: `v = (7n² + 31n) mod 193` of element n.
    fn logits() -> Vec<f32> {
        let value = |n: usize| {
            let v = ((n * n * 7 + n * 31) % 193) as f32;
            if n % ROW == 4 { v / 16.0 - 11.5 } else { v / 24.0 - 4.0 }
        };
        (0..ROWS * ROW).map(value).collect()
    }

    fn assert_close(found: &[Candidate], mut expected: Vec<([f32; 4], f32, u32)>) {
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (candidate, (bbox, score, class_id)) in found.iter().zip(expected) {
            assert!((candidate.score - score).abs() < 1e-6, "{candidate:?} {score}");
            assert_eq!(candidate.class_id, class_id);
            for (a, b) in candidate.bbox.iter().zip(bbox) {
                assert!((a - b).abs() < 1e-3, "{candidate:?} {bbox:?}");
            }
        }
    }

    /// Golden numbers: YOLOv5's formulas, written anew in NumPy, double precision, over the logits above.
    #[test]
    fn equals_numpy() {
        let all = vec![
            ([-4.9789, 35.9810, 12.9789, 36.6186], 0.474534, 0),
            ([25.1689, 1.2390, 25.5666, 1.3199], 0.550270, 0),
            ([-5.8277, 26.9707, 42.2844, 31.8581], 0.542639, 0),
            ([12.0437, 27.4098, 53.4983, 30.2329], 0.471375, 0),
            ([1.1149, 8.4863, 50.6547, 76.8715], 0.440023, 1),
            ([16.8739, 7.0817, 64.8202, 76.9996], 0.539694, 1),
            ([-28.9754, 21.6816, 76.9754, 27.5176], 0.474534, 0),
        ];
        let rows = heads(NETWORK, &[&[1, ROWS, ROW]]);
        let data = logits();
        let output = [Output { data: &data, pitch: 0 }];
        assert_close(&found(&rows, &output, 0.43, true), all);
        // At 0.3, NumPy has 25 class scores above the threshold, in 17 boxes.
        assert_eq!(found(&rows, &output, 0.3, true).len(), 25);
        assert_eq!(found(&rows, &output, 0.3, false).len(), 17);
    }

    /// Maps, grids and all three kinds of rows say the same thing and must be read as the same boxes.
    #[test]
    fn every_form_of_the_same_heads_gives_the_same_boxes() {
        let data = logits();
        let rows = heads(NETWORK, &[&[1, ROWS, ROW]]);
        for multi_label in [false, true] {
            let expected = found(&rows, &[Output { data: &data, pitch: 0 }], 0.2, multi_label);
            assert!(expected.len() > 10);

            let split = [&data[..192 * ROW], &data[192 * ROW..240 * ROW], &data[240 * ROW..]];
            // Rank 5 is row-major, rank 4 is NHWC.
            let grids = heads(NETWORK, &[&[1, 3, 64, ROW], &[1, 3, 4, 4, ROW], &[1, 3, 4, ROW]]);
            let nhwc = [split[0], split[2]].map(|data| to_anchors_last(data, 4));
            let [first, last] = [&nhwc[0], &nhwc[1]].map(|data| Output { data, pitch: 4 });
            let outputs = [first, Output { data: split[1], pitch: 0 }, last];
            assert_eq!(found(&grids, &outputs, 0.2, multi_label), expected);

            let maps = heads(NETWORK, &[&[1, 21, 8, 8], &[1, 21, 4, 4], &[1, 21, 2, 2]]);
            let packed = split.map(|data| to_map(data, 24));
            let outputs = [&packed[0], &packed[1], &packed[2]].map(|data| Output { data, pitch: 24 });
            assert_eq!(found(&maps, &outputs, 0.2, multi_label), expected);

            let activated: Vec<f32> = data.iter().map(|&x| sigmoid(x)).collect();
            let output = [Output { data: &activated, pitch: 0 }];
            assert_eq!(found(&rows, &output, 0.2, multi_label), expected);

            let pixels = to_pixels(&rows, &activated);
            let output = [Output { data: &pixels, pitch: 0 }];
            assert_eq!(found(&rows, &output, 0.2, multi_label), expected);
        }
    }

    /// `[anchor, cell, column]` → NHWC with NaN beyond the channels.
    fn to_map(rows: &[f32], pitch: usize) -> Vec<f32> {
        let cells = rows.len() / ROW / 3;
        let mut map = vec![f32::NAN; cells * pitch];
        for (r, row) in rows.chunks(ROW).enumerate() {
            let (a, p) = (r / cells, r % cells);
            map[p * pitch + a * ROW..][..ROW].copy_from_slice(row);
        }
        map
    }

    /// `[anchor, cell, column]` → `[cell, column, anchor]` with NaN beyond the anchors.
    fn to_anchors_last(rows: &[f32], pitch: usize) -> Vec<f32> {
        let anchor = rows.len() / 3;
        let mut out = vec![f32::NAN; anchor * pitch];
        for (i, &value) in rows.iter().enumerate() {
            out[i % anchor * pitch + i / anchor] = value;
        }
        out
    }

    fn to_pixels(heads: &Heads, activated: &[f32]) -> Vec<f32> {
        let Layout::Anchored { scales, .. } = &heads.layout else { panic!() };
        let mut pixels = activated.to_vec();
        let mut rows = pixels.chunks_mut(ROW);
        for scale in scales {
            for anchor in &scale.anchors {
                for (y, x) in (0..scale.grid[0]).flat_map(|y| (0..scale.grid[1]).map(move |x| (y, x))) {
                    let cell = rows.next().unwrap();
                    let centre = |t: f32, at: usize| (2.0 * t - 0.5 + at as f32) * scale.stride as f32;
                    let extent = |t: f32, anchor: f32| (2.0 * t) * (2.0 * t) * anchor;
                    let values = [
                        centre(cell[0], x),
                        centre(cell[1], y),
                        extent(cell[2], anchor[0]),
                        extent(cell[3], anchor[1]),
                    ];
                    cell[..4].copy_from_slice(&values);
                }
            }
        }
        pixels
    }

    /// All logits zero but the class: sigmoid ½ puts the centre half a cell in and gives the anchor's extents.
    #[test]
    fn a_cell_worked_by_hand() {
        let heads = heads(NETWORK, &[&[1, ROWS, ROW]]);
        let mut data: Vec<f32> = (0..ROWS * ROW).map(|n| if n % ROW == 4 { -20.0 } else { 0.0 }).collect();
        // Stride 16, anchor 1 (62×45), y 2, x 3: row 192 + 16 + 11; centre (3.5·16, 2.5·16).
        let cell = &mut data[(192 + 16 + 11) * ROW..][..ROW];
        cell[4] = 0.0;
        cell[6] = 30.0;
        let boxes = found(&heads, &[Output { data: &data, pitch: 0 }], 0.4, false);
        assert_eq!(boxes.len(), 1);
        assert_eq!((boxes[0].class_id, boxes[0].score), (1, 0.5));
        assert_eq!(boxes[0].bbox, [56.0 - 31.0, 40.0 - 22.5, 56.0 + 31.0, 40.0 + 22.5]);
    }

    /// Cells say what candidates are made of, each at its place.
    #[test]
    fn cells_are_the_candidates_before_suppression() {
        let heads = heads(NETWORK, &[&[1, ROWS, ROW]]);
        let data = logits();
        let outputs = [Output { data: &data, pitch: 0 }];
        let mut seen = Vec::new();
        let mut places = std::collections::HashSet::new();
        let visit = |cell: Cell| {
            let [width, height] = heads.scales()[cell.scale].1[cell.anchor];
            let stride = [8.0, 16.0, 32.0][cell.scale];
            // The middle lies within half a cell of its cell, the extents are at most four times the anchor's.
            for (i, (at, anchor)) in [(cell.at[1], width), (cell.at[0], height)].into_iter().enumerate() {
                let (low, high) = (cell.bbox[i], cell.bbox[i + 2]);
                assert!(
                    ((low + high) / 2.0 / stride - at as f32 - 0.5).abs() <= 1.0
                        && high - low <= 4.0 * anchor
                );
            }
            assert!(places.insert((cell.scale, cell.anchor, cell.at)));
            for (class, p) in cell.classes.iter().enumerate().filter(|(_, p)| cell.objectness * **p > 0.3) {
                seen.push((cell.bbox, cell.objectness * p, class as u32));
            }
        };
        heads.cells(&outputs, 0.3, visit).unwrap();
        assert_close(&found(&heads, &outputs, 0.3, true), seen);
        let fastest_det = super::tests::heads([64, 32], &[&[1, ROW, 4, 2]]);
        assert!(matches!(fastest_det.cells(&outputs, 0.3, |_| ()), Err(Error::Usage(_))));
    }

    /// Golden numbers: the formulas of FastestDet's ncnn example, written anew in NumPy in double precision,
    /// for a 4×2 grid on 64×32 pixels.
    #[test]
    fn fastest_det_equals_numpy() {
        let heads = heads([64, 32], &[&[1, ROW, 4, 2]]);
        let value = |n: usize| {
            let v = ((n * n * 7 + n * 31) % 193) as f32;
            if (1..BOX_COLUMNS).contains(&(n % ROW)) { v / 48.0 - 2.0 } else { v / 193.0 }
        };
        let cells: Vec<f32> = (0..8 * ROW).map(value).collect();
        let mut map = vec![f32::NAN; 8 * 8];
        for (cell, out) in cells.chunks(ROW).zip(map.chunks_mut(8)) {
            out[..ROW].copy_from_slice(cell);
        }
        let output = [Output { data: &map, pitch: 8 }];
        let best = vec![
            ([18.4758, -13.3176, 26.6944, -0.4016], 0.510590, 1),
            ([0.6787, 9.7524, 8.3987, 50.8298], 0.473106, 1),
            ([-10.5495, 8.8647, 12.8444, 52.3321], 0.496174, 1),
            ([-26.7175, 20.2682, -1.2836, 39.0979], 0.876223, 0),
            ([4.5735, 30.8690, 26.0146, 42.9473], 0.702030, 0),
            ([20.0747, 37.2756, 33.7577, 62.7037], 0.764638, 1),
        ];
        assert_close(&found(&heads, &output, 0.2, false), best.clone());
        let others = [
            ([18.4758, -13.3176, 26.6944, -0.4016], 0.440283, 0),
            ([0.6787, 9.7524, 8.3987, 50.8298], 0.249239, 0),
            ([-10.5495, 8.8647, 12.8444, 52.3321], 0.474285, 0),
            ([-26.7175, 20.2682, -1.2836, 39.0979], 0.657099, 1),
            ([4.5735, 30.8690, 26.0146, 42.9473], 0.491847, 1),
            ([20.0747, 37.2756, 33.7577, 62.7037], 0.696699, 0),
        ];
        assert_close(&found(&heads, &output, 0.2, true), best.into_iter().chain(others).collect());
    }

    #[test]
    fn broken_numbers_give_no_boxes_and_short_outputs_errors() {
        let rows = heads(NETWORK, &[&[1, ROWS, ROW]]);
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let data = vec![value; ROWS * ROW];
            let boxes = found(&rows, &[Output { data: &data, pitch: 0 }], 0.25, true);
            assert!(boxes.iter().all(|c| c.bbox.iter().all(|x| x.is_finite())), "{value}");
        }
        let maps = heads(NETWORK, &[&[1, 21, 8, 8], &[1, 21, 4, 4], &[1, 21, 2, 2]]);
        let mut candidates = Candidates::default();
        let data = logits();
        let mut refused = |heads: &Heads, outputs: &[Output]| {
            assert!(matches!(decode(heads, outputs, 0.2, false, &mut candidates), Err(Error::Usage(_))));
        };
        refused(&rows, &[]);
        refused(&rows, &[Output { data: &data[1..], pitch: 0 }]);
        refused(&maps, &[Output { data: &data, pitch: 20 }; 3]);
        refused(&maps, &[Output { data: &data, pitch: usize::MAX }; 3]);
        refused(&maps, &[Output { data: &data[..63 * 21 + 20], pitch: 21 }; 3]);
        let anchors_last = heads(NETWORK, &[&[1, 3, 64, ROW], &[1, 3, 16, ROW], &[1, 3, 4, ROW]]);
        refused(&anchors_last, &[Output { data: &data[..64 * ROW * 3 - 1], pitch: 3 }; 3]);
        refused(&anchors_last, &[Output { data: &data, pitch: 2 }; 3]);
    }
}
