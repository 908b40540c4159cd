use super::*;
use crate::kernels::float::testing::{assert_close, noise, steps, to_pixels, to_planes};
use crate::kernels::float::unary::apply;
use crate::kernels::testing::window;
use proptest::prelude::*;

/// `[O][C/g][kh][kw]`, as files have it, to `[O][kh][kw][C/g]`.
fn to_channels_last(weights: &[f32], group_in: usize, taps: usize) -> Vec<f32> {
    let filter = group_in * taps;
    (0..weights.len())
        .map(|i| {
            let (output, tap, channel) = (i / filter, i % filter / group_in, i % group_in);
            weights[output * filter + channel * taps + tap]
        })
        .collect()
}

fn run(conv: &ConvF32, src: &[f32], pitch: usize, out_pitch: usize) -> Vec<f32> {
    let [height, width] = conv.window.output;
    let mut out = vec![7.0; height * width * out_pitch];
    let mut scratch = vec![f32::NAN; conv.scratch_len()];
    // In two parts, as two threads would.
    let (top, bottom) = out.split_at_mut(height / 2 * width * out_pitch);
    let src = &[Plane { data: src, pitch }];
    conv.run(src, PlaneMut { data: top, pitch: out_pitch }, 0..height / 2, &mut scratch);
    conv.run(src, PlaneMut { data: bottom, pitch: out_pitch }, height / 2..height, &mut scratch);
    out
}

// Conv of onnxruntime with group=2, strides=[2,1], dilations=[1,2], pads=[1,1,0,2] on x[4,5,4],
// w[4,2,3,2], both by `steps`.
#[test]
#[rustfmt::skip]
fn grouped_dilated_example_equals_onnxruntime() {
    let expected = [
        9., 25., -39., 1., 11., -43., 34., 23., -9., 17.,
        11., 9., 7., 11., -25., 16., -4., -33., 16., -3.,
        15.5, 11.5, 4.5, 14.5, -29.5, 22.5, 24.5, -11.5, 18.5, -6.5,
        -23., 10., 9., -23., 13., -24., -16., 34., -10., 8.,
    ];
    let window = Window { input: [5, 4], output: [2, 5], kernel: [3, 2], stride: [2, 1], dilation: [1, 2], pad: [1, 1] };
    let weights = to_channels_last(&steps(4 * 2 * 6, 5, 7), 2, 6);
    let src = to_pixels(&steps(4 * 5 * 4, 7, 11), 4, 6);
    for isa in Isa::available() {
        let bias = [1.0, -2.0, 0.5, 0.0];
        let conv = ConvF32::new(isa, window.clone(), 4, 4, 2, &weights, Some(&bias), None);
        assert_close(&to_planes(&run(&conv, &src, 6, 5), 4, 5), &expected, 0.0);
    }
}

/// The definition, cell by cell.
fn plain(
    conv: &Window,
    channels: [usize; 2],
    groups: usize,
    w: &[f32],
    src: &[f32],
    pitch: usize,
) -> Vec<f32> {
    let [group_in, group_out] = channels.map(|c| c / groups);
    let mut out = Vec::new();
    for cell in 0..conv.output[0] * conv.output[1] * channels[1] {
        let (pixel, output) = (cell / channels[1], cell % channels[1]);
        let mut sum = 0.0;
        for tap in 0..conv.kernel[0] * conv.kernel[1] {
            let at = [pixel / conv.output[1], pixel % conv.output[1]];
            let tap_at = [tap / conv.kernel[1], tap % conv.kernel[1]];
            let [y, x] = [0, 1].map(|a| {
                (at[a] * conv.stride[a] + tap_at[a] * conv.dilation[a]) as isize - conv.pad[a] as isize
            });
            if y < 0 || x < 0 || y >= conv.input[0] as isize || x >= conv.input[1] as isize {
                continue;
            }
            for c in 0..group_in {
                let input = output / group_out * group_in + c;
                let weight = w[(output * conv.kernel[0] * conv.kernel[1] + tap) * group_in + c];
                sum += weight * src[(y as usize * conv.input[1] + x as usize) * pitch + input];
            }
        }
        out.push(sum);
    }
    out
}

/// A convolution with its input.
#[derive(Clone, Debug)]
struct Case {
    window: Window,
    channels: [usize; 2],
    groups: usize,
    /// Channels of a pixel that belong to somebody else, in the input and in the output.
    gaps: [usize; 2],
    activation: Option<Unary>,
    seed: u32,
}

/// Dense, grouped and depthwise, over any window.
fn case() -> impl Strategy<Value = Case> {
    let groups = prop_oneof![
        3 => (1..40usize, 1..70usize, Just(1usize)),
        1 => (1..5usize, 1..5usize, 2..4usize),
        3 => (Just(1usize), Just(1usize), 1..70usize),
    ];
    let activation = prop::option::of(prop_oneof![
        Just(Unary::Relu),
        Just(Unary::Clip { lo: -0.5, hi: 0.25 }),
        Just(Unary::Silu)
    ]);
    let gaps = [prop_oneof![Just(0usize), 1..4usize], prop_oneof![Just(0usize), 1..4usize]];
    (window(5), groups, gaps, activation, any::<u32>()).prop_map(
        |(window, (inputs, outputs, groups), gaps, activation, seed)| Case {
            window,
            channels: [inputs * groups, outputs * groups],
            groups,
            gaps,
            activation,
            seed,
        },
    )
}

proptest! {
    /// The channels of the gap stay as they were.
    #[test]
    fn every_body_equals_the_definition(case in case()) {
        let Case { window, channels: [ic, oc], groups, gaps, activation, seed } = case;
        let (pitch, out_pitch) = (ic + gaps[0], oc + gaps[1]);
        let src = to_pixels(&noise(ic * window.input[0] * window.input[1], seed), ic, pitch);
        let weights = noise(oc * window.kernel[0] * window.kernel[1] * (ic / groups), seed ^ 1);
        let bias = noise(oc, seed ^ 2);
        let sums = plain(&window, [ic, oc], groups, &weights, &src, pitch);
        let mut fused: Option<Vec<f32>> = None;
        for isa in Isa::available() {
            let conv = ConvF32::new(isa, window.clone(), ic, oc, groups, &weights, Some(&bias), activation);
            let out = run(&conv, &src, pitch, out_pitch);
            for (pixel, sums) in out.chunks(out_pitch).zip(sums.chunks(oc)) {
                let f = |x: f32| activation.map_or(x, |f| apply(f, x));
                let expected: Vec<f32> = sums.iter().zip(&bias).map(|(s, b)| f(s + b)).collect();
                assert_close(&pixel[..oc], &expected, 2e-5);
                prop_assert!(pixel[oc..].iter().all(|&gap| gap == 7.0));
            }
            // All that round once give the same bytes.
            if conv.kernels.name != "scalar" {
                prop_assert!(fused.is_none_or(|fused| fused == out), "{isa}");
                fused = Some(out);
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_how_they_are_split() {
    let window = Window {
        input: [9, 7],
        output: [9, 7],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
    };
    let src = noise(9 * 7 * 6, 4);
    let src = &[Plane { data: &src, pitch: 6 }];
    for (isa, groups) in Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 6)]) {
        let outputs = if groups == 6 { 6 } else { 12 };
        let weights = noise(outputs * 54 / groups, 5);
        let conv = ConvF32::new(isa, window.clone(), 6, outputs, groups, &weights, None, Some(Unary::Silu));
        let mut scratch = vec![0.0; conv.scratch_len()];
        let mut whole = vec![0.0; 9 * 7 * outputs];
        conv.run(src, PlaneMut { data: &mut whole, pitch: outputs }, 0..9, &mut scratch);
        for (y, expected) in whole.chunks(7 * outputs).enumerate() {
            let mut row = vec![0.0; 7 * outputs];
            conv.run(src, PlaneMut { data: &mut row, pitch: outputs }, y..y + 1, &mut scratch);
            assert_eq!(row, expected);
        }
    }
}

proptest! {
    /// The channels of two images, cut into runs: the same bytes as from one image with all of them.
    #[test]
    fn collected_channels_equal_one_image(
        window in window(3),
        (halves, outputs, cut) in ([1..20usize, 1..20usize], 1..40usize, 0..20usize),
        seed in any::<u32>(),
    ) {
        let [a, b] = halves;
        let cut = cut.min(a);
        // Logical order: the end of `a`, all of `b`, the beginning of `a`.
        let runs = [
            Channels { source: 0, first: cut, count: a - cut },
            Channels { source: 1, first: 0, count: b },
            Channels { source: 0, first: 0, count: cut },
        ];
        let pixels = window.input[0] * window.input[1];
        let images = [noise(pixels * a, seed), noise(pixels * (b + 1), seed ^ 1)];
        let planes = [Plane { data: &images[0], pitch: a }, Plane { data: &images[1], pitch: b + 1 }];
        let pixel = |p: usize| runs.iter().flat_map(move |run| (0..run.count).map(move |c| (run, p, c)));
        let joint: Vec<f32> = (0..pixels).flat_map(pixel)
            .map(|(run, p, c)| planes[run.source].data[p * planes[run.source].pitch + run.first + c])
            .collect();
        let weights = noise(outputs * (a + b) * window.kernel[0] * window.kernel[1], seed ^ 2);
        for isa in Isa::available() {
            let conv = ConvF32::new(isa, window.clone(), a + b, outputs, 1, &weights, None, None);
            let expected = run(&conv, &joint, a + b, outputs);
            let conv = conv.collecting(&runs);
            let mut scratch = vec![f32::NAN; conv.scratch_len()];
            let mut out = vec![7.0; expected.len()];
            let dst = PlaneMut { data: &mut out, pitch: outputs };
            conv.run(&planes, dst, 0..window.output[0], &mut scratch);
            prop_assert!(out == expected, "{isa}");
        }
    }
}
