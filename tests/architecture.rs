//! Holds the source to its architecture: dependencies point one way, the core stays pure, files stay short
//! (docs/ARCHITECTURE.md). It reads `src/` as text: comments, strings and test code do not count, and a path is a
//! path wherever it stands. Macros that build paths out of pieces would escape it; there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use source::{Found, Source};

#[path = "architecture/source.rs"]
mod source;

/// What each room of `src/` may use besides itself. A room that is not listed fails, and so does a row without a room.
const MAY_USE: &[(&str, &[&str])] = &[
    // The pure core.
    ("domain", &[]),
    ("wire", &["domain"]),
    ("answer", &["domain"]),
    // Words for errors and exit codes; what is logged, and where to.
    ("error", &[]),
    ("telemetry", &[]),
    // Files and the store.
    ("config", &["domain"]),
    ("store", &["domain"]),
    // The plan's file, and tables that are brought into it.
    ("plan", &["config", "domain"]),
    // The first files of a folder; `store`: its atomic write.
    ("init", &["answer", "config", "domain", "store"]),
    // The single writer, and the engine as its users see it.
    ("client", &["domain"]),
    ("coordinator", &["client", "domain", "store"]),
    // Edges that feed the writer.
    // `client`: the words in which an answer is explained.
    ("server", &["answer", "client", "config", "coordinator", "domain", "store", "wire"]),
    ("ansible", &["client", "config", "coordinator", "domain", "store"]),
    ("probe", &["client", "config", "coordinator", "domain", "store"]),
    // `store`: its atomic write, for the file that says where the socket is.
    ("api", &["client", "coordinator", "domain", "store"]),
    // Users of the engine: they see snapshots and send orders.
    ("tui", &["client", "domain", "telemetry"]),
    ("headless", &["client", "domain", "telemetry"]),
    // Fake machines know what is on the wire, and nothing of the engine.
    ("simulate", &["answer", "domain", "wire"]),
    // What tests need that is not in the repository; part of no program.
    ("outside", &[]),
];

/// Rooms that put the program together and may use everything; nothing else may use them.
const TOP: &[&str] = &["cli", "main", "runtime"];

/// Rooms without I/O, clock, randomness, logging or async.
const PURE: &[&str] = &["answer", "domain", "wire"];

/// What a pure room must not name: a path is refused when it holds one of these side by side.
const IMPURE: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "os"],
    &["net", "TcpStream"],
    &["net", "TcpListener"],
    &["net", "UdpSocket"],
    &["io", "stdin"],
    &["io", "stdout"],
    &["io", "stderr"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["Instant"],
    &["SystemTime"],
    &["Uuid", "new_v4"],
    &["async"],
    &["await"],
];

/// Crates a pure room must not use.
const IMPURE_CRATES: &[&str] = &[
    "axum",
    "crossterm",
    "futures_util",
    "hyper",
    "hyper_util",
    "nix",
    "rand",
    "ratatui",
    "rusqlite",
    "russh",
    "tempfile",
    "tokio",
    "tokio_rustls",
    "tokio_util",
    "tower",
    "tracing",
];

/// Lines of a source file at most, tests included. There are no exceptions: split the file.
const MAX_LINES: usize = 550;

/// File names that say nothing about what is inside.
const NAMELESS: &[&str] = &["utils", "util", "helpers", "helper", "misc", "common", "types", "manager"];

#[test]
fn dependencies_point_one_way() {
    assert_none(&broken_arrows(&sources().unwrap()), "docs/ARCHITECTURE.md says which way dependencies point");
}

#[test]
fn the_core_touches_nothing() {
    assert_none(&impurities(&sources().unwrap()), "pass it in as an argument, or do it in an edge");
}

#[test]
fn files_are_short_and_named_after_what_they_hold() {
    let mut files = rust_files(&root().join("src")).unwrap();
    files.extend(rust_files(&root().join("tests")).unwrap());
    let mut problems = Vec::new();
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        if lines > MAX_LINES {
            problems.push(format!("`{name}` has {lines} lines, {MAX_LINES} at most"));
        }
        if file.file_stem().is_some_and(|stem| NAMELESS.iter().any(|nameless| *nameless == stem)) {
            problems.push(format!("`{name}` is named after nothing"));
        }
    }
    assert_none(&problems, "split it by what its parts are about");
}

#[test]
fn every_room_has_its_row_and_every_row_its_room() {
    let rooms: BTreeSet<String> = sources().unwrap().iter().filter_map(Source::room).collect();
    let listed = MAY_USE.iter().map(|(room, _)| (*room).to_owned()).chain(TOP.iter().map(|room| (*room).to_owned()));
    assert_eq!(rooms, listed.collect());
}

#[test]
fn the_table_itself_has_no_circle() {
    // Each row may only use rooms that can be put before it.
    let mut placed = BTreeSet::new();
    while let Some((room, _)) =
        MAY_USE.iter().find(|(room, uses)| !placed.contains(room) && uses.iter().all(|used| placed.contains(used)))
    {
        placed.insert(room);
    }
    assert_eq!(placed.len(), MAY_USE.len(), "only these have an order: {placed:?}");
}

#[test]
fn a_reversed_arrow_is_found_however_it_is_written() {
    let reversed = [
        "use crate::store::Batch;",
        "use crate::{domain::Node, store};",
        "use crate::{self as all, store::{Batch, Document}};",
        "fn f(batch: &crate::store::Batch) {}",
        "use super::super::super::store::Batch;",
        "mod inner { use super::super::super::super::store; }",
        "macro_rules! m { () => { $crate::store::load() } }",
        "#[cfg(test)] use crate::store; use crate::store::Batch;",
        "#[cfg(not(test))] use crate::store;",
        "use crate::*;",
        "use crate::unheard_of::Thing;",
    ];
    for text in reversed {
        let source = Source::new("src/domain/fleet/gate.rs", text);
        assert_eq!(broken_arrows(&[source]).len(), 1, "not found in: {text}");
    }
    let right = "use crate::domain::Node; use super::index; use self::deep::store; mod m { use super::store; }
        // use crate::store;\n /* use crate::store; /* and */ */ const S: &str = \"crate::store\";
        const R: &str = r#\"crate::store \" still\"#; const C: char = '\"'; fn f<'a>(x: &'a str) {}
        #[cfg(test)] #[derive(Debug)] struct S { x: [crate::store::X; 2] }
        #[cfg(test)] mod tests { use crate::store; fn f() { mod deep {} } }";
    assert_eq!(broken_arrows(&[Source::new("src/domain/fleet/gate.rs", right)]), Vec::<String>::new());
}

#[test]
fn a_file_declared_as_test_code_does_not_count() {
    let declares = |text| Source::new("src/domain/fleet/mod.rs", text);
    let with = |name, declaration| {
        broken_arrows(&[declares(declaration), Source::new(name, "use crate::simulate::Machine;")]).len()
    };
    assert_eq!(with("src/domain/fleet/tests.rs", "#[cfg(test)] mod tests;"), 0);
    assert_eq!(with("src/domain/fleet/tests/asking.rs", "#[cfg(test)] mod tests;"), 0);
    assert_eq!(with("src/domain/fleet/gate_tests.rs", "#[cfg(test)] #[path = \"gate_tests.rs\"] mod tests;"), 0);
    assert_eq!(with("src/domain/fleet/tests.rs", "mod tests;"), 1);
    assert_eq!(with("src/domain/fleet/other.rs", "#[cfg(test)] mod tests; mod other;"), 1);
}

#[test]
fn impurities_are_found() {
    let impure = [
        "let now = Timestamp::now();",
        "let now = jiff::Timestamp::now();",
        "use std::{collections::BTreeMap, fs};",
        "use std::time::{Duration, Instant};",
        "std::net::TcpStream::connect(a)",
        "use tokio::sync::mpsc;",
        "tracing::info!(\"x\");",
        "async fn f() {}",
    ];
    for text in impure {
        assert_eq!(impurities(&[Source::new("src/wire/report.rs", text)]).len(), 1, "not found in: {text}");
        assert_eq!(impurities(&[Source::new("src/server/mod.rs", text)]).len(), 0, "found in an edge: {text}");
    }
    let pure = "use std::{fmt, net::IpAddr, time::Duration}; fn f(now: Timestamp) { let tracing = now.fs(); }";
    assert_eq!(impurities(&[Source::new("src/wire/report.rs", pure)]), Vec::<String>::new());
}

/// The fuzz targets are a workspace of their own, which no other test builds: it has the rooms it includes, and every
/// crate that these use, as the product has it.
#[test]
fn the_fuzz_targets_have_what_their_rooms_use() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let crates = |file: &str| -> toml_edit::DocumentMut { read(file).parse().unwrap() };
    let (product, fuzz) = (crates("Cargo.toml"), crates("fuzz/Cargo.toml"));
    let core = read("fuzz/core.rs");
    let rooms: BTreeSet<&str> =
        core.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(rooms.len() >= 5, "{rooms:?}");
    let of = |room: &str| MAY_USE.iter().find(|(name, _)| *name == room).map_or(&[] as &[&str], |(_, used)| *used);
    for room in &rooms {
        let missing: Vec<_> = of(room).iter().filter(|used| !rooms.contains(*used)).collect();
        assert!(missing.is_empty(), "fuzz/core.rs has `{room}`, which uses {missing:?}");
    }
    let sources = sources().unwrap();
    for (source, _) in shipped(&sources).filter(|(_, room)| rooms.contains(room.as_str())) {
        // A macro's path from the manifest's folder is one from `fuzz/` there.
        let text = read(&source.file.display().to_string());
        for path in text.split("\"$CARGO_MANIFEST_DIR/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(root().join("fuzz").join(path).exists(), "fuzz/{path} is missing, which {:?} wants", source.file);
        }
    }
    let named = |name: &str| fuzz["dependencies"].get(name);
    for (name, own) in product["dependencies"].as_table().unwrap() {
        let ident = name.replace('-', "_");
        let uses = |(source, room): (&Source, String)| {
            let is_used = |found: &Found| found.path.len() > 1 && found.path[0] == ident;
            rooms.contains(room.as_str()).then(|| source.paths.iter().find(|found| is_used(found))).flatten().is_some()
        };
        assert!(
            named(name).is_some() || !shipped(&sources).any(uses),
            "the rooms in fuzz/core.rs use `{name}`: write it into fuzz/Cargo.toml, as in Cargo.toml"
        );
        let version = |item: &toml_edit::Item| {
            item.as_str().or_else(|| item.get("version")?.as_str()).map(str::to_owned).unwrap_or_default()
        };
        let features = |item: &toml_edit::Item| -> BTreeSet<String> {
            let list = item.get("features").and_then(toml_edit::Item::as_array);
            list.into_iter().flatten().filter_map(toml_edit::Value::as_str).map(str::to_owned).collect()
        };
        let Some(theirs) = named(name) else { continue };
        assert_eq!(version(theirs), version(own), "`{name}` in fuzz/Cargo.toml is not the product's");
        let strange: Vec<_> =
            features(theirs).difference(&features(own)).filter(|feature| *feature != "std").cloned().collect();
        assert!(strange.is_empty(), "`{name}` in fuzz/Cargo.toml has {strange:?}, which the product has not");
    }
}

/// Uses of rooms that the table does not allow.
fn broken_arrows(sources: &[Source]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut problems = Vec::new();
    for (source, room) in shipped(sources).filter(|(_, room)| !TOP.contains(&room.as_str())) {
        let Some(allowed) = allowed.get(room.as_str()) else {
            problems.push(format!("`{}` is in no room of the table", source.file.display()));
            continue;
        };
        for used in source.paths.iter().filter_map(Found::room) {
            if used.name != room && !allowed.contains(&used.name.as_str()) {
                let (file, line) = (source.file.display(), used.line);
                problems.push(format!("{file}:{line}: `{room}` uses `{}`; it may use {allowed:?}", used.name));
            }
        }
    }
    // One line that takes several names from a room is one mistake.
    problems.dedup();
    problems
}

/// Uses of I/O, clocks and the like in rooms that must not have them.
fn impurities(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for (source, room) in shipped(sources).filter(|(_, room)| PURE.contains(&room.as_str())) {
        for Found { path, line } in &source.paths {
            let of_crate = path.len() > 1 && IMPURE_CRATES.contains(&path[0].as_str());
            if of_crate || IMPURE.iter().any(|impure| path.windows(impure.len()).any(|part| part == *impure)) {
                problems.push(format!("{}:{line}: `{room}` uses `{}`", source.file.display(), path.join("::")));
            }
        }
    }
    problems
}

/// The sources that are part of the program, with the room each is in; test code and `lib.rs` are left out.
fn shipped(sources: &[Source]) -> impl Iterator<Item = (&Source, String)> {
    let tests: BTreeSet<&PathBuf> = sources.iter().flat_map(|source| &source.test_code).collect();
    let is_test = move |source: &Source| source.file.ancestors().any(|part| tests.contains(&part.with_extension("")));
    sources.iter().filter(move |source| !is_test(source)).filter_map(|source| Some((source, source.room()?)))
}

fn assert_none(problems: &[String], hint: &str) {
    assert!(problems.is_empty(), "\n{}\nhint: {hint}\n", problems.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> std::io::Result<Vec<Source>> {
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file)?;
        Ok(Source::new(file.strip_prefix(root()).unwrap_or(&file), &text))
    };
    rust_files(&root().join("src"))?.into_iter().map(read).collect()
}

/// All `.rs` files in and under `folder`.
fn rust_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
