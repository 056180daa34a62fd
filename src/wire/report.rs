//! The post-installation report (PROTOCOL.md §c.2): schema 1.0 of 8.2.7 up to 1.2 with the token of 9.2.

use ipnet::IpNet;
use secrecy::SecretString;

use super::json::{self, Raw, text};
use super::{WireError, dmi};
use crate::domain::facts::{Cpu, Disk, HostKey, Nic, Product, Report};

/// Disks and network interfaces kept of one report, each; the largest storage servers have some hundreds.
const MAX_DEVICES: usize = 4096;

/// Longest token read, in bytes. Ours are far shorter.
const MAX_TOKEN: usize = 4096;

/// A report taken apart. No part of it but [`ParsedReport::token`] holds the secret.
#[derive(Debug)]
pub struct ParsedReport {
    /// What the report says, typed and cleaned.
    pub report: Report,
    /// The `auth-token` of the answer, echoed from 9.2.0 on.
    pub token: Option<SecretString>,
    /// The body as JSON without the token, for storing and showing.
    pub redacted: Vec<u8>,
}

/// Reads a report. Any JSON object is accepted; fields of a wrong type, malformed host keys and addresses, and devices
/// beyond the 4,096th are left out.
///
/// # Errors
///
/// [`WireError`] where the body is empty, not JSON, or not an object. The caller stores it all the same
/// (ADR 7).
pub fn parse(body: &[u8]) -> Result<ParsedReport, WireError> {
    let decoded = json::decode(body);
    let body = json::object(&decoded)?;
    let token = body.get("token").and_then(Raw::string).filter(|token| (1..=MAX_TOKEN).contains(&token.len()));
    Ok(ParsedReport { report: report(body), token: token.map(SecretString::from), redacted: body.without("token") })
}

fn report(body: Raw<'_>) -> Report {
    let [fqdn, debian_version, filesystem, machine_id] =
        body.pick(["fqdn", "debian-version", "filesystem", "machine-id"]).map(text);
    let [product, kernel, boot, cpu, dmi] = body.pick(["product", "kernel-version", "boot-info", "cpu-info", "dmi"]);
    let [disks, nics, host_keys] = body.pick(["disks", "network-interfaces", "ssh-public-host-keys"]);
    Report {
        fqdn,
        product: product.and_then(|p| Product::from_short(&p.get("short")?.string()?)),
        product_version: text(product.and_then(|p| p.get("version"))),
        debian_version,
        kernel: text(kernel.and_then(|k| k.get("release"))),
        boot_mode: text(boot.and_then(|b| b.get("mode"))),
        secure_boot: boot.and_then(|b| b.get("secureboot")?.flag()),
        cpu: cpu.map(read_cpu).unwrap_or_default(),
        dmi: dmi::read(dmi),
        filesystem,
        machine_id,
        disks: devices(disks).into_iter().map(disk).collect(),
        nics: devices(nics).into_iter().filter_map(nic).collect(),
        host_keys: host_keys.map(read_host_keys).unwrap_or_default(),
    }
}

fn devices(list: Option<Raw<'_>>) -> Vec<Raw<'_>> {
    list.map(|list| list.items(MAX_DEVICES)).unwrap_or_default()
}

fn read_cpu(cpu: Raw<'_>) -> Cpu {
    let [model, cores, cpus, sockets] = cpu.pick(["model", "cores", "cpus", "sockets"]);
    let count = |raw: Option<Raw<'_>>| raw.and_then(Raw::number);
    Cpu { model: text(model), cores: count(cores), cpus: count(cpus), sockets: count(sockets) }
}

fn disk(raw: Raw<'_>) -> Disk {
    let [size, boot, udev] = raw.pick(["size", "is-bootdisk", "udev-properties"]);
    let [path, model, short, serial] =
        udev.map_or([None; 4], |udev| udev.pick(["DEVNAME", "ID_MODEL", "ID_SERIAL_SHORT", "ID_SERIAL"])).map(text);
    Disk {
        path,
        model,
        serial: short.or(serial),
        size: size.and_then(Raw::number),
        boot: boot.and_then(Raw::flag).unwrap_or(false),
    }
}

fn nic(raw: Raw<'_>) -> Option<Nic> {
    let [mac, name, address, management, udev] =
        raw.pick(["mac", "name", "address", "is-management", "udev-properties"]);
    let [interface, vendor, driver] =
        udev.map_or([None; 3], |udev| udev.pick(["INTERFACE", "ID_VENDOR_FROM_DATABASE", "ID_NET_DRIVER"])).map(text);
    Some(Nic {
        mac: mac?.parsed()?,
        name: text(name).or(interface),
        address: address.and_then(Raw::parsed::<IpNet>),
        management: management.and_then(Raw::flag).unwrap_or(false),
        vendor,
        driver,
    })
}

/// The host keys, strongest first; malformed ones are dropped.
fn read_host_keys(keys: Raw<'_>) -> Vec<HostKey> {
    keys.pick(["ed25519", "ecdsa", "rsa"]).into_iter().flatten().filter_map(Raw::parsed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/fixtures/wire/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn the_minimal_body_is_enough() {
        let body = br#"{"fqdn":"node-aaaa.example.com","filesystem":"ext4","cpu-info":{"model":"Intel Xeon E5-2670"}}"#;
        let parsed = parse(body).unwrap();
        assert_eq!(parsed.report.fqdn.unwrap().as_str(), "node-aaaa.example.com");
        assert_eq!(parsed.report.filesystem.unwrap().as_str(), "ext4");
        assert_eq!(parsed.report.cpu.model.unwrap().as_str(), "Intel Xeon E5-2670");
        assert!(parsed.token.is_none());
        assert_eq!(parsed.redacted, body);
    }

    #[test]
    fn a_full_report_of_9_2_is_read() {
        let parsed = parse(&fixture("report-9.2.json")).unwrap();
        let report = parsed.report;
        assert_eq!(report.product, Some(Product::Pbs));
        assert_eq!(report.product_version.as_ref().unwrap().as_str(), "4.1.0");
        assert_eq!(report.secure_boot, Some(true));
        assert_eq!((report.cpu.cores, report.cpu.cpus, report.cpu.sockets), (Some(32), Some(64), Some(2)));
        assert_eq!(report.disks.len(), 2);
        assert!(report.disks[0].boot && !report.disks[1].boot);
        assert_eq!(report.disks[0].serial.as_ref().unwrap().as_str(), "SHORT-1");
        assert_eq!(report.disks[1].serial.as_ref().unwrap().as_str(), "Fast_LONG-2");
        assert_eq!(report.nics[0].name.as_ref().unwrap().as_str(), "nic0");
        assert_eq!(report.nics[1].name.as_ref().unwrap().as_str(), "eno2");
        assert_eq!(report.management_address(), Some("10.20.0.31".parse().unwrap()));
        let algorithms: Vec<_> = report.host_keys.iter().map(HostKey::algorithm).collect();
        assert_eq!(algorithms, ["ssh-ed25519"], "the malformed RSA key is dropped");
        assert_eq!(parsed.token.unwrap().expose_secret(), "fixture-token-1");
        let redacted = String::from_utf8(parsed.redacted).unwrap();
        assert!(!redacted.contains("fixture-token-1"));
        assert!(redacted.contains("nic0"));
    }

    #[test]
    fn the_oldest_report_is_read() {
        let parsed = parse(&fixture("report-8.2.7.json")).unwrap();
        assert_eq!(parsed.report.product, Some(Product::Pve));
        assert_eq!(parsed.report.secure_boot, Some(false));
        assert_eq!(parsed.report.nics[0].name.as_ref().unwrap().as_str(), "ens18");
        assert_eq!(parsed.report.dmi.uuid.unwrap().as_str(), "5c1f8f3a-9d10-4c5e-8a77-0e6b1a2f07aa");
    }

    #[test]
    fn the_token_never_shows_in_debug_output_and_wrong_types_are_dropped() {
        let parsed =
            parse(br#"{"token":"s3cret","disks":[1,{"size":-1}],"network-interfaces":{},"ssh-public-host-keys":[]}"#);
        let parsed = parsed.unwrap();
        assert!(!format!("{parsed:?}").contains("s3cret"));
        assert_eq!(parsed.report.disks, [Disk::default(), Disk::default()]);
        assert!(parsed.report.nics.is_empty() && parsed.report.host_keys.is_empty());
    }

    #[test]
    fn devices_are_capped() {
        let body = format!(r#"{{"disks":[{}0]}}"#, "0,".repeat(10_000));
        assert_eq!(parse(body.as_bytes()).unwrap().report.disks.len(), MAX_DEVICES);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse(&body);
        }

        #[test]
        fn any_object_is_accepted_and_stored_as_json(
            value in crate::wire::tests::any_json(),
            key in "(dmi|product|disks|network-interfaces|cpu-info|token|ssh-public-host-keys|.{0,8})",
        ) {
            let body = serde_json::json!({ key.clone(): value.clone(), "token": "t0k3n" });
            let parsed = parse(body.to_string().as_bytes()).unwrap();
            let stored: serde_json::Value = serde_json::from_slice(&parsed.redacted).unwrap();
            prop_assert!(stored.get("token").is_none());
            if key != "token" {
                prop_assert_eq!(stored.get(&key), Some(&value));
            }
        }
    }
}
