//! Whole models, written inline, and the shared ones where they are present.

use super::*;
use std::path::Path;

/// The shared test models, if this checkout has them beside it.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn shared_models_load() {
    for name in ["i8e.param", "e.param", "s.param", "FastestDet.param"] {
        let Some(path) = shared(name) else { continue };
        let model = crate::loader::load(&path, &LoadOptions::default()).unwrap();
        let g = &model.graph;
        println!(
            "{name}: {} nodes {:?}",
            g.nodes.len(),
            g.outputs.iter().map(|&o| (g.value(o).name.clone(), g.shape(o).clone())).collect::<Vec<_>>()
        );
    }
}
