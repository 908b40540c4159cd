//! What a detector's output tensors mean, decided once from their shapes.

use super::anchors::Anchors;
use crate::error::{Error, Result};
use crate::limits::{CLASSES_MAX, INPUT_SIDE_MAX};
use std::fmt;

/// Columns before the class scores: x, y, w, h, objectness (FastestDet: objectness first).
pub(super) const BOX_COLUMNS: usize = 5;
/// Strides of YOLOv5's scales where only a number of cells tells them.
const STRIDES: [usize; 4] = [8, 16, 32, 64];

/// What is known besides the shapes.
#[derive(Clone, Debug, Default)]
pub struct HeadOptions {
    /// Network input, `[height, width]`.
    pub network: [usize; 2],
    /// Number of classes, where names say it.
    pub classes: Option<usize>,
    /// Anchors, where the model or the user says them; otherwise YOLOv5's.
    pub anchors: Option<Anchors>,
}

/// How the outputs of a network are read. Made by [`Heads::from_shapes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Heads {
    pub(super) network: [usize; 2],
    pub(super) classes: usize,
    pub(super) layout: Layout,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layout {
    /// YOLOv5: cells of `[x, y, w, h, objectness, classes…]` per anchor, scales in ascending order of stride.
    Anchored { scales: Vec<Scale>, encoding: Encoding },
    /// FastestDet: one NHWC map of `[objectness, x, y, w, h, classes…]`, activated but for the box.
    FastestDet { output: usize, grid: [usize; 2] },
}

/// Which activations the network has applied itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// None.
    Logits,
    /// Some; each run's numbers tell which (rows).
    FromData,
}

/// One grid of an anchored head.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Index of the output tensor.
    pub output: usize,
    pub stride: usize,
    /// Rows and columns of cells.
    pub grid: [usize; 2],
    pub anchors: Vec<[f32; 2]>,
    pub cells: Cells,
}

/// Where the cells of a scale lie in their tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// NHWC map: the anchors of a pixel are neighbours.
    Pixels,
    /// Row-major `[anchor, y, x]`, beginning with this row.
    Rows(usize),
    /// `[y·x, column, anchor]` with a pitch: what is logically `[1, anchors, h·w, 5 + classes]` has rank 4 and
    /// thus comes as NHWC.
    AnchorsLast,
}

/// What one output may be, by its shape alone.
#[derive(Clone, Copy)]
enum Form {
    /// `[1, C, h, w]`
    Map { channels: usize, grid: [usize; 2], stride: usize },
    /// `[1, anchors, h, w, 5 + classes]`, row-major, or `[1, anchors, h·w, 5 + classes]`
    Grid { row: usize, grid: [usize; 2], stride: usize, cells: Cells },
    /// `[1, N, 5 + classes]`
    Rows { row: usize, scales: usize },
}

impl Heads {
    /// Finds the meaning of outputs with these names and logical shapes.
    ///
    /// Understood are YOLOv5's heads as maps `[1, na·(5+nc), h, w]`, as grids `[1, na, h, w, 5+nc]` or
    /// `[1, na, h·w, 5+nc]` (ncnn's Reshape and Permute), as rows `[1, N, 5+nc]` over all strides (logits,
    /// activated, or decoded to pixels: each run's numbers tell), and FastestDet's map `[1, 5+nc, h, w]`.
    /// Outputs of rank 4 are read as NHWC with a pitch, others row-major. The order of outputs is free; where a model
    /// gives its heads both apart and joined, the separate ones are read.
    ///
    /// # Errors
    /// [`Error::Unsupported`] listing the shapes, and what contradicts what.
    pub fn from_shapes(outputs: &[(String, Vec<usize>)], options: &HeadOptions) -> Result<Self> {
        Finder { outputs, options }.find().map_err(|why| {
            let shapes: Vec<String> = outputs.iter().map(|(name, dims)| format!("{name} {dims:?}")).collect();
            let [height, width] = options.network;
            Error::unsupported(format!(
                "the outputs do not look like a detector's heads: {why}; outputs: {}; network input {height}×{width} \
                 (height×width). Expected YOLOv5's heads ([1,na·(5+nc),h,w], [1,na,h,w,5+nc], [1,na,h·w,5+nc] or \
                 [1,N,5+nc]) or FastestDet's [1,5+nc,h,w]",
                shapes.join(", ")
            ))
        })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Rows and columns of cells, and the anchors `[width, height]` in network pixels, of each scale; empty where the
    /// heads have no anchors.
    pub fn scales(&self) -> Vec<([usize; 2], &[[f32; 2]])> {
        match &self.layout {
            Layout::Anchored { scales, .. } => {
                scales.iter().map(|s| (s.grid, s.anchors.as_slice())).collect()
            }
            Layout::FastestDet { .. } => Vec::new(),
        }
    }

    /// Indices of the outputs that are read, ascending; others need not be computed.
    pub fn outputs_read(&self) -> Vec<usize> {
        let mut indices = match &self.layout {
            Layout::Anchored { scales, .. } => scales.iter().map(|s| s.output).collect(),
            Layout::FastestDet { output, .. } => vec![*output],
        };
        indices.sort_unstable();
        indices.dedup();
        indices
    }
}

impl fmt::Display for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.layout {
            Layout::FastestDet { grid: [h, w], .. } => write!(f, "FastestDet, {h}×{w} cells")?,
            Layout::Anchored { scales, encoding } => {
                let strides: Vec<String> = scales.iter().map(|s| s.stride.to_string()).collect();
                let form = match (scales.first().map(|s| s.cells), encoding) {
                    (Some(Cells::Pixels), _) => "maps",
                    (_, Encoding::Logits) => "grids",
                    (_, Encoding::FromData) => "rows",
                };
                let anchors = scales.first().map_or(0, |s| s.anchors.len());
                write!(f, "YOLOv5 {form}, strides {}, {anchors} anchors", strides.join("/"))?;
            }
        }
        write!(f, ", {} classes", self.classes)
    }
}

/// The search; errors are half sentences that [`Heads::from_shapes`] completes.
struct Finder<'a> {
    outputs: &'a [(String, Vec<usize>)],
    options: &'a HeadOptions,
}

impl Finder<'_> {
    fn find(&self) -> Result<Heads, String> {
        if !self.options.network.iter().all(|side| (1..=INPUT_SIDE_MAX).contains(side)) {
            return Err(format!("a side of the network's input is not in 1..={INPUT_SIDE_MAX}"));
        }
        let mut separate = Vec::new();
        let mut joined = Vec::new();
        for (index, (name, dims)) in self.outputs.iter().enumerate() {
            match self.form(dims).ok_or_else(|| format!("'{name}' fits none of the forms"))? {
                form @ Form::Rows { .. } => joined.push((index, form)),
                form => separate.push((index, form)),
            }
        }
        match (separate.as_slice(), joined.as_slice()) {
            (&[(output, Form::Map { channels, grid, .. })], _) if self.is_fastest_det(channels)? => {
                let classes = self.checked_classes(channels)?;
                Ok(self.heads(classes, Layout::FastestDet { output, grid }))
            }
            ([], &[(output, Form::Rows { row, scales })]) => self.rows(output, row, scales),
            ([], []) => Err("there are none".into()),
            ([], _) => Err("there are several tensors of rows".into()),
            (separate, _) => self.separate(separate),
        }
    }

    fn heads(&self, classes: usize, layout: Layout) -> Heads {
        Heads { network: self.options.network, classes, layout }
    }

    fn anchors_per_scale(&self) -> usize {
        self.options.anchors.as_ref().map_or(3, Anchors::per_scale)
    }

    /// Rows and columns of cells at `stride`, if the network is a whole number of them.
    fn grid(&self, stride: usize) -> Option<[usize; 2]> {
        let whole = self.options.network.iter().all(|side| side.is_multiple_of(stride));
        whole.then(|| self.options.network.map(|side| side / stride))
    }

    /// The stride at which the network has this grid.
    fn stride(&self, grid: [usize; 2]) -> Option<usize> {
        let stride = self.options.network[0].checked_div(grid[0]).filter(|&s| s > 0)?;
        (self.grid(stride) == Some(grid)).then_some(stride)
    }

    fn form(&self, dims: &[usize]) -> Option<Form> {
        let anchors = self.anchors_per_scale();
        match *dims {
            [1, na, h, w, row] if na == anchors => {
                let grid = [h, w];
                self.stride(grid).map(|stride| Form::Grid { row, grid, stride, cells: Cells::Rows(0) })
            }
            [1, channels, h, w] => {
                let cells = |stride: usize| self.grid(stride).filter(|g| g[0] * g[1] == h);
                if let Some(stride) = STRIDES.into_iter().find(|&s| channels == anchors && cells(s).is_some())
                {
                    return Some(Form::Grid {
                        row: w,
                        grid: cells(stride)?,
                        stride,
                        cells: Cells::AnchorsLast,
                    });
                }
                let grid = [h, w];
                self.stride(grid).map(|stride| Form::Map { channels, grid, stride })
            }
            [1, n, row] => {
                let cells = |scales: usize| -> Option<usize> {
                    STRIDES[..scales].iter().map(|&s| self.grid(s).map(|g| g[0] * g[1])).sum()
                };
                let scales = [3, 4].into_iter().find(|&s| cells(s).map(|c| c * anchors) == Some(n));
                scales.map(|scales| Form::Rows { row, scales })
            }
            _ => None,
        }
    }

    /// A single map is FastestDet's unless it divides into anchors; then only the number of classes can tell.
    fn is_fastest_det(&self, channels: usize) -> Result<bool, String> {
        let anchors = self.anchors_per_scale();
        let divides = channels.is_multiple_of(anchors) && channels / anchors > BOX_COLUMNS;
        match self.options.classes {
            Some(classes) => Ok(channels == BOX_COLUMNS + classes),
            None if divides => Err(format!(
                "a single map of {channels} channels may be YOLOv5's or FastestDet's: give the class names"
            )),
            None => Ok(true),
        }
    }

    /// Number of classes behind a row of `columns`, which the class names must not contradict.
    fn checked_classes(&self, columns: usize) -> Result<usize, String> {
        let classes = columns.checked_sub(BOX_COLUMNS).filter(|n| (1..=CLASSES_MAX).contains(n));
        let classes = classes.ok_or_else(|| format!("{columns} columns are not 5 and some classes"))?;
        match self.options.classes {
            Some(named) if named != classes => {
                Err(format!("they have {classes} classes and there are {named} class names"))
            }
            _ => Ok(classes),
        }
    }

    fn separate(&self, outputs: &[(usize, Form)]) -> Result<Heads, String> {
        let per_scale = self.anchors_per_scale();
        let mut columns = None;
        let mut scales = Vec::new();
        for &(output, form) in outputs {
            let (row, grid, stride, cells) = match form {
                Form::Map { channels, .. } if channels % per_scale != 0 => {
                    return Err(format!("{channels} channels do not divide among {per_scale} anchors"));
                }
                Form::Map { channels, grid, stride } => (channels / per_scale, grid, stride, Cells::Pixels),
                Form::Grid { row, grid, stride, cells } => (row, grid, stride, cells),
                Form::Rows { .. } => continue,
            };
            if columns.replace(row).is_some_and(|other| other != row) {
                return Err("the scales differ in their number of classes".into());
            }
            scales.push(Scale { output, stride, grid, anchors: Vec::new(), cells });
        }
        let classes = self.checked_classes(columns.unwrap_or(0))?;
        scales.sort_by_key(|s| s.stride);
        if scales.windows(2).any(|pair| pair[0].stride == pair[1].stride) {
            return Err("two outputs have the same stride".into());
        }
        self.assign_anchors(&mut scales)?;
        Ok(self.heads(classes, Layout::Anchored { scales, encoding: Encoding::Logits }))
    }

    fn rows(&self, output: usize, row: usize, count: usize) -> Result<Heads, String> {
        let classes = self.checked_classes(row)?;
        let mut first = 0;
        let mut scales = Vec::new();
        for stride in STRIDES.into_iter().take(count) {
            let grid = self.grid(stride).ok_or("the network's size is no multiple of its strides")?;
            scales.push(Scale { output, stride, grid, anchors: Vec::new(), cells: Cells::Rows(first) });
            first += self.anchors_per_scale() * grid[0] * grid[1];
        }
        self.assign_anchors(&mut scales)?;
        Ok(self.heads(classes, Layout::Anchored { scales, encoding: Encoding::FromData }))
    }

    fn assign_anchors(&self, scales: &mut [Scale]) -> Result<(), String> {
        let strides: Vec<usize> = scales.iter().map(|s| s.stride).collect();
        let known = || {
            let all = Anchors::yolov5(if strides.contains(&64) { 4 } else { 3 })?;
            let level = |stride| STRIDES.iter().position(|&s| s == stride).and_then(|i| all.levels().get(i));
            strides.iter().map(|&stride| level(stride).cloned()).collect::<Option<Vec<_>>>()
        };
        let levels = match &self.options.anchors {
            Some(given) if given.levels().len() == scales.len() => given.levels().to_vec(),
            Some(given) => {
                let (have, need) = (given.levels().len(), scales.len());
                return Err(format!("anchors are given for {have} scales and there are {need}"));
            }
            None => known().ok_or(format!("no anchors are known for strides {strides:?}: give them"))?,
        };
        for (scale, anchors) in scales.iter_mut().zip(levels) {
            scale.anchors = anchors;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(shapes: &[&[usize]], options: &HeadOptions) -> Result<Heads> {
        let named: Vec<_> =
            shapes.iter().enumerate().map(|(i, dims)| (format!("out{i}"), dims.to_vec())).collect();
        Heads::from_shapes(&named, options)
    }

    fn square(side: usize) -> HeadOptions {
        HeadOptions { network: [side, side], ..HeadOptions::default() }
    }

    fn refused(shapes: &[&[usize]], options: &HeadOptions, why: &str) {
        let message = find(shapes, options).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }

    fn scales(heads: &Heads) -> Vec<(usize, usize, [usize; 2], Cells)> {
        match &heads.layout {
            Layout::Anchored { scales, .. } => {
                scales.iter().map(|s| (s.output, s.stride, s.grid, s.cells)).collect()
            }
            Layout::FastestDet { .. } => panic!("FastestDet"),
        }
    }

    #[test]
    fn maps_in_any_order_on_any_rectangle() {
        let options = HeadOptions { network: [192, 320], classes: Some(80), ..HeadOptions::default() };
        let heads = find(&[&[1, 255, 6, 10], &[1, 255, 24, 40], &[1, 255, 12, 20]], &options).unwrap();
        let expected = [
            (1, 8, [24, 40], Cells::Pixels),
            (2, 16, [12, 20], Cells::Pixels),
            (0, 32, [6, 10], Cells::Pixels),
        ];
        assert_eq!((heads.classes(), scales(&heads)), (80, expected.to_vec()));
        assert_eq!(heads.to_string(), "YOLOv5 maps, strides 8/16/32, 3 anchors, 80 classes");
        let Layout::Anchored { scales, .. } = &heads.layout else { panic!() };
        assert_eq!((scales[0].anchors[0], scales[2].anchors[2]), ([10.0, 13.0], [373.0, 326.0]));
    }

    #[test]
    fn grids_flat_or_not() {
        let expected = |cells| [(0, 8, [40, 40], cells), (1, 16, [20, 20], cells), (2, 32, [10, 10], cells)];
        let flat = find(&[&[1, 3, 1600, 85], &[1, 3, 400, 85], &[1, 3, 100, 85]], &square(320)).unwrap();
        assert_eq!(scales(&flat), expected(Cells::AnchorsLast));
        let full = find(&[&[1, 3, 40, 40, 85], &[1, 3, 20, 20, 85], &[1, 3, 10, 10, 85]], &square(320));
        assert_eq!(scales(&full.unwrap()), expected(Cells::Rows(0)));
    }

    #[test]
    fn rows_over_three_or_four_strides() {
        let heads = find(&[&[1, 6300, 85]], &square(320)).unwrap();
        let expected = [
            (0, 8, [40, 40], Cells::Rows(0)),
            (0, 16, [20, 20], Cells::Rows(4800)),
            (0, 32, [10, 10], Cells::Rows(6000)),
        ];
        assert_eq!((scales(&heads), heads.outputs_read()), (expected.to_vec(), vec![0]));
        // 3 · (80² + 40² + 20² + 10²)
        assert_eq!(scales(&find(&[&[1, 25500, 85]], &square(640)).unwrap()).len(), 4);
    }

    #[test]
    fn separate_heads_are_preferred_to_joined_ones() {
        let shapes: [&[usize]; 4] =
            [&[1, 25200, 85], &[1, 3, 80, 80, 85], &[1, 3, 40, 40, 85], &[1, 3, 20, 20, 85]];
        assert_eq!(find(&shapes, &square(640)).unwrap().outputs_read(), [1, 2, 3]);
    }

    #[test]
    fn fastest_det_and_its_double() {
        let layout = Layout::FastestDet { output: 0, grid: [22, 22] };
        let heads = find(&[&[1, 85, 22, 22]], &square(352)).unwrap();
        assert_eq!((heads.classes(), heads.layout), (80, layout.clone()));
        refused(&[&[1, 18, 22, 22]], &square(352), "class names");
        let with = |classes| HeadOptions { classes: Some(classes), ..square(352) };
        assert_eq!(find(&[&[1, 18, 22, 22]], &with(13)).unwrap().layout, layout);
        assert_eq!(scales(&find(&[&[1, 18, 22, 22]], &with(1)).unwrap()).len(), 1);
        refused(&[&[1, 18, 22, 22]], &with(2), "2 class names");
    }

    #[test]
    fn anchors_by_ascending_stride() {
        let anchors = Some("1,2,3,4/5,6,7,8".parse().unwrap());
        let options = HeadOptions { anchors, classes: Some(1), ..square(320) };
        let heads = find(&[&[1, 12, 10, 10], &[1, 12, 20, 20]], &options).unwrap();
        let Layout::Anchored { scales, .. } = heads.layout else { panic!() };
        let found: Vec<_> = scales.iter().map(|s| (s.stride, s.anchors[0])).collect();
        assert_eq!(found, [(16, [1.0, 2.0]), (32, [5.0, 6.0])]);
        refused(&[&[1, 12, 10, 10]], &options, "anchors are given for 2 scales");
        let no_anchors = HeadOptions { classes: Some(1), ..square(320) };
        refused(&[&[1, 18, 80, 80], &[1, 18, 40, 40]], &no_anchors, "[4, 8]");
    }

    #[test]
    fn other_shapes_are_listed() {
        refused(&[], &square(320), "there are none");
        refused(&[&[1, 84, 8400]], &square(640), "out0 [1, 84, 8400]");
        refused(&[&[1, 1000]], &square(224), "'out0' fits none");
        refused(&[&[1, 255, 40, 20]], &square(320), "fits none");
        refused(&[&[1, 255, 0, 0]], &square(320), "fits none");
        refused(&[&[1, 255, 40, 40], &[1, 255, 40, 40]], &square(320), "same stride");
        refused(&[&[1, 255, 40, 40], &[1, 258, 20, 20]], &square(320), "differ");
        refused(&[&[1, 254, 40, 40], &[1, 254, 20, 20]], &square(320), "divide");
        refused(&[&[1, 6300, 5]], &square(320), "5 columns");
        refused(&[&[1, 6300, 85], &[1, 6300, 85]], &square(320), "several");
        let three = HeadOptions { classes: Some(3), ..square(320) };
        refused(&[&[1, 6300, 85]], &three, "80 classes and there are 3 class names");
    }
}
