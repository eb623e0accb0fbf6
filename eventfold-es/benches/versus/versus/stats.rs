//! Medians, and numbers as text.

/// The median, between the smallest and the largest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let most = *values.last()?;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self {
            least: values[0],
            median,
            most,
        })
    }

    /// `4,110 (3,970-4,300)`: the median, the least and the most.
    pub(crate) fn shown(self) -> String {
        let [least, median, most] = [self.least, self.median, self.most].map(number);
        if least == most {
            return median;
        }
        format!("{median} ({least}-{most})")
    }
}

/// The lower quartile of the values: a quarter of them are below. `None` of too few to say.
pub(crate) fn lower_quartile(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (values.len() >= 8).then(|| values[values.len() / 4])
}

/// A number with three digits or more that count: `0.012`, `4.21`, `81.3`, `4,110`.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}
