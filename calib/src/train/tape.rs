//! Kernels as operations of burn: its back end Flex runs them, its automatic differentiation calls their gradients.
//!
//! This file is all that ties kernels to burn.

use super::kernels::{Extent, recycle};
use super::portable::Portable;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};
use std::sync::Arc;

/// A kernel that several own: the tape and whoever asks for what it has noted.
pub type Shared = Arc<dyn Portable>;

type FlexTensor = FloatTensor<Flex>;
type Tracked = FloatTensor<Autodiff<Flex>>;

/// Kernels of one to four inputs.
#[backend_extension(Flex, Autodiff)]
trait HostOps: Backend {
    fn one(a: FloatTensor<Self>, kernel: Shared) -> FloatTensor<Self>;
    fn two(a: FloatTensor<Self>, b: FloatTensor<Self>, kernel: Shared) -> FloatTensor<Self>;
    fn three(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        kernel: Shared,
    ) -> FloatTensor<Self>;
    fn four(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        kernel: Shared,
    ) -> FloatTensor<Self>;
}

/// The result of `kernel` on the tensors `inputs`, of which there are one to four.
pub fn apply(kernel: Shared, inputs: &[&Tensor<4>]) -> Tensor<4> {
    let dispatched = |i: usize| inputs[i].clone().into_dispatch();
    Tensor::from_dispatch(match inputs.len() {
        1 => Dispatch::one(dispatched(0), kernel),
        2 => Dispatch::two(dispatched(0), dispatched(1), kernel),
        3 => Dispatch::three(dispatched(0), dispatched(1), dispatched(2), kernel),
        4 => Dispatch::four(dispatched(0), dispatched(1), dispatched(2), dispatched(3), kernel),
        n => unreachable!("{n} operands were refused when the network was read"),
    })
}

fn flex(values: Vec<f32>, dims: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims.to_vec()))
}

fn forward<const N: usize>(kernel: &Shared, inputs: &[FlexTensor; N]) -> FlexTensor {
    let inputs = inputs.each_ref().map(|input| input.storage::<f32>());
    let Extent { channels, images, rows, columns } = kernel.output();
    flex(kernel.forward(&inputs), &[channels, images, rows, columns])
}

/// Gives back the numbers of a tensor if it was the last that held them, and a kernel has made them: memory of burn's
/// own is of another alignment.
fn give_back(tensor: FlexTensor) {
    let shared = tensor.data_arc();
    drop(tensor);
    if let Some(bytes) = Arc::into_inner(shared)
        && let Ok(values) = bytes.try_into_vec()
    {
        recycle(values);
    }
}

/// The gradient of a kernel.
#[derive(Debug)]
struct Step;

impl<const N: usize> Backward<Flex, N> for Step {
    type State = (Shared, [FlexTensor; N]);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (kernel, inputs) = ops.state;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let values = inputs.each_ref().map(|input| input.storage::<f32>());
        let made = kernel.backward(&values, grad.storage::<f32>(), &wanted);
        for ((parent, made), input) in ops.parents.iter().zip(made).zip(&inputs) {
            if let (Some(parent), Some(made)) = (parent, made) {
                let dims: Vec<usize> = input.layout().shape().iter().copied().collect();
                grads.register::<Flex>(parent.id, flex(made, &dims));
            }
        }
        inputs.into_iter().chain([grad]).for_each(give_back);
    }
}

/// Whole storages: kernels read slices.
fn whole(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.to_contiguous();
    debug_assert_eq!(whole.storage::<f32>().len(), whole.layout().num_elements());
    whole
}

fn tracked<const N: usize, C: CheckpointStrategy>(inputs: [Tracked; N], kernel: Shared) -> Tracked {
    let nodes: [NodeGuard; N] = inputs.each_ref().map(Tracked::node);
    let inputs = inputs.map(|input| whole(input.into_primitive()));
    let output = forward(&kernel, &inputs);
    match Step.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((kernel, inputs), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

impl HostOps for Flex {
    fn one(a: FlexTensor, kernel: Shared) -> FlexTensor {
        forward(&kernel, &[a].map(whole))
    }

    fn two(a: FlexTensor, b: FlexTensor, kernel: Shared) -> FlexTensor {
        forward(&kernel, &[a, b].map(whole))
    }

    fn three(a: FlexTensor, b: FlexTensor, c: FlexTensor, kernel: Shared) -> FlexTensor {
        forward(&kernel, &[a, b, c].map(whole))
    }

    fn four(a: FlexTensor, b: FlexTensor, c: FlexTensor, d: FlexTensor, kernel: Shared) -> FlexTensor {
        forward(&kernel, &[a, b, c, d].map(whole))
    }
}

impl<C: CheckpointStrategy> HostOps for Autodiff<Flex, C> {
    fn one(a: Tracked, kernel: Shared) -> Tracked {
        tracked::<1, C>([a], kernel)
    }

    fn two(a: Tracked, b: Tracked, kernel: Shared) -> Tracked {
        tracked::<2, C>([a, b], kernel)
    }

    fn three(a: Tracked, b: Tracked, c: Tracked, kernel: Shared) -> Tracked {
        tracked::<3, C>([a, b, c], kernel)
    }

    fn four(a: Tracked, b: Tracked, c: Tracked, d: Tracked, kernel: Shared) -> Tracked {
        tracked::<4, C>([a, b, c, d], kernel)
    }
}
