use super::super::reference;
use super::super::testing::{Case, case, isas, noise};
use super::*;
use proptest::prelude::*;

/// Seven rows of five pixels with gaps of NaN, or without gaps; of the rows asked for, each has the range of all.
#[test]
fn ranges_are_those_of_the_rows() {
    let (rows, width) = (7, 5);
    for (channels, pitch) in [(1, 1), (3, 4), (19, 21), (32, 32), (33, 40), (70, 70), (71, 73)] {
        let mut src = vec![f32::NAN; rows * width * pitch];
        let numbers = noise(3 + channels as u64, rows * width * channels);
        for (pixel, numbers) in numbers.chunks(channels).enumerate() {
            let cells = &mut src[pixel * pitch..][..channels];
            cells.iter_mut().zip(numbers).for_each(|(cell, &number)| *cell = f32::from(number));
        }
        let seen = &numbers[2 * width * channels..5 * width * channels];
        let [lo, hi] = [seen.iter().min(), seen.iter().max()].map(|x| f32::from(*x.unwrap()));
        for isa in isas() {
            let (src, mut bounds) = (Plane { data: &src, pitch }, vec![7.5; 3 * 5]);
            range(isa, width, channels, src, PlaneMut { data: &mut bounds, pitch: 5 }, 2..5);
            assert_eq!(
                bounds,
                [lo, hi, 7.5, 7.5, 7.5].repeat(3),
                "{isa}, {channels} channels, pitch {pitch}"
            );
        }
    }
}

#[test]
fn the_grid_holds_all_rows_and_zero() {
    assert_eq!(grid(&[1.0, 2.0, 0.5, 5.1]), Quant::from_range(0.0, 5.1).unwrap());
    assert_eq!(grid(&[-3.0, -2.0, 0.5, 1.0]), Quant::from_range(-3.0, 1.0).unwrap());
    for nothing in [&[][..], &[0.0, 0.0], &[f32::INFINITY, f32::NEG_INFINITY], &[0.0, f32::INFINITY]] {
        assert_eq!(grid(nothing), Quant { scale: 1.0, zero_point: 0 });
    }
}

/// Real numbers that go with a case of integers.
struct Reals {
    scales: Vec<f32>,
    bias: Vec<f32>,
    grid: Quant,
}

fn reals(case: &Case) -> Reals {
    let channel = |c: usize, unit: f32| unit * (1.0 + c as f32 / 64.0);
    Reals {
        scales: (0..case.channels[1]).map(|c| channel(c, 2e-3)).collect(),
        bias: (0..case.channels[1]).map(|c| channel(c % 40, 3.0) - 4.0).collect(),
        grid: Quant { scale: 0.037, zero_point: case.zero_point },
    }
}

fn kernel(isa: Isa, case: &Case, reals: &Reals, depthwise: bool, f: Option<Unary>) -> ConvDynamic {
    let weights = Weights {
        in_channels: case.channels[0],
        depthwise,
        codes: &case.weights,
        scales: &reals.scales,
        bias: Some(&reals.bias),
    };
    ConvDynamic::new(isa, case.window.clone(), &weights, f)
}

/// The reference's exact sums, brought to real numbers in double precision.
fn check(case: &Case, depthwise: bool) -> Result<(), TestCaseError> {
    let (window, pixels, channels) = (&case.window, case.target.rows * case.target.width, case.channels[1]);
    let (reals, src, rows) = (reals(case), case.src.plane(), 0..case.target.rows);
    let mut sums = vec![0.0; pixels * channels];
    let (zeros, ones) = (vec![0; channels], vec![1.0; channels]);
    let filter = Filter { bias: &zeros, ..case.filter() };
    let dst = PlaneMut { data: &mut sums[..], pitch: channels };
    match depthwise {
        true => reference::depthwise_reals((window, &filter, &ones), src, dst, rows.clone()),
        false => reference::conv_reals((window, &filter, &ones), src, dst, rows.clone()),
    }
    let conv = kernel(Isa::Scalar, case, &reals, depthwise, Some(Unary::Relu));
    let mut got = vec![0.0; pixels * channels];
    let dst = PlaneMut { data: &mut got[..], pitch: channels };
    conv.run(Isa::Scalar, (src, reals.grid), dst, rows, &mut vec![0xa5; conv.scratch_bytes()]);
    // A float holds sums up to 2²⁴ exactly; what is subtracted for the code of zero is up to twice as large.
    let depth = case.weights.len() / channels;
    for (i, (&got, &sum)) in got.iter().zip(&sums).enumerate() {
        let c = i % channels;
        let unit = f64::from(reals.scales[c]) * f64::from(reals.grid.scale);
        let exact = (f64::from(sum) * unit + f64::from(reals.bias[c])).max(0.0);
        let tolerance = 1e-6 * ((depth * 128 * 127) as f64 * unit + 8.0);
        prop_assert!((f64::from(got) - exact).abs() <= tolerance, "{i}: {got}, exact {exact}");
    }
    case.target.compare_reals(
        |dst, rows| conv.run(Isa::Scalar, (src, reals.grid), dst, rows, &mut vec![0; conv.scratch_bytes()]),
        |isa, dst, rows| {
            let conv = kernel(isa, case, &reals, depthwise, Some(Unary::Relu));
            conv.run(isa, (src, reals.grid), dst, rows, &mut vec![0xa5; conv.scratch_bytes()]);
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn dense_is_the_reference_in_real_numbers(case in case(false)) {
        check(&case, false)?;
    }

    #[test]
    fn depthwise_is_the_reference_in_real_numbers(case in case(true)) {
        check(&case, true)?;
    }
}
