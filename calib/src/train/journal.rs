//! The rows of a run: a CSV file with one for each epoch, and a page with its columns as curves.

use super::trainer::Epoch;
use crate::dataset::read_text;
use crate::error::Result;
use crate::limits::TEXT_FILE_BYTES_MAX;
use crate::page::{Curve, curves};
use crate::write::save::save;
use std::path::PathBuf;
use std::time::Duration;

/// The page, beside the file.
const PAGE: &str = "curves.html";

/// The file, and what is in it.
pub(super) struct Journal {
    path: PathBuf,
    /// Of the page.
    title: String,
    /// Of the whole run.
    epochs: usize,
    header: String,
    rows: Vec<String>,
}

impl Journal {
    /// The file `path` for measurements on the data sets of these names, in a run of so many epochs.
    pub fn new(path: PathBuf, (title, epochs): (String, usize), sets: &[&str]) -> Self {
        let mut header = "epoch,seconds,rate,boxes,objectness,classes,features,worth".to_owned();
        for set in sets {
            let name = set.replace([',', '"', '\n', '\r'], " ");
            header += &format!(",{name} mAP50-95,{name} mAP50");
        }
        Journal { path, title, epochs, header, rows: Vec::new() }
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
        let page = curves(&self.title, self.epochs, &self.curves());
        save(&[
            (&self.path, text.collect::<String>().as_bytes()),
            (&self.path.with_file_name(PAGE), page.as_bytes()),
        ])
    }

    /// The columns but the first: measurements, losses, and the others.
    fn curves(&self) -> Vec<Curve> {
        let column = |at: usize| {
            let number =
                |row: &String| row.split(',').nth(at).and_then(|n| n.parse().ok()).unwrap_or(f64::NAN);
            self.rows.iter().map(number).collect()
        };
        let curve = |(at, name): (usize, &str)| {
            let rises = match name {
                "seconds" | "rate" => None,
                name => Some(name == "worth" || name.contains("mAP")),
            };
            Curve { name: name.to_owned(), values: column(at), rises }
        };
        let mut curves: Vec<Curve> = self.header.split(',').enumerate().skip(1).map(curve).collect();
        curves.sort_by_key(|curve| match curve.rises {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        });
        curves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::Losses;
    use crate::train::validation::Score;

    #[test]
    fn rows_after_the_checkpoint_go() {
        let folder = std::env::temp_dir().join(format!("calib-journal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log.csv");
        let about = || ("a run".to_owned(), 5);
        let mut journal = Journal::new(path.clone(), about(), &["a,b"]);
        for number in 1..=3 {
            let scores = vec![Score { name: "a,b".into(), map: 0.25, map50: 0.5, chooses: true }];
            let losses = Losses { boxes: 1.0, objectness: 2.0, classes: 3.0, features: 0.0 };
            let epoch = Epoch { number, losses, rate: 0.01, scores, best: true };
            journal.add(&epoch, Duration::from_millis(1500)).unwrap();
        }
        let mut again = Journal::new(path.clone(), about(), &["a,b"]);
        again.keep(2).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let page = std::fs::read_to_string(folder.join(PAGE)).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(page.contains("2 of 5 epochs") && page.contains("now 0.500"), "{page}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            "epoch,seconds,rate,boxes,objectness,classes,features,worth,a b mAP50-95,a b mAP50"
        );
        assert_eq!(lines[2], "2,1.5,0.010000,1.000000,2.000000,3.000000,0.000000,0.25000,0.25000,0.50000");
    }
}
