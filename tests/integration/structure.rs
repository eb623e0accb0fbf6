//! How the sources hang together: imports go down the layers, and no files import each other in a
//! circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The folders and files of the runtime crate, from the top down. Each imports only what is in its own
/// line and in those below.
const LAYERS: &[&[&str]] = &[
    // Beside the layers: what generated code names, the testing kit, the documentation of the derives.
    &["", "private", "testing", "derive", "guide", "fuzzing"],
    &["console", "http"],
    &["store"],
    &["following"],
    &["runtime"],
    &["storage"],
    &["domain"],
    &["event"],
    &["personal"],
    &[
        "meter", "erasures", "model", "report", "clock", "error", "ids", "scan", "sync", "text",
        "thread",
    ],
];

#[test]
fn the_runtime_imports_downwards_only() {
    let sources = Sources::of("eventfold-es");
    let upwards: Vec<String> = sources
        .imports()
        .filter(|import| layer(&import.to) < layer(import.from))
        .map(|import| import.to_string())
        .collect();
    assert!(
        upwards.is_empty(),
        "these lines import upwards:\n{}",
        upwards.join("\n")
    );
}

/// The files above the seam that open, check and repair a directory, and so name what is in it.
const TOOLS: &[&str] = &["store", "following::audit", "private", "fuzzing"];

#[test]
fn above_the_seam_only_the_tools_import_the_storage_in_files() {
    let sources = Sources::of("eventfold-es");
    let is_tool = |module: &str| {
        let mut tools = TOOLS.iter();
        module.is_empty() || tools.any(|tool| module == *tool || is_within(module, tool))
    };
    let is_below = |module: &str| module == "storage" || is_within(module, "storage");
    let through: Vec<String> = sources
        .imports()
        .filter(|import| is_within(&import.to, "storage::files") || import.to == "storage::files")
        .filter(|import| !is_below(import.from) && !is_tool(import.from))
        .map(|import| import.to_string())
        .collect();
    assert!(
        through.is_empty(),
        "these lines name what is below the seam:\n{}",
        through.join("\n")
    );
}

#[test]
fn no_files_of_the_runtime_import_each_other_in_a_circle() {
    Sources::of("eventfold-es").check_circles();
}

#[test]
fn no_files_of_the_command_import_each_other_in_a_circle() {
    Sources::below("eventfold-es/src/bin/eventfold").check_circles();
}

#[test]
fn no_files_of_the_derive_import_each_other_in_a_circle() {
    Sources::of("eventfold-es-derive").check_circles();
}

fn layer(module: &str) -> usize {
    let top = module.split("::").next().unwrap_or_default();
    let place = LAYERS.iter().position(|layer| layer.contains(&top));
    place.unwrap_or_else(|| panic!("`{top}` has no place in LAYERS"))
}

/// The source files of a crate, by the paths of their modules; the root is the empty path.
struct Sources(BTreeMap<String, Source>);

struct Source {
    path: PathBuf,
    named: Vec<Named>,
}

/// A path that a file imports or names, outside of its tests.
struct Named {
    line: usize,
    /// From the root of the crate.
    path: Vec<String>,
    /// The name under which the file exports it on, if it does.
    exported_as: Option<String>,
}

/// A file that names what another one defines.
struct Import<'a> {
    from: &'a str,
    to: String,
    source: &'a Source,
    named: &'a Named,
}

impl fmt::Display for Import<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line) = (self.source.path.display(), self.named.line);
        write!(f, "{file}:{line}: crate::{}", self.named.path.join("::"))
    }
}

impl Sources {
    fn of(package: &str) -> Self {
        Self::below(&format!("{package}/src"))
    }

    fn below(root: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(root);
        let mut files = BTreeMap::new();
        list(&root, "", &mut files);
        let modules: BTreeSet<String> = files.keys().cloned().collect();
        let read = |(module, path): (String, PathBuf)| {
            let text = std::fs::read_to_string(&path).expect("a source can be read");
            let file = syn::parse_file(&text).expect("a source is Rust");
            let mut visitor = Names {
                module: module.split("::").filter(|part| !part.is_empty()).collect(),
                modules: &modules,
                found: Vec::new(),
            };
            visitor.visit_file(&file);
            let named = visitor.found;
            (module, Source { path, named })
        };
        Self(files.into_iter().map(read).collect())
    }

    fn imports(&self) -> impl Iterator<Item = Import<'_>> {
        self.0.iter().flat_map(move |(from, source)| {
            source.named.iter().filter_map(move |named| {
                let to = self.defining_file(&named.path)?;
                // A folder exports what its own files define.
                let is_own = named.exported_as.is_some() && is_within(&to, from);
                let import = Import {
                    from,
                    to,
                    source,
                    named,
                };
                (import.to != *from && !is_own).then_some(import)
            })
        })
    }

    /// The file that defines what `path` names, though others may export it on.
    fn defining_file(&self, path: &[String]) -> Option<String> {
        let (module, length) = (0..=path.len()).rev().find_map(|length| {
            let module = path[..length].join("::");
            self.0.contains_key(&module).then_some((module, length))
        })?;
        let exported = path.get(length).and_then(|name| {
            let mut named = self.0[&module].named.iter();
            named.find(|named| named.exported_as.as_ref() == Some(name) && named.path != path)
        });
        match exported {
            Some(exported) => {
                let rest = &path[length + 1..];
                self.defining_file(&[exported.path.as_slice(), rest].concat())
            }
            None => Some(module),
        }
    }

    fn check_circles(&self) {
        let mut imports: BTreeMap<&str, Vec<Import<'_>>> = BTreeMap::new();
        for import in self.imports() {
            imports.entry(import.from).or_default().push(import);
        }
        let mut seen = BTreeSet::new();
        for module in self.0.keys() {
            // The root exports everything.
            if !module.is_empty() {
                follow(module, &imports, &mut Vec::new(), &mut seen);
            }
        }
    }
}

/// Follows the imports of `module`, to which those in `way` led; fails if one leads back.
fn follow<'a>(
    module: &'a str,
    imports: &'a BTreeMap<&str, Vec<Import<'a>>>,
    way: &mut Vec<&'a Import<'a>>,
    seen: &mut BTreeSet<&'a str>,
) {
    if let Some(start) = way.iter().position(|import| import.from == module) {
        let circle: Vec<String> = way[start..].iter().map(ToString::to_string).collect();
        panic!("these lines make a circle:\n{}", circle.join("\n"));
    }
    if module.is_empty() || seen.contains(module) {
        return;
    }
    for import in imports.get(module).into_iter().flatten() {
        way.push(import);
        follow(&import.to, imports, way, seen);
        way.pop();
    }
    seen.insert(module);
}

fn is_within(module: &str, folder: &str) -> bool {
    let rest = module.strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.starts_with("::"))
}

/// Lists the files of the modules in `dir`, which is that of `module`. Those of tests are left out.
fn list(dir: &Path, module: &str, files: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name is text");
        // Programs are crates of their own.
        if matches!(name, "tests" | "crash" | "bin") {
            continue;
        }
        let module = match (module, name) {
            ("", "lib" | "main") => String::new(),
            ("", name) => name.to_owned(),
            (module, name) => format!("{module}::{name}"),
        };
        if path.is_dir() {
            list(&path, &module, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(module, path);
        }
    }
}

/// Finds what a file names of its own crate.
struct Names<'a> {
    module: Vec<&'a str>,
    modules: &'a BTreeSet<String>,
    found: Vec<Named>,
}

impl Names<'_> {
    fn add(&mut self, line: usize, path: &[String], exported_as: Option<String>) {
        let mut base: Vec<String> = self.module.iter().map(|&part| part.to_owned()).collect();
        let mut rest = path.iter().peekable();
        match rest.peek().map(|first| first.as_str()) {
            Some("crate") => {
                base.clear();
                rest.next();
            }
            Some("self") => drop(rest.next()),
            Some("super") => {
                while rest.next_if(|part| *part == "super").is_some() {
                    base.pop();
                }
            }
            Some(first) => {
                let child = [base.as_slice(), &[first.to_owned()]].concat();
                if !self.modules.contains(&child.join("::")) {
                    return;
                }
            }
            None => return,
        }
        base.extend(rest.cloned());
        self.found.push(Named {
            line,
            path: base,
            exported_as,
        });
    }

    fn add_tree(&mut self, tree: &syn::UseTree, path: &[String], is_exported: bool) {
        let with = |ident: &syn::Ident| [path, &[ident.to_string()]].concat();
        let line = |ident: &syn::Ident| ident.span().start().line;
        match tree {
            syn::UseTree::Path(tree) => {
                self.add_tree(&tree.tree, &with(&tree.ident), is_exported);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, path, is_exported);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                let exported = path.last().cloned().filter(|_| is_exported);
                self.add(line(&name.ident), path, exported);
            }
            syn::UseTree::Name(name) => {
                let exported = is_exported.then(|| name.ident.to_string());
                self.add(line(&name.ident), &with(&name.ident), exported);
            }
            syn::UseTree::Rename(tree) => {
                let exported = is_exported.then(|| tree.rename.to_string());
                self.add(line(&tree.ident), &with(&tree.ident), exported);
            }
            syn::UseTree::Glob(glob) => {
                self.add(glob.star_token.span.start().line, path, None);
            }
        }
    }
}

impl Visit<'_> for Names<'_> {
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        // Tests may import from anywhere. Other modules within a file count as the file.
        let is_test = item.attrs.iter().any(|attr| attr.path().is_ident("cfg"));
        if !is_test {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let is_exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.add_tree(&item.tree, &[], is_exported);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let parts: Vec<String> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        // Of the others, those count that begin with a module within this one.
        if parts.len() > 1 {
            let line = path.segments[0].ident.span().start().line;
            self.add(line, &parts, None);
        }
        visit::visit_path(self, path);
    }

    // `pub(super)` is no import.
    fn visit_visibility(&mut self, _: &syn::Visibility) {}
}
