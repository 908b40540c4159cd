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

use criterion::Criterion;
use std::time::Duration;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    for benches in [convolutions::all, elements::all, moves::all, picture::all] {
        benches(&mut criterion);
    }
    criterion.final_summary();
}
