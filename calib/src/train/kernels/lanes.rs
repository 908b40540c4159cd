//! Loops that the compiler turns into vector instructions, of the best kind that the machine has.

use pulp::Simd;

/// Most numbers of a vector.
const LANES_MAX: usize = 16;

/// Functions that are compiled for each kind of vector instructions; a call takes the best that the machine has. What
/// they call has to be `#[inline(always)]`. The name before the arguments is that of the instructions, for what says
/// itself what becomes a vector.
///
/// Each becomes a type with its arguments: to a closure, or a function that is passed, the compiler would leave the
/// freedom to be called without vector instructions.
macro_rules! vectorized {
    ($(
        $(#[$about:meta])*
        fn $name:ident<$a:lifetime $(, $f:ident: $bound:path)?>($simd:ident; $($arg:ident: $type:ty),* $(,)?) -> $out:ty $body:block
    )*) => {$(
        $(#[$about])*
        fn $name<$a $(, $f: $bound)?>($($arg: $type),*) -> $out {
            struct Call<$a $(, $f: $bound)?> {
                $($arg: $type),*
            }
            impl<$a $(, $f: $bound)?> pulp::WithSimd for Call<$a $(, $f)?> {
                type Output = $out;

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, $simd: S) -> $out {
                    let Call { $($arg),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Call { $($arg),* })
        }
    )*};
}
pub(super) use vectorized;

/// Vectors that are summed side by side: an addition takes longer than the next one can wait.
const SUMS: usize = 4;

/// Sum over pairs of numbers, of which `add` adds a vector to a vector of sums; where the last vector is not full,
/// `fill` stands in for `a` and `b`. To be called within [`WithSimd`](pulp::WithSimd).
///
/// In plain loops the compiler gives every lane of a sum its own instruction.
#[inline(always)]
pub(super) fn fold<S: Simd>(
    simd: S,
    (a, b): (&[f32], &[f32]),
    fill: f32,
    add: impl Fn(S::f32s, S::f32s, S::f32s) -> S::f32s,
) -> f32 {
    let (a, a_rest) = S::as_simd_f32s(a);
    let (b, b_rest) = S::as_simd_f32s(b);
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    let (whole_a, some_a) = a.as_chunks::<SUMS>();
    let (whole_b, some_b) = b.as_chunks::<SUMS>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for i in 0..SUMS {
            sums[i] = add(a[i], b[i], sums[i]);
        }
    }
    for (a, b) in some_a.iter().zip(some_b) {
        sums[0] = add(*a, *b, sums[0]);
    }
    let mut ends = [[fill; LANES_MAX]; 2];
    let rest = a_rest.len().min(b_rest.len());
    ends[0][..rest].copy_from_slice(&a_rest[..rest]);
    ends[1][..rest].copy_from_slice(&b_rest[..rest]);
    let [a, b] = ends.each_ref().map(|end| S::as_simd_f32s(end).0[0]);
    sums[1] = add(a, b, sums[1]);
    let [a, b, c, d] = sums;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

/// `Σ x`. To be called within [`WithSimd`](pulp::WithSimd), as the next one.
#[inline(always)]
pub(super) fn sum<S: Simd>(simd: S, x: &[f32]) -> f32 {
    fold(
        simd,
        (x, x),
        0.0,
        #[inline(always)]
        |x, _, sum| simd.add_f32s(sum, x),
    )
}

/// `Σ a · b`.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    fold(
        simd,
        (a, b),
        0.0,
        #[inline(always)]
        |a, b, sum| simd.mul_add_f32s(a, b, sum),
    )
}
