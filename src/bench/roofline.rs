//! The roofline model (Williams, Waterman, Patterson, 2009) as a picture: what each layer attains, against
//! what the machine's arithmetic and memory allow at that layer's ratio of work to bytes.

use super::layers::Layer;
use super::peak::Peak;
use std::fmt::Write as _;

/// Width and height of the picture.
const SIZE: [f64; 2] = [960.0, 600.0];
/// Left, top, right and bottom margins.
const MARGIN: [f64; 4] = [70.0, 50.0, 20.0, 60.0];
/// Multiply-accumulates per byte on the horizontal axis.
const INTENSITY: [f64; 2] = [0.1, 1000.0];

/// Lines that no layer gets over.
#[derive(Clone, Copy, Debug)]
pub struct Roofs {
    /// Rates in int8, and of copies in the cache.
    pub int8: Peak,
    /// Rates in float.
    pub fp32: Peak,
    /// 10⁹ bytes per second of a copy in memory.
    pub memory: f64,
}

/// An SVG picture of all layers that multiply and accumulate; a dot's area is the layer's share of the time.
pub fn roofline(title: &str, layers: &[Layer], roofs: &Roofs) -> String {
    let top = roofs.int8.gmacs.max(roofs.fp32.gmacs) * 2.0;
    let chart = Chart { rate: [top / 1e4, top] };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        SIZE[0], SIZE[1]
    );
    text(&mut svg, [SIZE[0] / 2.0, 28.0], "middle", title);
    text(&mut svg, [SIZE[0] / 2.0, SIZE[1] - 16.0], "middle", "multiply-accumulates per byte");
    text(&mut svg, [8.0, MARGIN[1] - 12.0], "start", "GMAC/s");
    chart.axes(&mut svg);
    chart.roof(&mut svg, &format!("int8 {:.0} GMAC/s", roofs.int8.gmacs), roofs.int8.gmacs, roofs);
    chart.roof(&mut svg, &format!("fp32 {:.0} GMAC/s", roofs.fp32.gmacs), roofs.fp32.gmacs, roofs);
    chart.slope(&mut svg, &format!("cache {:.0} GB/s", roofs.int8.gbytes), roofs.int8.gbytes, roofs);
    chart.slope(&mut svg, &format!("memory {:.0} GB/s", roofs.memory), roofs.memory, roofs);
    for layer in layers.iter().filter(|layer| layer.macs > 0) {
        chart.dot(&mut svg, layer);
    }
    svg + "</svg>\n"
}

struct Chart {
    /// GMAC/s on the vertical axis.
    rate: [f64; 2],
}

impl Chart {
    fn x(&self, intensity: f64) -> f64 {
        let share = (intensity / INTENSITY[0]).ln() / (INTENSITY[1] / INTENSITY[0]).ln();
        MARGIN[0] + share.clamp(0.0, 1.0) * (SIZE[0] - MARGIN[0] - MARGIN[2])
    }

    fn y(&self, rate: f64) -> f64 {
        let share = (rate / self.rate[0]).ln() / (self.rate[1] / self.rate[0]).ln();
        SIZE[1] - MARGIN[3] - share.clamp(0.0, 1.0) * (SIZE[1] - MARGIN[1] - MARGIN[3])
    }

    fn axes(&self, svg: &mut String) {
        for exponent in -1..=3 {
            let x = self.x(10f64.powi(exponent));
            line(svg, [x, MARGIN[1]], [x, SIZE[1] - MARGIN[3]], "#dddddd");
            text(svg, [x, SIZE[1] - MARGIN[3] + 18.0], "middle", &10f64.powi(exponent).to_string());
        }
        let exponents = self.rate.map(|rate| rate.log10());
        for exponent in exponents[0].ceil() as i32..=exponents[1].floor() as i32 {
            let y = self.y(10f64.powi(exponent));
            line(svg, [MARGIN[0], y], [SIZE[0] - MARGIN[2], y], "#dddddd");
            text(svg, [MARGIN[0] - 6.0, y + 4.0], "end", &10f64.powi(exponent).to_string());
        }
    }

    /// A compute roof, from where the cache feeds it.
    fn roof(&self, svg: &mut String, name: &str, rate: f64, roofs: &Roofs) {
        let (from, y) = (self.x(rate / roofs.int8.gbytes), self.y(rate));
        line(svg, [from, y], [SIZE[0] - MARGIN[2], y], "#333333");
        text(svg, [SIZE[0] - MARGIN[2] - 4.0, y - 6.0], "end", name);
    }

    /// A roof of bandwidth, up to the highest compute roof.
    fn slope(&self, svg: &mut String, name: &str, bandwidth: f64, roofs: &Roofs) {
        let highest = roofs.int8.gmacs.max(roofs.fp32.gmacs);
        let start = INTENSITY[0].max(self.rate[0] / bandwidth);
        let end = (highest / bandwidth).min(INTENSITY[1]);
        line(
            svg,
            [self.x(start), self.y(start * bandwidth)],
            [self.x(end), self.y(end * bandwidth)],
            "#333333",
        );
        text(svg, [self.x(start) + 8.0, self.y(start * bandwidth) - 12.0], "start", name);
    }

    fn dot(&self, svg: &mut String, layer: &Layer) {
        let colour = match layer.op.as_str() {
            "Depthwise" => "#d95f02",
            "Conv" => "#1f78b4",
            _ => "#33a02c",
        };
        let intensity = layer.macs as f64 / layer.bytes.max(1) as f64;
        // Writing into a string does not fail.
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.1}\" fill=\"{colour}\" fill-opacity=\"0.6\"><title>{} {}: \
             {:.3} ms, {:.1} GMAC/s, {}</title></circle>",
            self.x(intensity),
            self.y(layer.gmacs),
            2.0 + 3.0 * layer.percent.sqrt(),
            escaped(&layer.op),
            escaped(&layer.name),
            layer.ms,
            layer.gmacs,
            escaped(&layer.kernel)
        );
    }
}

fn line(svg: &mut String, from: [f64; 2], to: [f64; 2], colour: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
        from[0], from[1], to[0], to[1]
    );
}

fn text(svg: &mut String, at: [f64; 2], anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        at[0],
        at[1],
        escaped(text)
    );
}

/// Names come from model files.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_with_work_is_a_dot_within_the_picture() {
        let layer = |name: &str, macs: u64| Layer {
            name: name.into(),
            op: "Conv".into(),
            shape: vec![1],
            kernel: "k".into(),
            ms: 1.0,
            percent: 50.0,
            macs,
            gmacs: macs as f64 / 1e6,
            percent_of_peak: 1.0,
            bytes: 1000,
            bound: "compute",
        };
        let int8 = Peak { gmacs: 300.0, gbytes: 100.0 };
        let roofs = Roofs { int8, fp32: Peak { gmacs: 60.0, ..int8 }, memory: 10.0 };
        let layers = [layer("a<b", 50_000_000), layer("move", 0), layer("huge", 1 << 50)];
        let svg = roofline("v5lite-s", &layers, &roofs);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("Conv a&lt;b: 1.000 ms, 50.0 GMAC/s") && svg.contains("int8 300 GMAC/s"));
        for attribute in ["cx=\"", "cy=\"", "x1=\"", "x2=\"", "y1=\"", "y2=\""] {
            for value in svg.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!((0.0..=SIZE[0]).contains(&value.parse::<f64>().unwrap()), "{attribute}{value}");
            }
        }
    }
}
