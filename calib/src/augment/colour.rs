//! Hue, saturation and brightness.

use ocellus::image::Frame;

/// Pixels that are changed at a time: the compiler makes vector instructions of such loops, as long as no pixel takes a way
/// of its own through the code.
const BLOCK: usize = 16;

/// Moves the hue by the first of `change`, in parts of the circle, and multiplies saturation and value by 1 + the second and
/// third. All three must be above −1 and at most 1.
pub(super) fn shift(frame: &mut Frame, change: [f32; 3]) {
    if change == [0.0; 3] {
        return;
    }
    // The hue is counted in sixths of the circle.
    let change = [change[0] * 6.0 + 6.0, 1.0 + change[1], 1.0 + change[2]];
    let (blocks, rest) = frame.rgb.as_chunks_mut::<{ 3 * BLOCK }>();
    blocks.iter_mut().for_each(|block| shift_block(block, change));
    let mut last = [0; 3 * BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    shift_block(&mut last, change);
    rest.copy_from_slice(&last[..rest.len()]);
}

fn shift_block(block: &mut [u8; 3 * BLOCK], [hue, saturation, value]: [f32; 3]) {
    let (pixels, _) = block.as_chunks_mut::<3>();
    let mut planes = [[0.0; BLOCK]; 3];
    for (at, pixel) in pixels.iter().enumerate() {
        (0..3).for_each(|channel| planes[channel][at] = f32::from(pixel[channel]));
    }
    let [reds, greens, blues] = &mut planes;
    for ((r, g), b) in reds.iter_mut().zip(greens).zip(blues) {
        let [h, s, v] = to_hsv([*r, *g, *b]);
        [*r, *g, *b] = to_rgb([h + hue, (s * saturation).min(1.0), (v * value).min(255.0)]);
    }
    for (at, pixel) in pixels.iter_mut().enumerate() {
        (0..3).for_each(|channel| pixel[channel] = (planes[channel][at] + 0.5) as i32 as u8);
    }
}

/// Hue in 0..6, saturation in 0..=1, value in 0..=255 of channels in 0..=255.
fn to_hsv([r, g, b]: [f32; 3]) -> [f32; 3] {
    let high = r.max(g).max(b);
    let range = high - r.min(g).min(b);
    // Divisors of at least one: where one would be 0, so is what it divides.
    let step = 1.0 / range.max(1.0);
    let of_red = (g - b) * step;
    let of_red = if of_red < 0.0 { of_red + 6.0 } else { of_red };
    let of_green = (b - r) * step + 2.0;
    let of_blue = (r - g) * step + 4.0;
    let hue = if high == g { of_green } else { of_blue };
    let hue = if high == r { of_red } else { hue };
    [hue, range / high.max(1.0), high]
}

/// The inverse; the hue may be anything from 0 to 13.
fn to_rgb([hue, saturation, value]: [f32; 3]) -> [f32; 3] {
    // Each channel is full for a third of the circle about its own hue and falls off over a sixth on both sides.
    [5.0, 3.0, 1.0].map(|offset| {
        let turns = |k: f32| if k >= 6.0 { k - 6.0 } else { k };
        let k = turns(turns(turns(hue + offset)));
        let missing = k.min(4.0 - k).clamp(0.0, 1.0);
        value - value * saturation * missing
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(pixel: [u8; 3], change: [f32; 3]) -> [u8; 3] {
        let mut frame = Frame::new(1, 1, pixel.to_vec()).unwrap();
        shift(&mut frame, change);
        [frame.rgb[0], frame.rgb[1], frame.rgb[2]]
    }

    #[test]
    fn colours_survive_the_way_there_and_back() {
        for i in 0..4096u32 {
            let pixel = [i & 15, i >> 4 & 15, i >> 8].map(|x| x as u8 * 17);
            assert_eq!(to_rgb(to_hsv(pixel.map(f32::from))).map(|x| x.round() as u8), pixel);
        }
    }

    /// The corners of the colour cube, by definition of the model.
    #[test]
    fn known_colours_become_known_colours() {
        let red = [200, 0, 0];
        assert_eq!(shifted(red, [1.0 / 3.0, 0.0, 0.0]), [0, 200, 0]);
        assert_eq!(shifted(red, [-1.0 / 3.0, 0.0, 0.0]), [0, 0, 200]);
        assert_eq!(shifted(red, [1.0 / 6.0, 0.0, 0.0]), [200, 200, 0]);
        assert_eq!(shifted(red, [0.0, -0.5, 0.0]), [200, 100, 100]);
        assert_eq!(shifted(red, [0.0, 0.0, -0.5]), [100, 0, 0]);
        assert_eq!(shifted(red, [0.0, 1.0, 1.0]), [255, 0, 0]);
        assert_eq!(shifted([90, 90, 90], [0.3, 0.9, 0.1]), [99, 99, 99]);
        assert_eq!(shifted([0, 0, 0], [0.3, 0.9, 0.1]), [0, 0, 0]);
    }

    #[test]
    fn every_pixel_is_changed_alike() {
        let red = [200, 0, 0];
        for count in [1, BLOCK - 1, BLOCK, 3 * BLOCK + 2] {
            let mut frame = Frame::new(count, 1, red.repeat(count)).unwrap();
            shift(&mut frame, [0.1, -0.3, 0.2]);
            assert_eq!(frame.rgb, shifted(red, [0.1, -0.3, 0.2]).repeat(count));
        }
    }
}
