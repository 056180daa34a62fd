//! What this host suggests for the nodes beside it: time zone, country, keyboard, resolver, gateway, mask, SSH keys.
//!
//! Only guesses, from files that may be missing or hold anything: what cannot be read or understood suggests nothing,
//! and what the files are given is judged like what a person types.

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::{Choices, Disks};

/// Largest file looked into, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
/// Public keys offered at most.
const MAX_KEYS: usize = 16;

/// Choices with everything in them that a system whose root folder is `root` suggests and that is accepted.
#[must_use]
pub fn suggested(root: &Path) -> Choices {
    let mut choices = Choices::default();
    let mut take = |change: &dyn Fn(&mut Choices)| {
        let mut changed = choices.clone();
        change(&mut changed);
        if changed.scaffold().is_ok_and(|scaffold| scaffold.problems().is_none()) {
            choices = changed;
        }
    };
    if let Some(zone) = zone(root) {
        take(&|choices| choices.timezone.clone_from(&zone));
        if let Some(country) = country(&read(root, "usr/share/zoneinfo/zone.tab"), &zone) {
            take(&|choices| choices.country.clone_from(&country));
        }
    }
    if let Some(keyboard) = keyboard(&read(root, "etc/default/keyboard")) {
        take(&|choices| choices.keyboard.clone_from(&keyboard));
    }
    let (dns, domain) = resolver(&read(root, "etc/resolv.conf"));
    if let Some(domain) = domain {
        take(&|choices| choices.domain.clone_from(&domain));
    }
    let (gateway, mask) = route(&read(root, "proc/net/route"));
    take(&|choices| choices.dns = dns);
    take(&|choices| choices.gateway = gateway);
    if let Some(mask) = mask {
        take(&|choices| choices.mask = mask.to_string());
    }
    if let Some(disk) = first_disk(root) {
        take(&|choices| choices.disks = Disks::Single(disk.clone()));
    }
    choices
}

/// The public keys in a `.ssh` folder: file and line, in the order of the names.
#[must_use]
pub fn public_keys(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "pub")).collect();
    files.sort();
    let keys = files.into_iter().filter_map(|path| Some((path.clone(), key_lines(&path).ok()?.into_iter().next()?)));
    keys.take(MAX_KEYS).collect()
}

/// The lines of a file of public keys that hold one.
///
/// # Errors
/// The system's reason where the file cannot be read.
pub fn key_lines(path: &Path) -> std::io::Result<Vec<String>> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    let is_key = |line: &&str| {
        let kind = line.split(' ').next().unwrap_or_default();
        ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| kind.starts_with(prefix)) && line.split(' ').count() > 1
    };
    Ok(text.lines().map(str::trim).filter(is_key).map(str::to_owned).collect())
}

/// A small text file; empty where there is none.
fn read(root: &Path, name: &str) -> String {
    let mut bytes = Vec::new();
    let file = fs::File::open(root.join(name));
    let _ = file.and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The zone that `/etc/localtime` links to, else the one `/etc/timezone` names.
fn zone(root: &Path) -> Option<String> {
    let link = fs::read_link(root.join("etc/localtime")).ok();
    let linked = link.and_then(|link| Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned()));
    let named = || Some(read(root, "etc/timezone").trim().to_owned()).filter(|name| !name.is_empty());
    linked.or_else(named).map(|zone| if zone == "Etc/UTC" { "UTC".to_owned() } else { zone })
}

/// The country of a zone in the table that comes with the zones.
fn country(table: &str, zone: &str) -> Option<String> {
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.into_iter().find(|row| row.get(2) == Some(&zone)).map(|row| row[0].to_ascii_lowercase())
}

/// The installer's name for the layout that `/etc/default/keyboard` names.
fn keyboard(text: &str) -> Option<String> {
    let setting = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
        line.trim().trim_matches('"').split(',').next().map(str::to_ascii_lowercase)
    };
    let layout = setting("XKBLAYOUT").filter(|layout| !layout.is_empty())?;
    let variant = setting("XKBVARIANT").unwrap_or_default();
    Some(match (layout.as_str(), variant.as_str()) {
        ("us", _) => "en-us".to_owned(),
        ("gb", _) => "en-gb".to_owned(),
        ("ch", variant) if variant.starts_with("fr") => "fr-ch".to_owned(),
        ("ch", _) => "de-ch".to_owned(),
        ("ca", _) => "fr-ca".to_owned(),
        ("be", _) => "fr-be".to_owned(),
        ("br", _) => "pt-br".to_owned(),
        ("latam", _) => "es".to_owned(),
        (layout, _) => layout.to_owned(),
    })
}

/// The first resolver that other hosts can ask too, and the domain searched first.
fn resolver(text: &str) -> (Option<IpAddr>, Option<String>) {
    let words = |name: &'static str| {
        text.lines().filter_map(move |line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)).then(|| words.next()).flatten()
        })
    };
    let dns = words("nameserver").filter_map(|word| word.parse::<IpAddr>().ok()).find(|dns| !dns.is_loopback());
    (dns, words("domain").chain(words("search")).find(|domain| *domain != ".").map(str::to_owned))
}

/// The gateway of the kernel's IPv4 route table and the prefix length of the network it is in.
fn route(table: &str) -> (Option<IpAddr>, Option<u32>) {
    let rows: Vec<_> = table.lines().skip(1).filter_map(route_row).collect();
    let Some((_, gateway, _)) = rows.iter().find(|(to, gateway, mask)| *to == 0 && *mask == 0 && *gateway != 0) else {
        return (None, None);
    };
    let near = rows.iter().filter(|(to, through, mask)| *through == 0 && *mask != 0 && gateway & mask == *to);
    let mask = near.map(|(_, _, mask)| mask.count_ones()).max();
    (Some(Ipv4Addr::from_bits(*gateway).into()), mask)
}

/// Destination, gateway and mask of a row, which has them as the host's memory has the bytes of the network.
fn route_row(row: &str) -> Option<(u32, u32, u32)> {
    let fields: Vec<_> = row.split_whitespace().collect();
    let number = |index: usize| {
        let number = u32::from_str_radix(fields.get(index)?, 16).ok()?;
        Some(u32::from_be_bytes(number.to_ne_bytes()))
    };
    Some((number(1)?, number(2)?, number(7)?))
}

/// What this host's first disk is called: machines beside it are often of its kind.
fn first_disk(root: &Path) -> Option<String> {
    let has = |name: &str| root.join("sys/block").join(name).exists();
    ["sda", "nvme0n1", "vda"].into_iter().find(|name| has(name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_host_suggests_what_is_around_it() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "etc/timezone", "Europe/Vienna\n");
        put(root.path(), "usr/share/zoneinfo/zone.tab", "# c\nAT\t+4813+01620\tEurope/Vienna\n");
        put(root.path(), "etc/default/keyboard", "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"ch,us\"\nXKBVARIANT=\"fr\"\n");
        put(root.path(), "etc/resolv.conf", "search lab.example\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n");
        let number = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let [zero, gateway, net, mask] = [[0; 4], [192, 0, 2, 1], [192, 0, 2, 0], [255, 255, 254, 0]].map(number);
        let rows = format!(
            "Iface Destination Gateway Flags RefCnt Use Metric Mask\neth0 {zero} {gateway} 3 0 0 0 {zero}\n\
             eth0 {net} {zero} 1 0 0 0 {mask}\n"
        );
        put(root.path(), "proc/net/route", &rows);
        put(root.path(), "sys/block/nvme0n1/size", "1");
        let expected = Choices {
            timezone: "Europe/Vienna".to_owned(),
            country: "at".to_owned(),
            keyboard: "fr-ch".to_owned(),
            domain: "lab.example".to_owned(),
            dns: Some([192, 0, 2, 53].into()),
            gateway: Some([192, 0, 2, 1].into()),
            mask: "23".to_owned(),
            disks: Disks::Single("nvme0n1".to_owned()),
            ..Choices::default()
        };
        assert_eq!(suggested(root.path()), expected);
    }

    #[test]
    fn nonsense_suggests_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(suggested(root.path()), Choices::default());
        put(root.path(), "etc/timezone", "../../etc/passwd");
        put(root.path(), "etc/default/keyboard", "XKBLAYOUT=\"klingon\"");
        put(root.path(), "etc/resolv.conf", "search _under_.\nnameserver x\nnameserver\n");
        put(root.path(), "proc/net/route", "head\nx y z\neth0 0 FFFFFFFFFF 0 0 0 0 0\n");
        assert_eq!(suggested(root.path()), Choices::default());
    }

    #[test]
    fn only_lines_with_a_public_key_are_taken() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "b.pub", "ssh-ed25519 AAAA b\n");
        put(root.path(), "a.pub", "# mine\n\n  ecdsa-sha2-nistp256 AAAA a\nssh-rsa BBBB\n");
        put(root.path(), "c.pub", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
        put(root.path(), "id", "ssh-ed25519 AAAA not offered\n");
        let keys: Vec<_> = public_keys(root.path()).into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, ["ecdsa-sha2-nistp256 AAAA a", "ssh-ed25519 AAAA b"]);
        assert_eq!(key_lines(&root.path().join("a.pub")).unwrap().len(), 2);
        assert!(key_lines(&root.path().join("none.pub")).is_err());
    }
}
