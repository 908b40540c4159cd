//! What training needs to be right: pictures that are there and have pixels, boxes inside them.

use super::{Findings, Image, picture};
use crate::error::{Error, Result};
use crate::limits::BOX_OUTSIDE_MAX;
use crate::share::{cores, share};

/// Width and height of every picture, from its headers. `None`: it is not there or broken, which is noted.
pub(super) fn sizes(images: &[Image], findings: &mut Findings) -> Result<Vec<Option<[u32; 2]>>> {
    let read = share(
        images,
        cores(),
        || Ok(Vec::new()),
        |seen, at, image| {
            seen.push((at, picture::size(&image.path)));
            Ok(())
        },
    )?;
    let mut all: Vec<_> = read.into_iter().flatten().collect();
    all.sort_unstable_by_key(|(at, _)| *at);
    let mut sizes = Vec::with_capacity(images.len());
    for (at, size) in all {
        if let Err(reason) = &size {
            findings.note(Error::bad_data(&images[at].path, reason))?;
        }
        sizes.push(size.ok());
    }
    Ok(sizes)
}

/// `bbox` (left, top, width, height) without what rounding may have put outside a picture of `size` (width, height), or
/// what is wrong with it.
pub(super) fn cut(bbox: [f64; 4], size: [u32; 2]) -> Result<[f64; 4], String> {
    let [left, top, width, height] = bbox;
    let shown = || format!("box [{left}, {top}, {}, {}]", left + width, top + height);
    if width <= 0.0 || height <= 0.0 {
        return Err(format!("{} has no area", shown()));
    }
    let picture = size.map(f64::from);
    let [pixels, share] = BOX_OUTSIDE_MAX;
    let inside = |corner: f64, axis: usize| {
        let slack = pixels.max(share * picture[axis]);
        let inside = corner.clamp(0.0, picture[axis]);
        ((corner - inside).abs() <= slack).then_some(inside)
    };
    match [inside(left, 0), inside(top, 1), inside(left + width, 0), inside(top + height, 1)] {
        // Left as it is, so that no box changes by rounding.
        [Some(x0), Some(y0), Some(x1), Some(y1)]
            if [x0, y0, x1, y1] == [left, top, left + width, top + height] =>
        {
            Ok(bbox)
        }
        [Some(x0), Some(y0), Some(x1), Some(y1)] if x0 < x1 && y0 < y1 => Ok([x0, y0, x1 - x0, y1 - y0]),
        _ => Err(format!("{} reaches out of the picture of {}x{}", shown(), size[0], size[1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_cut_by_little_and_refused_by_more() {
        let of = |bbox| cut(bbox, [400, 100]);
        assert_eq!(of([10.0, 20.0, 30.0, 40.0]), Ok([10.0, 20.0, 30.0, 40.0]));
        // 1 % of 400 columns is 4; of 100 rows it is less than two.
        assert_eq!(of([-4.0, -2.0, 408.0, 104.0]), Ok([0.0, 0.0, 400.0, 100.0]));
        for (bbox, expected) in [
            ([-4.5, 0.0, 10.0, 10.0], "box [-4.5, 0, 5.5, 10] reaches out of the picture of 400x100"),
            ([0.0, 0.0, 10.0, 103.0], "box [0, 0, 10, 103] reaches out of the picture of 400x100"),
            ([401.0, 0.0, 2.0, 10.0], "box [401, 0, 403, 10] reaches out of the picture of 400x100"),
            ([5.0, 5.0, 0.0, 10.0], "box [5, 5, 5, 15] has no area"),
        ] {
            assert_eq!(of(bbox).unwrap_err(), expected);
        }
    }
}
