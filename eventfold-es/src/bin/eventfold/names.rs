//! Names that are not there, and the known name that is nearest.

use std::collections::BTreeSet;

use eventfold_es::inspect::visible;

/// How many names of a kind are kept.
const MOST: usize = 10_000;

/// The names of a kind that were met.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    pub(crate) fn add(&mut self, name: &str) {
        if self.0.len() < MOST && !self.0.contains(name) {
            self.0.insert(name.to_owned());
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl<S: Into<String>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().take(MOST).map(Into::into).collect())
    }
}

impl Names {
    /// Says that there is no `what` called `name`, and which name is nearest.
    pub(crate) fn lack(&self, what: &str, name: &str) -> String {
        let lack = format!("there is no {what} `{}`", visible(name));
        if self.0.is_empty() {
            return format!("there is no {what} at all, and no `{}`", visible(name));
        }
        let nearest = self.0.iter().map(|known| (likeness(known, name), known));
        let nearest = nearest.max_by(|a, b| a.0.total_cmp(&b.0));
        match nearest {
            Some((likeness, known)) if likeness > 0.6 => {
                format!("{lack}; the nearest is `{}`", visible(known))
            }
            _ if self.0.len() <= 8 => {
                let known = self.0.iter().map(|known| format!("`{}`", visible(known)));
                format!("{lack}; there is {}", known.collect::<Vec<_>>().join(", "))
            }
            _ => lack,
        }
    }
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase())
}
