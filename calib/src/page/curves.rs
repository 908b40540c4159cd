//! What a training has brought so far, as small multiples: one page that loads itself again until the run is over.

use super::format::{count, digits, escaped};
use super::{POLICY, STYLE};
use std::fmt::Write;

/// Extents of a curve in its own units; it is stretched to its frame.
const SIZE: [f64; 2] = [256.0, 80.0];
/// Seconds after which the page is loaded again.
const AGAIN: u32 = 10;

/// A number by epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// One for each epoch.
    pub values: Vec<f64>,
    /// Whether more is better; `None`: it is neither good nor bad.
    pub rises: Option<bool>,
}

/// The page of a run that is to have so many `epochs`; those of the `curves` are the first ones.
pub fn curves(title: &str, epochs: usize, curves: &[Curve]) -> String {
    let done = curves.iter().map(|curve| curve.values.len()).max().unwrap_or(0);
    let again = match done < epochs {
        true => format!("<meta http-equiv=\"refresh\" content=\"{AGAIN}\"/>\n"),
        false => String::new(),
    };
    let tiles: String = curves.iter().map(|curve| tile(curve, epochs)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n{again}\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n\
         <p class=\"lead\">{1} of {2} epochs</p>\n<div class=\"grid\">\n{tiles}</div>\n</main>\n</body>\n</html>\n",
        escaped(title),
        count(done),
        count(epochs)
    )
}

fn tile(curve: &Curve, epochs: usize) -> String {
    let finite = || curve.values.iter().copied().enumerate().filter(|(_, value)| value.is_finite());
    // Of equal ones the first.
    let highest = || finite().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    let lowest = || finite().min_by(|a, b| a.1.total_cmp(&b.1));
    let best = curve.rises.and_then(|rises| if rises { highest() } else { lowest() });
    let name = escaped(&curve.name);
    let mut facts = String::new();
    if let Some((_, last)) = finite().next_back() {
        let _ = write!(facts, "<span>now {}</span>", digits(last));
    }
    if let Some((at, best)) = best {
        let _ = write!(facts, "<span class=\"soft\">best {} in epoch {}</span>", digits(best), at + 1);
    }
    format!(
        "<figure class=\"tile\">\n<figcaption class=\"name\" title=\"{name}\">{name}</figcaption>\n{}\
         <div class=\"ends\"><span>1</span><span>{epochs}</span></div>\n<div class=\"facts small\">{facts}</div>\n</figure>\n",
        drawn(curve, epochs, best.map(|(at, _)| at))
    )
}

/// The curve over all epochs, from zero or its least number to its greatest, with a mark where it is best.
fn drawn(curve: &Curve, epochs: usize, best: Option<usize>) -> String {
    let [width, height] = SIZE;
    let finite = || curve.values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(f64::MIN_POSITIVE, f64::max));
    let x = |at: usize| width * at as f64 / epochs.saturating_sub(1).max(1) as f64;
    let y = |value: f64| height - 2.0 - (height - 4.0) * (value - low) / (high - low);
    let mut path = String::new();
    for (at, &value) in curve.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let letter = if path.is_empty() { 'M' } else { 'L' };
        // Writing into a string does not fail.
        let _ = write!(path, "{letter}{:.1} {:.1}", x(at), y(value));
    }
    let mark =
        best.map_or(String::new(), |at| format!("<path class=\"best\" d=\"M{:.1} 0V{height}\"/>", x(at)));
    format!(
        "<svg class=\"histogram\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{}\">{mark}<path class=\"curve\" d=\"{path}\"/></svg>",
        escaped(&curve.name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_until_the_run_is_over() {
        let map =
            Curve { name: "a<b mAP".to_owned(), values: vec![0.1, 0.3, f64::NAN, 0.2], rises: Some(true) };
        let loss = Curve { name: "loss".to_owned(), values: vec![3.0, 2.0, 1.0, 1.0], rises: Some(false) };
        let page = curves("run", 8, &[map.clone(), loss]);
        assert!(page.contains("http-equiv=\"refresh\"") && page.contains("4 of 8 epochs"));
        assert!(page.contains("a&lt;b mAP") && !page.contains("NaN") && !page.contains("a<b"));
        assert!(page.contains("best 0.300 in epoch 2") && page.contains("best 1.00 in epoch 3"), "{page}");
        assert!(!curves("run", 4, &[map]).contains("refresh"));
        assert!(curves("run", 3, &[]).contains("0 of 3 epochs"));
    }
}
