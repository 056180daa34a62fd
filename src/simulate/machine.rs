//! Made-up but believable machines, the same ones for the same seed.
//!
//! Owns DMI strings, disks, NICs and their udev properties. It must not know releases (`body`) or sockets.

use std::net::Ipv4Addr;

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use super::hardware::{DiskDevice, Hardware, NicDevice, Udev};
use crate::domain::MacAddr;

/// DMI strings as the kernel shows them; an empty one is left out of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DmiStrings {
    /// `system.uuid`, lower case.
    pub uuid: String,
    /// `system.serial`.
    pub serial: String,
    /// `system.name`: the model.
    pub model: String,
    /// `system.sku`.
    pub sku: String,
    /// `baseboard.serial`.
    pub board_serial: String,
    /// `baseboard.name`.
    pub board_name: String,
    /// `chassis.asset_tag` and `baseboard.asset_tag`.
    pub asset_tag: String,
}

/// Processor of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Model name as in `/proc/cpuinfo`.
    pub model: &'static str,
    /// Distinct core ids.
    pub cores: u32,
    /// Sockets.
    pub sockets: u32,
}

/// A simulated machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its place in the rack, from 1.
    pub number: usize,
    /// The loopback address it connects from and is reached at.
    pub address: Ipv4Addr,
    /// DMI strings; `None` where the firmware gives none.
    pub dmi: Option<DmiStrings>,
    /// Disks, NICs and lease.
    pub hardware: Hardware,
    /// Processor.
    pub cpu: Processor,
    /// systemd machine id of the system installed on it.
    pub machine_id: String,
}

/// A make of server.
struct Make {
    model: &'static str,
    board: &'static str,
    serial_prefix: &'static str,
    serial_length: usize,
    cpu: Processor,
    oui: [u8; 3],
    nic_vendor: &'static str,
    nic_vendor_id: &'static str,
    nic_model: &'static str,
    driver: &'static str,
    disk_model: &'static str,
    nvme: bool,
    disk_size: u64,
}

const MAKES: [Make; 4] = [
    Make {
        model: "PowerEdge R650",
        board: "0PYXKY",
        serial_prefix: "",
        serial_length: 7,
        cpu: Processor { model: "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", cores: 32, sockets: 2 },
        oui: [0xb4, 0x45, 0x06],
        nic_vendor: "Broadcom Inc. and subsidiaries",
        nic_vendor_id: "0x14e4",
        nic_model: "BCM57414 NetXtreme-E 10Gb/25Gb RDMA Ethernet Controller",
        driver: "bnxt_en",
        disk_model: "Dell Ent NVMe CM6 RI 1.92TB",
        nvme: true,
        disk_size: 1_920_383_410_176,
    },
    Make {
        model: "ProLiant DL360 Gen10 Plus",
        board: "ProLiant DL360 Gen10 Plus",
        serial_prefix: "CZ2",
        serial_length: 10,
        cpu: Processor { model: "Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz", cores: 16, sockets: 2 },
        oui: [0x94, 0x40, 0xc9],
        nic_vendor: "Intel Corporation",
        nic_vendor_id: "0x8086",
        nic_model: "I350 Gigabit Network Connection",
        driver: "igb",
        disk_model: "VK000960GWTTB",
        nvme: false,
        disk_size: 960_197_124_096,
    },
    Make {
        model: "SYS-1029U-TN10RT",
        board: "X11DPU",
        serial_prefix: "S3",
        serial_length: 15,
        cpu: Processor { model: "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz", cores: 20, sockets: 2 },
        oui: [0xac, 0x1f, 0x6b],
        nic_vendor: "Intel Corporation",
        nic_vendor_id: "0x8086",
        nic_model: "Ethernet Controller X710 for 10GBASE-T",
        driver: "i40e",
        disk_model: "SAMSUNG MZWLL1T6HAJQ-00005",
        nvme: true,
        disk_size: 1_600_321_314_816,
    },
    Make {
        model: "ThinkSystem SR645",
        board: "7D2XCTO1WW",
        serial_prefix: "J30",
        serial_length: 8,
        cpu: Processor { model: "AMD EPYC 7313 16-Core Processor", cores: 16, sockets: 1 },
        oui: [0xb8, 0x59, 0x9f],
        nic_vendor: "Mellanox Technologies",
        nic_vendor_id: "0x15b3",
        nic_model: "MT27800 Family [ConnectX-5]",
        driver: "mlx5_core",
        disk_model: "MTFDDAK480TDS-1AW1ZA",
        nvme: false,
        disk_size: 480_103_981_056,
    },
];

/// A generator of its own for every machine and purpose, so that one machine does not depend on the others.
pub(super) fn generator(seed: u64, number: usize, purpose: u64) -> StdRng {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    let mixed =
        seed.rotate_left(17) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose.wrapping_mul(0xd1b5_4a32_d192_ed03);
    StdRng::seed_from_u64(mixed)
}

impl Machine {
    /// Builds machine `number` (from 1) of the rack `seed`, living at `address`.
    #[must_use]
    pub fn build(seed: u64, number: usize, address: Ipv4Addr) -> Self {
        let mut rng = generator(seed, number, 0);
        let make = &MAKES[rng.random_range(0..MAKES.len())];
        let nics = (0..rng.random_range(2..=4_u8)).map(|port| nic(make, mac(make, seed, number, port), port)).collect();
        let disks = (0..rng.random_range(1..=4_u8)).map(|slot| disk(make, &mut rng, slot)).collect();
        let dmi = DmiStrings {
            uuid: uuid(&mut rng),
            serial: serial(&mut rng, make.serial_prefix, make.serial_length),
            model: make.model.to_owned(),
            sku: format!("SKU={}", serial(&mut rng, "", 4)),
            board_serial: serial(&mut rng, ".", 14),
            board_name: make.board.to_owned(),
            asset_tag: format!("DC1-{number:05}"),
        };
        let hardware = Hardware {
            disks,
            nics,
            dhcp_host: Some(format!("host-{number}")),
            dhcp_domain: Some("dhcp.example".to_owned()),
        };
        let machine_id = hex(&mut rng, 32);
        Self { number, address, dmi: Some(dmi), hardware, cpu: make.cpu, machine_id }
    }

    /// Model, or a word for a machine without DMI.
    #[must_use]
    pub fn model(&self) -> &str {
        self.dmi.as_ref().map_or("no DMI", |dmi| dmi.model.as_str())
    }

    /// Serial number, empty without DMI.
    #[must_use]
    pub fn serial(&self) -> &str {
        self.dmi.as_ref().map_or("", |dmi| dmi.serial.as_str())
    }
}

/// An address no other port of this rack has: 24 bits of machine and port behind the make's prefix.
fn mac(make: &Make, seed: u64, number: usize, port: u8) -> MacAddr {
    let scramble = generator(seed, 0, 1).next_u32();
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let unique = (scramble ^ (number << 2 | u32::from(port & 3))).to_be_bytes();
    let mut octets = [0; 6];
    octets[..3].copy_from_slice(&make.oui);
    octets[3..].copy_from_slice(&unique[1..]);
    MacAddr(octets)
}

fn nic(make: &Make, mac: MacAddr, port: u8) -> NicDevice {
    let name = if make.driver == "igb" { format!("eno{}", port + 1) } else { format!("enp65s0f{port}") };
    let path = format!("pci-0000:41:00.{port}");
    let udev = properties([
        ("ID_BUS", "pci"),
        ("ID_MODEL_FROM_DATABASE", make.nic_model),
        ("ID_NET_DRIVER", make.driver),
        ("ID_NET_NAME", &name),
        ("ID_NET_NAME_MAC", &format!("enx{}", mac.bare())),
        ("ID_NET_NAME_PATH", &format!("enp65s0f{port}")),
        ("ID_NET_NAMING_SCHEME", "v252"),
        ("ID_PATH", &path),
        ("ID_PATH_TAG", &path.replace([':', '.'], "_")),
        ("ID_VENDOR_FROM_DATABASE", make.nic_vendor),
        ("ID_VENDOR_ID", make.nic_vendor_id),
        ("IFINDEX", &(port + 2).to_string()),
        ("INTERFACE", &name),
        ("SUBSYSTEM", "net"),
    ]);
    NicDevice { name, mac, udev }
}

fn disk(make: &Make, rng: &mut StdRng, slot: u8) -> DiskDevice {
    let short = serial(rng, "S", 12);
    let full = format!("{}_{short}", make.disk_model.replace(' ', "_"));
    let (path, bus_path) = if make.nvme {
        (format!("/dev/nvme{slot}n1"), format!("pci-0000:{:02x}:00.0-nvme-1", slot + 1))
    } else {
        (format!("/dev/sd{}", char::from(b'a' + slot)), format!("pci-0000:00:17.0-ata-{}", slot + 1))
    };
    let mut udev = properties([
        ("DEVNAME", &path),
        ("DEVTYPE", "disk"),
        ("ID_MODEL", make.disk_model),
        ("ID_PATH", &bus_path),
        ("ID_SERIAL", &full),
        ("ID_SERIAL_SHORT", &short),
        ("ID_WWN", &format!("0x5002538{}", hex(rng, 9))),
        ("SUBSYSTEM", "block"),
    ]);
    if !make.nvme {
        udev.insert("ID_BUS".to_owned(), "ata".to_owned());
    }
    DiskDevice { path, size: make.disk_size, udev }
}

fn properties<const N: usize>(pairs: [(&str, &str); N]) -> Udev {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// `prefix` filled up to `length` with letters and digits a serial number has.
fn serial(rng: &mut StdRng, prefix: &str, length: usize) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRSTVWXYZ";
    let mut text = prefix.to_owned();
    while text.len() < length {
        text.push(char::from(LETTERS[rng.random_range(0..LETTERS.len())]));
    }
    text
}

fn hex(rng: &mut StdRng, digits: usize) -> String {
    (0..digits).filter_map(|_| char::from_digit(rng.random_range(0..16), 16)).collect()
}

fn uuid(rng: &mut StdRng) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rack(seed: u64, count: usize) -> Vec<Machine> {
        (1..=count).map(|number| Machine::build(seed, number, Ipv4Addr::LOCALHOST)).collect()
    }

    #[test]
    fn a_seed_always_makes_the_same_rack() {
        assert_eq!(rack(7, 20), rack(7, 20));
        assert_ne!(rack(7, 1), rack(8, 1));
    }

    #[test]
    fn nothing_that_identifies_is_there_twice() {
        let rack = rack(1, 500);
        let macs: Vec<_> = rack.iter().flat_map(|machine| machine.hardware.nics.iter().map(|nic| nic.mac)).collect();
        assert_eq!(macs.iter().collect::<HashSet<_>>().len(), macs.len());
        assert!(macs.iter().all(|mac| mac.is_identifying()));
        let uuids: HashSet<_> = rack.iter().filter_map(|machine| machine.dmi.as_ref()).map(|dmi| &dmi.uuid).collect();
        assert_eq!(uuids.len(), rack.len());
    }

    #[test]
    fn devices_carry_what_filters_look_at() {
        for machine in rack(3, 50) {
            assert!((2..=4).contains(&machine.hardware.nics.len()));
            assert!((1..=4).contains(&machine.hardware.disks.len()));
            for nic in &machine.hardware.nics {
                assert_eq!(nic.udev["ID_NET_NAME_MAC"], format!("enx{}", nic.mac.bare()));
                assert_eq!(nic.udev["INTERFACE"], nic.name);
            }
            for disk in &machine.hardware.disks {
                assert_eq!(disk.udev["DEVNAME"], disk.path);
                assert!(disk.udev["ID_SERIAL"].ends_with(&disk.udev["ID_SERIAL_SHORT"]));
            }
        }
    }
}
