//! All that the operator can choose about a node, on one page: judged while it is typed, and ordered as one.

use super::field::Field;
use super::sheet::{Sheet, SheetLine};
use super::{Ask, Input, InputMut, Leads, Paragraph, if_seen, judged, parse_address, parse_name};
use crate::domain::text::Text;
use crate::domain::{Changes, Fqdn, MacAddr, Node, NodeId, Order, ProfileWish};
use crate::tui::model::Model;

// The lines of the sheet.
const NAME: usize = 0;
const ADDRESS: usize = 1;
const PROFILE: usize = 2;
const NIC: usize = 3;
const NOTE: usize = 4;

/// Asks what is to be different about a node.
#[derive(Debug)]
pub(in crate::tui) struct Edit {
    node: NodeId,
    name: Fqdn,
    /// The row on the screen when the form opened.
    revision: u64,
    address: String,
    note: Text,
    profiles: Vec<ProfileWish>,
    nics: Vec<Option<MacAddr>>,
    sheet: Sheet,
}

/// The profiles that can be chosen, with their words; `now` is among them, whether it is a file or not.
pub(in crate::tui) fn profiles(model: &Model, now: Option<&ProfileWish>) -> (Vec<ProfileWish>, Vec<String>) {
    let known = model.snapshot.service.profiles.iter().cloned().map(ProfileWish::Named);
    let mut wishes: Vec<_> = [ProfileWish::ByRules, ProfileWish::Without].into_iter().chain(known).collect();
    if let Some(now) = now.filter(|now| !wishes.contains(now)) {
        wishes.push(now.clone());
    }
    let words = wishes.iter().map(profile_words).collect();
    (wishes, words)
}

/// A profile in words.
pub(in crate::tui) fn profile_words(wish: &ProfileWish) -> String {
    match wish {
        ProfileWish::ByRules => "the one that fits it".to_owned(),
        ProfileWish::Without => "none".to_owned(),
        ProfileWish::Named(name) => name.to_string(),
    }
}

impl Edit {
    pub(super) fn new(node: &Node, model: &Model) -> Self {
        let is_to_come = node.is_to_be_installed();
        let address = if is_to_come { node.fixed_address() } else { node.address };
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        let now = ProfileWish::from(node.profile.clone());
        let (wishes, words) = profiles(model, Some(&now));
        let chosen = wishes.iter().position(|wish| *wish == now).unwrap_or_default();
        let (nics, nic_words) = nics(node);
        let nic = nics.iter().position(|mac| *mac == node.nic).unwrap_or_default();
        let sheet = Sheet::new(vec![
            SheetLine::Text(Field::new("Host name", node.name.as_str())),
            SheetLine::Text(Field::new("Address", &address)),
            SheetLine::Choice { label: "Profile", choices: words, chosen },
            SheetLine::Choice { label: "NIC", choices: nic_words, chosen: nic },
            SheetLine::Text(Field::new("Note", node.note.as_str())),
        ]);
        let (name, note) = (node.name.clone(), node.note.clone());
        Self { node: node.id, name, revision: node.revision, address, note, profiles: wishes, nics, sheet }
    }

    /// What differs from the node as it is.
    fn changes(&self, node: &Node) -> Result<Changes, String> {
        let typed = |line| self.sheet.text(line).trim();
        let name = parse_name(typed(NAME))?;
        let address = match typed(ADDRESS) {
            same if same == self.address => None,
            "" => return Err("an address cannot be taken back; type another one".to_owned()),
            other => Some(parse_address(other)?),
        };
        let profile = self.profiles.get(self.sheet.chosen(PROFILE)).cloned().unwrap_or_default();
        let nic = self.nics.get(self.sheet.chosen(NIC)).copied().flatten();
        let note = Text::new(typed(NOTE));
        Ok(Changes {
            name: Some(name).filter(|name| *name != self.name),
            address,
            profile: Some(profile).filter(|profile| *profile != ProfileWish::from(node.profile.clone())),
            nic: nic.filter(|mac| node.nic != Some(*mac)),
            note: Some(note).filter(|note| *note != self.note),
        })
    }
}

/// The NICs that can be chosen; the first choice where none was made yet.
fn nics(node: &Node) -> (Vec<Option<MacAddr>>, Vec<String>) {
    let links = node.request.as_ref().map(|asked| asked.info.links.as_slice()).unwrap_or_default();
    let chosen = links.iter().map(|link| (Some(link.mac), format!("{} {}", link.mac, link.name)));
    let asking = node.request.as_ref().and_then(|asked| asked.asking_mac);
    let default = match asking {
        _ if links.is_empty() => "not known before it asks".to_owned(),
        Some(mac) => format!("the one it asked through ({mac})"),
        None => "as the configuration says".to_owned(),
    };
    // Once one was chosen there is no way back to none.
    let none = node.nic.is_none().then_some((None, default));
    none.into_iter().chain(chosen).unzip()
}

impl Ask for Edit {
    fn title(&self) -> String {
        format!("Edit {}", self.name)
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let Some(node) = model.snapshot.fleet.node(self.node) else {
            return vec![Paragraph::danger("It is gone; somebody forgot it.")];
        };
        // On a small screen the reason why something will not do matters more.
        if model.size.height < 20 {
            return Vec::new();
        }
        let words = if node.phase.is_before_answer() {
            "What it is installed with. The note is yours alone: the table, `/` and `nodes --json` show it."
        } else if node.phase.is_installed() {
            "It is installed: the name stays; the address is where SSH and Ansible reach it."
        } else {
            "It has its answer: the name stays; the address is where SSH and Ansible will reach it."
        };
        vec![Paragraph::plain(words)]
    }

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        let node = model.snapshot.fleet.node(self.node).ok_or_else(|| "it is gone".to_owned())?;
        let changes = self.changes(node)?;
        if changes == Changes::default() {
            return Err("nothing is different yet".to_owned());
        }
        let edit = Order::Edit { node: self.node, changes: Box::new(changes) };
        judged(model, if_seen((self.node, self.revision), edit), format!("`{}` is changed", self.name))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Sheet(&self.sheet))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Sheet(&mut self.sheet))
    }
}
