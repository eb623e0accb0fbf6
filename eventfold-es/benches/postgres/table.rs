//! The results: [`Table`].

use crate::Result;

/// What is printed, and what was below its goal.
pub(crate) struct Table {
    filters: Vec<String>,
    /// The rows that have a goal, and which part of it they reached.
    reached: Vec<(String, f64)>,
}

impl Table {
    /// Only rows with one of these texts in their names are measured; all if there is none.
    pub(crate) fn new(filters: Vec<String>) -> Self {
        println!(
            "{:<28} | {:>12} | {:>12} | {:>5} | goal",
            "", "store", "bare", "ratio"
        );
        Self {
            filters,
            reached: Vec::new(),
        }
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| row.contains(filter.as_str()))
    }

    /// Prints the medians of pairs of rates: the store's, and of what it is compared with.
    pub(crate) fn row(
        &mut self,
        name: &str,
        unit: &str,
        pairs: &[(f64, f64)],
        ratio_goal: Option<f64>,
        rate_goal: Option<f64>,
        note: &str,
    ) {
        let ours = median(pairs.iter().map(|(ours, _)| *ours).collect());
        let theirs = median(pairs.iter().map(|(_, theirs)| *theirs).collect());
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
        let (goal, reached) = match (ratio_goal, rate_goal) {
            (Some(goal), _) => (format!("{goal} x"), Some(ratio / goal)),
            (None, Some(goal)) => (format!("{goal}/s"), Some(ours / goal)),
            (None, None) => ("none".to_owned(), None),
        };
        let verdict = match reached {
            Some(reached) if reached < 1.0 => ": BELOW ITS GOAL",
            _ => "",
        };
        println!(
            "{name:<28} | {ours:>12.0} | {theirs:>12.0} | {ratio:>5.2} | {goal}{verdict} ({unit}; {note})"
        );
        self.reached
            .extend(reached.map(|reached| (name.to_owned(), reached)));
    }

    /// Fails if a row has reached less than this part of its goal.
    pub(crate) fn finish(self, least: f64) -> Result {
        let below = self.reached.into_iter().filter(|(_, part)| *part < least);
        let below: Vec<_> = below.map(|(name, _)| name).collect();
        if below.is_empty() {
            return Ok(());
        }
        Err(format!("below {least} of the goal: {}", below.join("; ")).into())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
