//! The state folder without an engine: for the few orders that make sense while nothing runs.

use std::path::Path;

use jiff::Timestamp;

use crate::domain::{Command, Fleet, Order, Origin, Person, Policy, Recorded};
use crate::error::{Exit, Failure, OrExit as _};
use crate::store::{Batch, StateLock, Store};

/// An open state folder; no engine can start in it meanwhile.
#[derive(Debug)]
pub struct Offline {
    store: Store,
    fleet: Fleet,
    _lock: StateLock,
}

impl Offline {
    /// Opens the folder, making it where there is none.
    ///
    /// # Errors
    /// An engine runs in it, or it cannot be used.
    pub fn open(state_dir: &Path) -> Result<Self, Failure> {
        let lock = StateLock::take(state_dir).or_exit(Exit::State)?;
        let mut store = Store::open(state_dir).or_exit(Exit::State)?;
        let fleet = store.load(Policy::default()).or_exit(Exit::State)?.fleet;
        Ok(Self { store, fleet, _lock: lock })
    }

    /// The fleet as it is stored.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Carries out an order that concerns nothing but the stored state: its effects are left out.
    ///
    /// # Errors
    /// The fleet says no, or it cannot be stored.
    pub fn order(&mut self, operator: impl Into<Person>, order: Order) -> Result<(), Failure> {
        let at = Timestamp::now();
        let decision = self.fleet.decide(&Command::Order(order), at).or_exit(Exit::Refused)?;
        let origin: Origin = operator.into().into();
        let number = |(seq, event)| Recorded { seq, at, origin: origin.clone(), event };
        let events: Vec<_> = (self.store.seq() + 1..).zip(decision.events).map(number).collect();
        self.store.commit(&Batch { events: events.clone(), ..Batch::default() }).or_exit(Exit::State)?;
        for recorded in &events {
            self.fleet.apply(recorded);
        }
        Ok(())
    }
}
