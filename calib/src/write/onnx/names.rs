//! Names that occur once.

use std::collections::HashSet;

/// The names in use.
#[derive(Debug, Default)]
pub struct Names(HashSet<String>);

impl Names {
    /// Takes exactly `name`; whether it was free. The empty name never is.
    pub fn take(&mut self, name: &str) -> bool {
        !name.is_empty() && self.0.insert(name.to_owned())
    }

    /// `wanted`, or that with the first number behind it that makes it free.
    pub fn fresh(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "value" } else { wanted };
        let numbered = |n: usize| if n == 0 { wanted.to_owned() } else { format!("{wanted}.{n}") };
        let mut n = 0;
        while !self.take(&numbered(n)) {
            n += 1;
        }
        numbered(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let mut names = Names::default();
        assert!(names.take("a") && !names.take("a") && !names.take(""));
        assert_eq!(["a", "a", "b", ""].map(|name| names.fresh(name)), ["a.1", "a.2", "b", "value"]);
    }
}
