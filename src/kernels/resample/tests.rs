use super::*;
use crate::kernels::isa::Isa;
use proptest::prelude::*;

/// Windows of `taps` weights that are about one in sum, of random shape, over `source` samples.
fn axis(source: usize, target: usize, taps: usize, seed: u64) -> Axis {
    let mut state = seed | 1;
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    let mut axis = Axis::default();
    for i in 0..target {
        let first = i * source / target;
        let taps = (1 + random() % taps).min(source - first);
        let shares: Vec<usize> = (0..taps).map(|_| 1 + random() % 1000).collect();
        let sum: usize = shares.iter().sum();
        axis.push(first, shares.iter().map(|share| ((share << WEIGHT_BITS) / sum) as i32));
    }
    axis
}

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let hash = |i: u64| (i + seed).wrapping_mul(0x9e3779b97f4a7c15).rotate_left(17).wrapping_mul(seed | 1);
    // Whites are frequent: sums at the end of their range.
    (0..count as u64).map(|i| (hash(i) >> 40).min(255) as u8 | if seed & 1 == 0 { 0xf8 } else { 0 }).collect()
}

proptest! {
    #[test]
    fn columns_are_the_means_of_the_definition(
        source in 1usize..80, target in 1usize..40, taps in 1usize..30, seed: u64,
    ) {
        let axis = axis(source, target, taps, seed);
        // Nothing behind the last row: what reads beyond it would leave the slice.
        let rgb = bytes(ROWS * source * 3, seed);
        let expected: Vec<Vec<u8>> = rgb
            .chunks(source * 3)
            .map(|row| {
                let value = |i: usize| {
                    let (first, weights) = axis.window(i / 3);
                    mean(weights.iter().enumerate().map(|(t, &w)| (row[(first + t) * 3 + i % 3], w)))
                };
                (0..target * 3).map(value).collect()
            })
            .collect();
        for isa in Isa::available() {
            let columns = Columns::new(isa, axis.clone());
            let mut out = vec![vec![7u8; columns.row_bytes()]; ROWS];
            let mut rows = out.iter_mut();
            let to = std::array::from_fn(|_| &mut rows.next().unwrap()[..]);
            columns.join(&rgb, std::array::from_fn(|y| y * source * 3), to);
            for (out, expected) in out.iter().zip(&expected) {
                prop_assert_eq!(&out[..target * 3], &expected[..], "{}", isa);
            }
        }
    }

    #[test]
    fn rows_are_the_means_of_the_definition(
        width in 1usize..200, held in 1usize..20, first in 0usize..40, seed: u64,
    ) {
        let weights = axis(held, 1, held, seed).window(0).1.to_vec();
        let mut axis = Axis::default();
        axis.push(first, weights.iter().copied());
        let data = bytes(held * width, seed);
        let value = |i: usize| {
            mean(weights.iter().enumerate().map(|(t, &w)| (data[(first + t) % held * width + i], w)))
        };
        let expected: Vec<u8> = (0..width).map(value).collect();
        for isa in Isa::available() {
            let mut out = vec![0; width];
            Rows::new(isa, axis.clone()).join(0, Ring { data: &data, pitch: width, rows: held }, &mut out);
            prop_assert_eq!(&out, &expected, "{}", isa);
        }
    }
}
