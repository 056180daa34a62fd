//! Installing a node once more: the one order that can destroy data, so its name is typed.

use super::{Ask, Field, Input, InputMut, Leads, Paragraph};
use crate::client::{OrderError, Preview};
use crate::domain::node::Stamp;
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;
use crate::tui::{offer, text};

/// Lines of what it would touch that leave room for the question on the smallest screen.
const MOST: usize = 3;

/// Asks for the name of the node that is to be wiped.
#[derive(Debug)]
pub(in crate::tui) struct Reinstall {
    node: NodeId,
    name: Fqdn,
    seen: Stamp,
    field: Field,
    /// What it would touch, as far as the engine has said it.
    touch: Option<Result<Vec<String>, String>>,
}

impl Reinstall {
    pub(super) fn new(node: &Node) -> Option<Self> {
        let seen = node.request.as_ref()?.stamp.clone();
        let field = Field::new("type the host name", "");
        Some(Self { node: node.id, name: node.name.clone(), seen, field, touch: None })
    }

    /// Takes in what the engine says it would touch.
    pub(super) fn learn(&mut self, node: NodeId, said: Result<&Preview, &OrderError>) {
        if node != self.node {
            return;
        }
        self.touch = Some(match said {
            Ok(Preview { problem: Some(problem), .. }) => Err(format!("no answer can be made: {problem}")),
            Ok(preview) => Ok(preview.touch.iter().chain(&preview.warnings).cloned().collect()),
            Err(error) => Err(format!("what it would touch is not known: {error}")),
        });
    }
}

impl Ask for Reinstall {
    fn title(&self) -> String {
        format!("Reinstall {}", self.name)
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let node = model.snapshot.fleet.node(self.node);
        let mut body = Vec::new();
        if let Some(node) = node {
            let given = node.answers.as_ref().map(|answers| text::age(answers.last, model.now));
            let given =
                given.map_or_else(|| "it is installed".to_owned(), |age| format!("it got its answer {age} ago"));
            let again = if offer::asks_again(node) { " and asks again" } else { "" };
            body.push(Paragraph::plain(format!("`{}` is {}: {given}{again}.", self.name, node.phase.word())));
            if offer::asks_again(node) {
                let hint = "If it only booted its medium again, remove the medium or set the disk first instead.";
                body.push(Paragraph::plain(hint));
            }
        }
        match &self.touch {
            None => body.push(Paragraph::muted("Looking up what it would touch …")),
            Some(Ok(lines)) => {
                body.extend(lines.iter().take(MOST).map(|line| Paragraph::strong(text::clean(line))));
                let more = lines.len().saturating_sub(MOST);
                body.extend((more > 0).then(|| Paragraph::strong(format!("… and {more} more; `p` lists all of them"))));
            }
            Some(Err(why)) => body.push(Paragraph::danger(text::clean(why))),
        }
        body.push(Paragraph::danger("A reinstall WIPES ITS DISKS. It is allowed once."));
        body
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let typed = self.field.value().trim().to_ascii_lowercase();
        if typed != self.name.as_str() {
            return Err(format!("type `{}` in full", self.name));
        }
        let order = Order::AllowReinstall { node: self.node, seen: self.seen.clone(), confirm: self.name.clone() };
        Ok(Leads::order(order, format!("`{}` may be installed once more", self.name)))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}
