//! How long the pure part of an answer takes: finding the profile of a machine among many, and layers to checked text.
//! `cargo bench --bench answer_engine`. `docs/performance.md` has figures.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::Context as _;
use prox_orchestrator::answer::{
    BaseAnswer, Context, Inputs, NicChoice, Offer, Profile, Profiles, Sight, Webhook, compose, fill, parse_override,
    render,
};
use prox_orchestrator::config::BASE_ANSWER;
use prox_orchestrator::domain::{Generation, NodeId, Product, SystemInfo};
use prox_orchestrator::simulate::{Release, body, machine::Machine};
use prox_orchestrator::wire::{RequestSigns, system_info};
use secrecy::SecretString;

/// Profiles of the folder.
const PROFILES: usize = 1_000;

/// Machines that are matched.
const MACHINES: usize = 10_000;

/// Answers that are made.
const ANSWERS: u32 = 5_000;

fn main() -> anyhow::Result<()> {
    let report = format!("{}\n{}\n", matching()?, rendering()?);
    std::io::Write::write_all(&mut std::io::stdout(), report.as_bytes())?;
    Ok(())
}

fn machine(number: usize) -> anyhow::Result<SystemInfo> {
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 20, 0, 1)) + u32::try_from(number)?);
    let machine = Machine::build(1, number, address);
    let body = body::answer_request(Release::V9_2, Product::Pve, &machine).to_string();
    Ok(system_info::parse(body.as_bytes(), &RequestSigns::default())?)
}

/// Every fourth profile is by model, the others by serial, MAC address and name of a link.
fn profile(number: usize) -> anyhow::Result<Profile> {
    let rule = match number % 4 {
        0 => format!("\"/dmi/system/name\" = \"PowerEdge R{number}*\""),
        1 => format!("\"/dmi/system/serial\" = \"*{number:04}*\""),
        2 => format!("\"/network_interfaces/*/mac\" = \"b4:2e:99:{:02x}:*\"", number % 256),
        _ => format!("\"/product/product\" = \"pve\"\n\"/network_interfaces/0/link\" = \"ens{number}\""),
    };
    let text = format!("priority = {number}\n[match]\n{rule}\n[global]\ncountry = \"at\"\n");
    let name = format!("p{number}");
    Profile::parse(&name, &format!("profiles/{name}.toml"), &text).map_err(|errors| anyhow::anyhow!("{errors}"))
}

fn matching() -> anyhow::Result<String> {
    let profiles = Profiles::new((0..PROFILES).map(profile).collect::<anyhow::Result<Vec<_>>>()?);
    let machines: Vec<_> = (1..=MACHINES).map(machine).collect::<anyhow::Result<_>>()?;
    let started = Instant::now();
    let mut found = 0_usize;
    for info in &machines {
        found += usize::from(profiles.choose(&Sight::of(black_box(info)))?.is_some());
    }
    let took = started.elapsed();
    let each = took.as_secs_f64() * 1e6 / f64::from(u32::try_from(MACHINES)?);
    Ok(format!(
        "{PROFILES} profiles x {MACHINES} machines   {:.2} s, {each:.1} µs a machine ({found} have one)",
        took.as_secs_f64()
    ))
}

fn rendering() -> anyhow::Result<String> {
    let base = BaseAnswer::parse(&BASE_ANSWER.replace("from-dhcp", "from-answer"))
        .map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let layers = "[global]\nmailto = \"{{ node.host }}@example.com\"\n[disk-setup]\nfilesystem = \"xfs\"\n";
    let own = parse_override("o.toml", layers).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let plain = parse_override("o.toml", &layers.replace("{{ node.host }}", "root"))
        .map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let info = machine(1)?;
    let name = "pve-07aa.example.com".parse()?;
    let mac = info.links.first().context("the machine has a link")?.mac;
    let inputs = Inputs {
        fqdn: "pve-07aa.example.com".parse()?,
        generation: Generation::V9_2,
        installer: None,
        address: Some(Offer::Asked("192.0.2.31".parse()?)),
        mask: "24".parse()?,
        dns: Some("192.0.2.53".parse()?),
        gateway: Some("192.0.2.1".parse()?),
        nic: Some(NicChoice::Mac(mac)),
        webhook: Some(Webhook {
            url: SecretString::from("https://192.0.2.9/webhook/x"),
            token: SecretString::from("x"),
            fingerprint: None,
        }),
        ssh_key: Some("ssh-ed25519 AAAA console".to_owned()),
    };
    let time = |own: &prox_orchestrator::answer::Overlay| -> anyhow::Result<f64> {
        let started = Instant::now();
        for _ in 0..ANSWERS {
            let context = Context::new(Some(&info), Some((NodeId(1), &name)), BTreeMap::new());
            let layers = compose([base.overlay().clone(), own.clone()]);
            black_box(render(&fill(layers, &context)?, black_box(&inputs))?);
        }
        Ok(started.elapsed().as_secs_f64() / f64::from(ANSWERS) * 1e6)
    };
    Ok(format!(
        "layers, render and validate one answer   {:.1} µs (budget 80 µs); with a template {:.1} µs",
        time(&plain)?,
        time(&own)?
    ))
}
