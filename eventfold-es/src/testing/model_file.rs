//! A model compared with a file, so that a review shows what a change means.

use std::path::Path;

use crate::model::Model;
use crate::testing::diff::compared;
use crate::testing::sample::{HOW_TO_BLESS, is_blessed};

/// Compares a model with the file that has it under version control: with its JSON if the file's name
/// ends with `.json`, and otherwise with its Markdown.
///
/// The path is relative to where the test runs, which is the package's directory under `cargo test`. The
/// first run reports that there is no file, and `EVENTFOLD_BLESS=1 cargo test` writes it. Commit it. From
/// then on the test fails when the types say something else, and shows what has changed. Write the file
/// again then: a review shows the same difference.
///
/// ```
/// use eventfold_es::{model, testing};
/// # use eventfold_es::__private::example::{Counter, Total};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let file = dir.path().join("model.md");
/// # std::fs::write(&file, model![Counter, Total].markdown()).unwrap();
/// # /*
/// #[test]
/// fn the_model_is_the_one_that_was_reviewed() {
///     let file = "model.md";
/// # */
///     testing::model_is_in(&model![Counter, Total], file);
/// # /*
/// }
/// # */
/// ```
///
/// # Panics
///
/// If the file is missing, or has something else, with the difference. Not if `EVENTFOLD_BLESS` is set
/// and the file can be written.
#[track_caller]
pub fn model_is_in(model: &Model, file: impl AsRef<Path>) {
    if let Err(problem) = compare(model, file.as_ref(), is_blessed()) {
        panic!("{problem}");
    }
}

fn compare(model: &Model, file: &Path, blessed: bool) -> Result<(), String> {
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    let today = if is_json {
        model.json()
    } else {
        model.markdown()
    };
    let shown = file.display();
    let there = match std::fs::read_to_string(file) {
        // Version control may change the line ends.
        Ok(there) => Some(there.replace("\r\n", "\n")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    };
    if there.as_ref() == Some(&today) {
        return Ok(());
    }
    if blessed {
        return std::fs::write(file, today).map_err(|e| format!("{shown} cannot be written: {e}"));
    }
    let Some(there) = there else {
        return Err(format!(
            "the model has no file {shown}: `{HOW_TO_BLESS}` writes it; commit that file"
        ));
    };
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let difference = compared("in the file", &lines(&there), "today", &lines(&today));
    Err(format!(
        "the model has changed, and differs from {shown}:\n\n{difference}\n\nIf that is right, \
         `{HOW_TO_BLESS}` writes the file again; commit it."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::__private::example::{Counter, Total};
    use crate::model;

    #[test]
    fn a_model_that_differs_from_its_file_is_reported_until_it_is_blessed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["model.md", "model.json"] {
            let file = dir.path().join(name);
            let missing = compare(&model![Counter], &file, false).unwrap_err();
            assert!(missing.contains("has no file"), "{missing}");
            assert!(missing.contains(HOW_TO_BLESS), "{missing}");
            compare(&model![Counter], &file, true).unwrap();
            compare(&model![Counter], &file, false).unwrap();
            let changed = compare(&model![Counter, Total], &file, false).unwrap_err();
            assert!(
                changed.contains("+ ") && changed.contains("total"),
                "{changed}"
            );
            compare(&model![Counter, Total], &file, true).unwrap();
            compare(&model![Counter, Total], &file, false).unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace('\n', "\r\n")).unwrap();
            compare(&model![Counter, Total], &file, false).unwrap();
        }
        assert!(
            compare(&model![Counter], dir.path(), false)
                .unwrap_err()
                .contains("cannot be read")
        );
    }
}
