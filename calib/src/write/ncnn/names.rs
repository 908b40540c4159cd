//! Names that the text format can hold, each given once.

use std::collections::{HashMap, HashSet};

/// ncnn reads 255 bytes of a name; this leaves room for what makes names distinct.
const BYTES_MAX: usize = 200;

/// The names given so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// Where the search for a free number goes on, per name.
    next: HashMap<String, usize>,
}

impl Names {
    /// `wish`, or a name like it that nobody has.
    pub(super) fn unique(&mut self, wish: &str) -> String {
        let clean = clean(wish);
        if self.taken.insert(clean.clone()) {
            return clean;
        }
        let number = self.next.entry(clean.clone()).or_insert(2);
        loop {
            let name = format!("{clean}_{number}");
            *number += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The name without what ends a word or a line, and not too long.
fn clean(name: &str) -> String {
    let breaks = |c: char| c.is_whitespace() || c.is_control();
    let mut clean: String = name.chars().map(|c| if breaks(c) { '_' } else { c }).collect();
    clean.truncate(clean.floor_char_boundary(BYTES_MAX));
    if clean.is_empty() { "_".into() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_clean_and_distinct() {
        let mut names = Names::default();
        let given = ["a b", "a_b", "a\u{2028}b\n", "", "a_b_2", "ü"].map(|wish| names.unique(wish));
        assert_eq!(given, ["a_b", "a_b_2", "a_b_", "_", "a_b_2_2", "ü"]);
        let long = "ü".repeat(500);
        assert_eq!([names.unique(&long).len(), names.unique(&long).len()], [200, 202]);
    }
}
