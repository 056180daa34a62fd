//! The bodies a machine sends: the answer request (PROTOCOL.md §a.2) and the report (§c.2), in the shape of a release.
//!
//! Pure; owns no socket and no time.

use serde_json::{Map, Value, json};

use super::hardware::NicDevice;
use super::installer::InstallPlan;
use super::keys::HostKeys;
use super::machine::Machine;
use super::release::Release;
use crate::domain::Product;

/// CPU flags of every simulated machine, shortened.
const FLAGS: &str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat aes avx avx2 vmx svm";

/// Long name of a product, as its medium gives it.
fn full_name(product: Product) -> &'static str {
    match product {
        Product::Pve => "Proxmox VE",
        Product::Pbs => "Proxmox Backup Server",
        Product::Pmg => "Proxmox Mail Gateway",
        Product::Pdm => "Proxmox Datacenter Manager",
    }
}

/// The three DMI tables; every entry may be missing, all three may be empty.
fn dmi(machine: &Machine) -> Value {
    let Some(dmi) = &machine.dmi else { return json!({"system": {}, "baseboard": {}, "chassis": {}}) };
    json!({
        "system": {"serial": dmi.serial, "sku": dmi.sku, "uuid": dmi.uuid, "name": dmi.model},
        "baseboard": {"asset_tag": dmi.asset_tag, "serial": dmi.board_serial, "name": dmi.board_name},
        "chassis": {"serial": dmi.serial, "sku": dmi.sku, "asset_tag": dmi.asset_tag},
    })
}

/// The answer request's body.
#[must_use]
pub fn answer_request(release: Release, product: Product, machine: &Machine) -> Value {
    let links: Vec<_> =
        machine.hardware.nics.iter().map(|nic| json!({"link": nic.name, "mac": request_mac(release, nic)})).collect();
    let mut body = json!({
        "product": {"fullname": full_name(product), "product": product.short(), "enable_btrfs": true},
        "iso": {"release": release.label(), "isorelease": "1"},
        "dmi": dmi(machine),
        "network_interfaces": links,
    });
    if let Some(version) = release.request_schema() {
        body["$schema"] = json!({"version": version});
    }
    body
}

fn request_mac(release: Release, nic: &NicDevice) -> String {
    let mac = nic.mac.to_string();
    if release.upper_case_macs() { mac.to_ascii_uppercase() } else { mac }
}

/// The report of an installed machine; `None` for a release that has no webhook.
#[must_use]
pub fn report(
    release: Release,
    product: Product,
    machine: &Machine,
    plan: &InstallPlan,
    keys: &HostKeys,
) -> Option<Value> {
    let schema = release.report_schema()?;
    let (debian, package, kernel) = release.installed_versions();
    let keys: Map<String, Value> =
        keys.public_lines().ok()?.map(|(kind, line)| (kind.to_owned(), json!(line))).into_iter().collect();
    let mut body = json!({
        "$schema": {"version": schema},
        "debian-version": debian,
        "product": {"fullname": full_name(product), "short": product.short(), "version": package},
        "iso": {"release": release.label(), "isorelease": "1"},
        "kernel-version": {
            "sysname": "Linux",
            "release": kernel,
            "version": format!("#1 SMP PREEMPT_DYNAMIC PMX {} x86_64 GNU/Linux", kernel.trim_end_matches("-pve")),
            "machine": "x86_64",
        },
        "boot-info": {"mode": "efi"},
        "cpu-info": {
            "cores": machine.cpu.cores,
            "cpus": machine.cpu.cores * machine.cpu.sockets * 2,
            "flags": FLAGS,
            "hvm": true,
            "model": machine.cpu.model,
            "sockets": machine.cpu.sockets,
        },
        "dmi": dmi(machine),
        "filesystem": plan.filesystem,
        "fqdn": plan.fqdn,
        "machine-id": machine.machine_id,
        "disks": disks(machine, plan),
        "network-interfaces": nics(release, machine, plan),
        "ssh-public-host-keys": keys,
    });
    if release < Release::V9_1 {
        // Present on EFI as true or false up to 9.0, later only when true (PROTOCOL.md §c.2).
        body["boot-info"]["secureboot"] = json!(false);
    }
    if release >= Release::V8_4 {
        body["reboot-mode"] = json!(if plan.power_off { "power-off" } else { "reboot" });
    }
    if let Some(token) = plan.webhook.as_ref().and_then(|webhook| webhook.token.as_ref()) {
        body["token"] = json!(token);
    }
    Some(body)
}

/// Every disk, with the size of the install disk for all of them, as the real report has it.
fn disks(machine: &Machine, plan: &InstallPlan) -> Vec<Value> {
    let boot = plan.disks.first();
    let size = machine.hardware.disks.iter().find(|disk| Some(&disk.path) == boot).map_or(0, |disk| disk.size);
    let entry = |disk: &super::hardware::DiskDevice| {
        let mut entry = json!({"size": size, "udev-properties": disk.udev});
        if Some(&disk.path) == boot {
            entry["is-bootdisk"] = json!(true);
        }
        entry
    };
    machine.hardware.disks.iter().map(entry).collect()
}

/// Every NIC; the management one has the address, unless pinning lost it (PROTOCOL.md §c.2).
fn nics(release: Release, machine: &Machine, plan: &InstallPlan) -> Vec<Value> {
    let leased = format!("{}/8", machine.address);
    let entry = |(index, nic): (usize, &NicDevice)| {
        let mut entry = json!({"mac": nic.mac.to_string(), "udev-properties": nic.udev});
        if release >= Release::V9_1 {
            let pinned = plan.pinned.as_ref().map(|names| {
                let named = names.iter().find(|(mac, _)| *mac == nic.mac);
                named.map_or_else(|| format!("nic{index}"), |(_, name)| name.clone())
            });
            if pinned.is_some() {
                entry["is-pinned"] = json!(true);
            }
            entry["name"] = json!(pinned.unwrap_or_else(|| nic.name.clone()));
        }
        if nic.name == plan.nic && !(plan.pinned.is_some() && plan.address.is_some()) {
            entry["is-management"] = json!(true);
            entry["address"] = json!(plan.address.map_or_else(|| leased.clone(), |net| net.to_string()));
        }
        entry
    };
    machine.hardware.nics.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn machine() -> Machine {
        Machine::build(1, 1, Ipv4Addr::new(127, 77, 0, 1))
    }

    fn plan(machine: &Machine) -> InstallPlan {
        InstallPlan {
            fqdn: "a.b.example".to_owned(),
            nic: machine.hardware.nics[0].name.clone(),
            address: None,
            disks: vec![machine.hardware.disks[0].path.clone()],
            filesystem: "ext4".to_owned(),
            ssh_keys: Vec::new(),
            webhook: None,
            reboot_on_error: true,
            power_off: false,
            pinned: None,
            raid_problem: None,
        }
    }

    /// Paths of all keys of a document; list entries fold together, udev properties are not looked into.
    fn shape(value: &Value, path: &str, into: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(table) if !path.ends_with("udev-properties") => {
                table.iter().for_each(|(key, value)| shape(value, &format!("{path}/{key}"), into));
            }
            Value::Array(items) => items.iter().for_each(|item| shape(item, &format!("{path}[]"), into)),
            _ => {
                into.insert(path.to_owned());
            }
        }
    }

    fn shape_of(value: &Value) -> std::collections::BTreeSet<String> {
        let mut paths = std::collections::BTreeSet::new();
        shape(value, "", &mut paths);
        paths
    }

    #[test]
    fn requests_differ_by_release_as_the_protocol_says() {
        let machine = machine();
        let old = answer_request(Release::V8_2, Product::Pve, &machine);
        assert_eq!(old.get("$schema"), None);
        let new = answer_request(Release::V9_2, Product::Pbs, &machine);
        assert_eq!(new["$schema"]["version"], "1.0");
        assert_eq!(new["product"]["product"], "pbs");
        let mac = machine.hardware.nics[0].mac.to_string();
        assert_eq!(old["network_interfaces"][0]["mac"], mac.as_str());
        assert_eq!(new["network_interfaces"][0]["mac"], mac.to_ascii_uppercase().as_str());
    }

    #[test]
    fn reports_grow_with_the_schema() {
        let machine = machine();
        let keys = HostKeys::generate(1, 1, 0, "a").unwrap();
        let of = |release| report(release, Product::Pve, &machine, &plan(&machine), &keys);
        assert_eq!(of(Release::V8_2), None);
        assert_eq!(of(Release::V8_3).unwrap().get("reboot-mode"), None);
        assert_eq!(of(Release::V8_4).unwrap()["network-interfaces"][0].get("name"), None);
        let newest = of(Release::V9_2).unwrap();
        assert_eq!(newest["network-interfaces"][0]["address"], "127.77.0.1/8");
        assert_eq!(newest["network-interfaces"][0]["name"], machine.hardware.nics[0].name.as_str());
        assert_eq!(newest["disks"][0]["is-bootdisk"], true);
        assert_eq!(newest.get("token"), None);
    }

    #[test]
    fn pinning_with_a_given_address_loses_the_management_nic() {
        let machine = machine();
        let keys = HostKeys::generate(1, 1, 0, "a").unwrap();
        let mut plan = plan(&machine);
        plan.pinned = Some(vec![(machine.hardware.nics[1].mac, "mgmt".to_owned())]);
        plan.address = "10.0.0.2/24".parse().ok();
        let body = report(Release::V9_2, Product::Pve, &machine, &plan, &keys).unwrap();
        let nics = body["network-interfaces"].as_array().unwrap();
        assert!(nics.iter().all(|nic| nic.get("address").is_none() && nic["is-pinned"] == true));
        assert_eq!((&nics[0]["name"], &nics[1]["name"]), (&json!("nic0"), &json!("mgmt")));
    }

    /// The bodies have exactly the keys of the captured ones.
    #[test]
    fn shapes_equal_the_captures() {
        let Some(root) = crate::outside::conformance() else { return };
        let machine = machine();
        let keys = HostKeys::generate(1, 1, 0, "a").unwrap();
        let mut token = plan(&machine);
        token.webhook = Some(crate::simulate::grammar::Webhook {
            url: String::new(),
            fingerprint: None,
            token: Some("t".to_owned()),
        });
        let mut no_dmi = machine.clone();
        no_dmi.dmi = None;
        let ask = |release, machine: &Machine| answer_request(release, Product::Pve, machine);
        let mut old = report(Release::V8_4, Product::Pve, &machine, &plan(&machine), &keys).unwrap();
        old["boot-info"] = json!({"mode": "efi"}); // the captured machine was asked about no secure boot
        for (name, ours) in [
            ("8.2-answer-http", ask(Release::V8_2, &machine)),
            ("8.4-answer-http", ask(Release::V8_4, &machine)),
            ("9.2-answer-http", ask(Release::V9_2, &machine)),
            ("9.2-answer-no-dmi", ask(Release::V9_2, &no_dmi)),
            ("8.4-webhook", old),
            ("9.2-webhook-token", report(Release::V9_2, Product::Pve, &machine, &token, &keys).unwrap()),
        ] {
            let text = std::fs::read_to_string(root.join(format!("captures/{name}.json"))).unwrap();
            let real: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(shape_of(&ours), shape_of(&real["body"]), "{name}");
        }
    }
}
