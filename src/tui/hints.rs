//! Six hints for the first minutes, one at a time, until the operator has seen enough of them.

/// The hints, most needed first.
pub(super) const HINTS: [&str; 6] = [
    "A machine that asks waits here. Compare its code with the one on its own screen, then `a` approves it.",
    "No disk is touched before you approve. A node that may be installed already needs its name typed.",
    "Space marks a row, `*` all shown; `a`, `x`, `r` and `f` then act on all marked, exactly as you saw them.",
    "`/` finds: phase:waiting model:r650, an address, a MAC. `'` and a barcode scanner go to the machine of a label.",
    "When every approved machine is ready the playbook runs by itself: tab 2 shows it, `c` stops it.",
    "`:` finds an action by its words, `?` lists all keys, `!` what is wrong. `q` says what goes on, then leaves.",
];
