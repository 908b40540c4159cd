//! How many boxes of which class and size: bars.

use super::format::escaped;
use std::fmt::Write;

/// The boxes of a class, by size.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceBar {
    /// Name of the class.
    pub name: String,
    /// Counts, the smallest size first.
    pub parts: Vec<usize>,
}

/// Width of the picture.
const WIDTH: usize = 960;
/// Height of a row.
const ROW: usize = 22;
/// Where bars begin and end.
const BARS: [usize; 2] = [180, 860];
/// Names longer than this lose their end.
const NAME_CHARS_MAX: usize = 22;
/// From small to large: light to dark, so that they stay apart without colour.
const COLOURS: [&str; 7] = ["#cfe8ea", "#a3d2d6", "#76bac1", "#4aa1aa", "#1f8792", "#0d6b75", "#07474f"];

/// The bars of each data set under its heading: an SVG file. `parts` names the sizes, `caption` says what they are. A set has
/// one scale for all its bars.
pub fn instances_svg(sets: &[(String, Vec<InstanceBar>)], parts: &[String], caption: &str) -> String {
    let [left, right] = BARS;
    let mut body = String::new();
    let mut top = 24;
    // Writing into a string does not fail.
    let _ = writeln!(body, "<text class=\"soft\" x=\"20\" y=\"{top}\">{}</text>", escaped(caption));
    top += 12;
    for (at, part) in parts.iter().enumerate() {
        let x = 20 + at * 110;
        let _ = writeln!(
            body,
            "<rect x=\"{x}\" y=\"{top}\" width=\"14\" height=\"14\" fill=\"{}\"/><text class=\"soft\" x=\"{}\" y=\"{}\">{}</text>",
            colour(at),
            x + 20,
            top + 12,
            escaped(part)
        );
    }
    top += 30;
    for (heading, bars) in sets {
        let _ =
            writeln!(body, "<text class=\"head\" x=\"20\" y=\"{}\">{}</text>", top + 16, escaped(heading));
        top += 30;
        let most = bars.iter().map(InstanceBar::total).max().unwrap_or(0).max(1);
        for bar in bars {
            let name: String = bar.name.chars().take(NAME_CHARS_MAX).collect();
            let _ = write!(
                body,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                left - 12,
                top + 14,
                escaped(&name)
            );
            let place = |count: usize| left as f64 + (right - left) as f64 * count as f64 / most as f64;
            let mut before = 0;
            for (at, count) in bar.parts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (from, to) = (place(before), place(before + count));
                let _ = write!(
                    body,
                    "<rect x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"/>",
                    top + 2,
                    to - from,
                    ROW - 6,
                    colour(at)
                );
                before += count;
            }
            let _ = writeln!(
                body,
                "<text x=\"{:.1}\" y=\"{}\">{}</text>",
                place(before) + 8.0,
                top + 14,
                bar.total()
            );
            top += ROW;
        }
        top += 14;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" viewBox=\"0 0 {WIDTH} {top}\">\n\
         <style>text{{font:12px sans-serif;fill:#1c2328}} .soft{{fill:#59646b}} .head{{font-size:14px;font-weight:600}}\
         </style>\n<rect width=\"{WIDTH}\" height=\"{top}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn colour(part: usize) -> &'static str {
    COLOURS[part.min(COLOURS.len() - 1)]
}

impl InstanceBar {
    fn total(&self) -> usize {
        self.parts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the longest bar is 680 wide, so of 40 boxes each takes 17.
    #[test]
    fn bars_are_as_long_as_their_counts() {
        let bar = |name: &str, parts: &[usize]| InstanceBar { name: name.to_owned(), parts: parts.to_vec() };
        let sets = [("street".to_owned(), vec![bar("a<b", &[10, 0, 30]), bar("car", &[0, 20, 0])])];
        let svg = instances_svg(&sets, &["s".to_owned(), "m".to_owned(), "l".to_owned()], "sizes");
        for expected in [
            "x=\"180.0\" y=\"98\" width=\"170.0\"",
            "x=\"350.0\" y=\"98\" width=\"510.0\"",
            "x=\"180.0\" y=\"120\" width=\"340.0\"",
            ">a&lt;b</text>",
            ">40</text>",
            ">20</text>",
        ] {
            assert!(svg.contains(expected), "{expected}\n{svg}");
        }
    }
}
