//! Hue, saturation and brightness.

use ocellus::image::Frame;

/// Moves the hue by the first of `change`, in parts of the circle, and multiplies saturation and value by 1 + the second and
/// third. All three must be above −1 and at most 1.
pub(super) fn shift(frame: &mut Frame, change: [f32; 3]) {
    if change == [0.0; 3] {
        return;
    }
    // The hue is counted in sixths of the circle, from 0 to 6.
    let (hue, saturation, value) = (change[0] * 6.0 + 6.0, 1.0 + change[1], 1.0 + change[2]);
    let (pixels, _) = frame.rgb.as_chunks_mut::<3>();
    for pixel in pixels {
        let [h, s, v] = to_hsv(*pixel);
        *pixel = to_rgb([h + hue, (s * saturation).min(1.0), (v * value).min(255.0)]);
    }
}

/// Hue in 0..6, saturation in 0..=1, value in 0..=255.
fn to_hsv(pixel: [u8; 3]) -> [f32; 3] {
    let [r, g, b] = pixel.map(f32::from);
    let high = r.max(g).max(b);
    let range = high - r.min(g).min(b);
    if range == 0.0 {
        return [0.0, 0.0, high];
    }
    let hue = if high == r {
        let hue = (g - b) / range;
        if hue < 0.0 { hue + 6.0 } else { hue }
    } else if high == g {
        (b - r) / range + 2.0
    } else {
        (r - g) / range + 4.0
    };
    [hue, range / high, high]
}

/// The inverse; the hue may be anything from 0 to 18.
fn to_rgb([hue, saturation, value]: [f32; 3]) -> [u8; 3] {
    // Each channel is full for a third of the circle about its own hue and falls off over a sixth on both sides.
    [5.0, 3.0, 1.0].map(|offset| {
        let mut k = hue + offset;
        while k >= 6.0 {
            k -= 6.0;
        }
        let missing = k.min(4.0 - k).clamp(0.0, 1.0);
        (value - value * saturation * missing + 0.5) as u8
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
            assert_eq!(to_rgb(to_hsv(pixel)), pixel);
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
    }
}
