//! Starts the program; everything else is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Gives memory back after a burst: a rack that has been answered leaves less than half of what glibc would keep
/// (docs/performance.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Pages of 2 MiB would make ten thousand held connections a quarter larger. Where the system cannot, so be it.
    let _ = nix::sys::prctl::set_thp_disable(true);
    prox_orchestrator::cli::main()
}
