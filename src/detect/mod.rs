//! From a detector's output tensors to boxes in the picture.
//!
//! [`Heads`] says what the tensors mean (decided once, from their shapes), `decode` turns the cells above the
//! score threshold into candidates, [`Candidates::suppress`] keeps one box per object, and a
//! [`Mapping`] brings it back to the picture. [`PostProcess`] is all of that with its buffers. Scores and
//! boxes have the same bits on every machine, as the tensors have.

mod anchors;
mod decode;
mod heads;
mod math;
mod names;
mod nms;

pub use anchors::Anchors;
pub use decode::{Cell, Output};
pub use heads::{HeadOptions, Heads};
pub use names::Names;
pub use nms::{Candidate, Candidates};

use crate::error::Result;
use crate::image::{Frame, Mapping, Painter};

/// An object found in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Class, from 0.
    pub class_id: usize,
    /// Confidence, 0..=1.
    pub score: f32,
    /// `[x1, y1, x2, y2]` in pixels of the picture, inside it.
    pub bbox: [f32; 4],
}

/// Decoding, suppression and the way back to the picture.
#[derive(Clone, Debug)]
pub struct PostProcess {
    /// What the outputs mean.
    pub heads: Heads,
    /// Boxes at or below this score are dropped.
    pub score: f32,
    /// Boxes of a class that overlap more than this (intersection over union) are one object.
    pub iou: f32,
    /// Most detections of a picture.
    pub max_det: usize,
    /// Every class above the threshold makes a box, not only the best: how YOLOv5 is evaluated.
    pub multi_label: bool,
    /// Boxes of different classes suppress each other.
    pub agnostic: bool,
    candidates: Candidates,
}

impl PostProcess {
    /// With YOLOv5's defaults for showing detections: score 0.25, IoU 0.45, at most 300, one class per box.
    pub fn new(heads: Heads) -> Self {
        PostProcess {
            heads,
            score: 0.25,
            iou: 0.45,
            max_det: 300,
            multi_label: false,
            agnostic: false,
            candidates: Candidates::default(),
        }
    }

    /// Replaces `found` by the detections in `outputs` (all outputs of the network, in its order), best first.
    ///
    /// Allocates nothing once its buffers have grown to what a picture needs.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage): an output is missing or shorter than the heads say.
    pub fn run(&mut self, outputs: &[Output], mapping: &Mapping, found: &mut Vec<Detection>) -> Result<()> {
        found.clear();
        self.candidates.clear();
        decode::decode(&self.heads, outputs, self.score, self.multi_label, &mut self.candidates)?;
        for candidate in self.candidates.suppress(self.iou, self.max_det, self.agnostic) {
            let bbox = mapping.to_picture(candidate.bbox);
            // A box wholly in the letterbox's margin has nothing left of it.
            if bbox[0] < bbox[2] && bbox[1] < bbox[3] {
                found.push(Detection { class_id: candidate.class_id as usize, score: candidate.score, bbox });
            }
        }
        Ok(())
    }
}

/// Draws detections with name and score; the best ones, which come first in `detections`, on top.
pub fn annotate(frame: &mut Frame, detections: &[Detection], names: &Names) {
    let painter = Painter::new(frame.width, frame.height);
    for detection in detections.iter().rev() {
        painter.outline(frame, detection.bbox, detection.class_id);
    }
    for detection in detections.iter().rev() {
        let label = format!("{} {:.2}", names.get(detection.class_id), detection.score);
        painter.label(frame, detection.bbox, detection.class_id, &label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One map of 2×2 cells of stride 16 for a 32×32 network, one class, one anchor of 8×8: a box of the
    /// anchor's size in the middle of every cell whose objectness is given.
    fn post_process(objectness: [f32; 4]) -> (PostProcess, Vec<f32>) {
        let options =
            HeadOptions { network: [32, 32], classes: Some(1), anchors: Some("8,8/8,8".parse().unwrap()) };
        let shapes = [("s16".to_owned(), vec![1, 6, 2, 2]), ("s32".to_owned(), vec![1, 6, 1, 1])];
        let heads = Heads::from_shapes(&shapes, &options).unwrap();
        let data = objectness.into_iter().flat_map(|o| [0.0, 0.0, 0.0, 0.0, o, 30.0]).collect();
        (PostProcess::new(heads), data)
    }

    /// A picture of 64×32 at half size: rows 8..24 of the network. The centres lie on its upper and lower edge.
    const WIDE: Mapping = Mapping { scale: [0.5, 0.5], offset: [0.0, 8.0], picture: [64.0, 32.0] };

    #[test]
    fn boxes_come_back_in_picture_pixels_best_first() {
        let (mut post, data) = post_process([0.0, 2.0, -9.0, 1.0]);
        let background = [0.0, 0.0, 0.0, 0.0, -30.0, 0.0];
        let outputs = [Output { data: &data, pitch: 6 }, Output { data: &background, pitch: 6 }];
        let mut found = vec![Detection { class_id: 9, score: 9.0, bbox: [0.0; 4] }];
        for _ in 0..2 {
            post.run(&outputs, &WIDE, &mut found).unwrap();
            // Centres (24, 8), (24, 24), (8, 8), extents 8: clipped at the picture's upper and lower edge.
            let boxes: Vec<_> = found.iter().map(|d| d.bbox).collect();
            let expected = [[40.0, 0.0, 56.0, 8.0], [40.0, 24.0, 56.0, 32.0], [8.0, 0.0, 24.0, 8.0]];
            assert_eq!(boxes, expected);
            assert!(found.windows(2).all(|pair| pair[0].score > pair[1].score));
        }
        post.max_det = 1;
        post.run(&outputs, &WIDE, &mut found).unwrap();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_box_in_the_margin_is_no_detection() {
        let (mut post, data) = post_process([5.0; 4]);
        let outputs = [Output { data: &data, pitch: 6 }, Output { data: &data[..6], pitch: 6 }];
        // The picture takes rows 12..20 only: the boxes of rows 4..12 and 20..28 just miss it.
        let narrow = Mapping { scale: [0.5, 0.5], offset: [0.0, 12.0], picture: [64.0, 16.0] };
        let mut found = Vec::new();
        post.run(&outputs, &narrow, &mut found).unwrap();
        let boxes: Vec<_> = found.iter().map(|d| d.bbox).collect();
        assert_eq!(boxes, [[24.0, 0.0, 40.0, 16.0]]);
    }
}
