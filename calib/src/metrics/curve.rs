//! From the outcomes of one category to its average precision and recall.

use super::matching::{Outcome, THRESHOLDS};

/// Number of recall levels at which precision is sampled: 0.00, 0.01 … 1.00.
pub(super) const RECALL_LEVELS: usize = 101;

/// Precision and recall of one category in one area range.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Per IoU threshold: sum of the precisions at the recall levels.
    pub(super) precision_sum: [f64; THRESHOLDS],
    /// Per IoU threshold: largest recall reached.
    pub(super) recall: [f64; THRESHOLDS],
}

impl Curve {
    /// The curve of `outcomes`, sorted by descending score over all images, for `positives` truths that
    /// count. Without any there is no curve.
    pub(super) fn new(outcomes: &[Outcome], positives: usize) -> Option<Self> {
        let precision_sum = precision_sum(outcomes, positives)?;
        Some(Curve { precision_sum, recall: recall(outcomes, positives) })
    }
}

/// [`Curve::precision_sum`] alone.
pub(super) fn precision_sum(outcomes: &[Outcome], positives: usize) -> Option<[f64; THRESHOLDS]> {
    if positives == 0 {
        return None;
    }
    let (mut precisions, mut recalls) = (Vec::new(), Vec::new());
    Some(std::array::from_fn(|t| {
        trace(outcomes, t, positives, &mut precisions, &mut recalls);
        sampled_sum(&precisions, &recalls)
    }))
}

/// Per threshold: the share of the `positives` that `outcomes` found.
pub(super) fn recall(outcomes: &[Outcome], positives: usize) -> [f64; THRESHOLDS] {
    std::array::from_fn(|t| {
        let found = outcomes.iter().filter(|o| (o.matched & !o.ignored) >> t & 1 == 1).count();
        found as f64 / positives as f64
    })
}

/// Writes precision and recall after each detection that is right; precision is made non-increasing from the
/// right. After a wrong one recall is what it was and precision less, which the sampling never sees.
fn trace(
    outcomes: &[Outcome],
    t: usize,
    positives: usize,
    precisions: &mut Vec<f64>,
    recalls: &mut Vec<f64>,
) {
    precisions.clear();
    recalls.clear();
    let (mut right, mut wrong) = (0.0, 0.0);
    for outcome in outcomes {
        if outcome.ignored >> t & 1 == 1 {
            continue;
        }
        if outcome.matched >> t & 1 == 0 {
            wrong += 1.0;
            continue;
        }
        right += 1.0;
        recalls.push(right / positives as f64);
        precisions.push(right / (wrong + right + f64::EPSILON));
    }
    for i in (1..precisions.len()).rev() {
        if precisions[i] > precisions[i - 1] {
            precisions[i - 1] = precisions[i];
        }
    }
}

/// Sum over the recall levels of the precision where that recall is first reached; 0 where it never is.
fn sampled_sum(precisions: &[f64], recalls: &[f64]) -> f64 {
    let mut at = 0;
    let mut sum = 0.0;
    for level in 0..RECALL_LEVELS {
        let level = level as f64 * 0.01;
        while at < recalls.len() && recalls[at] < level {
            at += 1;
        }
        sum += precisions.get(at).copied().unwrap_or(0.0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the reference implementation has it: a point after every detection.
    fn every_point(outcomes: &[Outcome], t: usize, positives: usize) -> f64 {
        let (mut precisions, mut recalls) = (Vec::new(), Vec::new());
        let (mut right, mut wrong) = (0.0, 0.0);
        for outcome in outcomes {
            if outcome.ignored >> t & 1 == 0 {
                if outcome.matched >> t & 1 == 1 { right += 1.0 } else { wrong += 1.0 }
            }
            recalls.push(right / positives as f64);
            precisions.push(right / (wrong + right + f64::EPSILON));
        }
        for i in (1..precisions.len()).rev() {
            precisions[i - 1] = f64::max(precisions[i - 1], precisions[i]);
        }
        sampled_sum(&precisions, &recalls)
    }

    proptest! {
        #[test]
        fn only_right_detections_matter(masks in proptest::collection::vec((any::<u16>(), any::<u16>()), 0..80)) {
            let outcome = |(matched, ignored)| Outcome { score: 0.5, rank: 0, matched, ignored: ignored & matched };
            let outcomes: Vec<Outcome> = masks.into_iter().map(outcome).collect();
            let sums = precision_sum(&outcomes, 90).unwrap();
            for (t, sum) in sums.into_iter().enumerate() {
                prop_assert_eq!(sum.to_bits(), every_point(&outcomes, t, 90).to_bits());
            }
        }
    }
}
