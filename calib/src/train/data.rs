//! What a run learns from, and what it is measured on.

use super::validation::{Validation, validations};
use crate::dataset::description::Description;
use crate::dataset::training::TrainingSet;
use crate::error::{Error, Result};
use std::path::Path;

/// Pictures to train on, and others to measure on.
pub struct Data {
    /// To train on.
    pub train: TrainingSet,
    /// To choose the best epoch by. If there are none, those to measure on choose.
    pub held_out: TrainingSet,
    /// To measure on.
    pub val: TrainingSet,
}

impl Data {
    /// Reads what a description says; its paths are relative to `root`, without it to its folder. `skip_bad`: what is faulty
    /// is left out.
    ///
    /// # Errors
    /// Something is faulty, which the error names by file and line; or nothing is left to train on or to choose by.
    pub fn read(path: &Path, root: Option<&Path>, skip_bad: bool) -> Result<Self> {
        let description = Description::open(path, root)?;
        let (train, val) = (description.read_train()?, description.read_val()?);
        let (train, val) = (train.accept(skip_bad)?, val.accept(skip_bad)?);
        let Some(hold_out) = &description.hold_out else {
            return Ok(Data { train, held_out: TrainingSet::default(), val });
        };
        let count = train.pictures.len();
        let [train, held_out] = hold_out.divide(train);
        if train.pictures.is_empty() || held_out.pictures.is_empty() {
            let (out, share) = (held_out.pictures.len(), hold_out.share);
            let what = format!("hold-out: share = {share} holds out {out} of {count} pictures: change it");
            return Err(Error::bad_data(path, what));
        }
        Ok(Data { train, held_out, val })
    }

    /// The data sets to measure on, then what is held out of those that are trained on.
    ///
    /// # Errors
    /// [`Error::Usage`]: there are no pictures to measure on.
    pub fn validations(&self) -> Result<Vec<Validation>> {
        let mut held_out = validations(&self.held_out, true);
        held_out.iter_mut().for_each(|set| set.name += " held out");
        let measured = validations(&self.val, held_out.is_empty());
        match measured.is_empty() {
            true => Err(Error::Usage("the data have no pictures to measure on".to_owned())),
            false => Ok(measured.into_iter().chain(held_out).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::run::Run;
    use crate::train::tests::{Grey, Made};
    use crate::train::validation::mean;

    #[test]
    fn a_share_of_what_is_trained_on_is_held_out() {
        let grey = Grey::new("held-out", 12);
        let read = |hold_out: &str| Data::read(&grey.description(hold_out), None, false);
        let whole = read("").unwrap();
        assert_eq!((whole.train.pictures.len(), whole.held_out.pictures.len()), (12, 0));
        assert!(whole.validations().unwrap().iter().all(|set| set.chooses));
        let data = read("hold-out = { share = 0.4 }").unwrap();
        let (train, held_out) = (&data.train.pictures, &data.held_out.pictures);
        assert_eq!((train.len() + held_out.len(), data.val.pictures.len()), (12, 12));
        assert!(train.iter().all(|picture| !held_out.contains(picture)));
        // Of grey/0.png to grey/11.png those that another program finds by the same hash.
        let names: Vec<_> = held_out.iter().map(|picture| picture.path.file_stem().unwrap()).collect();
        assert_eq!(names, ["2", "5", "7", "8", "9"]);
        let sets = data.validations().unwrap();
        let sets: Vec<_> = sets.iter().map(|set| (set.name.as_str(), set.chooses)).collect();
        assert_eq!(sets, [("seen", false), ("grey held out", true)]);
        let refused = read("hold-out = { share = 1e-9 }").err().unwrap().to_string();
        assert!(
            refused.ends_with("hold-out: share = 0.000000001 holds out 0 of 12 pictures: change it"),
            "{refused}"
        );
    }

    /// What is held out chooses, is in the journal, and a run that was interrupted ends as one that was not.
    #[test]
    fn a_run_with_pictures_held_out_goes_on_to_the_same_numbers() {
        const SIZE: usize = 96;
        let (made, grey) = (Made::new("held-out", SIZE), Grey::new("held-out-run", 8));
        let mut plan = made.plan(SIZE, None);
        plan.data = grey.description("hold-out = { share = 0.4 }");
        let folder = |name: &str| plan.data.with_file_name(name);
        let begin = |name: &str| Run::begin(plan.clone(), plan.read().unwrap(), &folder(name), None).unwrap();
        let mut whole = begin("whole");
        for _ in 0..2 {
            let epoch = whole.epoch(|_| (), || ()).unwrap();
            assert_eq!(epoch.worth(), mean(&epoch.scores[1..]));
        }
        begin("parts").epoch(|_| (), || ()).unwrap();
        let mut rest = Run::resume(plan.read().unwrap(), &folder("parts")).unwrap();
        rest.epoch(|_| (), || ()).unwrap();
        let file = |run: &str, name: &str| std::fs::read(folder(run).join(name)).unwrap();
        for name in ["last.safetensors", "last.onnx", "best.onnx"] {
            assert!(file("whole", name) == file("parts", name), "{name}");
        }
        let journal = String::from_utf8(file("parts", "log.csv")).unwrap();
        let header = "worth,seen mAP50-95,seen mAP50,grey held out mAP50-95,grey held out mAP50\n1,";
        assert!(journal.contains(header) && journal.lines().count() == 3, "{journal}");
    }
}
