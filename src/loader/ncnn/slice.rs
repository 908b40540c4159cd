//! Layers that take, join, pick or surround parts: Slice, Crop, Concat, ShuffleChannel, Padding.

use super::param::Layer;
use super::reshape::resolve_axis;
use super::translate::Translator;
use super::window::ABSENT;
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::limits::{DIM_MAX, WINDOW_MAX};
use std::ops::Range;

/// Parameter ids of a Crop, per axis width, height, channels and depth.
struct CropAxis {
    letter: char,
    before: usize,
    size: usize,
    after: usize,
}

const CROP_AXES: [CropAxis; 4] = [
    CropAxis { letter: 'w', before: 0, size: 3, after: 6 },
    CropAxis { letter: 'h', before: 1, size: 4, after: 7 },
    CropAxis { letter: 'c', before: 2, size: 5, after: 8 },
    CropAxis { letter: 'd', before: 13, size: 14, after: 15 },
];

/// Axes of a blob, outermost first, that Crop and Padding know by letter.
fn axis_of(letter: char, rank: usize) -> Option<usize> {
    match rank {
        1 => "w".find(letter),
        2 => "hw".find(letter),
        3 => "chw".find(letter),
        _ => "cdhw".find(letter),
    }
}

/// The part `ranges` (one per axis of the blob) of a value with a batch.
fn part(ranges: &[Range<usize>]) -> Op {
    Op::Slice {
        start: std::iter::once(0).chain(ranges.iter().map(|range| range.start)).collect(),
        step: vec![1; ranges.len() + 1],
        count: std::iter::once(1).chain(ranges.iter().map(Range::len)).collect(),
    }
}

/// A range of an axis of `extent` that must not be empty.
fn checked_range(start: i64, end: i64, extent: usize) -> Result<Range<usize>> {
    let inside = 0 <= start && start < end && end <= extent as i64;
    let bad = || {
        Error::bad_model(format!(
            "{start}..{end} of an axis of {extent}; was the model made for another size?"
        ))
    };
    if inside { Ok(start as usize..end as usize) } else { Err(bad()) }
}

impl<'a> Translator<'a> {
    pub(super) fn concat(&mut self, layer: &'a Layer) -> Result<()> {
        self.arity(layer, layer.inputs.len().max(1), 1)?;
        let first = self.input(layer, 0);
        let axis = resolve_axis(layer.params.int(0, 0)?, self.dims(first).len())?;
        let values = (0..layer.inputs.len()).map(|i| self.input(layer, i).value).collect::<Vec<_>>();
        if values.len() == 1 {
            return self.define(layer, 0, first);
        }
        let op = Op::Concat { axis: axis + 1 };
        let value = self.graph.push(layer.name.clone(), op, values, layer.outputs[0].clone())?;
        self.define(layer, 0, super::translate::Blob { value, code_scale: None })
    }

    /// Parts by their sizes or by the indices between them; a size of −233 shares what is left.
    pub(super) fn slice(&mut self, layer: &'a Layer) -> Result<()> {
        let parts = layer.outputs.len();
        self.arity(layer, 1, parts)?;
        let blob = self.input(layer, 0);
        let dims = self.dims(blob);
        let p = &layer.params;
        let axis = resolve_axis(p.int(1, 0)?, dims.len())?;
        let (sizes, indices) = (p.ints(0)?.unwrap_or_default(), p.ints(2)?.unwrap_or_default());
        let extent = dims[axis] as i64;
        let mut start = 0;
        for i in 0..parts {
            let end = if let Some(&index) = indices.get(i).filter(|_| i + 1 < parts) {
                i64::from(index) + if index < 0 { extent } else { 0 }
            } else if !indices.is_empty() {
                extent
            } else {
                match sizes.get(i) {
                    Some(&ABSENT) => start + (extent - start) / (parts - i) as i64,
                    Some(&size) => start + i64::from(size),
                    None => {
                        let what = format!("{} sizes for {parts} parts", sizes.len());
                        return Err(Error::bad_model(what));
                    }
                }
            };
            let mut ranges: Vec<Range<usize>> = dims.iter().map(|&d| 0..d).collect();
            ranges[axis] = checked_range(start, end, dims[axis])?;
            start = end;
            self.chain_to(layer, i, blob.value, vec![part(&ranges).into()])?;
        }
        Ok(())
    }

    pub(super) fn crop(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer).map_err(|e| match layer.inputs.len() {
            2 => Error::unsupported("cropping to the size of a second blob is not supported"),
            _ => e,
        })?;
        let p = &layer.params;
        (19..=21).try_for_each(|id| p.refuse(id, "a crop given as an expression"))?;
        let dims = self.dims(blob);
        let (starts, ends) = (p.ints(9)?.unwrap_or_default(), p.ints(10)?.unwrap_or_default());
        let axes = p.ints(11)?.unwrap_or_default();
        let ranges = if starts.is_empty() || ends.is_empty() {
            crop_by_offsets(layer, &dims)?
        } else {
            crop_by_axes(&dims, &starts, &ends, &axes)?
        };
        self.chain_to(layer, 0, blob.value, vec![part(&ranges).into()])
    }

    /// Output channel `group · j + i` is input channel `channels/group · i + j`.
    pub(super) fn shuffle_channel(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let [channels, _, _] = self.image(blob)?;
        let group = layer.params.size(0, 1, 1..=DIM_MAX)?;
        let reverse = layer.params.flag(1, false)?;
        if !channels.is_multiple_of(group) {
            return Err(Error::bad_model(format!("{group} groups do not divide {channels} channels")));
        }
        let group = if reverse { channels / group } else { group };
        let per_group = channels / group;
        self.spend(channels.saturating_mul(size_of::<usize>()))?;
        let indices = (0..channels).map(|out| out % group * per_group + out / group).collect();
        self.chain_to(layer, 0, blob.value, vec![Op::Gather { axis: 1, indices }.into()])
    }

    pub(super) fn padding(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let p = &layer.params;
        p.refuse(4, "padding that repeats or mirrors the border")?;
        p.refuse(6, "a padding value per channel")?;
        let cells = |id: usize, default: usize| p.size(id, default, 0..=WINDOW_MAX);
        let rank = self.dims(blob).len();
        // Front and behind are those of the channels of an image, of the depth of a volume.
        let outer = if rank == 4 { 'd' } else { 'c' };
        let sides = [
            ('h', cells(0, 0)?, cells(1, 0)?),
            ('w', cells(2, 0)?, cells(3, 0)?),
            (outer, cells(7, 0)?, cells(8, 0)?),
        ];
        let value = p.float(5, 0.0)?;
        let (mut before, mut after) = (vec![0; rank + 1], vec![0; rank + 1]);
        for (letter, first, last) in sides {
            if let Some(axis) = axis_of(letter, rank) {
                (before[axis + 1], after[axis + 1]) = (first, last);
            }
        }
        if before.iter().chain(&after).all(|&cells| cells == 0) {
            return self.define(layer, 0, blob);
        }
        self.chain_to(layer, 0, blob.value, vec![Op::Pad { before, after, value }.into()])
    }
}

/// Offsets at the start, and sizes or offsets at the end, by letter; a size of −233 is all that is left.
fn crop_by_offsets(layer: &Layer, dims: &[usize]) -> Result<Vec<Range<usize>>> {
    let mut ranges: Vec<Range<usize>> = dims.iter().map(|&d| 0..d).collect();
    for ids in CROP_AXES {
        let p = &layer.params;
        let (before, size, after) = (p.int(ids.before, 0)?, p.int(ids.size, 0)?, p.int(ids.after, 0)?);
        if before == ABSENT {
            return Err(Error::unsupported("offsets that leave the axis open (-233) are not supported"));
        }
        let Some(axis) = axis_of(ids.letter, dims.len()) else { continue };
        let extent = dims[axis] as i64;
        let left = extent - i64::from(before) - i64::from(after);
        let size = if size == ABSENT { left } else { left.min(i64::from(size)) };
        ranges[axis] = checked_range(before.into(), i64::from(before) + size, dims[axis])?;
    }
    Ok(ranges)
}

/// Starts and ends as in ONNX; −233 is the axis' own start or end, other negative numbers count from the end.
fn crop_by_axes(dims: &[usize], starts: &[i32], ends: &[i32], axes: &[i32]) -> Result<Vec<Range<usize>>> {
    let count = if axes.is_empty() { dims.len() } else { axes.len() };
    if starts.len() != count || ends.len() != count || count > dims.len() {
        let what = format!("{} starts, {} ends, {} axes", starts.len(), ends.len(), axes.len());
        return Err(Error::bad_model(what));
    }
    let mut ranges: Vec<Range<usize>> = dims.iter().map(|&d| 0..d).collect();
    for i in 0..count {
        let axis = axes.get(i).map_or(Ok(i), |&axis| resolve_axis(axis, dims.len()))?;
        let extent = dims[axis] as i64;
        let start = match starts[i] {
            ABSENT => 0,
            start if start < 0 => extent + i64::from(start),
            start => start.into(),
        };
        let end = match ends[i] {
            ABSENT => extent,
            end if end <= 0 => extent + i64::from(end),
            end => extent.min(end.into()),
        };
        ranges[axis] = checked_range(start, end, dims[axis])?;
    }
    Ok(ranges)
}
