//! The layers of one machine: whose word counts, and what keeps its answer from leaving.

use super::*;
use crate::answer::Profile;
use crate::domain::TokenHash;
use crate::domain::node::Flag;

impl Bench {
    /// Writes the override of a node.
    fn write_override(&self, node: &Node, text: &str) {
        let folder = self.state_dir.path().join("nodes").join(node.name.as_str());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("override.toml"), text).unwrap();
    }
}

#[tokio::test]
async fn the_operators_address_and_nic_go_before_every_file() {
    let bench = Bench::new(Setup::default()).await;
    let machine = bench.post_answer(7).await;
    let node = only(&*bench.until_held(1).await);
    bench.write_override(&node, "[network]\ncidr = \"127.0.0.66/24\"\nfilter.INTERFACE = \"en*\"\n");
    bench.order(Order::SetAddress { node: node.id, address: [127, 0, 0, 77].into() }).await.unwrap();
    let mac = "02:00:5e:00:00:07".parse().unwrap();
    bench.order(Order::ChooseNic { node: node.id, mac }).await.unwrap();
    bench.approve(node.id).await;
    let answer = machine.await.unwrap().answer();
    assert_eq!(answer["network"]["cidr"].as_str(), Some("127.0.0.77/24"));
    let filter = answer["network"]["filter"].as_table_like().unwrap();
    let filter: Vec<_> = filter.iter().map(|(key, value)| (key, value.as_str().unwrap())).collect();
    assert_eq!(filter, [("ID_NET_NAME_MAC", "*02005e000007")]);
    assert_eq!(only(&bench.handle.snapshot()).address, Some([127, 0, 0, 77].into()));
    bench.end().await;
}

#[tokio::test]
async fn an_override_cannot_give_the_gateways_address() {
    let bench = Bench::new(Setup::default()).await;
    let machine = bench.post_answer(7).await;
    let node = only(&*bench.until_held(1).await);
    bench.write_override(&node, "[network]\ncidr = \"127.0.0.254/24\"\n");
    bench.approve(node.id).await;
    assert_eq!(machine.await.unwrap().screen(), "ADDRESS 127.0.0.254 UNFIT - see console");
    let flags = only(&bench.handle.snapshot()).flags;
    let said = |flag: &Flag| matches!(flag, Flag::CannotAnswer { reason } if reason.as_str().contains("gateway's"));
    assert!(flags.iter().any(said), "{flags:?}");
    bench.end().await;
}

#[tokio::test]
async fn a_medium_tells_by_its_token_which_profile_names_the_machine() {
    let bench = Bench::new(Setup { hold: Duration::from_millis(50), ..Setup::default() }).await;
    let profile = |name: &str, text: &str| Profile::parse(name, name, text).unwrap();
    let named = profile("rack-a", "[global]\nfqdn = \"r7-{{ counter('r7') }}.lab.example\"\n");
    bench.kit.send_modify(|kit| Arc::make_mut(kit).profiles = Profiles::new([named]));
    let token = Order::MakeToken {
        name: "rack-a".parse().unwrap(),
        hash: TokenHash::of(b"secret"),
        expires: None,
        profile: Some("rack-a".into()),
    };
    bench.order(token).await.unwrap();
    let request = String::from_utf8(post("/answer", &body_of(7))).unwrap();
    let request = request.replacen("\r\n", "\r\nauthorization: Bearer rack-a:secret\r\n", 1);
    bench.send(7, request.as_bytes()).await;
    assert_eq!(only(&bench.handle.snapshot()).name.as_str(), "r7-1.lab.example");
    bench.end().await;
}

#[tokio::test]
async fn what_a_profile_says_of_the_network_is_known_when_its_machine_asks() {
    let bench = Bench::new(Setup { hold: Duration::from_millis(50), ..Setup::default() }).await;
    let text = "[match]\n\"/dmi/system/serial\" = \"SN7\"\n[network]\nsource = \"from-dhcp\"\n";
    let profiles = Profiles::new([Profile::parse("by-dhcp", "by-dhcp", text).unwrap()]);
    bench.kit.send_modify(|kit| Arc::make_mut(kit).profiles = profiles);
    bench.send(7, &post("/answer", &body_of(7))).await;
    let node = only(&bench.handle.snapshot());
    assert_eq!(node.request.as_ref().unwrap().own.unwrap().dhcp, Some(true));
    bench.write_override(&node, "[network]\nsource = \"from-answer\"\nfilter.INTERFACE = \"en*\"\n");
    bench.send(7, &post("/answer", &body_of(7))).await;
    let own = only(&bench.handle.snapshot()).request.unwrap().own.unwrap();
    assert_eq!((own.dhcp, own.filter), (None, Some(true)));
    bench.end().await;
}

#[tokio::test]
async fn counters_may_follow_from_each_other() {
    let bench = Bench::new(Setup::default()).await;
    let machine = bench.post_answer(7).await;
    let node = only(&*bench.until_held(1).await);
    let chain = (0..5).fold("'x'".to_owned(), |name, depth| format!("('c{depth}-' ~ counter({name}))"));
    bench.write_override(&node, &format!("[network]\ncidr = \"127.0.0.{{{{ counter({chain}, start=40) }}}}/24\"\n"));
    let previewer = Previewer::new(bench.kit.subscribe(), bench.state_dir.path().to_owned());
    let preview = previewer.preview(&bench.handle.snapshot(), node.id).await.unwrap();
    assert!(preview.text.contains("cidr = \"127.0.0.40/24\""), "{preview:?}");
    assert_eq!(only(&bench.handle.snapshot()).counters.len(), 0, "a preview takes none");
    bench.approve(node.id).await;
    assert_eq!(machine.await.unwrap().answer()["network"]["cidr"].as_str(), Some("127.0.0.40/24"));
    assert_eq!(only(&bench.handle.snapshot()).counters.len(), 6);
    bench.end().await;
}
