//! How machines are told where this console is, ready to paste: the prepared image, DNS, DHCP, netboot (PROTOCOL.md §a.1
//! and §e). Text only; what is shown, copied and written is this and nothing else.

use super::text;
use crate::domain::snapshot::Service;

/// One way, with its snippet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    /// Its name in the list.
    pub(super) name: &'static str,
    /// What to do with the snippet, and what to know.
    pub(super) about: String,
    /// What is copied or written to a file.
    pub(super) snippet: String,
    /// The file's name.
    pub(super) file: &'static str,
}

/// How many ways there are.
pub(super) const COUNT: usize = 8;

/// The names of the DHCP options and, with the domain, of the TXT records.
const URL: &str = "proxmox-auto-installer";
const PIN: &str = "proxmox-auto-installer-cert-fingerprint";

/// What every snippet is made of.
struct Parts {
    url: String,
    pin: Option<String>,
    domain: String,
}

impl Parts {
    fn of(service: &Service, domain: &str) -> Self {
        let pin = service.fingerprint.as_deref().map(text::clean);
        Self { url: answer_url(service), pin, domain: text::clean(domain) }
    }

    /// A line for the URL and, with TLS, one for the fingerprint.
    fn lines(&self, url: impl Fn(&str) -> String, pin: impl Fn(&str) -> String) -> String {
        let pin = self.pin.as_deref().map(pin);
        std::iter::once(url(&self.url)).chain(pin).collect::<Vec<_>>().join("\n")
    }
}

/// The URL machines ask.
pub(super) fn answer_url(service: &Service) -> String {
    format!("{}/answer", text::clean(service.url.trim_end_matches('/')))
}

/// The command that bakes URL and fingerprint into an installer image, in one line.
pub(super) fn prepare_command(service: &Service) -> String {
    prepare(service, "")
}

fn prepare(service: &Service, more: &str) -> String {
    let url = answer_url(service);
    let pin = service.fingerprint.as_ref().map(|fp| format!(" --cert-fingerprint \"{}\"", text::clean(fp)));
    let pin = pin.unwrap_or_default();
    let token = if service.require_token { " --answer-auth-token \"NAME:SECRET\"" } else { "" };
    format!(
        "proxmox-auto-install-assistant prepare-iso proxmox-ve.iso --fetch-from http --url \"{url}\"{pin}{token}{more}"
    )
}

/// How a medium gets its token, where one is required.
pub(super) fn about_tokens(service: &Service) -> String {
    let url = answer_url(service).replacen("://", "://NAME:SECRET@", 1);
    format!(
        "Only media with a token may ask: `prox-orchestrator token new NAME` makes one and shows both commands with it. \
         Installers before 9.2 take it in the URL, {url}"
    )
}

/// All ways, the one that changes least in the network first.
pub(super) fn topics(service: &Service, domain: &str) -> [Topic; COUNT] {
    let parts = Parts::of(service, domain);
    [
        image(service),
        dnsmasq_txt(&parts),
        unbound(&parts),
        bind(&parts),
        dnsmasq(&parts),
        kea(&parts),
        isc(&parts),
        netboot(service),
    ]
}

fn image(service: &Service) -> Topic {
    Topic {
        name: "Image (USB, virtual media)",
        about: "The least change: address and fingerprint are baked into the image, and nothing in the network is touched. \
                Run this on any machine with Proxmox's assistant (version 8.2.2 or later, not newer than the image)."
            .to_owned(),
        snippet: prepare_command(service),
        file: "prepare-iso.sh",
    }
}

/// What goes for all images that find the console by themselves.
fn by_network(domain: Option<&str>) -> String {
    let image = "One image then serves every site: `proxmox-auto-install-assistant prepare-iso proxmox-ve.iso --fetch-from http`.";
    match domain {
        Some(domain) => format!(
            "{image} The records must be in the one search domain that machines are given, here `{domain}`; with two search \
             domains the installer asks for nonsense. DHCP options win over them."
        ),
        None => format!("{image} The options are asked for by installers only; other clients never see them."),
    }
}

fn dnsmasq_txt(parts: &Parts) -> Topic {
    let record = |name: &str, value: &str| format!("txt-record={name}.{},\"{value}\"", parts.domain);
    Topic {
        name: "DNS: dnsmasq",
        about: by_network(Some(&parts.domain)),
        snippet: parts.lines(|url| record(URL, url), |pin| record(PIN, pin)),
        file: "dnsmasq-dns.conf",
    }
}

fn unbound(parts: &Parts) -> Topic {
    let record = |name: &str, value: &str| format!("    local-data: '{name}.{}. 300 IN TXT \"{value}\"'", parts.domain);
    Topic {
        name: "DNS: Unbound, OPNsense",
        about: format!(
            "{} On OPNsense put the file into /usr/local/etc/unbound.opnsense.d/ and restart Unbound; elsewhere into the \
             folder that unbound.conf includes.",
            by_network(Some(&parts.domain))
        ),
        snippet: format!("server:\n{}", parts.lines(|url| record(URL, url), |pin| record(PIN, pin))),
        file: "unbound.conf",
    }
}

fn bind(parts: &Parts) -> Topic {
    let record = |name: &str, value: &str| format!("{name:<40} 300 IN TXT \"{value}\"");
    Topic {
        name: "DNS: BIND",
        about: format!(
            "{} Add the lines to the zone `{}`, raise its serial number, then `rndc reload {}`.",
            by_network(Some(&parts.domain)),
            parts.domain,
            parts.domain
        ),
        snippet: parts.lines(|url| record(URL, url), |pin| record(PIN, pin)),
        file: "bind.zone",
    }
}

fn dnsmasq(parts: &Parts) -> Topic {
    Topic {
        name: "DHCP: dnsmasq",
        about: format!("{} Keep the quotes: without them dnsmasq takes the fingerprint for bytes.", by_network(None)),
        snippet: parts.lines(|url| format!("dhcp-option=250,\"{url}\""), |pin| format!("dhcp-option=251,\"{pin}\"")),
        file: "dnsmasq-dhcp.conf",
    }
}

/// The full name of option 250.
fn option_250() -> String {
    format!("{URL}-manifest-url")
}

fn kea(parts: &Parts) -> Topic {
    let define = |name: &str, code: u8| {
        format!("      {{ \"name\": \"{name}\", \"code\": {code}, \"type\": \"string\", \"space\": \"dhcp4\" }}")
    };
    let set = |name: &str, value: &str| format!("      {{ \"name\": \"{name}\", \"data\": \"{value}\" }}");
    let mut definitions = vec![define(&option_250(), 250)];
    let mut data = vec![set(&option_250(), &parts.url)];
    if let Some(pin) = &parts.pin {
        definitions.push(define(PIN, 251));
        data.push(set(PIN, pin));
    }
    let (definitions, data) = (definitions.join(",\n"), data.join(",\n"));
    Topic {
        name: "DHCP: Kea",
        about: format!(
            "{} Merge both lists into the `Dhcp4` object, the second also into a single subnet. On OPNsense with Kea: the \
             subnet's option data.",
            by_network(None)
        ),
        snippet: format!("\"option-def\": [\n{definitions}\n],\n\"option-data\": [\n{data}\n]"),
        file: "kea-dhcp4.json",
    }
}

fn isc(parts: &Parts) -> Topic {
    let url = option_250();
    let define =
        parts.lines(|_| format!("option {url} code 250 = text;"), |_| format!("option {PIN} code 251 = text;"));
    let set = parts.lines(|to| format!("option {url} \"{to}\";"), |pin| format!("option {PIN} \"{pin}\";"));
    Topic {
        name: "DHCP: ISC, OPNsense",
        about: format!(
            "{} The definitions go to the top of dhcpd.conf, the values there or into one subnet. On OPNsense with ISC: \
             Additional Options, numbers 250 and 251, type Text, the values without quotes.",
            by_network(None)
        ),
        snippet: format!("{define}\n\n{set}"),
        file: "dhcpd.conf",
    }
}

fn netboot(service: &Service) -> Topic {
    Topic {
        name: "Netboot: iPXE",
        about: "Assistants from 9.1.7 on write vmlinuz, initrd.img, an image and boot.ipxe into a folder; serve it by HTTP \
                and let iPXE chain to its boot.ipxe. Machines need about 6 GiB of memory: the whole image goes there. The \
                entry `auto` starts by itself after 10 s. The address cannot be given on the kernel's command line: it is \
                in the image, or comes by DHCP or DNS. Words added to the kernel line stay on the installed system."
            .to_owned(),
        snippet: format!(
            "mkdir -p netboot\n{}\n\n# then, in the script your iPXE starts with:\n#!ipxe\ndhcp\nchain http://YOUR-WEB-SERVER/netboot/boot.ipxe",
            prepare(service, " --pxe-loader ipxe --output netboot")
        ),
        file: "netboot.txt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(tls: bool) -> Service {
        Service {
            url: if tls { "https://192.0.2.1:8443/".to_owned() } else { "http://192.0.2.1:8080".to_owned() },
            fingerprint: tls.then(|| ["AB"; 32].join(":")),
            ..Service::default()
        }
    }

    #[test]
    fn every_snippet_names_the_address_and_with_tls_the_fingerprint() {
        for tls in [true, false] {
            for topic in topics(&service(tls), "lab.example") {
                let port = if tls { "https://192.0.2.1:8443/answer" } else { "http://192.0.2.1:8080/answer" };
                assert!(topic.snippet.contains(port), "{}: {}", topic.name, topic.snippet);
                assert_eq!(topic.snippet.contains("AB:AB:AB"), tls, "{}: {}", topic.name, topic.snippet);
                assert_eq!(
                    topic.snippet.contains("251") || topic.snippet.contains("fingerprint"),
                    tls,
                    "{}",
                    topic.name
                );
            }
        }
    }

    #[test]
    fn the_kea_lists_are_json() {
        let kea = topics(&service(true), "lab.example").into_iter().find(|topic| topic.name.contains("Kea")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&format!("{{{}}}", kea.snippet)).unwrap();
        assert_eq!(json["option-def"][0]["code"], 250);
        assert_eq!(json["option-data"][1]["data"], ["AB"; 32].join(":"));
    }

    #[test]
    fn records_are_in_the_domain_of_the_machines() {
        let topics = topics(&service(true), "lab.example");
        let of = |name: &str| topics.iter().find(|topic| topic.name == name).unwrap().snippet.clone();
        assert!(of("DNS: dnsmasq").starts_with("txt-record=proxmox-auto-installer.lab.example,\"https://"));
        assert!(
            of("DNS: Unbound, OPNsense").contains("'proxmox-auto-installer-cert-fingerprint.lab.example. 300 IN TXT")
        );
        assert!(of("DHCP: dnsmasq").contains("dhcp-option=251,\"AB:"), "quoted, or it would be taken for bytes");
        assert!(of("DHCP: ISC, OPNsense").contains("option proxmox-auto-installer-manifest-url code 250 = text;"));
    }
}
