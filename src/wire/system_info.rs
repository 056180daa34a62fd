//! The answer request: which machine asks, and which installer generation speaks (PROTOCOL.md §0 and §a.2).

use super::json::{self, Raw, text};
use super::{WireError, dmi};
use crate::domain::facts::{Generation, Link, Product, SystemInfo};

/// Links kept of one request; a rack server has a dozen, a host full of virtual functions a few hundred.
const MAX_LINKS: usize = 256;

/// The request headers that tell installer generations apart (PROTOCOL.md §0). All values as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestSigns<'a> {
    /// `Accept`.
    pub accept: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
}

/// Reads an answer request. Any JSON object is accepted, even an empty one: every such request gets at least the retry
/// answer (ADR 6). Fields of a wrong type, invalid MAC addresses and links beyond the 256th are left out.
///
/// # Errors
///
/// [`WireError`] where the body is empty, not JSON, or not an object.
pub fn parse(body: &[u8], signs: &RequestSigns<'_>) -> Result<SystemInfo, WireError> {
    let decoded = json::decode(body);
    let body = json::object(&decoded)?;
    let [schema, format_info, product, iso, dmi, interfaces] =
        body.pick(["$schema", "$format-info", "product", "iso", "dmi", "network_interfaces"]);
    let interfaces = interfaces.map(|list| list.items(MAX_LINKS)).unwrap_or_default();
    let marks = BodyMarks {
        schema: schema.is_some(),
        format_info: format_info.is_some(),
        upper_case_macs: macs_are_upper_case(&interfaces),
    };
    let product = product.and_then(|product| product.get("product")).and_then(Raw::string);
    Ok(SystemInfo {
        generation: generation(signs, marks),
        product: product.and_then(|short| Product::from_short(&short)).unwrap_or_default(),
        iso_release: text(iso.and_then(|iso| iso.get("release"))),
        dmi: dmi::read(dmi),
        links: interfaces.into_iter().filter_map(link).collect(),
    })
}

fn link(raw: Raw<'_>) -> Option<Link> {
    let [name, mac] = raw.pick(["link", "mac"]);
    Some(Link { name: text(name).unwrap_or_default(), mac: mac?.parsed()? })
}

/// Signs of the generation that stand in the body.
#[derive(Clone, Copy)]
struct BodyMarks {
    schema: bool,
    format_info: bool,
    upper_case_macs: bool,
}

/// Tells the generation by the table of PROTOCOL.md §0, never by `iso.release`.
///
/// An installer always shows at least one positive sign. Without any, the request comes from a person's `curl` or lost
/// its headers in a proxy; it counts as the newest generation. That is the safe side: all generations but the oldest are
/// sent the same spelling, and the oldest, which a webhook section would strand, betrays itself by its cut-off
/// `Content-Type`.
fn generation(signs: &RequestSigns<'_>, marks: BodyMarks) -> Generation {
    let ureq = signs.user_agent.and_then(ureq_major);
    if signs.accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("application/json")) {
        Generation::V9_2
    } else if marks.format_info {
        Generation::V8_2_7
    } else if ureq == Some(3) {
        Generation::V9_0
    } else if marks.schema {
        // Only a body that was replayed without its headers comes here with upper-case MACs.
        if ureq.is_none() && marks.upper_case_macs { Generation::V9_2 } else { Generation::V8_3 }
    } else if ureq == Some(2) || signs.content_type.is_some_and(|kind| kind.trim_end().ends_with("charset=utf-")) {
        Generation::V8_2
    } else {
        Generation::V9_2
    }
}

/// The major version in `ureq/2.9.1`. The rest depends on the distribution's package.
fn ureq_major(user_agent: &str) -> Option<u32> {
    user_agent.trim_start().strip_prefix("ureq/")?.split('.').next()?.parse().ok()
}

/// Whether some MAC address has upper-case hex letters and none has lower-case ones (from 9.2.0).
fn macs_are_upper_case(interfaces: &[Raw<'_>]) -> bool {
    let mut upper = false;
    for mac in interfaces.iter().filter_map(|raw| raw.get("mac")?.string()) {
        if mac.bytes().any(|b| b.is_ascii_lowercase()) {
            return false;
        }
        upper |= mac.bytes().any(|b| b.is_ascii_uppercase());
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const UREQ2: RequestSigns<'_> = RequestSigns {
        accept: Some("*/*"),
        user_agent: Some("ureq/2.9.1"),
        content_type: Some("application/json; charset=utf-8"),
    };
    const UREQ3: RequestSigns<'_> = RequestSigns { user_agent: Some("ureq/3.0.12"), ..UREQ2 };
    const NONE: RequestSigns<'_> = RequestSigns { accept: None, user_agent: None, content_type: None };

    #[rstest]
    #[case::newest(RequestSigns { accept: Some("application/json, application/toml;q=0.5"), ..UREQ3 }, r#"{"$schema":{}}"#, Generation::V9_2)]
    #[case::ureq3(UREQ3, r#"{"$schema":{"version":"1.0"}}"#, Generation::V9_0)]
    #[case::ureq3_newer_minor(RequestSigns { user_agent: Some("ureq/3.2.0"), ..UREQ3 }, "{}", Generation::V9_0)]
    #[case::ureq2_schema(UREQ2, r#"{"$schema":{"version":"1.0"}}"#, Generation::V8_3)]
    #[case::format_info(UREQ2, r#"{"$format-info":{"version":"1.0"}}"#, Generation::V8_2_7)]
    #[case::ureq2_bare(UREQ2, "{}", Generation::V8_2)]
    #[case::cut_type(RequestSigns { content_type: Some("application/json; charset=utf-"), ..NONE }, "{}", Generation::V8_2)]
    #[case::curl(RequestSigns { accept: Some("*/*"), user_agent: Some("curl/8.14"), ..NONE }, "{}", Generation::V9_2)]
    #[case::no_signs(NONE, "{}", Generation::V9_2)]
    #[case::replayed(NONE, r#"{"$schema":{}}"#, Generation::V8_3)]
    #[case::replayed_upper(
        NONE,
        r#"{"$schema":{},"network_interfaces":[{"mac":"B4:2E:99:AC:AD:B4"}]}"#,
        Generation::V9_2
    )]
    #[case::iso_release_is_no_sign(UREQ2, r#"{"$schema":{},"iso":{"release":"9.2"}}"#, Generation::V8_3)]
    fn generations_are_told_apart(#[case] signs: RequestSigns<'_>, #[case] body: &str, #[case] expected: Generation) {
        assert_eq!(parse(body.as_bytes(), &signs).unwrap().generation, expected);
    }

    #[test]
    fn the_minimal_body_is_enough() {
        let info = parse(br#"{"dmi":{"system":{"uuid":"F68D13F3-472B-4F1A-95A7-120B398A07AA"}}}"#, &NONE).unwrap();
        assert_eq!(info.dmi.uuid.unwrap().as_str(), "F68D13F3-472B-4F1A-95A7-120B398A07AA");
        assert_eq!(info.product, Product::Pve);
        assert!(info.links.is_empty());
    }

    #[test]
    fn wrong_types_cost_only_themselves() {
        let body = br#"{"product":7,"iso":[],"dmi":{"system":{"serial":5,"uuid":"u","name":"\ud800"},"chassis":null,
            "baseboard":{"asset_tag":" A1 "}},"network_interfaces":[7,{"mac":"zz"},{"mac":1},{"link":3,"mac":"B4:2E:99:AC:AD:B4"}],
            "huge":1e999,"dmi2":{}}"#;
        let info = parse(body, &UREQ3).unwrap();
        assert_eq!(info.dmi.serial, None);
        assert_eq!(info.dmi.model, None);
        assert_eq!(info.dmi.uuid.unwrap().as_str(), "u");
        assert_eq!(info.dmi.asset_tag.unwrap().as_str(), "A1");
        let macs: Vec<_> = info.links.iter().map(|link| link.mac.to_string()).collect();
        assert_eq!(macs, ["b4:2e:99:ac:ad:b4"]);
    }

    #[test]
    fn broken_utf8_in_one_string_keeps_the_machine() {
        let info = parse(b"{\"dmi\":{\"system\":{\"name\":\"\xff\",\"serial\":\"S1\"}}}", &NONE).unwrap();
        assert_eq!(info.dmi.serial.unwrap().as_str(), "S1");
    }

    #[test]
    fn links_are_capped() {
        let nics: Vec<_> = (0..5000).map(|n| format!(r#"{{"link":"e{n}","mac":"02:00:00:00:00:01"}}"#)).collect();
        let body = format!(r#"{{"network_interfaces":[{}]}}"#, nics.join(","));
        assert_eq!(parse(body.as_bytes(), &NONE).unwrap().links.len(), MAX_LINKS);
    }

    #[test]
    fn deep_nesting_is_neither_fatal_nor_a_reason_to_strand_the_machine() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let body = format!(r#"{{"x":{0},"dmi":{0},"network_interfaces":{0}}}"#, deep(200_000));
        assert!(parse(body.as_bytes(), &NONE).unwrap().links.is_empty());
        assert_eq!(parse(deep(200_000).as_bytes(), &NONE), Err(WireError::NotAnObject { found: "an array" }));
        assert!(matches!(parse("[".repeat(200_000).as_bytes(), &NONE), Err(WireError::NotJson { .. })));
    }

    #[rstest]
    #[case("", "the body is empty; send one JSON object, as the Proxmox installer does")]
    #[case("{\"a\":\n x}", "the body is not JSON: expected value at line 2, column 2; send one JSON object")]
    #[case("{} {}", "the body is not JSON: trailing characters at line 1, column 4; send one JSON object")]
    #[case("[]", "the body is an array, not a JSON object; send one JSON object `{…}`")]
    #[case("\"x\"", "the body is a string, not a JSON object; send one JSON object `{…}`")]
    #[case("-1", "the body is a number, not a JSON object; send one JSON object `{…}`")]
    #[case(" null ", "the body is null, not a JSON object; send one JSON object `{…}`")]
    #[case("true", "the body is a boolean, not a JSON object; send one JSON object `{…}`")]
    fn refusals_say_why(#[case] body: &str, #[case] message: &str) {
        assert_eq!(parse(body.as_bytes(), &NONE).unwrap_err().to_string(), message);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse(&body, &UREQ2);
        }

        #[test]
        fn any_object_is_accepted(value in crate::wire::tests::any_json(), key in "(dmi|product|iso|network_interfaces|[$]schema|.{0,8})") {
            let body = serde_json::json!({ key: value }).to_string();
            prop_assert!(parse(body.as_bytes(), &NONE).is_ok());
        }
    }
}
