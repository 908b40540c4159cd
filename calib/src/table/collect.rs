//! Two passes over the pictures: how far each tensor reaches, then how its magnitudes are spread.

use super::histogram::Histogram;
use crate::dataset::Skipped;
use crate::error::{Error, Result};
use crate::runtime::activations::Observer;
use std::path::PathBuf;

/// What was seen of the tensors.
#[derive(Clone, Debug)]
pub struct Collected {
    /// One per tensor of the observer.
    pub histograms: Vec<Histogram>,
    /// Number of pictures seen.
    pub pictures: usize,
    /// Pictures that cannot be read.
    pub skipped: Vec<Skipped>,
}

/// Runs `observer` over the pictures twice; calls `progress` after each picture of each pass.
///
/// # Errors
/// No picture can be read, the network gives NaN or infinity, or the runtime fails.
pub fn collect(
    observer: &mut Observer,
    pictures: &[PathBuf],
    mut progress: impl FnMut(),
) -> Result<Collected> {
    let mut skipped: Vec<Skipped> = Vec::new();
    let mut usable = Vec::with_capacity(pictures.len());
    let mut absmax = vec![0f32; observer.tensors()];
    for picture in pictures {
        match observer.look(picture) {
            Ok(()) => {
                usable.push(picture);
                for (tensor, most) in absmax.iter_mut().enumerate() {
                    let found = largest(observer, tensor);
                    *most = most.max(found.ok_or_else(|| not_finite(observer, tensor, picture))?);
                }
            }
            Err(error) => skipped.push(skip(error, picture)?),
        }
        progress();
    }
    if usable.is_empty() {
        return Err(match skipped.first() {
            Some(first) => Error::bad_data(&first.file, format!("{}; no picture can be read", first.reason)),
            None => Error::Usage("no picture to calibrate with".to_owned()),
        });
    }
    let mut histograms: Vec<Histogram> = absmax.into_iter().map(Histogram::new).collect();
    for picture in &usable {
        observer.look(picture)?;
        for (tensor, histogram) in histograms.iter_mut().enumerate() {
            observer.numbers_of_picture(tensor).for_each(|numbers| histogram.add(numbers));
        }
        progress();
    }
    Ok(Collected { histograms, pictures: usable.len(), skipped })
}

/// Largest magnitude; `None` where a number is not finite.
fn largest(observer: &Observer, tensor: usize) -> Option<f32> {
    let mut most = 0f32;
    for numbers in observer.numbers(tensor) {
        if !numbers.iter().all(|x| x.is_finite()) {
            return None;
        }
        most = numbers.iter().fold(most, |most, x| most.max(x.abs()));
    }
    Some(most)
}

/// What is wrong with a picture; other errors end the calibration.
fn skip(error: ocellus::Error, picture: &std::path::Path) -> Result<Skipped> {
    match error {
        ocellus::Error::BadPicture { path, what } => Ok(Skipped { file: path, reason: what }),
        ocellus::Error::Io { source, .. } => {
            Ok(Skipped { file: picture.to_owned(), reason: source.to_string() })
        }
        other => Err(other.into()),
    }
}

fn not_finite(observer: &Observer, tensor: usize, picture: &std::path::Path) -> Error {
    let reader = observer.layers().iter().find(|layer| layer.tensor == tensor);
    let name = reader.map_or("?", |layer| &layer.name);
    Error::bad_data(
        picture,
        format!("the input of layer {name} has NaN or infinity; check the weights and --mean, --norm"),
    )
}
