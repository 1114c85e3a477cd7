//! A small chart: the path of an SVG.

use std::fmt::Write as _;

/// The size of a chart, in the units of its path.
pub(super) const WIDTH: usize = 180;
/// The same.
pub(super) const HEIGHT: usize = 40;
/// What is left free at the upper and the lower edge, for the width of the line.
const EDGE: f64 = 2.0;

/// The line through values at even distances, the newest at the right edge, of `places` at most. Where there is no
/// value, the line breaks. Its top is the greatest value, and `least` where that is less.
#[allow(clippy::cast_precision_loss, reason = "few points, and small values")]
pub(super) fn path(values: &[Option<f64>], places: usize, least: f64) -> String {
    let values = &values[values.len().saturating_sub(places)..];
    let top = values.iter().flatten().copied().fold(least, f64::max);
    let step = WIDTH as f64 / places.saturating_sub(1).max(1) as f64;
    let first = places - values.len();
    let mut path = String::new();
    let mut is_down = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_down = false;
            continue;
        };
        let x = (first + index) as f64 * step;
        let y = EDGE + (1.0 - value / top) * (HEIGHT as f64 - 2.0 * EDGE);
        if is_down {
            let _ = write!(path, "L{x:.1} {y:.1}");
        } else {
            // A point alone is a short line, which is seen.
            let _ = write!(path, "M{x:.1} {y:.1}h0.1");
        }
        is_down = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_is_at_the_right_and_the_greatest_at_the_top() {
        assert_eq!(path(&[Some(0.0), Some(10.0)], 2, 1.0), "M0.0 38.0h0.1L180.0 2.0");
        assert_eq!(path(&[Some(10.0)], 3, 1.0), "M180.0 2.0h0.1");
        assert_eq!(path(&[Some(1.0); 9], 2, 1.0), "M0.0 2.0h0.1L180.0 2.0");
    }

    #[test]
    fn without_values_there_is_no_line() {
        assert_eq!(path(&[], 9, 1.0), "");
        assert_eq!(path(&[None, None], 9, 1.0), "");
        assert_eq!(path(&[Some(0.0), None, Some(0.0)], 3, 1.0), "M0.0 38.0h0.1M180.0 38.0h0.1");
    }
}
