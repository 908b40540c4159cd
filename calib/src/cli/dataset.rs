//! `calib dataset`: looks at annotated pictures, and writes them anew.

mod preview;
mod stats;
pub(super) mod write;

pub use preview::PreviewArgs;
pub use stats::StatsArgs;
pub use write::{ConvertArgs, SplitArgs};

use crate::error::Result;
use clap::{Args, Subcommand};
use std::io::Write;

pub(super) const EXAMPLES: &str = "\
Examples:
  Is everything in order, and what is there? (stops with the list of all faults, by file and line)
    calib dataset stats data.toml
  What does a network see of it?
    calib dataset preview data.toml --augmented -o sheet.jpg
  Pascal VOC as COCO:
    calib dataset convert VOC2007 --to coco -o voc2007.json
  A fifth for measuring, frames of a clip (clip3_mp4-17.jpg) on one side:
    calib dataset split frames --together _mp4 --to yolo -o split

DATA is a COCO annotation file, a folder of YOLO, Pascal VOC or Cityscapes (gtFine polygons) labels, or a
description: a TOML file that joins several data sets under the classes of a model. See `calib dataset stats --help`
for what it says. Exit status: 0 done, 1 failed or the data have faults, 2 wrong usage.";

/// Arguments of `calib dataset`.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DatasetCommand,
}

/// What to do with a data set.
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Check a data set and count what it has: pictures, and boxes by class and size.
    #[command(after_long_help = stats::EXAMPLES)]
    Stats(StatsArgs),
    /// Write a data set in another format.
    Convert(ConvertArgs),
    /// Divide a data set into one part for training and one for measuring.
    Split(SplitArgs),
    /// Draw pictures with their boxes on one sheet, as they are or as training changes them.
    Preview(PreviewArgs),
}

/// Does what was asked for; reports go to `out`.
pub(super) fn run(args: &DatasetArgs, out: &mut dyn Write) -> Result<()> {
    match &args.command {
        DatasetCommand::Stats(args) => stats::run(args, out),
        DatasetCommand::Convert(args) => write::convert(args, out),
        DatasetCommand::Split(args) => write::split(args, out),
        DatasetCommand::Preview(args) => preview::run(args, out),
    }
}
