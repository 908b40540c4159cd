//! What a quantization did, for people and programs.

use super::aware::Restored;
use super::sensitivity::LayerCost;
use crate::convert::FileSize;
use crate::dataset::Skipped;
use crate::metrics::Summary as Measures;
use crate::runtime::latency::Difference;
use serde::Serialize;
use std::fmt::Write;

/// A grid in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridRow {
    /// The first tensor that has it.
    pub name: String,
    /// Number of computed tensors that share it.
    pub tensors: usize,
    /// Method that has chosen its range; `null`: the picture's, or nothing to choose from.
    pub method: Option<String>,
    /// Smallest and largest number that it holds.
    pub range: [f32; 2],
    /// Step of its codes.
    pub scale: f32,
    /// Code of zero.
    pub zero_point: i8,
    /// Share (0 to 1) of numbers outside its range.
    pub clipped: f64,
    /// Signal to noise of the numbers on it, in decibels.
    pub sqnr_db: Option<f64>,
}

/// Accuracy before and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Of the float network.
    pub float: Measures,
    /// Of the int8 network.
    pub int8: Measures,
}

/// What a quantization did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The float model.
    pub model: String,
    /// Rows and columns of the pictures that it was calibrated with.
    pub size: [usize; 2],
    /// Files written.
    pub files: Vec<FileSize>,
    /// Why a file takes that size only; `null`: all take others as well.
    pub fixed_because: Option<String>,
    /// Pictures that calibrated.
    pub images: usize,
    /// Pictures that cannot be read.
    pub skipped: Vec<Skipped>,
    /// A number that tells calibration sets apart: FNV-1a over the bytes of all pictures, hexadecimal.
    pub images_hash: String,
    /// Signal to noise of the network's outputs, in decibels.
    pub outputs_db: Option<f64>,
    /// Share (0 to 1) of multiply-accumulates in int8.
    pub int8_macs: f64,
    /// Accuracy, where annotations were given.
    pub accuracy: Option<Accuracy>,
    /// Layers that went back to float for accuracy's sake.
    pub restored: Vec<Restored>,
    /// The grids, in the order of the graph.
    pub grids: Vec<GridRow>,
    /// What each layer costs, where that was measured.
    pub layers: Vec<LayerCost>,
    /// What may be wrong.
    pub warnings: Vec<String>,
}

impl Summary {
    /// A few lines, and the restored layers.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for file in &self.files {
            let _ = writeln!(text, "{}  {:.1} KiB", file.path, file.bytes as f64 / 1024.0);
        }
        let [height, width] = self.size;
        let others = match &self.fixed_because {
            None => "; others are possible".to_owned(),
            Some(because) => format!(" only: {because}"),
        };
        let _ = writeln!(text, "size      {width}x{height}{others}");
        let _ = writeln!(text, "images    {} ({} left out)", self.images, self.skipped.len());
        let methods: Vec<String> = self.methods().map(|(name, count)| format!("{count} {name}")).collect();
        let _ = writeln!(text, "grids     {}: {}", self.grids.len(), methods.join(", "));
        let _ = writeln!(text, "int8      {:.1} % of multiply-accumulates", 100.0 * self.int8_macs);
        if let Some(db) = self.outputs_db {
            let _ = writeln!(text, "outputs   {db:.1} dB signal to quantization noise");
        }
        if let Some(Accuracy { float, int8 }) = &self.accuracy {
            let rows = [
                ("mAP", float.map, int8.map),
                ("mAP50", float.map50, int8.map50),
                ("small", float.ap_small, int8.ap_small),
                ("medium", float.ap_medium, int8.ap_medium),
                ("large", float.ap_large, int8.ap_large),
            ];
            let _ = writeln!(text, "\n{:<8} {:>8} {:>8} {:>8}", "", "float", "int8", "change");
            for (name, a, b) in rows.into_iter().filter_map(|(name, a, b)| Some((name, a?, b?))) {
                let _ = writeln!(text, "{name:<8} {a:>8.4} {b:>8.4} {:>+8.4}", b - a);
            }
        }
        if !self.restored.is_empty() {
            let _ = writeln!(text, "\n{:<32} {:>8} {:>9} {:>9}", "back in float", "MACs", "mAP", "ms");
            for Restored { name, macs, gain, ms, .. } in &self.restored {
                let gain = gain.map_or("-".to_owned(), |gain| format!("{gain:+.4}"));
                let ms = ms.map_or("-".to_owned(), milliseconds);
                let _ = writeln!(text, "{name:<32} {:>7.2}% {gain:>9} {ms:>9}", 100.0 * macs);
            }
        }
        text
    }

    /// How often each method was chosen.
    fn methods(&self) -> impl Iterator<Item = (String, usize)> + use<> {
        let mut counts = std::collections::BTreeMap::new();
        for row in &self.grids {
            *counts.entry(row.method.clone().unwrap_or("given".to_owned())).or_insert(0) += 1;
        }
        counts.into_iter()
    }
}

/// A time, or where the runs do not even say its sign, what it lies between.
fn milliseconds(time: Difference) -> String {
    match time {
        noise if noise.is_noise() => format!("{:+.3} to {:+.3}", noise.interval[0], noise.interval[1]),
        clear => format!("{:+.3}", clear.median),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_within_the_noise_are_not_told_as_times() {
        let restored =
            |name: &str, ms| Restored { at: 0, name: name.to_owned(), macs: 0.125, gain: Some(0.01), ms };
        let time = |median, interval| Some(Difference { median, interval });
        let restored = vec![
            restored("stem", time(0.5, [0.25, 0.75])),
            restored("head", time(-0.25, [-1.0, 0.125])),
            restored("tail", None),
        ];
        let text = Summary { restored, ..Summary::default() }.to_text();
        let rows: Vec<Vec<&str>> =
            text.lines().rev().take(3).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[2], ["stem", "12.50%", "+0.0100", "+0.500"]);
        assert_eq!(rows[1], ["head", "12.50%", "+0.0100", "-1.000", "to", "+0.125"]);
        assert_eq!(rows[0], ["tail", "12.50%", "+0.0100", "-"]);
    }
}
