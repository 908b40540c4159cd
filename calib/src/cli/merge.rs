//! `calib merge`: arguments and the run.

use super::Format;
use super::table::{MethodArgs, MethodName, finish};
use crate::error::{Error, Result};
use crate::table::{self, merge::merge};
use crate::write::save::check_target;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  A calibration on four machines that share a folder; the first two commands run on each, with its number for $I:
    calib table m.param train2017 --size 320 --shard $I/4 -o $I.ranges
    calib table m.param train2017 --size 320 --shard $I/4 -o $I.counts --ranges *.ranges
    calib merge *.counts -o m.table

Between the two all machines have to have finished the first: how wide the bins are depends on all pictures. The table
is byte for byte that of one run on the same kind of CPU; other instruction sets round floats otherwise. Exit
status: 0 done, 1 failed, 2 wrong usage.";

/// Arguments of `calib merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Shards of the second round, in any order.
    #[arg(value_name = "SHARDS", required = true)]
    pub shards: Vec<PathBuf>,
    /// The table to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How thresholds are chosen.
    #[command(flatten)]
    pub method: MethodArgs,
    /// Make the table though shards are missing.
    #[arg(long)]
    pub partial: bool,
    /// Form of the summary on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Makes a table of shards, and reports what it did on `out`.
pub(super) fn run(args: &MergeArgs, out: &mut dyn Write) -> Result<()> {
    args.method.check()?;
    if args.method.method == MethodName::Eq {
        return Err(Error::Usage(
            "--method eq: it compares results, of which shards hold nothing; take another method, or one run"
                .to_owned(),
        ));
    }
    check_target("--output", &args.output)?;
    let merged = merge(&args.shards)?;
    let missing = merged.missing();
    if let Some(missing) = missing.as_ref().filter(|_| !args.partial) {
        return Err(Error::Usage(format!("{missing}; give them as well, or do without by --partial")));
    }
    let (layers, collected) = merged.collected().ok_or_else(|| {
        Error::Usage(
            "these shards hold ranges only: make those of the second round, with --ranges".to_owned(),
        )
    })?;
    let thresholds = table::thresholds(&layers, &collected, args.method.method());
    let (made, mut summary) = table::tabulate(&layers, collected, &thresholds);
    summary.warnings.extend(missing);
    finish(&made, &summary, &args.output, args.format, out)
}
