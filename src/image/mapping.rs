//! From the network's pixels back to the picture's.

/// Where a picture lies in the network's input: `network = picture · scale + offset`, per axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mapping {
    /// Network pixels per picture pixel, `[x, y]`; positive.
    pub scale: [f32; 2],
    /// Network position of the picture's left and top edge.
    pub offset: [f32; 2],
    /// Width and height of the picture.
    pub picture: [f32; 2],
}

impl Mapping {
    /// Box `[x1, y1, x2, y2]` in network pixels → in picture pixels, clipped to the picture.
    pub fn to_picture(&self, bbox: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| {
            let axis = i % 2;
            let at = (bbox[i] - self.offset[axis]) / self.scale[axis];
            at.max(0.0).min(self.picture[axis])
        })
    }

    /// Box `[x1, y1, x2, y2]` in picture pixels → in network pixels.
    pub fn to_network(&self, bbox: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| bbox[i] * self.scale[i % 2] + self.offset[i % 2])
    }
}
