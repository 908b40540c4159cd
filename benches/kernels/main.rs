//! Times of the int8 kernels, one thread, on the shapes of the built-in networks, for every instruction set of
//! this CPU.
//!
//! `cargo bench` runs all; `cargo bench -- depthwise` those whose name has this word. A line's name is kernel and
//! shape / instruction set / implementation. Rates of convolutions are multiply-accumulates per second
//! (`elem/s`), all others elements of the result per second. Before a kernel is timed its bytes are compared with
//! those of the scalar reference.
// The macro's function has no documentation.
#![allow(missing_docs)]

mod convolutions;
mod elements;
mod moves;
mod operands;
mod picture;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = convolutions::all, elements::all, moves::all, picture::all
}
criterion_main!(kernels);
