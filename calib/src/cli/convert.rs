//! `calib convert`: arguments and the run.

use super::{Format, PreprocessArgs, print, within};
use crate::convert::{self, ConvertOptions, Set, Target, names_entry};
use crate::dataset::read_names;
use crate::error::{Error, Result};
use crate::table;
use clap::{Args, ValueEnum};
use ocellus::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN};
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  ncnn to ONNX, with what the ncnn files cannot say:
    calib convert yolov5-lite.param yolov5-lite.onnx --names coco.txt --licence GPL-3.0 --check bus.jpg
  What PyTorch trained, without Python; a checkpoint does not say the names of the classes:
    calib convert best.pt best.onnx --names classes.txt --check street/val
  ONNX to ncnn, weights in half precision:
    calib convert vehicles.onnx vehicles.param --half --check street/val
  A model whose training used other pixels than 0..1 in RGB; the new file says so by itself:
    calib convert nanodet.param nanodet.onnx --mean 103.53,116.28,123.675 --norm 0.017 --pixel bgr

The new file takes any input size where the old one does. It is run beside the old one, in float, on the
pictures of --check; each difference is a share of the tensor's largest magnitude. Outputs that differ by more
than 1e-3 (with --half 2e-2) are an error, and then nothing is written. Exit status: 0 done, 1 failed, 2 wrong
usage.";

/// Arguments of `calib convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Float model: ncnn .param (with its .bin beside it), .onnx, or a checkpoint of YOLOv5 6.0 or YOLOv5-Lite: .pt or
    /// .safetensors.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// File to write: .onnx, or .param (with a .bin beside it).
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Side at which the model is read, in pixels [default: what the model says].
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// Write the file for this size only.
    #[arg(long)]
    pub fixed: bool,
    /// How detection heads end.
    #[arg(long, value_enum, default_value_t = HeadsName::Raw)]
    pub heads: HeadsName,
    /// Store the weights of ncnn files in half precision.
    #[arg(long)]
    pub half: bool,
    /// Compare the files on these pictures, and folders of pictures [default: on one picture of noise].
    #[arg(long, value_name = "IMAGES", num_args = 1..)]
    pub check: Vec<PathBuf>,
    /// Class names, one per line.
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// Anchors: w,h,w,h,… per scale, scales separated by '/'.
    #[arg(long, value_name = "LIST")]
    pub anchors: Option<String>,
    /// How pictures are prepared.
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
    /// Pixel value of what a letterbox leaves empty [default: the model's, else 114].
    #[arg(long, value_name = "VALUE")]
    pub fill: Option<String>,
    /// Licence of the model.
    #[arg(long, value_name = "TEXT")]
    pub licence: Option<String>,
    /// Where the model comes from.
    #[arg(long, value_name = "TEXT")]
    pub origin: Option<String>,
    /// Any other entry of the metadata; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_entry)]
    pub set: Vec<(String, String)>,
    /// Form of the summary on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How detection heads end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeadsName {
    /// With their convolutions; the runtime reads them as they are.
    Raw,
    /// As in the input.
    Keep,
}

fn parse_entry(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Converts, and reports what it did on `out`.
pub(super) fn run(args: &ConvertArgs, out: &mut dyn Write) -> Result<()> {
    within("size", args.size, INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
    let set = entries(args)?;
    if Target::of(&args.output)? == Target::Ncnn {
        refuse_lost(&set)?;
    }
    let done = convert::convert(&ConvertOptions {
        input: args.input.clone(),
        output: args.output.clone(),
        side: args.size,
        raw_heads: args.heads == HeadsName::Raw,
        fixed: args.fixed,
        half: args.half,
        set,
        check: table::find(&args.check)?,
    })?;
    print(out, args.format, &done, || done.to_text())
}

/// The entries that flags set.
fn entries(args: &ConvertArgs) -> Result<Vec<Set>> {
    let mut set = Vec::new();
    if let Some(path) = &args.names {
        set.push(Set::new("names", "names", names_entry(&read_names(path)?)));
    }
    set.extend(args.preprocess.entries().into_iter().map(|(key, value)| Set::new(&key, &key, value)));
    let texts = [
        ("anchors", "anchors", &args.anchors),
        ("fill", "fill", &args.fill),
        ("licence", "license", &args.licence),
        ("origin", "origin", &args.origin),
    ];
    let given = texts.into_iter().filter_map(|(flag, key, value)| Some(Set::new(flag, key, value.clone()?)));
    set.extend(given);
    set.extend(args.set.iter().map(|(key, value)| Set::new("set", key, value)));
    Ok(set)
}

/// Refuses what would be lost without a word: all but what the runtime takes as flags.
fn refuse_lost(set: &[Set]) -> Result<()> {
    match set.iter().find(|entry| ["licence", "origin", "set"].contains(&entry.flag.as_str())) {
        Some(Set { flag, .. }) => Err(Error::Usage(format!(
            "--{flag}: ncnn files hold no metadata; write .onnx, or put it in a file beside the model"
        ))),
        None => Ok(()),
    }
}
