//! `calib dataset convert` and `calib dataset split`.

use crate::cli::calibrating::steps_bar;
use crate::cli::data::DataArgs;
use crate::cli::say;
use crate::dataset::export::{self, Files, Selection};
use crate::dataset::split::{self, Together};
use crate::dataset::{Format, Whole};
use crate::error::{Error, Result};
use crate::write::save::{check_target, save, save_folder};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `calib dataset convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Which annotated pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// Format to write: coco, yolo or voc.
    #[arg(long, value_enum)]
    pub to: Format,
    /// COCO: the annotation file to write. YOLO and VOC: a new folder, with the pictures.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: PathBuf,
}

/// Arguments of `calib dataset split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Which annotated pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// A new folder for both parts, train and val.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Part of the pictures that measures.
    #[arg(long, value_name = "PART", default_value_t = 0.2)]
    pub share: f64,
    /// Keep pictures together that are of one folder (`folder`), or whose names are equal up to this TEXT.
    #[arg(long, value_name = "folder|TEXT")]
    pub together: Option<String>,
    /// What the parts follow from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Format to write: coco, yolo or voc [default: that of the data].
    #[arg(long, value_enum)]
    pub to: Option<Format>,
}

/// Writes the data set anew, and says on `out` where.
pub(super) fn convert(args: &ConvertArgs, out: &mut dyn Write) -> Result<()> {
    match args.to {
        Format::Coco => check_target("--output", &args.output)?,
        _ => check_new(&args.output)?,
    }
    let whole = args.data.whole()?;
    let all: Vec<u32> = (0..whole.sizes.len() as u32).collect();
    let unsaid = export(Selection { whole: &whole, pictures: &all }, args.to, &args.output)?;
    let boxes = whole.dataset.annotations.len() - unsaid;
    let mut text = format!("{}: {} pictures, {boxes} boxes\n", args.output.display(), all.len());
    text += &remarks(&whole, args.to, unsaid);
    say(out, &text)
}

/// Writes pictures with their boxes to a file (COCO) or a new folder; returns how many boxes the format cannot say.
pub(in crate::cli) fn export(selection: Selection<'_>, to: Format, output: &Path) -> Result<usize> {
    let files = export::files(selection, to, Path::new(""))?;
    let unsaid = files.unsaid;
    match (to, files.written.first()) {
        (Format::Coco, Some((_, json))) => save(&[(output, json)])?,
        _ => write(output, files)?,
    }
    Ok(unsaid)
}

/// Writes both parts, and says on `out` what is in them.
pub(super) fn split(args: &SplitArgs, out: &mut dyn Write) -> Result<()> {
    if !(args.share > 0.0 && args.share < 1.0) {
        return Err(Error::Usage(format!("--share {}: must be above 0 and below 1", args.share)));
    }
    check_new(&args.output)?;
    let whole = args.data.whole()?;
    let format = args.to.map_or_else(|| args.data.format(), Ok)?;
    let wrong = |what| Error::Usage(format!("--together: {what}"));
    let together = args.together.clone().map(Together::try_from).transpose().map_err(wrong)?;
    let together = together.unwrap_or_default();
    let (sides, groups) = split::split(&whole, args.share, &together, args.seed);
    if sides.iter().any(Vec::is_empty) {
        let what =
            format!("all pictures fall on one side: {groups} groups cannot be split near {}", args.share);
        return Err(Error::Unmet(what));
    }
    let (mut all, mut text) = (Files::default(), String::new());
    for (name, pictures) in ["train", "val"].into_iter().zip(&sides) {
        let made = export::files(Selection { whole: &whole, pictures }, format, Path::new(name))?;
        // Both parts have the same class names.
        all.written.retain(|(path, _)| made.written.iter().all(|(other, _)| other != path));
        all.written.extend(made.written);
        all.copied.extend(made.copied);
        all.unsaid += made.unsaid;
        let suffix = if format == Format::Coco { ".json" } else { "" };
        text += &format!("{}{suffix}: {} pictures\n", args.output.join(name).display(), pictures.len());
    }
    let unsaid = all.unsaid;
    write(&args.output, all)?;
    if together != Together::Nothing {
        text += &format!("{groups} groups stay together\n");
    }
    text += &remarks(&whole, format, unsaid);
    say(out, &text)
}

/// Where the pictures of COCO files lie, and what was lost.
fn remarks(whole: &Whole, format: Format, unsaid: usize) -> String {
    let mut text = String::new();
    if format == Format::Coco {
        text += &format!("file names are relative to {}\n", export::picture_folder(whole).display());
    }
    if unsaid > 0 {
        text += &format!("{unsaid} crowd regions left out: the format has none\n");
    }
    text
}

/// Refuses a target that is there already, or cannot be written.
pub(in crate::cli) fn check_new(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(Error::Usage(format!("--output: {} exists already; name another", path.display())));
    }
    check_target("--output", path)
}

fn write(folder: &Path, files: Files) -> Result<()> {
    let bar = steps_bar(files.written.len() + files.copied.len(), "files");
    let done = save_folder(folder, &files.written, &files.copied, || bar.inc(1));
    bar.finish_and_clear();
    done
}
