//! Loops that the compiler turns into vector instructions, of the best kind that the machine has.

/// Numbers that are summed side by side: two or four vectors.
pub(super) const LANES: usize = 32;

/// Functions that are compiled for each kind of vector instructions; a call takes the best that the machine has. What
/// they call has to be `#[inline(always)]`.
///
/// Each becomes a type with its arguments: to a closure, or a function that is passed, the compiler would leave the
/// freedom to be called without vector instructions.
macro_rules! vectorized {
    ($(
        $(#[$about:meta])*
        fn $name:ident<$a:lifetime $(, $f:ident: $bound:path)?>($($arg:ident: $type:ty),* $(,)?) -> $out:ty $body:block
    )*) => {$(
        $(#[$about])*
        fn $name<$a $(, $f: $bound)?>($($arg: $type),*) -> $out {
            struct Call<$a $(, $f: $bound)?> {
                $($arg: $type),*
            }
            impl<$a $(, $f: $bound)?> pulp::NullaryFnOnce for Call<$a $(, $f)?> {
                type Output = $out;

                #[inline(always)]
                fn call(self) -> $out {
                    let Call { $($arg),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Call { $($arg),* })
        }
    )*};
}
pub(super) use vectorized;

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
