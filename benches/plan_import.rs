//! How long a plan of ten thousand rows takes: imported into an empty plan, imported again over itself, read as at a
//! start, and taken over by the fleet. The budget for an import is one second.
//!
//! `cargo bench --bench plan_import`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends where something fails, and prints figures")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use prox_orchestrator::config::Source;
use prox_orchestrator::domain::{Command, Event, Fleet, Origin, Policy, Recorded};
use prox_orchestrator::plan::{self, Context, Format, Import};

const ROWS: u32 = 10_000;
const BUDGET: Duration = Duration::from_secs(1);

fn table() -> Source {
    let mut text =
        "Name,Serial number,Asset tag,IP Address,MAC Address,Rack,Position (U),Role,Site,Comments\n".to_owned();
    for row in 0..ROWS {
        let [_, _, high, low] = row.to_be_bytes();
        writeln!(
            text,
            "pve-{row:05},SN{row:08},INV-{row},10.1.{high}.{low}/16,b4:2e:99:00:{high:02x}:{low:02x},R{},{}.0,Hypervisor,Vienna,",
            row / 40,
            row % 40 + 1
        )
        .unwrap();
    }
    Source { name: "devices.csv".to_owned(), text }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let done = work();
    let took = started.elapsed();
    println!("{what:<44} {:>8.1} ms", took.as_secs_f64() * 1e3);
    (done, took)
}

fn main() {
    let context = Context { domain: "example.com".to_owned(), ..Context::default() };
    let table = table();
    let wish = Import { table: &table, format: Format::Csv, map: &[], replace: false };
    let (fresh, first) = timed("import 10,000 rows of CSV", || plan::import(&wish, None, &context).unwrap());
    assert_eq!(fresh.added.len(), ROWS as usize);
    let file = Source { name: "plan.toml".to_owned(), text: fresh.text };
    let (again, second) =
        timed("import them again over 10,000 rows", || plan::import(&wish, Some(&file), &context).unwrap());
    assert_eq!((again.unchanged, again.text.len()), (ROWS as usize, file.text.len()));
    let (read, _) = timed("read plan.toml and check it", || plan::parse(&file, &context).unwrap());
    let mut fleet = Fleet::new(Policy::default());
    let command = Command::Plan { entries: read.entries };
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let (decision, _) = timed("decide on it", || fleet.decide(&command, now).unwrap());
    assert!(matches!(decision.events.first(), Some(Event::Planned { .. })));
    timed("apply it", || {
        for (seq, event) in (1..).zip(decision.events) {
            fleet.apply(&Recorded { seq, at: now, origin: Origin::System, event });
        }
    });
    let (same, _) = timed("decide on it again", || fleet.decide(&command, now).unwrap());
    assert_eq!(same.events, []);
    let slowest = first.max(second);
    assert!(slowest < BUDGET, "an import took {slowest:?}; the budget is {BUDGET:?}");
    println!("budget for an import                         {:>8.1} ms", BUDGET.as_secs_f64() * 1e3);
}
