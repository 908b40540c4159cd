//! Which class of the data set is which class of the model.

use super::Category;
use crate::error::{Error, Result};
use crate::limits::NAMES_LISTED_MAX;
use serde::{Deserialize, Serialize};

/// One `data class=model class` of a class map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapEntry {
    /// Name of a class of the data set.
    pub data: String,
    /// Name of a class of the model.
    pub model: String,
}

impl std::str::FromStr for MapEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').map(|(data, model)| (data.trim(), model.trim())) {
            Some((data, model)) if !data.is_empty() && !model.is_empty() => {
                Ok(MapEntry { data: data.to_owned(), model: model.to_owned() })
            }
            _ => Err(format!("`{text}` is not DATA_CLASS=MODEL_CLASS, like Car=vehicle")),
        }
    }
}

/// The evaluated categories, and how the data set's and the model's classes lead to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    /// By ascending id. The id is the smallest of the data classes that were joined, the name the model's.
    pub categories: Vec<Category>,
    /// Names of the data classes that have no counterpart and are left out.
    pub unmatched: Vec<String>,
    /// Per class of the data set: index in `categories`.
    of_data: Vec<Option<u32>>,
    /// Per class of the model: index in `categories`.
    of_model: Vec<Option<u32>>,
}

impl Classes {
    /// Joins the classes of a data set (by ascending id) to those of a model.
    ///
    /// Names decide, without regard to case, after `map` has renamed data classes. Without a map, a model of
    /// 80 classes on data with COCO's 80 ids is joined by order: such models often have no names, or others.
    pub fn join(data: &[Category], model: &[String], map: &[MapEntry]) -> Result<Self> {
        if map.is_empty() && model.len() == COCO_IDS.len() && data.iter().map(|c| c.id).eq(COCO_IDS) {
            return Self::from_groups(data, (0..model.len()).map(Some).collect(), model);
        }
        check_map(data, map)?;
        if let Some(entry) = map.iter().find(|e| position(model, &e.model).is_none()) {
            return Err(Error::Usage(format!(
                "--class-map: the model has no class `{}`; it has {}",
                entry.model,
                listed(model.iter().map(String::as_str))
            )));
        }
        let groups = data.iter().map(|c| position(model, renamed(&c.name, map))).collect();
        Self::from_groups(data, groups, model)
    }

    /// Joins data classes to each other as `map` says; what it does not name stays as it is, unless it has
    /// the name of a joined class.
    pub fn of_data_alone(data: &[Category], map: &[MapEntry]) -> Result<Self> {
        check_map(data, map)?;
        let mut names: Vec<String> = Vec::new();
        for entry in map {
            if position(&names, &entry.model).is_none() {
                names.push(entry.model.clone());
            }
        }
        let mapped = names.len();
        let groups = data
            .iter()
            .map(|category| {
                let joined = position(&names[..mapped], renamed(&category.name, map));
                Some(joined.unwrap_or_else(|| {
                    names.push(category.name.clone());
                    names.len() - 1
                }))
            })
            .collect();
        Self::from_groups(data, groups, &names)
    }

    /// `groups` gives each data class the index of its name in `names`.
    fn from_groups(data: &[Category], groups: Vec<Option<usize>>, names: &[String]) -> Result<Self> {
        let mut of_model = vec![None; names.len()];
        let mut categories: Vec<Category> = Vec::new();
        // Data classes come by ascending id, so a group's first member has its smallest id and the
        // categories end up sorted.
        for (class, group) in data.iter().zip(&groups) {
            let Some(group) = *group else { continue };
            if of_model[group].is_none() {
                of_model[group] = Some(categories.len() as u32);
                categories.push(Category { id: class.id, name: names[group].clone() });
            }
        }
        if categories.is_empty() {
            return Err(Error::Usage(format!(
                "no class of the data set ({}) is one of the model's ({}); join them with --class-map",
                listed(data.iter().map(|c| c.name.as_str())),
                listed(names.iter().map(String::as_str))
            )));
        }
        let lost = data.iter().zip(&groups).filter(|(_, group)| group.is_none());
        Ok(Classes {
            unmatched: lost.map(|(class, _)| class.name.clone()).collect(),
            of_data: groups.into_iter().map(|group| group.and_then(|g| of_model[g])).collect(),
            categories,
            of_model,
        })
    }

    /// Evaluated category of the data set's class with this index.
    pub fn of_data(&self, class: usize) -> Option<u32> {
        self.of_data.get(class).copied().flatten()
    }

    /// Evaluated category of the model's class with this index.
    pub fn of_model(&self, class: usize) -> Option<u32> {
        self.of_model.get(class).copied().flatten()
    }
}

/// The ids of COCO's 80 classes: 1 to 90 with ten left out.
const COCO_IDS: [i64; 80] = {
    let left_out = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
    let mut ids = [0; 80];
    let (mut id, mut kept, mut skipped) = (1, 0, 0);
    while id <= 90 {
        if skipped < left_out.len() && left_out[skipped] == id {
            skipped += 1;
        } else {
            ids[kept] = id;
            kept += 1;
        }
        id += 1;
    }
    ids
};

pub(crate) fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

pub(crate) fn position(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|n| same(n, name))
}

/// For each class of a detector the one of `own` classes that has its name, after `map` has renamed it. Both come with what
/// messages call them.
pub(crate) fn joined(
    (detector, theirs): (&str, &[String]),
    (user, own): (&str, &[String]),
    map: &[MapEntry],
) -> Result<Vec<Option<usize>>> {
    for entry in map {
        for (whose, names, name) in [(detector, theirs, &entry.data), (user, own, &entry.model)] {
            if position(names, name).is_none() {
                let all = listed(names.iter().map(String::as_str));
                return Err(Error::Usage(format!("--map: the {whose} has no class `{name}`; it has {all}")));
            }
        }
    }
    let classes: Vec<_> = theirs.iter().map(|name| position(own, renamed(name, map))).collect();
    match (0..own.len()).find(|&class| !classes.contains(&Some(class))) {
        None => Ok(classes),
        Some(class) => Err(Error::Usage(format!(
            "the {detector} has no class `{0}`; name what it calls it by --map, like car={0}. It has {1}",
            own[class],
            listed(theirs.iter().map(String::as_str))
        ))),
    }
}

pub(crate) fn renamed<'a>(name: &'a str, map: &'a [MapEntry]) -> &'a str {
    map.iter().find(|entry| same(&entry.data, name)).map_or(name, |entry| &entry.model)
}

/// Every entry must name a class of the data set, and none twice.
fn check_map(data: &[Category], map: &[MapEntry]) -> Result<()> {
    for (i, entry) in map.iter().enumerate() {
        if !data.iter().any(|c| same(&c.name, &entry.data)) {
            return Err(Error::Usage(format!(
                "--class-map: the data set has no class `{}`; it has {}",
                entry.data,
                listed(data.iter().map(|c| c.name.as_str()))
            )));
        }
        if map[..i].iter().any(|earlier| same(&earlier.data, &entry.data)) {
            return Err(Error::Usage(format!("--class-map: `{}` is mapped twice", entry.data)));
        }
    }
    Ok(())
}

/// The first names, and how many more there are.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMES_LISTED_MAX);
    let shown: Vec<&str> = names.take(NAMES_LISTED_MAX).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names = ["a"; NAMES_LISTED_MAX + 2];
        assert!(listed(names.into_iter()).ends_with("a, a and 2 more"));
        assert_eq!(listed(["a", "b"].into_iter()), "a, b");
    }

    fn data(names: &[&str]) -> Vec<Category> {
        (0..).zip(names).map(|(id, name)| Category { id, name: name.to_string() }).collect()
    }

    fn model(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn map(text: &str) -> Vec<MapEntry> {
        text.split(',').map(|entry| entry.parse().unwrap()).collect()
    }

    #[test]
    fn several_data_classes_may_become_one() {
        let data = data(&["Ambulance", "Bus", "Car", "Bicycle"]);
        let classes = Classes::join(&data, &model(&["vehicle", "bicycle"]), &map("car=vehicle,BUS=Vehicle"));
        let classes = classes.unwrap();
        assert_eq!(classes.unmatched, ["Ambulance"]);
        let evaluated: Vec<_> = classes.categories.iter().map(|c| (c.id, c.name.as_str())).collect();
        assert_eq!(evaluated, [(1, "vehicle"), (3, "bicycle")]);
        assert_eq!([0, 1, 2, 3].map(|i| classes.of_data(i)), [None, Some(0), Some(0), Some(1)]);
        assert_eq!([0, 1, 2].map(|i| classes.of_model(i)), [Some(0), Some(1), None]);
    }

    #[test]
    fn names_decide_without_a_map() {
        let classes = Classes::join(&data(&["Car", "Bus"]), &model(&["person", "bus", "car"]), &[]).unwrap();
        assert_eq!([0, 1].map(|i| classes.of_data(i)), [Some(0), Some(1)]);
        assert_eq!([0, 1, 2].map(|i| classes.of_model(i)), [None, Some(1), Some(0)]);
    }

    #[test]
    fn a_detector_is_joined_by_name_and_map() {
        let (theirs, own) = (model(&["person", "dog", "car", "bus"]), model(&["Person", "vehicle"]));
        let join = |map: &[MapEntry]| joined(("teacher", &theirs), ("student", &own), map);
        assert_eq!(join(&map("car=vehicle,bus=vehicle")).unwrap(), [Some(0), None, Some(1), Some(1)]);
        for (text, message) in [
            (
                "dog=person",
                "the teacher has no class `vehicle`; name what it calls it by --map, like car=vehicle",
            ),
            ("truck=vehicle", "--map: the teacher has no class `truck`; it has person, dog, car, bus"),
            ("car=lorry", "--map: the student has no class `lorry`; it has Person, vehicle"),
        ] {
            let refused = join(&map(text)).unwrap_err().to_string();
            assert!(refused.starts_with(message), "{refused}");
        }
    }

    #[test]
    fn coco_is_joined_by_order() {
        let mut data = data(&["x"; 80]);
        for (category, id) in data.iter_mut().zip(COCO_IDS) {
            category.id = id;
        }
        let names: Vec<String> = (0..80).map(|i| format!("class{i}")).collect();
        let classes = Classes::join(&data, &names, &[]).unwrap();
        assert_eq!(classes.categories[79], Category { id: 90, name: "class79".to_owned() });
        assert_eq!(classes.of_model(79), Some(79));
        // One id off, and only names could join them.
        data[79].id = 91;
        assert!(matches!(Classes::join(&data, &names, &[]), Err(Error::Usage(_))));
    }

    #[test]
    fn without_a_model_nothing_is_joined_but_by_the_map() {
        let data = data(&["car", "Car", "bus", "vehicle"]);
        let classes = Classes::of_data_alone(&data, &[]).unwrap();
        assert_eq!(classes.categories, data);
        let data = &data[1..];
        let classes = Classes::of_data_alone(data, &map("bus=vehicle")).unwrap();
        assert_eq!([0, 1, 2].map(|i| classes.of_data(i)), [Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn a_map_must_name_what_exists() {
        let (data, model) = (data(&["Car"]), model(&["vehicle"]));
        for (text, message) in [
            ("Bus=vehicle", "--class-map: the data set has no class `Bus`; it has Car"),
            ("Car=person", "--class-map: the model has no class `person`; it has vehicle"),
            ("Car=vehicle,car=vehicle", "--class-map: `car` is mapped twice"),
        ] {
            assert_eq!(Classes::join(&data, &model, &map(text)).unwrap_err().to_string(), message);
        }
        assert!("Car".parse::<MapEntry>().is_err());
    }
}
