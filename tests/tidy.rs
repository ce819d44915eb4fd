//! What the compiler does not know of the house's rules.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import, from the map in ARCHITECTURE.md; none: everything.
fn allowed(root: &Path) -> BTreeMap<String, Option<BTreeSet<String>>> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let map = text.split("## The map").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = map.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let names = || cells[2].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (cells[0].trim_matches('`').to_owned(), (cells[2] != "everything").then(names))
    })
    .collect()
}

/// The source files of a folder that are no tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_test = name.contains("tests") || matches!(name, "fixture.rs" | "faulty.rs");
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !is_test {
            found.push(path);
        }
    }
}

/// The modules that a file names, but for its tests and its comments.
fn imports(text: &str) -> BTreeSet<String> {
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = program.lines().filter(|line| !line.trim_start().starts_with("//"));
    let named = lines.flat_map(|line| line.split("crate::").skip(1));
    named.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn every_module_imports_only_what_the_map_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (allowed, source) = (allowed(root), root.join("src"));
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 100 && allowed.len() > 10, "{} files, {} rows", files.len(), allowed.len());
    for file in files.iter().filter(|file| file.parent() != Some(&source)) {
        let module = file.strip_prefix(&source).unwrap().iter().next().unwrap().to_str().unwrap();
        let may = allowed.get(module).unwrap_or_else(|| panic!("{module} is not on the map"));
        let Some(may) = may else { continue };
        for import in imports(&fs::read_to_string(file).unwrap()) {
            assert!(import == module || may.contains(&import), "{} imports {import}", file.display());
        }
    }
}

/// The lines of a file that are no tests of its own.
fn program(text: &str) -> usize {
    text.split("#[cfg(test)]\nmod tests {").next().map_or(0, |program| program.lines().count())
}

#[test]
fn every_file_says_what_it_is_for_and_holds_one_idea() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it is for", file.display());
        assert!(program(&text) <= 450, "{} has {} lines", file.display(), program(&text));
    }
}
