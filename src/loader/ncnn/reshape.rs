//! Layers that keep the elements and change shape or order: Reshape, Flatten, Squeeze, ExpandDims, Permute;
//! and MemoryData, which has a shape of its own.

use super::bin::only_real;
use super::param::Layer;
use super::translate::{Blob, Translator};
use super::window::ABSENT;
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::limits::{DIM_MAX, TENSOR_ELEMENTS_MAX};
use crate::tensor::{Data, Shape};

/// Most dimensions of a blob: channels, depth, height, width.
const BLOB_RANK_MAX: usize = 4;

/// Parameter ids of width, height, depth and channels in the layers that give a shape.
const WIDTH: usize = 0;
const HEIGHT: usize = 1;
const CHANNELS: usize = 2;
const DEPTH: usize = 11;

/// Orders of Permute for blobs of two, three and four dimensions: the letters of the input's axes as the
/// output has them, innermost first, as in ncnn's operator table.
const ORDERS_2D: [&str; 2] = ["wh", "hw"];
const ORDERS_3D: [&str; 6] = ["whc", "hwc", "wch", "cwh", "hcw", "chw"];
#[rustfmt::skip]
const ORDERS_4D: [&str; 24] = [
    "whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd", "wchd", "cwhd", "hcwd", "chwd",
    "wdch", "dwch", "wcdh", "cwdh", "dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw",
];

/// An axis of a blob of `rank` dimensions; negative ones count from the end.
pub(super) fn resolve_axis(axis: i32, rank: usize) -> Result<usize> {
    let signed = i64::from(axis) + if axis < 0 { rank as i64 } else { 0 };
    let resolved = usize::try_from(signed).ok().filter(|&axis| axis < rank);
    resolved.ok_or_else(|| Error::bad_model(format!("axis {axis} is outside a blob of {rank} dimensions")))
}

/// Axes of a blob, outermost first, by letter.
fn letters(rank: usize) -> &'static str {
    match rank {
        1 => "w",
        2 => "hw",
        3 => "chw",
        _ => "cdhw",
    }
}

impl<'a> Translator<'a> {
    fn reshape_to(&mut self, layer: &'a Layer, blob: Blob, dims: Vec<usize>) -> Result<()> {
        let shape = [vec![1], dims].concat();
        if self.graph.shape(blob.value).dims() == shape {
            return self.define(layer, 0, blob);
        }
        self.chain_to(layer, 0, blob.value, vec![Op::Reshape { shape }.into()])
    }

    pub(super) fn reshape(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let p = &layer.params;
        p.refuse(3, "reshaping in the order of height, width, channels")?;
        p.refuse(6, "a shape given as an expression")?;
        let [w, h, d, c] =
            [p.int(WIDTH, ABSENT)?, p.int(HEIGHT, ABSENT)?, p.int(DEPTH, ABSENT)?, p.int(CHANNELS, ABSENT)?];
        // What is absent decides the rank; width is the last to go.
        let target: Vec<(char, i32)> = match [w, h, c, d] {
            [ABSENT, ..] => return Err(Error::bad_model("it gives no width")),
            [w, ABSENT, ..] => vec![('w', w)],
            [w, h, ABSENT, _] => vec![('h', h), ('w', w)],
            [w, h, c, ABSENT] => vec![('c', c), ('h', h), ('w', w)],
            [w, h, c, d] => vec![('c', c), ('d', d), ('h', h), ('w', w)],
        };
        let from = self.dims(blob);
        let axes = letters(from.len());
        let mut dims = Vec::with_capacity(target.len());
        for &(letter, extent) in &target {
            dims.push(match extent {
                // An axis that the input lacks has extent 1.
                0 => axes.find(letter).map_or(1, |axis| from[axis]),
                -1 => 0,
                n => usize::try_from(n).map_err(|_| Error::bad_model(format!("its {letter} is {n}")))?,
            });
        }
        let open: Vec<usize> = (0..dims.len()).filter(|&i| target[i].1 == -1).collect();
        if let [open] = open[..] {
            let elements = self.graph.shape(blob.value).elements();
            let mut others = dims.iter().enumerate().filter(|&(i, _)| i != open);
            let others = others.try_fold(1usize, |n, (_, &d)| n.checked_mul(d)).filter(|&n| n > 0);
            dims[open] = others.filter(|n| elements.is_multiple_of(*n)).map(|n| elements / n).ok_or_else(|| {
                Error::bad_model(format!("{elements} elements do not fill {target:?}; a fixed size in it may not allow the chosen input size"))
            })?;
        } else if open.len() > 1 {
            return Err(Error::bad_model(format!("more than one open dimension: {target:?}")));
        }
        self.reshape_to(layer, blob, dims)
    }

    pub(super) fn flatten(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let elements = self.graph.shape(blob.value).elements();
        self.reshape_to(layer, blob, vec![elements])
    }

    /// The axes of an array parameter of Squeeze and ExpandDims.
    fn given_axes(layer: &Layer, rank: usize) -> Result<Vec<usize>> {
        let axes = layer.params.ints(3)?.unwrap_or_default();
        axes.iter().map(|&axis| resolve_axis(axis, rank)).collect()
    }

    /// Drops the given axes, by number or by letter, where they have extent 1.
    pub(super) fn squeeze(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let dims = self.dims(blob);
        let mut axes = Self::given_axes(layer, dims.len())?;
        let by_number = !axes.is_empty();
        for (letter, id) in [('w', WIDTH), ('h', HEIGHT), ('d', DEPTH), ('c', CHANNELS)] {
            if layer.params.flag(id, false)? && !by_number {
                axes.extend(letters(dims.len()).find(letter));
            }
        }
        let mut left: Vec<usize> = (0..dims.len())
            .filter(|axis| dims[*axis] != 1 || !axes.contains(axis))
            .map(|axis| dims[axis])
            .collect();
        if left.is_empty() {
            left.push(1);
        }
        self.reshape_to(layer, blob, left)
    }

    pub(super) fn expand_dims(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        for id in [WIDTH, HEIGHT, DEPTH, CHANNELS] {
            layer.params.refuse(id, "a new dimension by letter")?;
        }
        let mut dims = self.dims(blob);
        let rank = dims.len() + 1;
        if rank > BLOB_RANK_MAX {
            return Err(Error::unsupported("blobs of five dimensions are not supported"));
        }
        match Self::given_axes(layer, rank)?[..] {
            [axis] => dims.insert(axis, 1),
            ref axes => {
                let what = format!("{} new dimensions at once are not supported", axes.len());
                return Err(Error::unsupported(what));
            }
        }
        self.reshape_to(layer, blob, dims)
    }

    pub(super) fn permute(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let rank = self.dims(blob).len();
        let orders: &[&str] = match rank {
            2 => &ORDERS_2D,
            3 => &ORDERS_3D,
            4 => &ORDERS_4D,
            _ => &["w"],
        };
        let number = layer.params.size(0, 0, 0..=orders.len() - 1)?;
        if number == 0 {
            return self.define(layer, 0, blob);
        }
        let axes = orders[number].chars().rev().filter_map(|letter| letters(rank).find(letter));
        let perm = std::iter::once(0).chain(axes.map(|axis| axis + 1)).collect();
        self.chain_to(layer, 0, blob.value, vec![Op::Transpose { perm }.into()])
    }

    pub(super) fn memory_data(&mut self, layer: &'a Layer) -> Result<()> {
        self.arity(layer, 0, 1)?;
        let p = &layer.params;
        let extent = |id: usize| p.size(id, 0, 0..=DIM_MAX);
        let [w, h, d, c] = [extent(WIDTH)?, extent(HEIGHT)?, extent(DEPTH)?, extent(CHANNELS)?];
        let dims = match [w, h, d, c] {
            [0, ..] => vec![1],
            [w, 0, _, _] => vec![w],
            [w, h, 0, 0] => vec![h, w],
            [w, h, 0, c] => vec![c, h, w],
            [w, h, d, c] => vec![c, d, h, w],
        };
        let shape = Shape::new([vec![1], dims].concat())?;
        debug_assert!(shape.elements() <= TENSOR_ELEMENTS_MAX);
        let values = match p.int(21, 1)? {
            0 => only_real(self.weights.tagged(shape.elements())?)?,
            1 => self.weights.reals(shape.elements())?,
            other => {
                return Err(Error::unsupported(format!("its data are stored as {other}, expected 0 or 1")));
            }
        };
        let value = self.constant(layer, "data", shape.dims(), Data::F32(values))?;
        self.define(layer, 0, Blob { value, code_scale: None })
    }
}
