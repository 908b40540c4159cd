//! Loops that the compiler turns into vector instructions, of the best kind that the machine has.

use pulp::{Arch, NullaryFnOnce};

/// Numbers that are summed side by side: two or four vectors.
pub(super) const LANES: usize = 32;

/// Runs `work` compiled for the best vector instructions, with `args`. It is inlined into a function for each kind,
/// and what it calls has to be too: mark both `#[inline(always)]`.
pub(super) fn vectorized<A, R>(work: impl FnOnce(A) -> R, args: A) -> R {
    Arch::new().dispatch(Call { work, args })
}

/// A closure would do, but for the compiler's freedom to leave it a function without vector instructions.
struct Call<F, A> {
    work: F,
    args: A,
}

impl<F: FnOnce(A) -> R, A, R> NullaryFnOnce for Call<F, A> {
    type Output = R;

    #[inline(always)]
    fn call(self) -> R {
        (self.work)(self.args)
    }
}

/// Sum of the lanes.
#[inline(always)]
pub(super) fn total(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Sum of `f` over pairs of elements, in a fixed order. To be called within [`vectorized`].
#[inline(always)]
pub(super) fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[i] += f(*a, *b);
    }
    total(lanes)
}
