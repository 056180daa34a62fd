//! How many connections the operating system lets us keep, and the memory bodies may take while they are read.

use std::io;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// File descriptors kept free for the store, projections, child processes and probes.
const RESERVED: u64 = 256;
/// More than one console will ever need; asking for "unlimited" slows down programs that close all descriptors.
const ENOUGH: u64 = 1 << 17;
/// Fewest connections that are served, whatever the limit.
const FEWEST: u64 = 16;

/// Raises the soft limit of open files as far as allowed, and returns it. Child processes inherit it.
///
/// # Errors
/// The system call failed; the limit is what it was.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = hard.min(ENOUGH);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(soft.max(wanted))
}

/// How many connections fit into `open_files` descriptors.
#[must_use]
pub fn capacity(open_files: u64) -> usize {
    usize::try_from(open_files.saturating_sub(RESERVED).max(FEWEST)).unwrap_or(usize::MAX)
}

/// Bytes in one share of the body budget.
const SHARE: usize = 16 * 1024;
/// Shares in a mebibyte.
const MIB: usize = 1024 * 1024 / SHARE;

/// The memory all bodies together may take while they are read, by whose they are: what one kind takes is not missing to
/// another.
#[derive(Clone, Debug)]
pub(super) struct Budgets {
    /// Requests for an answer.
    pub(super) asks: BodyBudget,
    /// Reports that come with the secret of an answer. Enough for a rack that reports at once.
    pub(super) reports: BodyBudget,
    /// Everybody else's: a bound for a hostile network, which takes it from itself.
    pub(super) strangers: BodyBudget,
}

impl Default for Budgets {
    fn default() -> Self {
        let [asks, reports, strangers] = [128, 96, 32].map(|mib| BodyBudget::of_shares(mib * MIB));
        Self { asks, reports, strangers }
    }
}

/// The memory that bodies of one kind may take together.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    pub(super) fn of_shares(shares: usize) -> Self {
        Self(Arc::new(Semaphore::new(shares)))
    }

    /// An empty hold on the budget, to grow as the body does.
    pub(super) fn share(&self) -> BodyShare {
        BodyShare { budget: Arc::clone(&self.0), held: None }
    }
}

/// What one body has taken of the budget; given back when dropped.
#[derive(Debug)]
pub(super) struct BodyShare {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl BodyShare {
    /// Grows the share to `bytes` in all; `false` where the budget is spent.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        match self.missing(bytes) {
            Some(0) => true,
            Some(missing) => self.take(Arc::clone(&self.budget).try_acquire_many_owned(missing).ok()),
            None => false,
        }
    }

    /// The same, but waits its turn until `end` where others have the memory.
    pub(super) async fn grow_until(&mut self, bytes: usize, end: Instant) -> bool {
        match self.missing(bytes) {
            Some(0) => true,
            Some(missing) => {
                let more = timeout_at(end, Arc::clone(&self.budget).acquire_many_owned(missing)).await;
                self.take(more.ok().and_then(Result::ok))
            }
            None => false,
        }
    }

    fn missing(&self, bytes: usize) -> Option<u32> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        u32::try_from(bytes.div_ceil(SHARE).saturating_sub(held)).ok()
    }

    fn take(&mut self, more: Option<OwnedSemaphorePermit>) -> bool {
        let Some(more) = more else { return false };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        let raised = raise_open_files().unwrap();
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raised, soft);
        assert_eq!(raise_open_files().unwrap(), raised);
    }

    #[test]
    fn some_connections_always_fit() {
        assert_eq!(capacity(0), 16);
        assert_eq!(capacity(1024), 768);
    }

    #[test]
    fn the_budget_is_given_back() {
        let budget = BodyBudget::of_shares(2);
        let mut one = budget.share();
        assert!(one.grow_to(1) && one.grow_to(2 * SHARE) && !one.grow_to(2 * SHARE + 1));
        let mut two = budget.share();
        assert!(!two.grow_to(1));
        drop(one);
        assert!(two.grow_to(1));
    }
}
