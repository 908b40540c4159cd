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
pub use decode::Output;
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
        let label = format!("{} {:.2}", names.get(detection.class_id), detection.score);
        painter.object(frame, detection.bbox, detection.class_id, &label);
    }
}
