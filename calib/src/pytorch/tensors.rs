//! The tensors of a file, by the names that modules of a network have.

use crate::limits::CHECKPOINT_BYTES_MAX;
use ocellus::loader::reader::f16_to_f32;
use ocellus::{Error, Result};
use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::Path;

/// Ends of names that a network's first convolution has.
const FIRST: [&str; 3] = ["model.0.conv.weight", "model.0.conv.0.weight", "model.0.conv.conv.weight"];
/// Begin of names in the checkpoints of `calib train`.
const OWN: &str = "average/";

/// The tensors of one network.
pub(super) struct Tensors {
    /// By their names in the file.
    all: HashMap<String, Stored>,
    /// What the names of this network's begin with.
    prefix: String,
}

/// A tensor in its file.
struct Stored {
    shape: Vec<usize>,
    /// `None`: its elements are no real numbers.
    number: Option<Number>,
    place: Place,
}

enum Place {
    /// Where the library finds it.
    PyTorch(pytorch_reader::Tensor),
    Bytes(Vec<u8>),
}

impl Tensors {
    pub fn open(path: &Path) -> Result<Self> {
        let about = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if !about.is_file() {
            return Err(Error::bad_model("not a regular file"));
        }
        if about.len() > CHECKPOINT_BYTES_MAX {
            let what = format!("{} bytes; the limit of a checkpoint is {CHECKPOINT_BYTES_MAX}", about.len());
            return Err(Error::bad_model(what));
        }
        let all = match path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("safetensors")) {
            true => of_safetensors(&std::fs::read(path).map_err(|e| Error::io(path, e))?)?,
            false => of_pytorch(path)?,
        };
        let prefix = prefix(&all)?;
        Ok(Tensors { all, prefix })
    }

    /// Number of tensors that are convolutions' weights.
    pub fn convolutions(&self) -> usize {
        let own = |name: &str| name.starts_with(&self.prefix) && name.ends_with(".weight");
        self.all.iter().filter(|(name, stored)| stored.shape.len() == 4 && own(name)).count()
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.all.get(&format!("{}{name}", self.prefix)).map(|stored| stored.shape.as_slice())
    }

    /// The numbers of a tensor.
    pub fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        let name = format!("{}{name}", self.prefix);
        let broken = |what: String| Error::bad_model(format!("{name}: {what}"));
        let stored = self.all.get(&name).ok_or_else(|| broken("there is no such tensor".to_owned()))?;
        let number = stored.number.ok_or_else(|| broken("it does not hold real numbers".to_owned()))?;
        let values = match &stored.place {
            Place::PyTorch(tensor) => number.decoded(&tensor.read().map_err(|e| broken(e.to_string()))?),
            Place::Bytes(bytes) => number.decoded(bytes),
        };
        match values.iter().all(|x| x.is_finite()) {
            true => Ok(values),
            false => Err(broken("it holds NaN or infinity; train the model again".to_owned())),
        }
    }
}

fn of_pytorch(path: &Path) -> Result<HashMap<String, Stored>> {
    let reader = PytorchReader::new(path);
    let reader = reader.map_err(|e| Error::bad_model(format!("no checkpoint of PyTorch: {e}")))?;
    let stored = |(name, tensor): (String, pytorch_reader::Tensor)| {
        let number = match tensor.dtype() {
            DType::F64 => Some(Number::F64),
            DType::F32 => Some(Number::F32),
            DType::F16 => Some(Number::F16),
            DType::BF16 => Some(Number::BF16),
            _ => None,
        };
        (name, Stored { shape: tensor.shape().to_vec(), number, place: Place::PyTorch(tensor) })
    };
    Ok(reader.into_tensors().into_iter().map(stored).collect())
}

fn of_safetensors(bytes: &[u8]) -> Result<HashMap<String, Stored>> {
    let read = SafeTensors::deserialize(bytes);
    let read = read.map_err(|e| Error::bad_model(format!("no safetensors: {e}")))?;
    let stored = |(name, view): (String, TensorView)| {
        let number = match view.dtype() {
            Dtype::F64 => Some(Number::F64),
            Dtype::F32 => Some(Number::F32),
            Dtype::F16 => Some(Number::F16),
            Dtype::BF16 => Some(Number::BF16),
            _ => None,
        };
        (name, Stored { shape: view.shape().to_vec(), number, place: Place::Bytes(view.data().to_vec()) })
    };
    Ok(read.tensors().into_iter().map(stored).collect())
}

/// What stands before the names of a network's modules. Of several networks it is the one with averaged weights.
fn prefix(all: &HashMap<String, Stored>) -> Result<String> {
    let begin = |name: &String| {
        let end = FIRST.iter().find(|end| name.ends_with(*end))?;
        Some(name[..name.len() - end.len()].to_owned())
    };
    let prefixes = all.keys().filter_map(begin);
    let best = prefixes.min_by_key(|prefix| (!prefix.contains("ema"), prefix.len(), prefix.clone()));
    best.ok_or_else(|| {
        Error::unsupported(match all.keys().any(|name| name.starts_with(OWN)) {
            true => "this is the state of a run of `calib train`; its model is the last.onnx beside it".to_owned(),
            false => format!(
                "of its {} tensors none is called …{}: this is no YOLOv5 and no YOLOv5-Lite; export it to ONNX",
                all.len(),
                FIRST[0]
            ),
        })
    })
}

/// How a number is stored.
#[derive(Clone, Copy)]
enum Number {
    F64,
    F32,
    F16,
    BF16,
}

impl Number {
    fn decoded(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Number::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
            Number::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Number::F16 => bytes.as_chunks().0.iter().map(|&b| f16_to_f32(u16::from_le_bytes(b))).collect(),
            Number::BF16 => {
                let widened = |&b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
                bytes.as_chunks().0.iter().map(widened).collect()
            }
        }
    }
}
