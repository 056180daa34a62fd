//! The kept corpus of the fuzz targets, and the fixtures beside it, through the functions the fuzzer drives
//! (docs/testing.md): what once broke stays mended without cargo-fuzz.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rstest::rstest;

#[path = "../../fuzz/feed.rs"]
mod feed;

/// The corpus is small enough to be kept with the source.
const MAX_BYTES: u64 = 200 * 1024;

/// A file of this project, or every file of a folder.
fn files(path: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if folder.is_file() {
        return vec![folder];
    }
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[rstest]
#[case("request", feed::request, &[])]
#[case("report", feed::report, &["tests/fixtures/wire"])]
#[case("answer", feed::answer, &["tests/fixtures/answer", "default.toml"])]
#[case("profile", feed::profile, &[])]
#[case("plan", feed::plan, &[])]
#[case("config", feed::config, &["tests/fixtures/config/valid", "tests/fixtures/config/invalid", "config.toml"])]
fn the_kept_corpus_is_survived(#[case] target: &str, #[case] feed: fn(&[u8]), #[case] fixtures: &[&str]) {
    let kept = files(&format!("fuzz/corpus/{target}"));
    assert!(kept.len() >= 5, "the corpus of `{target}` is gone");
    for path in kept.into_iter().chain(fixtures.iter().flat_map(|folder| files(folder))) {
        // The last one named is the one that failed.
        println!("{}", path.display());
        let bytes = fs::read(&path).unwrap();
        let start = Instant::now();
        feed(&bytes);
        assert!(start.elapsed() < Duration::from_secs(20), "it takes for ever");
    }
}

#[test]
fn the_kept_corpus_is_small() {
    let targets = ["request", "report", "answer", "profile", "plan", "config"];
    let kept = targets.iter().flat_map(|target| files(&format!("fuzz/corpus/{target}")));
    let bytes: u64 = kept.map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes < MAX_BYTES, "{bytes} bytes; minimise it (docs/testing.md)");
}
