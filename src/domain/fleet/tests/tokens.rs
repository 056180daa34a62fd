//! Tokens in the hands of the operator.

use super::*;
use crate::domain::TokenHash;
use crate::domain::token::BadToken;

fn make(name: &str, expires: Option<Timestamp>) -> Order {
    let profile = Some("compute".into());
    Order::MakeToken { name: name.parse().unwrap(), hash: TokenHash::of(b"secret"), expires, profile }
}

#[test]
fn a_token_is_good_from_its_making_to_its_end() {
    let mut rack = Rack::new();
    let end = rack.now + Duration::from_mins(1);
    rack.order(make("rack-a", Some(end))).unwrap();
    let verify = |rack: &Rack| rack.fleet.verify_token("rack-a:secret", rack.now).map(|token| token.profile.clone());
    assert_eq!(verify(&rack), Ok(Some("compute".into())));
    rack.pass(Duration::from_mins(1));
    assert_eq!(verify(&rack), Err(BadToken::Expired("rack-a".parse().unwrap())));
    assert_eq!(rack.order(make("rack-a", None)), Err(Refusal::TokenExists("rack-a".parse().unwrap())));
    let name = "rack-a".parse().unwrap();
    rack.order(Order::RevokeToken { name }).unwrap();
    assert_eq!(verify(&rack), Err(BadToken::Unknown));
    let name = "rack-a".parse().unwrap();
    assert_eq!(rack.order(Order::RevokeToken { name }), Err(Refusal::UnknownToken("rack-a".parse().unwrap())));
    assert_eq!(rack.fleet.tokens().count(), 0);
}

#[test]
fn tokens_survive_being_stored() {
    let mut rack = Rack::new();
    rack.order(make("rack-a", None)).unwrap();
    let text = serde_json::to_string(&rack.fleet).unwrap();
    let read: Fleet = serde_json::from_str(&text).unwrap();
    assert_eq!(read.tokens().collect::<Vec<_>>(), rack.fleet.tokens().collect::<Vec<_>>());
    let before =
        text.replace(&format!(",\"tokens\":{}", &text[text.find("\"tokens\":").unwrap() + 9..text.len() - 1]), "");
    assert!(serde_json::from_str::<Fleet>(&before).unwrap().tokens().next().is_none(), "a state of an earlier release");
}

#[test]
fn the_row_says_which_token_the_machine_showed() {
    let mut rack = Rack::new();
    let token = Some("rack-a".parse().unwrap());
    let ask = Ask { token: token.clone(), ..box_a().ask() };
    rack.submit(&Command::Ask(ask)).unwrap();
    assert_eq!(rack.node(NodeId(1)).request.as_ref().unwrap().token, token);
    rack.ask(&box_a());
    assert_eq!(rack.node(NodeId(1)).request.as_ref().unwrap().token, None, "that of its last request");
}
