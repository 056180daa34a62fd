//! Counters: small numbers that templates put into names and addresses. A value belongs to a row from the moment it is
//! taken until the row is forgotten, so that no retry or reboot uses one up; the lowest free one is given.

use std::collections::BTreeMap;

use super::{Decision, Fleet};
use crate::domain::command::Reply;
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::naming::NameWish;
use crate::domain::node::Node;
use crate::domain::text::Text;

/// Names that are tried for one machine; each taken one costs a value of its counter.
const TRIES: usize = 10_000;

impl Fleet {
    /// The value of a counter that a row would be given now.
    #[must_use]
    pub fn next_of(&self, counter: &Text, start: u64) -> u64 {
        self.index.lowest_free(counter, start)
    }

    /// Gives a row values of the counters it has none of.
    pub(super) fn decide_counters(&self, node: &Node, counters: &[(Text, u64)]) -> Decision {
        let mut taken = BTreeMap::new();
        for (counter, start) in counters.iter().filter(|(counter, _)| !node.counters.contains_key(counter)) {
            taken.entry(counter).or_insert_with(|| self.next_of(counter, *start));
        }
        let node = node.id;
        let event = |(counter, value): (&Text, u64)| Event::CounterTaken { node, counter: counter.clone(), value };
        Decision { events: taken.into_iter().map(event).collect(), effects: Vec::new(), reply: Reply::Done }
    }

    /// The first free name that fits a wish, with the values its counters take in it.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) fn grant_name(&self, wish: &NameWish) -> Result<(Fqdn, BTreeMap<Text, u64>), Text> {
        let words = |reason: String| Text::new(&reason);
        let mut floors: BTreeMap<&Text, u64> = BTreeMap::new();
        for (counter, start) in wish.counters() {
            let floor = floors.entry(counter).or_insert(start);
            *floor = start.max(*floor);
        }
        for _ in 0..TRIES {
            let free = floors.iter().map(|(counter, floor)| ((*counter).clone(), self.next_of(counter, *floor)));
            let values: BTreeMap<Text, u64> = free.collect();
            let name = wish.name(&values, &self.policy.domain).map_err(|error| words(error.to_string()))?;
            if self.named(&name).is_none() {
                return Ok((name, values));
            }
            // The last counter goes on: it is the one that tells neighbours apart.
            let Some((last, _)) = wish.counters().last() else { return Err(words(format!("`{name}` is taken"))) };
            let value = values.get(last).copied().unwrap_or_default();
            floors.insert(last, value.saturating_add(1));
        }
        Err(words("all names it tried are taken".to_owned()))
    }
}
