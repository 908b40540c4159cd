//! Sliding windows: kernel, strides, dilations and the four ways to say how much padding.

use super::call::{Call, unsupported};
use crate::error::{Error, Result};
use crate::graph::WindowAttrs;
use crate::limits::WINDOW_MAX;

/// Rows and columns of a list attribute; `default` where it is absent.
pub fn pair(call: &Call, name: &str, default: [usize; 2]) -> Result<[usize; 2]> {
    let Some(list) = call.node.ints(name)? else { return Ok(default) };
    match *list.as_slice() {
        [a, b] => Ok([checked(call, name, a)?, checked(call, name, b)?]),
        _ => Err(unsupported(format!("{} over {} dimensions instead of 2", call.op(), list.len()))),
    }
}

fn checked(call: &Call, name: &str, value: i64) -> Result<usize> {
    usize::try_from(value).ok().filter(|&v| v <= WINDOW_MAX).ok_or_else(|| {
        Error::bad_model(format!("{name} of {} is {value}, outside 0..={WINDOW_MAX}", call.op()))
    })
}

/// The window of a convolution or pooling over an image of `input` rows and columns.
///
/// `kernel` is what the weights say, if there are weights.
pub fn window(call: &Call, input: [usize; 2], kernel: Option<[usize; 2]>) -> Result<WindowAttrs> {
    let stated = pair(call, "kernel_shape", kernel.unwrap_or([0; 2]))?;
    if kernel.is_some_and(|k| k != stated) {
        return Err(Error::bad_model(format!(
            "kernel_shape {stated:?} does not match the weights {kernel:?}"
        )));
    }
    let mut window = WindowAttrs {
        kernel: stated,
        stride: pair(call, "strides", [1; 2])?,
        dilation: pair(call, "dilations", [1; 2])?,
        pad: [0; 4],
    };
    let used = [window.kernel, window.stride, window.dilation];
    if used.iter().flatten().any(|&v| v == 0) {
        return Err(Error::bad_model(format!("a kernel, stride or dilation is zero: {used:?}")));
    }
    window.pad = match call.node.text("auto_pad")?.unwrap_or("NOTSET") {
        "NOTSET" | "" => explicit(call)?,
        "VALID" => [0; 4],
        "SAME_UPPER" => same(&window, input, true),
        "SAME_LOWER" => same(&window, input, false),
        other => return Err(Error::bad_model(format!("auto_pad {other:?}"))),
    };
    Ok(window)
}

/// `pads`, in ONNX's order top, left, bottom, right.
fn explicit(call: &Call) -> Result<[usize; 4]> {
    let Some(list) = call.node.ints("pads")? else { return Ok([0; 4]) };
    match *list.as_slice() {
        [t, l, b, r] => Ok([
            checked(call, "pads", t)?,
            checked(call, "pads", l)?,
            checked(call, "pads", b)?,
            checked(call, "pads", r)?,
        ]),
        _ => Err(unsupported(format!("{} with {} pads instead of 4", call.op(), list.len()))),
    }
}

/// Extent that the taps of a window span.
pub fn reach(window: &WindowAttrs, axis: usize) -> usize {
    window.dilation[axis] * (window.kernel[axis] - 1) + 1
}

/// Padding that makes the output `ceil(input / stride)`; an odd cell goes to the end if `upper`.
fn same(window: &WindowAttrs, input: [usize; 2], upper: bool) -> [usize; 4] {
    let mut pad = [0; 4];
    for axis in 0..2 {
        let (stride, input) = (window.stride[axis], input[axis]);
        let needed = input.div_ceil(stride).saturating_sub(1) * stride + reach(window, axis);
        let total = needed.saturating_sub(input);
        let before = if upper { total / 2 } else { total.div_ceil(2) };
        (pad[axis], pad[axis + 2]) = (before, total - before);
    }
    pad
}

/// Rows and columns to add at the bottom and right so that the last, partial window counts (`ceil_mode`).
///
/// As PyTorch and ONNX have it, a window that would start in the padding behind the input does not count.
pub fn ceil_tail(window: &WindowAttrs, input: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| {
        let (stride, reach) = (window.stride[axis], reach(window, axis));
        let padded = input[axis] + window.pad[axis] + window.pad[axis + 2];
        let Some(room) = padded.checked_sub(reach) else { return 0 };
        let mut last = room.div_ceil(stride) * stride;
        if last >= input[axis] + window.pad[axis] {
            last -= stride;
        }
        (last + reach).saturating_sub(padded)
    })
}
