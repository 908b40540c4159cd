//! Where a network is trained: on the CPU by kernels of our own, or on a GPU by burn's operations.

use crate::error::{Error, Result};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;
use burn::tensor::{self, Tensor, Transaction};

/// Names of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceName {
    /// All cores.
    #[default]
    Cpu,
    /// The first GPU, by Vulkan, Metal or Direct3D 12.
    Wgpu,
    /// The first GPU of NVIDIA, by CUDA.
    Cuda,
}

/// A device that is there.
#[derive(Clone, Debug)]
pub struct Device {
    tensors: tensor::Device,
    kernels: bool,
}

impl DeviceName {
    /// The device.
    ///
    /// # Errors
    /// This program was built without it, or the machine has none.
    pub fn open(self) -> Result<Device> {
        match self {
            DeviceName::Cpu => Ok(Device::cpu()),
            DeviceName::Wgpu => wgpu(),
            DeviceName::Cuda => cuda(),
        }
    }
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device> {
    let default = || tensor::Device::wgpu(tensor::DeviceKind::DefaultDevice);
    gpu(
        DeviceType::Wgpu,
        default,
        "--device wgpu: no GPU with a driver for Vulkan, Metal or Direct3D 12 is found",
    )
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device> {
    Err(not_built("wgpu"))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device> {
    gpu(DeviceType::Cuda, || tensor::Device::cuda(0), "--device cuda: no GPU with NVIDIA's driver is found")
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device> {
    Err(not_built("cuda"))
}

/// A GPU, if there is one: burn panics where it is asked for one that is not there.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn gpu(kind: DeviceType, make: impl Fn() -> tensor::Device, none: &str) -> Result<Device> {
    match tensor::Device::enumerate(kind).is_empty() {
        true => Err(Error::Usage(format!("{none}; train without --device, on the CPU"))),
        false => Ok(Device { tensors: make().autodiff(), kernels: false }),
    }
}

#[cfg(not(all(feature = "wgpu", feature = "cuda")))]
fn not_built(name: &str) -> Error {
    Error::Usage(format!(
        "--device {name}: this calib was built without it; build one that has it by `cargo build --release -p \
         ocellus-calib --features {name}`, or train without --device, on the CPU"
    ))
}

impl Device {
    /// The CPU.
    pub fn cpu() -> Self {
        Device { tensors: tensor::Device::flex().autodiff(), kernels: true }
    }

    /// The CPU in the place of a GPU.
    #[cfg(test)]
    pub fn portable() -> Self {
        Device { kernels: false, ..Device::cpu() }
    }

    /// Where tensors are made, with gradients.
    pub(super) fn tensors(&self) -> &tensor::Device {
        &self.tensors
    }

    /// Whether kernels run on it.
    pub(super) fn has_kernels(&self) -> bool {
        self.kernels
    }
}

/// The numbers of tensors, which a GPU is waited for but once.
pub(super) fn numbers(tensors: impl IntoIterator<Item = Tensor<4>>) -> Vec<Vec<f32>> {
    let all = tensors.into_iter().fold(Transaction::default(), |all, tensor| all.register(tensor));
    let numbers = all.execute().into_iter().map(tensor::TensorData::try_into_vec);
    numbers.map(|numbers| numbers.expect("tensors are of single precision")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_built_says_how_to_build_it() {
        assert!(DeviceName::default().open().unwrap().has_kernels());
        #[cfg(not(feature = "wgpu"))]
        assert!(DeviceName::Wgpu.open().unwrap_err().to_string().contains("--features wgpu"));
        #[cfg(not(feature = "cuda"))]
        assert!(DeviceName::Cuda.open().unwrap_err().to_string().contains("--features cuda"));
    }
}
