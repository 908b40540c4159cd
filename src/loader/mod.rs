//! Model files to [`Graph`](crate::graph::Graph)s. One file per format, one checked reader under all.

pub mod onnx;

use crate::graph::Graph;

/// What a loader needs to know besides the bytes.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Network input as `[height, width]`; resolves dynamic dimensions, and overrides fixed ones where the
    /// graph allows another size. `None`: the model's own size, 320×320 where it has none.
    pub size: Option<[usize; 2]>,
}

/// A network with what its file says beside the graph.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network; one input `[1, C, H, W]`.
    pub graph: Graph,
    /// Free-form metadata, as ONNX `metadata_props`: `names`, `stride`, `anchors`, `mean`, `norm`, …
    pub metadata: Vec<(String, String)>,
}
