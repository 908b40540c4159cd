//! Results of threads, used in the order of the pictures: sums of floating point then do not depend on how many
//! threads there are.

use std::collections::BTreeMap;

/// Hands results on in order; those that come early wait.
pub(super) struct InOrder<T, F> {
    next: usize,
    early: BTreeMap<usize, T>,
    then: F,
}

impl<T, F: FnMut(usize, T)> InOrder<T, F> {
    pub fn new(then: F) -> Self {
        InOrder { next: 0, early: BTreeMap::new(), then }
    }

    /// Takes result number `at`; each number comes once.
    pub fn put(&mut self, at: usize, result: T) {
        self.early.insert(at, result);
        while let Some(result) = self.early.remove(&self.next) {
            (self.then)(self.next, result);
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut seen = Vec::new();
        let mut order = InOrder::new(|at, result: char| seen.push((at, result)));
        [(2, 'c'), (0, 'a'), (3, 'd'), (1, 'b')].into_iter().for_each(|(at, result)| order.put(at, result));
        assert_eq!(seen, [(0, 'a'), (1, 'b'), (2, 'c'), (3, 'd')]);
    }
}
