//! Style that the compiler does not know: the walls between crates, the size of files, pages that must exist,
//! tests that pages promise.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::command::root;
use crate::proof;

/// Which of our crates each may depend on. An arrow that is not here does not build.
const WALLS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("domain", &["wire"]),
    ("store", &["domain", "wire"]),
    ("engine", &["domain", "wire"]),
    ("serve", &["domain", "wire"]),
    ("api", &["serve", "engine", "domain", "wire"]),
    ("server", &["api", "engine", "store", "domain", "wire"]),
    ("simulation", &["engine", "store", "domain", "wire"]),
];

const FILE_LINES_MAX: usize = 600;
const FILE_LINES_AIM: usize = 400;

/// Runs every check and reports all that is wrong, not only the first.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("\n── tidy");
    let mut problems = Vec::new();
    walls(&mut problems)?;
    files(&mut problems)?;
    examples(&mut problems)?;
    proof::check(&mut problems)?;
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    bail!("{} problem(s)", problems.len());
}

fn walls(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let allowed: BTreeMap<_, _> = WALLS.iter().copied().collect();
    for (krate, may_use) in allowed {
        let manifest = root().join("crates").join(krate).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
        let dependencies = text.split("\n[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines() {
            let Some(name) = line.trim().strip_prefix("watchbell-") else { continue };
            let used = name.split(['.', ' ', '=']).next().unwrap_or_default();
            if !may_use.contains(&used) {
                problems
                    .push(format!("crates/{krate} may not depend on watchbell-{used} (see xtask/src/tidy.rs, WALLS)"));
            }
        }
    }
    Ok(())
}

fn files(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let mut sources = Vec::new();
    collect(&root().join("crates"), &mut sources)?;
    collect(&root().join("xtask"), &mut sources)?;
    for path in sources {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{name} has {lines} lines; at most {FILE_LINES_MAX}"));
        } else if lines > FILE_LINES_AIM {
            println!("note: {name} has {lines} lines; {FILE_LINES_AIM} is the aim");
        }
        let is_library_source = name.contains("/src/") && !name.contains("/tests/");
        if is_library_source && !text.trim_start().starts_with("//!") && !name.ends_with("tests.rs") {
            problems.push(format!("{name} does not open with its story (`//! …`)"));
        }
        for (index, line) in text.lines().enumerate() {
            if line.contains("TODO") && !line.contains("TODO(#") && !name.starts_with("xtask/") {
                problems.push(format!("{name}:{}: a TODO needs an issue number: TODO(#12)", index + 1));
            }
        }
    }
    Ok(())
}

/// An example in the documentation is a test, unless its crate says that it has none: then it must have none.
fn examples(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let mut sources = Vec::new();
    collect(&root().join("crates"), &mut sources)?;
    for path in sources {
        let Some(krate) = path.ancestors().find(|folder| folder.join("Cargo.toml").is_file()) else { continue };
        if !fs::read_to_string(krate.join("Cargo.toml"))?.contains("doctest = false") {
            continue;
        }
        if let Some(line) = first_example(&fs::read_to_string(&path)?) {
            problems.push(format!("{}:{line}: an example that is not run: see doctest in Cargo.toml", path.display()));
        }
    }
    Ok(())
}

/// The line where the first example begins that rustdoc would run.
fn first_example(source: &str) -> Option<usize> {
    let mut is_inside = false;
    for (index, line) in source.lines().enumerate() {
        let line = line.trim_start();
        let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            is_inside = false;
            continue;
        };
        let Some(kind) = text.trim().strip_prefix("```") else { continue };
        if !is_inside && matches!(kind, "" | "rust" | "no_run" | "should_panic" | "compile_fail") {
            return Some(index + 1);
        }
        is_inside = !is_inside;
    }
    None
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_that_rustdoc_would_run_is_found() {
        assert_eq!(first_example("/// ```text\n/// a\n/// ```\nfn a() {}\n/// x\n"), None);
        assert_eq!(first_example("//! ```json\n//! {}\n//! ```\n//!\n//! ```\n//! b();\n//! ```\n"), Some(5));
        assert_eq!(first_example("    /// ```no_run\n    /// b();\n    /// ```\n"), Some(1));
    }
}
