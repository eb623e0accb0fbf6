//! `search`.

use std::ops::ControlFlow;

use eventfold_es::inspect::{Entry, StoreReader};
use serde_json::Value;
use serde_json_path::JsonPath;

use crate::args::Search;
use crate::commands::reading::until_failure;
use crate::event;
use crate::failure::{Failure, Result};
use crate::filter::Wanted;
use crate::output::Output;
use crate::progress::Progress;

/// What is looked for in a payload.
enum Looked {
    /// The text, as it is and as JSON writes it in a value.
    Text([String; 2]),
    /// The same in lower case.
    AnyCase([String; 2]),
    Path(JsonPath),
}

impl Looked {
    fn new(search: &Search) -> Result<Self> {
        if let Some(path) = &search.jsonpath {
            let path = JsonPath::parse(path);
            return path
                .map(Self::Path)
                .map_err(|error| Failure::Usage(format!("the JSONPath cannot be read: {error}")));
        }
        let text = search.text.as_deref().unwrap_or_default();
        let written = Value::from(text).to_string();
        let texts = [text, &written[1..written.len() - 1]];
        Ok(if search.ignore_case {
            Self::AnyCase(texts.map(str::to_lowercase))
        } else {
            Self::Text(texts.map(str::to_owned))
        })
    }

    fn is_in(&self, entry: &Entry<'_>) -> bool {
        let event = entry.event();
        let data = event.data();
        match self {
            Self::Text(texts) => texts.iter().any(|text| data.contains(text)),
            Self::AnyCase(texts) => {
                let data = data.to_lowercase();
                texts.iter().any(|text| data.contains(text))
            }
            Self::Path(path) => {
                let data: serde_json::Result<Value> = serde_json::from_str(data);
                data.is_ok_and(|data| !path.query(&data).is_empty())
            }
        }
    }
}

pub(crate) fn run(reader: &StoreReader, search: &Search, out: &mut Output) -> Result<()> {
    let looked = Looked::new(search)?;
    let mut wanted = Wanted::new(&search.filter)?;
    let after = wanted.after(reader)?;
    let mut left = search.limit.unwrap_or(u64::MAX);
    let mut failed = Ok(());
    let progress = Progress::events(reader.head());
    reader.read(after, |entry| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        progress.at(entry.event().record().position());
        if wanted.takes(&entry) && looked.is_in(&entry) {
            left -= 1;
            let print =
                || progress.without(|| event::print_line(out, &entry).and_then(|()| out.finish()));
            if until_failure(&mut failed, print).is_none() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    drop(progress);
    failed?;
    if left > 0 {
        wanted.check_names()?;
    }
    Ok(())
}
