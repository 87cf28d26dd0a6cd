//! CONTRIBUTING.md tells the truth: the files, functions and make targets that it names exist.

use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// The page without its code blocks, and the first of these: the map.
fn page_and_map() -> (String, String) {
    let page = read("CONTRIBUTING.md");
    let parts: Vec<&str> = page.split("```").collect();
    let prose = parts.iter().step_by(2).copied().collect();
    (prose, parts[1].to_owned())
}

/// The texts in backticks, with an example in the place of each `<placeholder>`.
fn named(prose: &str) -> Vec<String> {
    let spans = prose.split('`').skip(1).step_by(2);
    spans
        .map(|span| {
            span.replace("<provider>", "kinde")
                .replace("<topic>", "policies")
                .replace("<room>", "evm")
        })
        .collect()
}

/// Every text file below a directory of the repository.
fn texts_below(directory: &str) -> String {
    let mut waiting = vec![repository().join(directory)];
    let mut texts = String::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                texts += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    texts
}

#[test]
fn every_file_that_the_prose_names_exists() {
    let paths: Vec<String> = named(&page_and_map().0)
        .into_iter()
        .filter(|name| {
            let is_path = |start: &&str| name.starts_with(*start);
            ["src/", "sql/", "docs/", "pgrx-tests/"].iter().any(is_path)
                || (name.ends_with(".md") && !name.contains(' '))
        })
        .collect();
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        assert!(repository().join(&path).exists(), "{path}");
    }
}

#[test]
fn every_line_of_the_map_is_a_file_or_directory() {
    let mut place: Vec<String> = Vec::new();
    for line in page_and_map()
        .1
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        let depth = (line.len() - line.trim_start().len()) / 2;
        place.truncate(depth);
        place.push(line.split_whitespace().next().unwrap().to_owned());
        let path: String = place.concat();
        assert_eq!(
            repository().join(&path).is_dir(),
            path.ends_with('/'),
            "{path}"
        );
        assert!(repository().join(&path).exists(), "{path}");
    }
}

#[test]
fn every_room_and_sql_directory_is_on_the_map() {
    let map = page_and_map().1;
    for (directory, indent) in [("src", "  "), ("src/pg", "    "), ("sql", "  ")] {
        for entry in std::fs::read_dir(repository().join(directory)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                let name = entry.file_name();
                let name = format!("\n{indent}{}", name.to_str().unwrap());
                let is_on_it = [format!("{name}/ "), format!("{name}.rs ")];
                assert!(
                    is_on_it.iter().any(|line| map.contains(line)),
                    "{directory}{name}"
                );
            }
        }
    }
}

#[test]
fn every_function_exists() {
    let code = ["src", "sql", "pgrx-tests/tests"].map(texts_below).concat();
    let functions: Vec<String> = named(&page_and_map().0)
        .into_iter()
        .filter_map(|name| Some(name.strip_suffix("()")?.to_owned()))
        .filter(|name| {
            name.chars()
                .all(|letter| letter.is_lowercase() || letter == '_' || letter.is_ascii_digit())
        })
        .collect();
    assert!(functions.len() > 15, "{functions:?}");
    for name in functions {
        let is_declared = [
            format!("fn {name}("),
            format!("fn {name}<"),
            format!(".{name}("),
        ];
        assert!(
            is_declared.iter().any(|start| code.contains(start)),
            "{name}"
        );
    }
}

#[test]
fn every_make_target_exists() {
    let makefile = read("Makefile");
    let mut count = 0;
    for name in named(&page_and_map().0) {
        let Some((_, target)) = name.split_once("make ") else {
            continue;
        };
        let target = target.split_whitespace().next().unwrap();
        assert!(makefile.contains(&format!("\n{target}:")), "{name}");
        count += 1;
    }
    assert!(count > 5, "only {count}");
}
