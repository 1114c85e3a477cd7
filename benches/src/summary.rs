//! Many measurements of one thing: the middle, and how far they lie apart.

use std::fmt;

/// The middle, the least and the greatest of some measurements.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Summary {
    /// Of at least one measurement; of none, all three are not numbers.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(&least), Some(&greatest)) = (values.first(), values.last()) else {
            return Self { median: f64::NAN, least: f64::NAN, greatest: f64::NAN };
        };
        Self { median: quantile(&values, 0.5), least, greatest }
    }

    /// Of the quotients of two rows of measurements, round by round.
    pub(crate) fn ratio(of: &[f64], to: &[f64]) -> Self {
        Self::of(of.iter().zip(to).map(|(of, to)| of / to))
    }
}

/// `0.97 (0.95..0.99)`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, least, greatest } = self;
        write!(f, "{median:.digits$} ({least:.digits$}..{greatest:.digits$})")
    }
}

/// The value below which `share` of the sorted values lie.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index within the values"
)]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// `12,345`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let summary = Summary::of([3.0, 1.0, 2.0]);
        assert_eq!(summary.to_string(), "2.00 (1.00..3.00)");
        assert_eq!(Summary::ratio(&[1.0, 4.0], &[2.0, 2.0]).greatest, 2.0);
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(thousands(12.3), "12");
    }
}
