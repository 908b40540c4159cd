//! Batches of small pictures made here.

use super::*;
use crate::dataset::training::{Labelled, Origin, Picture};
use std::path::PathBuf;

/// Pictures of random pixels with a box each, of two data sets that label different classes.
struct Set(PathBuf, TrainingSet);

impl Set {
    fn new(test: &str, pictures: u32) -> Self {
        let folder = std::env::temp_dir().join(format!("calib-loader-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let picture = |i: u32| {
            let (width, height) = (40 + i, 60 - i);
            let path = folder.join(format!("{i}.png"));
            let mut random = crate::random::Random::new(&[i.into()]);
            let mut pixel = |_, _| image::Rgb([(); 3].map(|()| random.below(256) as u8));
            image::RgbImage::from_fn(width, height, &mut pixel).save(&path).unwrap();
            let class = (!i.is_multiple_of(3)).then_some(i % 2);
            let boxes = vec![Labelled { class, corners: [4.0, 6.0, 24.0, 36.0] }];
            Picture { path, size: [width, height], origin: i % 2, boxes }
        };
        let origin = |known, repeat| Origin { name: "made".to_owned(), known, repeat };
        let set = TrainingSet {
            classes: vec!["a".to_owned(), "b".to_owned()],
            origins: vec![origin(vec![true, false], 1), origin(vec![false, true], 2)],
            pictures: (0..pictures).map(picture).collect(),
        };
        Set(folder, set)
    }

    fn loader(&self, options: Options) -> Loader {
        Loader::new(self.1.clone(), options).unwrap()
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn changed() -> Options {
    let augment = Augment { mixup: 0.3, degrees: 5.0, mosaic: 0.7, ..Augment::default() };
    Options { size: 64, batch: 4, augment: Some(augment), seed: 3, ..Options::default() }
}

fn all(epoch: Epoch) -> Vec<Batch> {
    epoch.map(Result::unwrap).collect()
}

#[test]
fn batches_depend_on_seed_and_epoch_alone() {
    let set = Set::new("same", 11);
    let batches = all(set.loader(changed()).epoch(5));
    // 6 pictures once and 5 twice, four at a time.
    assert_eq!(batches.len(), 4);
    for (threads, cache_bytes) in [(1, 0), (3, 20_000), (4, 1 << 20)] {
        let loader = set.loader(Options { threads, cache_bytes, ..changed() });
        all(loader.epoch(4));
        assert_eq!(all(loader.epoch(5)), batches, "{threads} threads, {cache_bytes} bytes");
    }
    assert_ne!(all(set.loader(changed()).epoch(6)), batches);
    assert_ne!(all(set.loader(Options { seed: 4, ..changed() }).epoch(5)), batches);
}

#[test]
fn boxes_lie_inside_and_classes_are_known() {
    let set = Set::new("inside", 12);
    let (mut targets, mut ignored) = (0, 0);
    for batch in (0..5).flat_map(|epoch| all(set.loader(changed()).epoch(epoch))) {
        assert_eq!((batch.images.len(), batch.known.len()), (batch.len() * 64 * 64 * 3, batch.len() * 2));
        let regions = batch.targets.iter().map(|t| &t.region).chain(&batch.ignored);
        for Region { image, bbox: [x, y, w, h] } in regions {
            assert!((*image as usize) < batch.len());
            let inside = |middle: f32, extent: f32| {
                extent > 0.0 && middle - extent / 2.0 > -1e-6 && middle + extent / 2.0 < 1.0 + 1e-6
            };
            assert!(inside(*x, *w) && inside(*y, *h), "{x} {y} {w} {h}");
        }
        // A mosaic has parts of data sets only that label the same.
        for target in &batch.targets {
            assert!(batch.known[target.region.image as usize * 2 + target.class as usize]);
        }
        (targets, ignored) = (targets + batch.targets.len(), ignored + batch.ignored.len());
    }
    assert!(targets > 50 && ignored > 20, "{targets} {ignored}");
}

#[test]
fn without_changes_every_picture_comes_once_in_order() {
    let set = Set::new("order", 10);
    let loader = set.loader(Options { size: 32, batch: 4, ..Options::default() });
    assert_eq!(loader.batches(), 3);
    let batches = all(loader.epoch(1));
    let pictures: Vec<u32> = batches.iter().flat_map(|b| b.pictures.clone()).collect();
    assert_eq!(pictures, (0..10).collect::<Vec<_>>());
    // By hand: 42 × 58 pixels become 23 × 32, 4 columns from the left; the box of class 0 is 4..24 × 6..36.
    let target = batches[0].targets.iter().find(|t| t.region.image == 2).unwrap();
    let [x, y, w, h] = target.region.bbox.map(|v| v * 32.0);
    let scale = [23.0 / 42.0, 32.0 / 58.0];
    for (is, expected) in
        [(x, 14.0 * scale[0] + 4.0), (y, 21.0 * scale[1]), (w, 20.0 * scale[0]), (h, 30.0 * scale[1])]
    {
        assert!((is - expected).abs() < 1e-4, "{is} {expected}");
    }
}

#[test]
fn few_pictures_make_one_batch() {
    let set = Set::new("few", 2);
    let loader = set.loader(changed());
    assert_eq!((loader.batches(), all(loader.epoch(0))[0].len()), (1, 3));
}

#[test]
fn a_picture_that_went_away_is_named_and_ends_the_epoch() {
    let set = Set::new("gone", 12);
    std::fs::remove_file(set.0.join("7.png")).unwrap();
    let mut epoch = set.loader(changed()).epoch(0);
    let error = epoch.find_map(Result::err).unwrap().to_string();
    assert!(error.contains("7.png"), "{error}");
    assert!(epoch.next().is_none());
    // Nobody takes these; the threads end all the same.
    drop(set.loader(changed()).epoch(1));
}

#[test]
fn impossible_options_are_refused() {
    let set = Set::new("refused", 1);
    for options in [
        Options { size: 0, ..changed() },
        Options { batch: 0, ..changed() },
        Options { threads: 0, ..changed() },
        Options { augment: Some(Augment { flip: 2.0, ..Augment::default() }), ..changed() },
    ] {
        assert!(matches!(Loader::new(set.1.clone(), options), Err(Error::Usage(_))));
    }
    assert!(matches!(Loader::new(TrainingSet::default(), changed()), Err(Error::Usage(_))));
}
