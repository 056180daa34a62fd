//! What comments and documents cite is there: sections of the facts (`docs/facts/`), decisions (`ADR 6`), headings of
//! documents (`docs/approval.md, "Taking a decision back"`); and nothing is cited that is not in the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where people write what others look up.
const PLACES: [&str; 6] = ["src", "tests", "docs", "fuzz", "benches", "assets"];
/// This file, which is left out: it cites what is not there.
const OWN: &str = "tests/readme/citations.rs";
/// Folders of what nobody wrote by hand.
const UNREAD: [&str; 4] = ["target", "corpus", "artifacts", "snapshots"];
const KINDS: [&str; 6] = ["rs", "md", "toml", "py", "yml", "sh"];
/// Pages that the comments of the beginning cited, and that never were in the repository.
const GONE: [&str; 3] = ["DESIGN.md", "STYLE.md", "FIELD.md"];
/// The pages of facts.
const FACTS: [&str; 2] = ["PROTOCOL.md", "ANSIBLE.md"];
/// Characters before a word that mark a comment, a list or a quotation.
const MARKS: [&str; 6] = ["//", "///", "//!", "#", "*", ">"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What may be cited.
struct Shelf {
    /// Sections of each page of facts, without `§`.
    sections: BTreeMap<&'static str, BTreeSet<String>>,
    /// Headings of each document below `docs/`, by file name.
    headings: BTreeMap<String, Vec<String>>,
    /// Numbers of decisions.
    decisions: BTreeSet<u32>,
}

impl Shelf {
    fn of_repository() -> Self {
        let mut shelf = Self { sections: BTreeMap::new(), headings: BTreeMap::new(), decisions: BTreeSet::new() };
        for page in FACTS {
            let text = fs::read_to_string(root().join("docs/facts").join(page)).unwrap();
            shelf.sections.insert(page, headings(&text).filter_map(section).collect());
        }
        for path in files(&root().join("docs")) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.extension().is_some_and(|kind| kind == "md") {
                let text = fs::read_to_string(&path).unwrap();
                shelf.headings.entry(name.clone()).or_default().extend(headings(&text).map(str::to_owned));
            }
            if path.parent().unwrap().ends_with("adr") {
                shelf.decisions.extend(name.split('-').next().and_then(|number| number.parse::<u32>().ok()));
            }
        }
        shelf
    }

    /// How many things `text` cites, and what is wrong with some of them. `page` is the page of facts it is, if any:
    /// there a section without a page's name is one of its own.
    fn look_up(&self, text: &str, page: Option<&str>) -> (usize, Vec<String>) {
        // A citation may be broken over two lines of a comment.
        let words: Vec<&str> = text.split_whitespace().filter(|word| !MARKS.contains(word)).collect();
        let (mut count, mut wrong) = (0, Vec::new());
        let mut current = page;
        for (at, word) in words.iter().enumerate() {
            if let Some(gone) = GONE.iter().find(|gone| word.contains(**gone)) {
                wrong.push(format!("`{gone}` is not in the repository"));
            }
            let before = at.checked_sub(1).map_or("", |before| words[before]);
            if let Some(cited) = FACTS.iter().find(|cited| before.trim_end_matches('`').ends_with(**cited)) {
                current = Some(cited);
            } else if !(is_joint(before) && current.is_some()) {
                current = page;
            }
            if let (Some(cited), Some(section)) =
                (current, word.split_once('§').and_then(|(_, name)| section_name(name)))
            {
                count += 1;
                if !self.sections[cited].contains(&section) {
                    wrong.push(format!("`{cited}` has no §{section}"));
                }
            }
            if before.ends_with("ADR")
                && let Ok(number) = word.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>()
            {
                count += 1;
                if !self.decisions.contains(&number) {
                    wrong.push(format!("there is no ADR {number}"));
                }
            }
        }
        let flat = words.join(" ");
        for (before, rest) in flat.match_indices(".md, \"").map(|(at, found)| (&flat[..at], &flat[at + found.len()..]))
        {
            let stem = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let heading = rest.split('"').next().unwrap_or_default();
            count += 1;
            let known = self.headings.get(&format!("{stem}.md")).into_iter().flatten();
            if !known.into_iter().any(|known| known.starts_with(heading)) {
                wrong.push(format!("`{stem}.md` has no heading \"{heading}\""));
            }
        }
        (count, wrong)
    }
}

/// Whether a word joins a section to the citation before it: `§0 and §a.2`, `§a.2, §c`, `§a.3 to §a.5`.
fn is_joint(word: &str) -> bool {
    matches!(word, "and" | "to") || word.contains('§')
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

/// `a.2` of the heading `§a.2 The request`.
fn section(heading: &str) -> Option<String> {
    section_name(heading.strip_prefix('§')?)
}

/// `a.2` of `a.2)`; none where a letter or figure does not come first.
fn section_name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(text.len());
    Some(text[..end].trim_end_matches('.').to_owned()).filter(|name| !name.is_empty())
}

/// Files that people wrote, in all folders below.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let is_unread = UNREAD.iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_unread {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|kind| KINDS.iter().any(|known| *known == kind)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn everything_cited_is_there() {
    let shelf = Shelf::of_repository();
    let at_the_top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let kept = PLACES.iter().flat_map(|place| files(&root().join(place)));
    let (mut count, mut problems) = (0, Vec::new());
    for path in at_the_top.chain(kept).filter(|path| !path.ends_with(OWN)) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let is_page = |page: &&str| path.ends_with(Path::new("docs/facts").join(page));
        let (cited, wrong) = shelf.look_up(&text, FACTS.into_iter().find(is_page));
        count += cited;
        let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        problems.extend(wrong.into_iter().map(|why| format!("{shown}: {why}")));
    }
    assert!(count > 200, "only {count} citations were found");
    let cure = "cite a section of docs/facts/, a heading of another document, or a decision by its number";
    assert!(problems.is_empty(), "cited and not there; {cure}:\n{}", problems.join("\n"));
}

#[test]
fn a_citation_of_nothing_is_found() {
    let shelf = Shelf::of_repository();
    let problems = |text: &str, page| shelf.look_up(text, page).1;
    for (text, number) in [
        ("/// It is so (PROTOCOL.md §z.9).", 1),
        ("/// It is so (PROTOCOL.md\n    /// §z.9).", 1),
        ("// `PROTOCOL.md` §a.2, §z, and §b", 1),
        ("// PROTOCOL.md §a.2 and §a.99", 1),
        ("// ANSIBLE.md §99 and PROTOCOL.md §0", 1),
        ("// See DESIGN.md §4, and /elsewhere/STYLE.md.", 2),
        ("// (ADR 9999)", 1),
        ("// docs/ARCHITECTURE.md, \"No such heading\"", 1),
        ("// docs/nowhere.md,\n// \"The guard\"", 1),
    ] {
        assert_eq!(problems(text, None).len(), number, "{text}");
    }
    assert_eq!(problems("as in §z", Some("PROTOCOL.md")).len(), 1);
    assert_eq!(problems("PROTOCOL.md §c, and not §z.", Some("ANSIBLE.md")).len(), 1);
    let right = "// PROTOCOL.md §0 and §a.2; ANSIBLE.md §5, traps 2 to 4; PROTOCOL.md alone; RFC 4253 §6.6; ADR 6;
        // docs/ARCHITECTURE.md,
        // \"The guard\"";
    assert_eq!(shelf.look_up(right, None), (5, Vec::new()));
}
