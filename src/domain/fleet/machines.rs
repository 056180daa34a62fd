//! Rows by what identifies their machines. Derived, never stored.

use imbl::{HashMap, OrdSet};
use uuid::Uuid;

use crate::domain::id::NodeId;
use crate::domain::mac::MacAddr;
use crate::domain::machine::MachineId;
use crate::domain::text::Text;

/// Numbers of rows by UUID, serial and MAC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machines {
    uuids: HashMap<Uuid, OrdSet<NodeId>>,
    serials: HashMap<Text, OrdSet<NodeId>>,
    macs: HashMap<MacAddr, OrdSet<NodeId>>,
}

impl Machines {
    pub(super) fn insert(&mut self, id: NodeId, machine: &MachineId) {
        if let Some(uuid) = machine.uuid {
            self.uuids.entry(uuid).or_default().insert(id);
        }
        if let Some(serial) = &machine.serial {
            self.serials.entry(serial.clone()).or_default().insert(id);
        }
        for mac in &machine.macs {
            self.macs.entry(*mac).or_default().insert(id);
        }
    }

    pub(super) fn remove(&mut self, id: NodeId, machine: &MachineId) {
        if let Some(uuid) = machine.uuid {
            take(&mut self.uuids, &uuid, id);
        }
        if let Some(serial) = &machine.serial {
            take(&mut self.serials, serial, id);
        }
        for mac in &machine.macs {
            take(&mut self.macs, mac, id);
        }
    }

    pub(super) fn by_uuid(&self, uuid: Uuid) -> impl Iterator<Item = NodeId> {
        self.uuids.get(&uuid).into_iter().flatten().copied()
    }

    pub(super) fn by_serial(&self, serial: &Text) -> impl Iterator<Item = NodeId> {
        self.serials.get(serial).into_iter().flatten().copied()
    }

    pub(super) fn by_mac(&self, mac: MacAddr) -> impl Iterator<Item = NodeId> {
        self.macs.get(&mac).into_iter().flatten().copied()
    }

    /// Rows that share anything which identifies; one that shares more is named more than once.
    pub(super) fn sharing(&self, machine: &MachineId) -> impl Iterator<Item = NodeId> {
        let by_uuid = machine.uuid.into_iter().flat_map(|uuid| self.by_uuid(uuid));
        let by_serial = machine.serial.iter().flat_map(|serial| self.by_serial(serial));
        let by_mac = machine.macs.iter().flat_map(|mac| self.by_mac(*mac));
        by_uuid.chain(by_serial).chain(by_mac)
    }
}

/// Takes a row off one list of an index.
pub(super) fn take<K: std::hash::Hash + Eq + Clone>(map: &mut HashMap<K, OrdSet<NodeId>>, key: &K, id: NodeId) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}
