//! The tensors of a file, by the names that modules of a network have.

use crate::limits::CHECKPOINT_BYTES_MAX;
use ocellus::loader::reader::f16_to_f32;
use ocellus::{Error, Result};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::Path;

/// Ends of names that a network's first convolution has.
const FIRST: [&str; 3] = ["model.0.conv.weight", "model.0.conv.0.weight", "model.0.conv.conv.weight"];
/// Begin of names in the checkpoints of `calib train`.
const OWN: &str = "average/";

/// The tensors of one network.
pub(super) struct Tensors {
    file: File,
    /// What all names begin with.
    prefix: String,
}

enum File {
    PyTorch(HashMap<String, pytorch_reader::Tensor>),
    Safe(Vec<u8>),
}

impl Tensors {
    pub fn open(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if length > CHECKPOINT_BYTES_MAX {
            return Err(Error::bad_model(format!(
                "{length} bytes; the limit of a checkpoint is {CHECKPOINT_BYTES_MAX}"
            )));
        }
        let file = match path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("safetensors")) {
            true => File::Safe(std::fs::read(path).map_err(|e| Error::io(path, e))?),
            false => {
                let reader = PytorchReader::new(path);
                let reader =
                    reader.map_err(|e| Error::bad_model(format!("no checkpoint of PyTorch: {e}")))?;
                File::PyTorch(reader.into_tensors())
            }
        };
        let prefix = file.prefix()?;
        Ok(Tensors { file, prefix })
    }

    /// Number of tensors that are convolutions' weights.
    pub fn convolutions(&self) -> usize {
        let own = |name: &str, rank: usize| {
            rank == 4 && name.starts_with(&self.prefix) && name.ends_with(".weight")
        };
        match &self.file {
            File::PyTorch(all) => all.iter().filter(|(name, tensor)| own(name, tensor.shape().len())).count(),
            File::Safe(bytes) => safe(bytes)
                .map_or(0, |all| all.iter().filter(|(name, view)| own(name, view.shape().len())).count()),
        }
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let name = format!("{}{name}", self.prefix);
        match &self.file {
            File::PyTorch(all) => Some(all.get(&name)?.shape().to_vec()),
            File::Safe(bytes) => Some(safe(bytes).ok()?.tensor(&name).ok()?.shape().to_vec()),
        }
    }

    /// The numbers of a tensor.
    pub fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        let name = format!("{}{name}", self.prefix);
        let broken = |what: String| Error::bad_model(format!("{name}: {what}"));
        let values = match &self.file {
            File::PyTorch(all) => {
                let tensor = all.get(&name).ok_or_else(|| broken("there is no such tensor".to_owned()))?;
                let bytes = tensor.read().map_err(|e| broken(e.to_string()))?;
                decoded(
                    &bytes,
                    match tensor.dtype() {
                        DType::F64 => Some(Number::F64),
                        DType::F32 => Some(Number::F32),
                        DType::F16 => Some(Number::F16),
                        DType::BF16 => Some(Number::BF16),
                        _ => None,
                    },
                )
            }
            File::Safe(bytes) => {
                let all = safe(bytes)?;
                let view = all.tensor(&name).map_err(|e| broken(e.to_string()))?;
                decoded(
                    view.data(),
                    match view.dtype() {
                        Dtype::F64 => Some(Number::F64),
                        Dtype::F32 => Some(Number::F32),
                        Dtype::F16 => Some(Number::F16),
                        Dtype::BF16 => Some(Number::BF16),
                        _ => None,
                    },
                )
            }
        };
        let values = values.ok_or_else(|| broken("it does not hold real numbers".to_owned()))?;
        match values.iter().all(|x| x.is_finite()) {
            true => Ok(values),
            false => Err(broken("it holds NaN or infinity; train the model again".to_owned())),
        }
    }
}

impl File {
    /// What stands before the names of a network's modules. Of several networks it is the one with averaged weights.
    fn prefix(&self) -> Result<String> {
        let names: Vec<String> = match self {
            File::PyTorch(all) => all.keys().cloned().collect(),
            File::Safe(bytes) => safe(bytes)?.names().into_iter().map(str::to_owned).collect(),
        };
        let begin = |name: &String| {
            let end = FIRST.iter().find(|end| name.ends_with(*end))?;
            Some(name[..name.len() - end.len()].to_owned())
        };
        let prefixes = names.iter().filter_map(begin);
        let best = prefixes.min_by_key(|prefix| (!prefix.contains("ema"), prefix.len(), prefix.clone()));
        best.ok_or_else(|| {
            Error::unsupported(match names.iter().any(|name| name.starts_with(OWN)) {
                true => "this is the state of a run of `calib train`; its model is the last.onnx beside it".to_owned(),
                false => format!(
                    "of its {} tensors none is called …{}: this is no YOLOv5 and no YOLOv5-Lite; export it to ONNX",
                    names.len(),
                    FIRST[0]
                ),
            })
        })
    }
}

fn safe(bytes: &[u8]) -> Result<SafeTensors<'_>> {
    SafeTensors::deserialize(bytes).map_err(|e| Error::bad_model(format!("no safetensors: {e}")))
}

/// How a number is stored.
#[derive(Clone, Copy)]
enum Number {
    F64,
    F32,
    F16,
    BF16,
}

fn decoded(bytes: &[u8], number: Option<Number>) -> Option<Vec<f32>> {
    Some(match number? {
        Number::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        Number::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Number::F16 => bytes.as_chunks().0.iter().map(|&b| f16_to_f32(u16::from_le_bytes(b))).collect(),
        Number::BF16 => {
            let widened = |&b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
            bytes.as_chunks().0.iter().map(widened).collect()
        }
    })
}
