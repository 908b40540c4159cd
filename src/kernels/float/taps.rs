//! Which taps of a sliding window lie inside the image.

use crate::kernels::Window;
use std::ops::Range;

/// Taps along `axis` (0 rows, 1 columns) of output index `at` that fall on input cells, not on padding.
pub(super) fn taps_inside(window: &Window, axis: usize, at: usize) -> Range<usize> {
    let pad = window.pad[axis];
    let end = taps_before(window, axis, at, pad + window.input[axis]);
    taps_before(window, axis, at, pad).min(end)..end
}

/// Number of taps along `axis` of output index `at` that fall on one of the first `cells` cells of the
/// padded input.
pub(super) fn taps_before(window: &Window, axis: usize, at: usize, cells: usize) -> usize {
    let origin = at * window.stride[axis];
    cells.saturating_sub(origin).div_ceil(window.dilation[axis]).min(window.kernel[axis])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_equal_those_found_one_by_one() {
        for (input, kernel, stride, dilation, pad) in [(5, 3, 1, 1, 1), (4, 4, 3, 2, 5), (1, 5, 2, 1, 2)] {
            let pair = |v| [v, v];
            let window = Window {
                input: pair(input),
                output: pair(6),
                kernel: pair(kernel),
                stride: pair(stride),
                dilation: pair(dilation),
                pad: pair(pad),
            };
            for at in 0..6 {
                let inside = |k: &usize| (pad..pad + input).contains(&(at * stride + k * dilation));
                let expected: Vec<usize> = (0..kernel).filter(inside).collect();
                assert_eq!(taps_inside(&window, 0, at).collect::<Vec<_>>(), expected);
            }
        }
    }
}
