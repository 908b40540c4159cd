//! The rows of a run: a CSV file with one for each epoch.

use super::trainer::Epoch;
use crate::dataset::read_text;
use crate::error::Result;
use crate::limits::TEXT_FILE_BYTES_MAX;
use crate::write::save::save;
use std::path::PathBuf;
use std::time::Duration;

/// The file, and what is in it.
pub(super) struct Journal {
    path: PathBuf,
    header: String,
    rows: Vec<String>,
}

impl Journal {
    /// The file `path` for measurements on the data sets of these names.
    pub fn new(path: PathBuf, sets: &[&str]) -> Self {
        let mut header = "epoch,seconds,rate,boxes,objectness,classes,features,worth".to_owned();
        for set in sets {
            let name = set.replace([',', '"', '\n', '\r'], " ");
            header += &format!(",{name} mAP50-95,{name} mAP50");
        }
        Journal { path, header, rows: Vec::new() }
    }

    /// Keeps what the file says of the first `epochs`.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn keep(&mut self, epochs: usize) -> Result<()> {
        self.rows.clear();
        if epochs > 0 && self.path.exists() {
            let text = read_text(&self.path, TEXT_FILE_BYTES_MAX)?;
            let number = |row: &str| row.split(',').next().and_then(|n| n.parse::<usize>().ok());
            let kept = text.lines().filter(|row| number(row).is_some_and(|n| n <= epochs));
            self.rows = kept.map(str::to_owned).collect();
        }
        self.save()
    }

    /// Adds an epoch that took so long.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, epoch: &Epoch, time: Duration) -> Result<()> {
        let losses = epoch.losses;
        let mut row = format!(
            "{},{:.1},{:.6},{:.6},{:.6},{:.6},{:.6},{:.5}",
            epoch.number,
            time.as_secs_f64(),
            epoch.rate,
            losses.boxes,
            losses.objectness,
            losses.classes,
            losses.features,
            epoch.worth()
        );
        for score in &epoch.scores {
            row += &format!(",{:.5},{:.5}", score.map, score.map50);
        }
        self.rows.push(row);
        self.save()
    }

    fn save(&self) -> Result<()> {
        let text = std::iter::once(&self.header).chain(&self.rows).map(|row| format!("{row}\n"));
        save(&[(&self.path, text.collect::<String>().as_bytes())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::Losses;
    use crate::train::validation::Score;

    #[test]
    fn rows_after_the_checkpoint_go() {
        let path = std::env::temp_dir().join(format!("calib-journal-{}.csv", std::process::id()));
        let mut journal = Journal::new(path.clone(), &["a,b"]);
        for number in 1..=3 {
            let scores = vec![Score { name: "a,b".into(), map: 0.25, map50: 0.5 }];
            let losses = Losses { boxes: 1.0, objectness: 2.0, classes: 3.0, features: 0.0 };
            let epoch = Epoch { number, losses, rate: 0.01, scores, best: true };
            journal.add(&epoch, Duration::from_millis(1500)).unwrap();
        }
        let mut again = Journal::new(path.clone(), &["a,b"]);
        again.keep(2).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            "epoch,seconds,rate,boxes,objectness,classes,features,worth,a b mAP50-95,a b mAP50"
        );
        assert_eq!(lines[2], "2,1.5,0.010000,1.000000,2.000000,3.000000,0.000000,0.25000,0.25000,0.50000");
    }
}
