//! The examples of the documentation, which are compiled together as one program: one that does not
//! compile there makes rustdoc link each of them, in five times the time.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::files::files_below;

/// What begins an example that is a program of its own.
const ALONE: [&str; 4] = ["standalone_crate", "compile_fail", "ignore", "text"];

#[test]
fn an_example_that_names_its_own_crate_says_that_it_is_a_program_of_its_own() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../eventfold-es/src");
    let mut found = String::new();
    for path in files_below(&sources) {
        let is_text = path.extension().is_some_and(|extension| extension == "md");
        let text = std::fs::read_to_string(&path).expect("the sources are text");
        for line in lines_out_of_place(&text, is_text) {
            writeln!(found, "{}:{line}", path.display()).expect("text takes text");
        }
    }
    assert!(
        found.is_empty(),
        "`standalone_crate` is missing at:\n{found}"
    );
}

/// The lines of examples that name `crate` and are not programs of their own.
fn lines_out_of_place(text: &str, is_text: bool) -> Vec<usize> {
    let mut lines = Vec::new();
    // What the fence of the example says, in whose lines we are.
    let mut fence: Option<&str> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or(line.strip_prefix("//!"));
        let Some(line) = (if is_text { Some(line) } else { comment }) else {
            fence = None;
            continue;
        };
        let line = line.trim_start();
        if let Some(said) = line.strip_prefix("```") {
            fence = fence.is_none().then_some(said);
            continue;
        }
        let is_alone = |said: &str| ALONE.iter().any(|alone| said.contains(alone));
        let code = line.strip_prefix("# ").unwrap_or(line);
        if fence.is_some_and(|said| !is_alone(said))
            && (code.starts_with("use crate::")
                || code.starts_with("mod ") && code.contains("include!"))
        {
            lines.push(number + 1);
        }
    }
    lines
}

#[test]
fn an_example_out_of_place_is_found() {
    let text =
        "```\nuse crate::book::Book;\n```\n\n```standalone_crate\n# use crate::book::Book;\n```\n";
    assert_eq!(lines_out_of_place(text, true), [2]);
    let source = "/// ```\n/// # use crate::book::Book;\n/// ```\nuse crate::book::Book;\n";
    assert_eq!(lines_out_of_place(source, false), [2]);
}
