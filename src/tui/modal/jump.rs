//! To the machine whose label was read: by a claim code from its screen, or whatever stands on it.
//!
//! A barcode scanner is a keyboard that types fast and presses Enter. So nothing happens before Enter: what it types
//! behind the first characters must not become keys of the table.

use std::cell::RefCell;

use super::{Ask, Field, Input, InputMut, Leads, Paragraph};
use crate::domain::guard::ClaimCode;
use crate::domain::{Node, NodeId};
use crate::tui::model::Model;

/// Fewest characters of a serial that may stand at the end of a longer label, as in `1S7X06CTO1WWJ1003GK2`.
const LABEL_END: usize = 5;

/// Fewest characters that a beginning is looked for.
const BEGINNING: usize = 3;

/// Asks whose label this is.
#[derive(Debug)]
pub(in crate::tui) struct Jump {
    field: Field,
    /// What was found last: a frame asks more than once, and a rack may have 10,000 machines.
    last: RefCell<Option<Found>>,
}

/// What was found for a text at a time.
#[derive(Debug)]
struct Found {
    typed: String,
    seq: u64,
    result: Result<NodeId, String>,
}

/// How a machine fits what was typed, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It begins so.
    Begins,
    /// A label that ends with it.
    Ends,
    /// Just so.
    Whole,
}

/// What is written on labels, without what people and printers put between: capitals, colons, dashes, blanks.
fn bare(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Everything a label or a screen may say about a node.
fn labels(node: &Node) -> impl Iterator<Item = String> {
    let asked = node.request.as_ref().map(|asked| &asked.info.dmi);
    let reported = node.report.as_ref().map(|reported| &reported.report.dmi);
    let dmi = asked.into_iter().chain(reported).flat_map(|dmi| {
        [&dmi.serial, &dmi.asset_tag, &dmi.chassis_serial, &dmi.board_serial, &dmi.uuid].map(Option::as_ref)
    });
    let planned = node.plan.iter().flat_map(|entry| [entry.serial.as_ref(), entry.asset_tag.as_ref()]);
    let plan_ids = node.plan.iter().flat_map(|entry| {
        entry.uuid.map(|uuid| uuid.to_string()).into_iter().chain(entry.macs.iter().map(ToString::to_string))
    });
    let texts = dmi.chain(planned).flatten().map(ToString::to_string);
    let links = node.request.iter().flat_map(|asked| asked.info.links.iter().map(|link| link.mac.to_string()));
    let known = node.machine.uuid.map(|uuid| uuid.to_string());
    let macs = node.machine.macs.iter().map(ToString::to_string);
    let names = [ClaimCode::of(node.id).to_string(), node.name.host().to_owned(), node.name.to_string()];
    let all = texts.chain(plan_ids).chain(links).chain(known).chain(macs).chain(names).chain([node.id.to_string()]);
    all.map(|label| bare(&label)).filter(|label| !label.is_empty())
}

fn fit(node: &Node, typed: &str) -> Option<Fit> {
    let one = |label: String| match () {
        () if label == typed => Some(Fit::Whole),
        () if label.len() >= LABEL_END && typed.ends_with(&label) => Some(Fit::Ends),
        () if typed.len() >= BEGINNING && label.starts_with(typed) => Some(Fit::Begins),
        () => None,
    };
    labels(node).filter_map(one).max()
}

impl Jump {
    pub(super) fn new(typed: &str) -> Self {
        Self::with(Field::new("code or label", typed))
    }

    fn with(field: Field) -> Self {
        Self { field, last: RefCell::default() }
    }

    /// The one machine that fits best.
    fn found(&self, model: &Model) -> Result<NodeId, String> {
        let (typed, seq) = (self.field.value(), model.snapshot.seq);
        let mut last = self.last.borrow_mut();
        if let Some(known) = last.as_ref().filter(|last| last.typed == typed && last.seq == seq) {
            return known.result.clone();
        }
        let result = self.search(model);
        *last = Some(Found { typed: typed.to_owned(), seq, result: result.clone() });
        result
    }

    fn search(&self, model: &Model) -> Result<NodeId, String> {
        let typed = bare(self.field.value());
        if typed.is_empty() {
            return Err("type or scan something".to_owned());
        }
        let fits = model.snapshot.fleet.nodes().filter_map(|node| Some((fit(node, &typed)?, node)));
        let mut found: Vec<_> = fits.collect();
        let best = found.iter().map(|(fit, _)| *fit).max();
        found.retain(|(fit, _)| Some(*fit) == best);
        match found.as_slice() {
            [] => Err(format!("no machine shows `{}`; type or scan again", self.field.value().trim())),
            [(_, node)] => Ok(node.id),
            [(_, one), (_, other), more @ ..] => {
                let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
                Err(format!("fits {}, {}{more}; type more of it", one.name.host(), other.name.host()))
            }
        }
    }
}

impl Ask for Jump {
    fn title(&self) -> String {
        "Go to a machine".to_owned()
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let mut body = vec![Paragraph::plain(
            "The code on its screen, or scan its label: serial number, asset tag, UUID, MAC; a host name will do, too. \
             Enter, which scanners press by themselves, goes there.",
        )];
        let found = self.found(model).ok().and_then(|id| model.snapshot.fleet.node(id));
        body.extend(found.map(|node| Paragraph::strong(format!("{}, {}", node.name, node.phase.word()))));
        body
    }

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        self.found(model).map(Leads::GoTo)
    }

    fn missed(&mut self) {
        // The next label replaces this one.
        self.field.start_over();
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tui::fixture::busy_rack;

    #[rstest]
    #[case("S2HRNX0J403403", Some(3))]
    #[case("s2hrnx0j403403", Some(3))]
    #[case("SN: S2HRNX0J403403", Some(3))]
    #[case("1S7X06CTO1WWS2HRNX0J403403", Some(3))]
    #[case("b4-2e-99-ac-03-01", Some(3))]
    #[case("B42E99AC0301", Some(3))]
    #[case("f68d13f3-472b-4f1a-95a7-120b398a0703", Some(3))]
    #[case("pve-0703", Some(3))]
    #[case("m3", Some(3))]
    #[case("S2HRNX", None)]
    #[case("b42e99ac", None)]
    #[case("0000", None)]
    #[case("", None)]
    fn labels_lead_to_machines(#[case] typed: &str, #[case] expected: Option<u64>) {
        let model = busy_rack().model(80, 24);
        let jump = Jump::with(Field::new("", typed));
        assert_eq!(jump.found(&model).ok(), expected.map(NodeId));
    }

    #[test]
    fn a_claim_code_leads_to_its_machine() {
        let model = busy_rack().model(80, 24);
        for id in 1..=11 {
            let code = ClaimCode::of(NodeId(id)).to_string().to_lowercase();
            assert_eq!(Jump::with(Field::new("", &code)).found(&model), Ok(NodeId(id)));
        }
    }
}
