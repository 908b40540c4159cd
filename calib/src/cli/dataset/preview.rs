//! `calib dataset preview`.

use crate::augment::{Augment, Scene, letterboxed, sheet};
use crate::cli::data::{DataArgs, PartName};
use crate::cli::sheet::{PIXELS_MAX, Sheet};
use crate::cli::{say, within};
use crate::dataset::classes::position;
use crate::dataset::training::{Labelled, Picture, TrainingSet};
use crate::error::{Error, Result};
use crate::loader::{Batch, Loader, Options};
use crate::random::Random;
use clap::Args;
use ocellus::image::{Frame, decode};
use ocellus::limits::INPUT_SIDE_MIN;
use std::io::Write;
use std::path::PathBuf;

/// Most pictures on a sheet.
const COUNT_MAX: usize = 400;
/// Largest side of a picture on a sheet.
const SIDE_MAX: usize = 1280;

/// Arguments of `calib dataset preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Which annotated pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// The sheet to write: .jpg or .png.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Which part of a description.
    #[arg(long, value_enum, default_value_t = PartName::Train)]
    pub part: PartName,
    /// Show what training makes of the pictures: mosaics, changed in size, place and colour.
    #[arg(long)]
    pub augmented: bool,
    /// Draw only from pictures that have a box of this class.
    #[arg(long, value_name = "NAME", conflicts_with = "augmented")]
    pub class: Option<String>,
    /// Number of pictures.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub count: usize,
    /// Pictures in a row.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub columns: usize,
    /// Side of each picture in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 320)]
    pub size: usize,
    /// Which pictures are drawn.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// Draws the sheet; says on `out` what is on it.
pub(super) fn run(args: &PreviewArgs, out: &mut dyn Write) -> Result<()> {
    within("count", Some(args.count), 1, COUNT_MAX)?;
    within("columns", Some(args.columns), 1, COUNT_MAX)?;
    within("size", Some(args.size), INPUT_SIDE_MIN, SIDE_MAX)?;
    if args.count * args.size * args.size > PIXELS_MAX {
        return Err(Error::Usage("the sheet would be too large: lower --count or --size".to_owned()));
    }
    let sheet = Sheet::at("--output", &args.output)?;
    let set = args.data.training_set(args.part)?;
    let classes = set.classes.clone();
    let mut scenes = if args.augmented { changed(args, set)? } else { drawn(args, &set)? };
    scenes.iter_mut().for_each(|scene| sheet::annotate(scene, &classes));
    let (count, boxes) = (scenes.len(), scenes.iter().map(|scene| scene.boxes.len()).sum::<usize>());
    let frames: Vec<Frame> = scenes.into_iter().map(|scene| scene.frame).collect();
    sheet.write(&frames, args.size, args.columns)?;
    let line = format!("{}: {count} pictures, {boxes} boxes\n", args.output.display());
    say(out, &line)
}

/// Pictures as they are, drawn by the seed.
fn drawn(args: &PreviewArgs, set: &TrainingSet) -> Result<Vec<Scene>> {
    let wanted = match &args.class {
        None => None,
        Some(name) => {
            let found = position(&set.classes, name);
            let known = set.classes.join(", ");
            Some(found.ok_or_else(|| Error::Usage(format!("--class {name}: the classes are {known}")))? as u32)
        }
    };
    let has = |boxes: &[Labelled]| wanted.is_none() || boxes.iter().any(|labelled| labelled.class == wanted);
    let mut pictures: Vec<_> = set.pictures.iter().filter(|picture| has(&picture.boxes)).collect();
    if pictures.is_empty() {
        return Err(Error::Unmet("no picture has a box of this class".to_owned()));
    }
    Random::new(&[args.seed]).shuffle(&mut pictures);
    let scene = |picture: &&Picture| {
        letterboxed(&Scene { frame: decode(&picture.path)?, boxes: picture.boxes.clone() }, args.size)
    };
    pictures.iter().take(args.count).map(scene).collect()
}

/// Pictures as a network is given them.
fn changed(args: &PreviewArgs, set: TrainingSet) -> Result<Vec<Scene>> {
    let augment = Some(Augment::default());
    let loader = Loader::new(
        set,
        Options { size: args.size, batch: 1, augment, seed: args.seed, ..Options::default() },
    )?;
    let batches = (0..).flat_map(|epoch| loader.epoch(epoch)).take(args.count);
    let scenes = batches.map(|batch| batch.map(Batch::scenes)).collect::<Result<Vec<_>>>()?;
    Ok(scenes.into_iter().flatten().collect())
}
