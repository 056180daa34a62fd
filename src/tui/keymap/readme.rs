//! The tables of keys in README.md and docs/keys.md, made from the bindings. `UPDATE_FIXTURES=1` writes them.

use std::fmt::Write as _;
use std::path::Path;

use super::{BINDINGS, Scope};

const BEGIN: &str = "<!-- keys: made from the bindings -->\n";
const END: &str = "<!-- end of keys -->";

/// The rows of `scope`; in the short form without those that only move.
fn table(scope: Scope, is_short: bool) -> String {
    let mut table = String::new();
    for binding in BINDINGS.iter().filter(|binding| binding.scope == scope) {
        if is_short && binding.label.is_empty() && scope == Scope::Nodes {
            continue;
        }
        let keys: Vec<_> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(table, "| {} | {} |", keys.join(" "), binding.help);
    }
    table
}

fn short() -> String {
    let rows: String = [Scope::Nodes, Scope::Tabs, Scope::Always].map(|scope| table(scope, true)).concat();
    format!("| key | does |\n|---|---|\n{rows}")
}

fn whole() -> String {
    let part = |scope: Scope| format!("## {}\n\n| key | does |\n|---|---|\n{}\n", scope.title(), table(scope, false));
    Scope::ALL.map(part).concat()
}

/// Compares the part of a file between the marks, or writes it.
fn keep(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("`{file}` has no `{BEGIN}`"));
    let (found, after) = rest.split_once(END).unwrap_or_else(|| panic!("`{file}` has no `{END}`"));
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, made, "`{file}` is not what the bindings say; UPDATE_FIXTURES=1 writes it");
    }
}

#[test]
fn the_readme_lists_the_keys() {
    keep("README.md", &short());
    keep("docs/keys.md", &whole());
}
