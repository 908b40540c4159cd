//! Numbers and texts as they stand on the page.

/// Stands for a number that does not exist.
pub(super) const NONE: &str = "–";

/// `text` as text or attribute value of HTML. Names come from files.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            // Such as marks that turn the direction of writing: they make a name look like another.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                safe.push('\u{fffd}')
            }
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// With a true minus sign, which is as wide as a plus.
fn minus(text: String) -> String {
    text.replace('-', "−")
}

/// A share as a number of percent: `37.4`.
pub(super) fn percent(share: Option<f64>) -> String {
    share
        .filter(|v| v.is_finite())
        .map_or(NONE.to_owned(), |v| minus(format!("{:.1}", zero(v * 100.0, 0.05))))
}

/// A difference of shares in points, always with its sign: `−0.5`.
pub(super) fn points(difference: Option<f64>) -> String {
    let Some(v) = difference.filter(|v| v.is_finite()) else { return NONE.to_owned() };
    match zero(v * 100.0, 0.05) {
        0.0 => "0.0".to_owned(),
        v => minus(format!("{v:+.1}")),
    }
}

/// `v`, or 0 where it is printed as 0: no `-0.0`.
fn zero(v: f64, half: f64) -> f64 {
    if v.abs() < half { 0.0 } else { v }
}

/// `from [0.1, 0.2]` as `10.0 to 20.0`.
pub(super) fn percents(interval: [f64; 2]) -> String {
    format!("{} to {}", percent(Some(interval[0])), percent(Some(interval[1])))
}

/// An interval of a difference, in points.
pub(super) fn points_interval(interval: [f64; 2]) -> String {
    format!("{} to {}", points(Some(interval[0])), points(Some(interval[1])))
}

/// Three digits, more before the point where there are more: `0.0312`, `4.12`, `1234`.
pub(super) fn digits(v: f64) -> String {
    let size = v.abs();
    minus(match size {
        _ if !v.is_finite() => NONE.to_owned(),
        _ if size == 0.0 => "0".to_owned(),
        _ if !(1e-4..1e6).contains(&size) => format!("{v:.2e}"),
        _ => format!("{v:.*}", (2 - size.log10().floor() as i32).clamp(0, 6) as usize),
    })
}

/// Milliseconds: `14.2 ms`.
pub(super) fn milliseconds(ms: f64) -> String {
    format!("{} ms", digits(ms))
}

/// `7.61 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    format!("{}B", scaled(bytes))
}

/// `58.2 M`.
pub(super) fn scaled(count: u64) -> String {
    let steps = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let v = count as f64;
    match steps.into_iter().find(|(step, _)| v >= *step) {
        Some((step, letter)) => format!("{} {letter}", digits(v / step)),
        None => format!("{count} "),
    }
}

/// `12 345`, with narrow spaces that do not break.
pub(super) fn count(n: usize) -> String {
    let plain = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 picture`, `2 pictures`.
pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A small share: `0.02 %`.
pub(super) fn share(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => NONE.to_owned(),
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.001 => "under 0.001 %".to_owned(),
        p if p < 0.1 => format!("{p:.3} %"),
        p => format!("{p:.2} %"),
    }
}

/// `38.2 dB`.
pub(super) fn decibels(db: Option<f64>) -> String {
    match db {
        Some(v) if v == f64::INFINITY => "exact".to_owned(),
        Some(v) if v.is_finite() => minus(format!("{v:.1} dB")),
        _ => NONE.to_owned(),
    }
}

/// `3.8×`.
pub(super) fn times(ratio: f64) -> String {
    format!("{:.*}×", if ratio < 10.0 { 1 } else { 0 }, ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([percent(Some(0.3744)), percent(None), percent(Some(f64::NAN))], ["37.4", "–", "–"]);
        assert_eq!([0.004, -0.0123, -0.0001].map(|v| points(Some(v))), ["+0.4", "−1.2", "0.0"]);
        assert_eq!(
            [0.0312, -4.125, 1234.5, 0.0, 3e-7].map(digits),
            ["0.0312", "−4.12", "1234", "0", "3.00e−7"]
        );
        assert_eq!([7_612_345, 999, 1_000].map(bytes), ["7.61 MB", "999 B", "1.00 kB"]);
        assert_eq!([count(1_234_567), count(123)], ["1\u{202f}234\u{202f}567", "123"]);
        assert_eq!([0.0, 1e-9, 0.0002, 0.02].map(share), ["0 %", "under 0.001 %", "0.020 %", "2.00 %"]);
        assert_eq!([counted(1, "thread"), counted(2, "thread")], ["1 thread", "2 threads"]);
        assert_eq!(decibels(Some(f64::INFINITY)), "exact");
    }

    #[test]
    fn nothing_escapes_the_escape() {
        assert_eq!(escaped("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
        assert_eq!(escaped("a\u{202e}gpj.\0"), "a\u{fffd}gpj.\u{fffd}");
    }
}
