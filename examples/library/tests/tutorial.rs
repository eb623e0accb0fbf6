//! The tutorial of the guide leads to this package, word for word.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = package().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code blocks of the tutorial, each with the words in front of it.
fn blocks(tutorial: &str) -> Vec<(String, String, String)> {
    let (mut blocks, mut words, mut lines) = (Vec::new(), String::new(), tutorial.lines());
    while let Some(line) = lines.next() {
        match line.strip_prefix("```") {
            None => words = format!("{words} {line}"),
            Some(language) => {
                let code = lines.by_ref().take_while(|line| *line != "```");
                let code: Vec<&str> = code.filter(|line| !is_hidden(line)).collect();
                blocks.push((
                    std::mem::take(&mut words),
                    language.to_owned(),
                    code.join("\n"),
                ));
            }
        }
    }
    blocks
}

/// Whether rustdoc leaves the line out.
fn is_hidden(line: &str) -> bool {
    line == "#" || line.starts_with("# ")
}

/// The file that the words name last: `src/book.rs` of "In `src/book.rs`:".
fn named(words: &str) -> Option<&str> {
    let quoted = words.split('`').skip(1).step_by(2);
    quoted.filter_map(|word| word.strip_prefix("src/")).last()
}

#[test]
fn who_types_the_tutorial_in_has_this_program() {
    let tutorial = text("../../eventfold-es/src/guide/tutorial.md");
    let mut typed = BTreeMap::new();
    for (words, language, code) in blocks(&tutorial) {
        if matches!(
            language.as_str(),
            "" | "standalone_crate" | "no_run,standalone_crate"
        ) {
            let file = named(&words).expect("the words in front of each block name its file");
            typed.insert(file.to_owned(), code);
        }
    }
    let mut ours = BTreeMap::new();
    for entry in fs::read_dir(package().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        ours.insert(name, text(entry.path()).trim_end().to_owned());
    }
    assert_eq!(
        typed.keys().collect::<Vec<_>>(),
        ours.keys().collect::<Vec<_>>()
    );
    for (name, code) in typed {
        assert!(
            code == ours[&name],
            "the tutorial has another src/{name}:\n{code}"
        );
    }
}

#[test]
fn the_tutorial_names_the_features_that_the_program_needs() {
    let features = |manifest: &str| {
        let line = manifest.lines().find(|line| line.starts_with("tokio = "));
        let line = line.expect("the program depends on tokio");
        line.split_once("features = ").unwrap().1.to_owned()
    };
    let tutorial = text("../../eventfold-es/src/guide/tutorial.md");
    assert_eq!(features(&tutorial), features(&text("Cargo.toml")));
}
