//! Small pictures of bars, drawn by hand. Horizontal places are percent of the width, so that a picture is as
//! wide as its cell while its lines and corners keep their size.

use super::format::escaped;
use std::fmt::Write;

/// A place from 0 to 1, whatever the number.
fn within(place: f64) -> f64 {
    if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
}

/// A picture of fixed height whose horizontal axis goes from 0 to 1.
pub(super) struct Strip {
    svg: String,
}

impl Strip {
    /// `label` is for those who do not see the picture.
    pub(super) fn new(height: u32, label: &str) -> Self {
        let label = escaped(label);
        Strip {
            svg: format!(
                "<svg class=\"strip\" width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">"
            ),
        }
    }

    /// A bar between two places, in any order. One of no length is a hairline.
    pub(super) fn bar(&mut self, class: &str, [a, b]: [f64; 2], y: f64, height: f64) {
        let (from, to) = (within(a.min(b)), within(a.max(b)));
        // Writing into a string does not fail.
        let _ = write!(
            self.svg,
            "<rect class=\"{class}\" x=\"{:.2}%\" y=\"{y}\" width=\"{:.2}%\" height=\"{height}\" rx=\"1.5\"/>",
            from * 100.0,
            ((to - from) * 100.0).max(0.15)
        );
    }

    /// A horizontal line with a tick at both ends.
    pub(super) fn whisker(&mut self, [a, b]: [f64; 2], y: f64, tick: f64) {
        self.line("whisker", [a, b], [y, y]);
        for end in [a, b] {
            self.line("whisker", [end, end], [y - tick, y + tick]);
        }
    }

    /// A line between two places.
    pub(super) fn line(&mut self, class: &str, [x1, x2]: [f64; 2], [y1, y2]: [f64; 2]) {
        let _ = write!(
            self.svg,
            "<line class=\"{class}\" x1=\"{:.2}%\" y1=\"{y1}\" x2=\"{:.2}%\" y2=\"{y2}\"/>",
            within(x1) * 100.0,
            within(x2) * 100.0
        );
    }

    pub(super) fn finish(self) -> String {
        self.svg + "</svg>"
    }
}

/// Extents of a histogram in its own units; it is stretched to its frame.
const SIZE: [f64; 2] = [256.0, 80.0];
/// Most bars of a histogram.
const BARS_MAX: usize = 128;

/// A histogram with logarithmic counts.
pub(super) struct Bars {
    /// Lower edge, upper edge and count, from the left.
    bars: Vec<(f64, f64, u64)>,
    /// Least and largest number shown.
    pub(super) domain: [f64; 2],
}

impl Bars {
    /// `bins` are middles and counts; the picture also holds `low..=high`. `None` where nothing can be drawn.
    pub(super) fn new(bins: &[(f64, u64)], low: f64, high: f64) -> Option<Self> {
        let mut bins: Vec<(f64, u64)> = bins.iter().copied().filter(|b| b.0.is_finite() && b.1 > 0).collect();
        bins.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (first, last) = (bins.first()?.0, bins.last()?.0);
        let gap =
            bins.windows(2).map(|w| w[1].0 - w[0].0).filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
        let gap = if gap.is_finite() { gap } else { (first.abs() * 0.01).max(1e-9) };
        let width = gap.max((last - first) / (BARS_MAX - 1) as f64);
        let left = first - gap / 2.0;
        let mut bars: Vec<(f64, f64, u64)> = Vec::new();
        let mut at = usize::MAX;
        for (x, count) in bins {
            let bar = ((x - left) / width) as usize;
            match bars.last_mut() {
                Some(open) if bar == at => open.2 += count,
                _ => bars.push((left + bar as f64 * width, left + (bar + 1) as f64 * width, count)),
            }
            at = bar;
        }
        let ends = bars.first()?.0..bars.last()?.1;
        let finite = |v: f64, other: f64| if v.is_finite() { v } else { other };
        let domain = [ends.start.min(finite(low, ends.start)), ends.end.max(finite(high, ends.end))];
        (domain[1] - domain[0]).is_finite().then_some(Bars { bars, domain })
    }

    /// The picture, with the range shaded and what lies outside of it in the colour of losses.
    pub(super) fn draw(&self, low: f64, high: f64, label: &str) -> String {
        let [width, height] = SIZE;
        let x = |v: f64| within((v - self.domain[0]) / (self.domain[1] - self.domain[0])) * width;
        let most = self.bars.iter().map(|b| b.2).max().unwrap_or(1) as f64;
        let mut svg = format!(
            "<svg class=\"histogram\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{}\"><rect class=\"range\" x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{height}\"/>",
            escaped(label),
            x(low),
            (x(high) - x(low)).max(0.0)
        );
        let outside = |&&(left, right, _): &&(f64, f64, u64)| {
            let middle = (left + right) / 2.0;
            middle < low || middle > high
        };
        let path = |bars: &mut dyn Iterator<Item = &(f64, f64, u64)>| {
            bars.fold(String::new(), |mut path, &(left, right, count)| {
                // One number has to be visible next to millions.
                let top = 4.0 + (height - 8.0) * (count as f64).ln_1p() / most.ln_1p();
                let _ =
                    write!(path, "M{:.1} {height}V{:.1}H{:.1}V{height}Z", x(left), height - top, x(right));
                path
            })
        };
        let kept = path(&mut self.bars.iter().filter(|b| !outside(b)));
        let clipped = path(&mut self.bars.iter().filter(outside));
        for (class, path) in [("kept", kept), ("clipped", clipped)] {
            if !path.is_empty() {
                let _ = write!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
            }
        }
        for edge in [low, high] {
            let _ = write!(svg, "<path class=\"edge\" d=\"M{0:.1} 0V{height}\"/>", x(edge));
        }
        svg + "</svg>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_stay_within_the_picture() {
        let mut strip = Strip::new(20, "a\"b");
        strip.bar("int8", [f64::NAN, f64::INFINITY], 0.0, 5.0);
        strip.whisker([-3.0, 7.0], 4.0, 2.0);
        let svg = strip.finish();
        assert!(
            svg.contains("aria-label=\"a&quot;b\"") && !svg.contains("NaN") && !svg.contains("inf"),
            "{svg}"
        );
        assert!(!svg.contains("\"-"), "{svg}");
    }

    #[test]
    fn bins_become_at_most_128_bars_and_lose_no_count() {
        let bins: Vec<(f64, u64)> = (0..2000).map(|i| (f64::from(i) * 0.01 - 3.0, 2)).collect();
        let bars = Bars::new(&bins, -4.0, 2.0).unwrap();
        assert!(bars.bars.len() <= BARS_MAX, "{}", bars.bars.len());
        assert_eq!(bars.bars.iter().map(|b| b.2).sum::<u64>(), 4000);
        assert!(bars.domain[0] == -4.0 && bars.domain[1] > 16.9);
        let svg = bars.draw(-4.0, 2.0, "x");
        assert!(svg.contains("class=\"clipped\"") && svg.contains("class=\"kept\""));
        assert!(Bars::new(&[], 0.0, 1.0).is_none());
        assert!(Bars::new(&[(f64::NAN, 3)], 0.0, 1.0).is_none());
        assert!(Bars::new(&[(0.0, 3)], f64::NAN, f64::INFINITY).is_some());
    }
}
