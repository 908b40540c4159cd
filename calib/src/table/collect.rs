//! Two passes over the pictures: how far each tensor reaches, then how its magnitudes are spread.

use super::histogram::{Histogram, Range};
use crate::dataset::Skipped;
use crate::error::{Error, Result};
use crate::runtime::activations::Observer;
use crate::share::share;
use std::collections::HashSet;
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

/// How far the tensors reach.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Smallest and largest number of each tensor.
    pub ranges: Vec<Range>,
    /// Pictures that cannot be read, by their places among all.
    pub skipped: Vec<(usize, Skipped)>,
}

/// One thread's part of what is seen.
struct Part<T> {
    observer: Observer,
    seen: T,
    skipped: Vec<(usize, Skipped)>,
}

/// Runs observers, which `make` gives, over the pictures twice, on `threads` threads; calls `progress` after each
/// picture of each pass. The result does not depend on the number of threads.
///
/// # Errors
/// No picture can be read, the network gives NaN or infinity, or the runtime fails.
pub fn collect(
    make: impl Fn() -> Result<Observer> + Sync,
    pictures: &[PathBuf],
    threads: usize,
    progress: impl Fn() + Sync,
) -> Result<Collected> {
    let Reached { ranges, skipped } = reach(&make, pictures, threads, &progress)?;
    let usable = without(pictures, skipped.iter().map(|(at, _)| *at));
    let histograms = count(make, &usable, &ranges, threads, progress)?;
    let skipped = skipped.into_iter().map(|(_, skipped)| skipped).collect();
    Ok(Collected { histograms, pictures: usable.len(), skipped })
}

/// The pictures but for those in some places.
pub fn without(pictures: &[PathBuf], places: impl Iterator<Item = usize>) -> Vec<PathBuf> {
    let places: HashSet<usize> = places.collect();
    let usable = pictures.iter().enumerate().filter(|(at, _)| !places.contains(at));
    usable.map(|(_, picture)| picture.clone()).collect()
}

/// The second pass: how the numbers of each tensor are spread within `ranges`, which the first has found.
///
/// # Errors
/// A picture cannot be read, or the runtime fails.
pub fn count(
    make: impl Fn() -> Result<Observer> + Sync,
    pictures: &[PathBuf],
    ranges: &[Range],
    threads: usize,
    progress: impl Fn() + Sync,
) -> Result<Vec<Histogram>> {
    let empty: Vec<Histogram> = ranges.iter().map(|&(low, high)| Histogram::new(low, high)).collect();
    let parts = share(
        pictures,
        threads,
        || Ok((make()?, empty.clone())),
        |(observer, histograms), _, picture| {
            observer.look(picture)?;
            for (tensor, histogram) in histograms.iter_mut().enumerate() {
                observer.numbers_of_picture(tensor).for_each(|numbers| histogram.add(numbers));
            }
            progress();
            Ok(())
        },
    )?;
    let mut histograms = empty;
    for (_, part) in parts {
        histograms.iter_mut().zip(&part).for_each(|(all, part)| all.merge(part));
    }
    Ok(histograms)
}

/// The first pass: the range of every tensor over the pictures, and those that cannot be read, with their places.
///
/// # Errors
/// No picture can be read, the network gives NaN or infinity, or the runtime fails.
pub fn reach(
    make: impl Fn() -> Result<Observer> + Sync,
    pictures: &[PathBuf],
    threads: usize,
    progress: impl Fn() + Sync,
) -> Result<Reached> {
    let new = || {
        let observer = make()?;
        Ok(Part { seen: vec![(0f32, 0f32); observer.tensors()], observer, skipped: Vec::new() })
    };
    let parts = share(pictures, threads, new, |part, at, picture| {
        match part.observer.look(picture) {
            Ok(()) => {
                for (tensor, (low, high)) in part.seen.iter_mut().enumerate() {
                    let found = range(&part.observer, tensor);
                    let found = found.ok_or_else(|| not_finite(&part.observer, tensor, picture))?;
                    (*low, *high) = (low.min(found.0), high.max(found.1));
                }
            }
            Err(error) => part.skipped.push((at, skip(error, picture)?)),
        }
        progress();
        Ok(())
    })?;
    let mut ranges = vec![(0f32, 0f32); parts.first().map_or(0, |part| part.seen.len())];
    let mut skipped = Vec::new();
    for part in parts {
        let both = ranges.iter_mut().zip(part.seen);
        both.for_each(|(all, part)| *all = (all.0.min(part.0), all.1.max(part.1)));
        skipped.extend(part.skipped);
    }
    skipped.sort_by_key(|(at, _)| *at);
    match skipped.first() {
        _ if skipped.len() < pictures.len() => Ok(Reached { ranges, skipped }),
        Some((_, first)) => {
            Err(Error::bad_data(&first.file, format!("{}; no picture can be read", first.reason)))
        }
        None => Err(Error::Usage("no picture to calibrate with".to_owned())),
    }
}

/// Smallest and largest number; `None` where one is not finite.
fn range(observer: &Observer, tensor: usize) -> Option<(f32, f32)> {
    let mut range = (0f32, 0f32);
    for numbers in observer.numbers(tensor) {
        if !numbers.iter().all(|x| x.is_finite()) {
            return None;
        }
        range = numbers.iter().fold(range, |(low, high), &x| (low.min(x), high.max(x)));
    }
    Some(range)
}

/// What is wrong with a picture; other errors end the run.
pub(crate) fn skip(error: ocellus::Error, picture: &std::path::Path) -> Result<Skipped> {
    match error {
        ocellus::Error::BadPicture { path, what } => Ok(Skipped { file: path, reason: what }),
        ocellus::Error::Io { source, .. } => {
            Ok(Skipped { file: picture.to_owned(), reason: source.to_string() })
        }
        other => Err(other.into()),
    }
}

fn not_finite(observer: &Observer, tensor: usize, picture: &std::path::Path) -> Error {
    let name = observer.name(tensor);
    Error::bad_data(
        picture,
        format!("the tensor {name} has NaN or infinity; check the weights and --mean, --norm"),
    )
}
