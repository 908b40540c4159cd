//! Softmax and Reduction.

use super::param::Layer;
use super::reshape::resolve_axis;
use super::translate::{Step, Translator};
use crate::error::{Error, Result};
use crate::graph::{Op, ReduceKind, Unary};

impl<'a> Translator<'a> {
    pub(super) fn softmax(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let given = layer.params.int(0, 0)?;
        let axis = resolve_axis(given, self.dims(blob).len())?;
        // Files without this mark counted the batch among the axes; ncnn refuses them as well.
        if !layer.params.flag(1, false)? && given != 0 {
            return Err(Error::unsupported(
                "its axis is counted the old way (no 1=1); convert the model anew",
            ));
        }
        self.chain_to(layer, 0, blob.value, vec![Op::Softmax { axis: axis + 1 }.into()])
    }

    pub(super) fn reduction(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let p = &layer.params;
        let kind = match p.int(0, 0)? {
            0 => ReduceKind::Sum,
            3 => ReduceKind::Mean,
            4 => ReduceKind::Max,
            5 => ReduceKind::Min,
            other => return Err(Error::unsupported(format!("reduction {other} is not supported"))),
        };
        let (all, coefficient, keep) = (p.flag(1, true)?, p.float(2, 1.0)?, p.flag(4, false)?);
        let (given, fixed) = (p.ints(3)?, p.flag(5, false)?);
        let dims = self.dims(blob);
        let axes: Vec<usize> = match given {
            None if !all => return Err(Error::bad_model("it gives no axes")),
            Some(given) if !all => {
                if !fixed {
                    let what = "its axes are counted the old way (no 5=1); convert the model anew";
                    return Err(Error::unsupported(what));
                }
                let axes: Result<Vec<usize>> =
                    given.iter().map(|&axis| resolve_axis(axis, dims.len())).collect();
                let mut axes = axes?;
                axes.sort_unstable();
                axes.dedup();
                axes
            }
            _ => (0..dims.len()).collect(),
        };
        let mut steps: Vec<Step> =
            vec![Op::Reduce { kind, axes: axes.iter().map(|axis| axis + 1).collect() }.into()];
        if coefficient != 1.0 {
            steps.push(Op::Unary(Unary::Affine { scale: coefficient, shift: 0.0 }).into());
        }
        if !keep && !axes.is_empty() {
            let mut left: Vec<usize> =
                (0..dims.len()).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect();
            if left.is_empty() {
                left.push(1);
            }
            steps.push(Op::Reshape { shape: [vec![1], left].concat() }.into());
        }
        self.chain_to(layer, 0, blob.value, steps)
    }
}
