//! A network that is to be trained, and whom it learns from.

use super::features::Features;
use super::loss::Anchors;
use super::network::{Network, Weights};
use super::plan::Plan;
use super::repopt::{self, Block};
use super::source::Source;
use super::teacher::Teacher;
use crate::error::Result;
use crate::share::cores;

/// The student of a plan.
pub(super) struct Student {
    /// Where it comes from.
    pub source: Source,
    /// What is trained.
    pub network: Network,
    /// The same without what only helps to train it.
    pub plain: Network,
    /// The numbers that training begins with.
    pub weights: Weights,
    /// Anchors of each output.
    pub anchors: Vec<Anchors>,
    /// What learns as branches do.
    pub blocks: Vec<Block>,
    /// Whose feature maps it is to have.
    pub features: Option<Features>,
    /// Who says what labels do not.
    pub teacher: Option<Teacher>,
}

impl Student {
    /// The student that `plan` says, for classes of these names.
    ///
    /// # Errors
    /// A model cannot be opened, or the two do not fit each other or the classes.
    pub fn of(plan: &Plan, names: &[String]) -> Result<Self> {
        let mut source = Source::of(&plan.model, plan.multiples, names.len(), plan.seed);
        if let Source::File { learn_scales, .. } = &mut source {
            *learn_scales = plan.learn_scales;
        }
        let (plain, mut weights, anchors) = source.network(plan.size, names)?;
        let blocks = repopt::blocks(plan.optimizer, &plain, &plan.model)?;
        if let Source::New(_) = source {
            repopt::begin(&blocks, &mut weights, plan.seed);
        }
        let features = plan.lesson.as_ref().and_then(|lesson| Some((lesson, lesson.taps.as_ref()?)));
        let features = features.map(|(lesson, taps)| Features::open(&lesson.model, taps, plan.size, cores()));
        let features = features.transpose()?;
        let (network, weights) = match &features {
            Some(features) => with_features(&source, features, &plain, (weights, plan.seed))?,
            None => (plain.clone(), weights),
        };
        // One whose word counts nothing is there for its features alone.
        let teacher = plan.lesson.as_ref().filter(|lesson| lesson.weight > 0.0);
        let teacher = teacher.map(|lesson| Teacher::open(lesson, plan.size, names, cores())).transpose()?;
        let anchors = match &teacher {
            Some(teacher) => teacher.anchors_for(&plain.graph, &source, anchors)?,
            None => anchors,
        };
        Ok(Student { source, network, plain, weights, anchors, blocks, features, teacher })
    }
}

/// The network with the layer behind which its features are compared, and its numbers: those of `plain`, and the layer's.
fn with_features(
    source: &Source,
    features: &Features,
    plain: &Network,
    (mut weights, seed): (Weights, u64),
) -> Result<(Network, Weights)> {
    let graph = features.adapt(&plain.graph, seed)?;
    let (network, new) = match source {
        Source::New(_) => Network::new(graph)?,
        Source::File { .. } => Network::trained(graph)?,
    };
    let known = weights.parameters.len();
    weights.parameters.extend(new.parameters.into_iter().skip(known));
    Ok((network, weights))
}
