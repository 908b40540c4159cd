//! Faults of a data set: the first one ends the reading, or all are gathered.

use crate::error::{Error, Result};
use crate::limits::FINDINGS_MAX;

/// What becomes of faults.
#[derive(Debug, Default)]
pub struct Findings {
    gathering: bool,
    found: Vec<Error>,
    /// How many there were, also those that are not among `found`.
    count: usize,
}

impl Findings {
    /// The first fault is an error.
    pub fn strict() -> Self {
        Findings::default()
    }

    /// Faults are gathered, and what is faulty is left out.
    pub fn gathering() -> Self {
        Findings { gathering: true, ..Findings::default() }
    }

    /// Whether faults are gathered.
    pub(super) fn gathers(&self) -> bool {
        self.gathering
    }

    /// Notes a fault. Whoever comes back from here leaves out what is faulty.
    ///
    /// # Errors
    /// The fault, where the first one is an error.
    pub fn note(&mut self, fault: Error) -> Result<()> {
        if !self.gathering {
            return Err(fault);
        }
        self.count += 1;
        if self.found.len() < FINDINGS_MAX {
            self.found.push(fault);
        }
        Ok(())
    }

    /// How many faults there were.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The faults, as many as are kept.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.found.iter()
    }

    /// Refuses data with faults.
    ///
    /// # Errors
    /// [`Error::Faults`] with all that are kept.
    pub fn into_result(self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let listed: Vec<String> = self.found.iter().map(|fault| format!("\n  {fault}")).collect();
        let more = self.count - listed.len();
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        Err(Error::Faults { count: self.count, listed: listed.concat() + &more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_is_an_error_or_all_are_listed() {
        let fault = |line| Error::bad_line("a.txt", line, "wrong");
        assert_eq!(Findings::strict().note(fault(3)).unwrap_err().to_string(), "a.txt:3: wrong");
        let mut findings = Findings::gathering();
        for line in 1..=FINDINGS_MAX + 5 {
            findings.note(fault(line)).unwrap();
        }
        let text = findings.into_result().unwrap_err().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), FINDINGS_MAX + 2);
        assert_eq!((lines[1], lines[FINDINGS_MAX + 1]), ("  a.txt:1: wrong", "  and 5 more"));
        Findings::gathering().into_result().unwrap();
    }
}
