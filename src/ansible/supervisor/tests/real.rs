//! The same with real Ansible: every `ansible-playbook` that `PROX_ANSIBLE` lists, separated by `:`. Old and new ones
//! differ in signals and messages (ANSIBLE.md §4), so the list should hold one of each generation.

use super::*;
use crate::outside::ansibles;

/// Runs `playbook` on one node with a local connection and hands the engine to `during` once Ansible plays.
async fn play(program: PathBuf, playbook: &str, during: impl AsyncFn(&Engine)) -> (RunOutcome, Engine, Project) {
    let dir = Project::new();
    let engine = Engine::start(dir.path(), Some(program), StopTimes::default());
    let name = engine.ready_node().await;
    let hostile = r#"{"__ansible_unsafe": "{{ lookup('pipe', 'touch hacked') }}"}"#;
    let inventory = format!(
        r#"{{"all":{{"vars":{{"ansible_connection":"local","ansible_python_interpreter":"/usr/bin/python3"}},
           "children":{{"pve":{{"hosts":{{"{name}":{{"model":{hostile}}}}}}},"pbs":{{"hosts":{{}}}}}}}}}}"#
    );
    put(&dir.path().join("nodes/dynamic-inventory.json"), inventory.as_bytes(), 0o644);
    put(&dir.path().join("play.yml"), playbook.as_bytes(), 0o644);
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    during(&engine).await;
    (engine.until_ended().await, engine, dir)
}

async fn nothing(_: &Engine) {}

#[tokio::test]
async fn real_ansible_configures_a_node_and_tells_its_events() {
    for program in ansibles() {
        let playbook = "- hosts: pve\n  gather_facts: false\n  tasks:\n  - name: greet\n    ansible.builtin.command: echo {{ model | quote }}\n";
        let (outcome, engine, dir) = play(program, playbook, nothing).await;
        assert_eq!(outcome, RunOutcome::Succeeded);
        assert_eq!(engine.phase(), Phase::Configured);
        assert!(!dir.path().join("hacked").exists());
        let events = std::fs::read_to_string(engine.run_dir().events()).unwrap();
        for event in ["playbook_start", "play_start", "task_start", "host_start", "host_ok", "stats"] {
            assert!(events.contains(&format!("\"ev\": \"{event}\"")), "{event} is missing in {events}");
        }
        let lines = engine.feed.read(RUN, 0, 1000).lines;
        assert!(lines.iter().any(|line| line.contains("\u{1b}[0;33mchanged")), "colours are forced: {lines:?}");
        engine.crash().await;
    }
}

#[tokio::test]
async fn real_failures_have_their_reason() {
    let failing =
        "- hosts: pve\n  gather_facts: false\n  tasks:\n  - name: join\n    ansible.builtin.fail: {msg: no quorum}\n";
    let asking = "- hosts: pve\n  gather_facts: false\n  vars_prompt: [{name: disk}]\n  tasks: []\n";
    let elsewhere = "- hosts: pbs\n  gather_facts: false\n  tasks: []\n";
    for program in ansibles() {
        for (playbook, word, words) in [
            (failing, "failed", "join: no quorum"),
            (elsewhere, "not started", "matched none of the nodes"),
            ("- hosts: pve\n  tasks:\n  - no.such.module:\n", "not started", "no.such.module"),
            ("- hosts: [pve\n", "not started", "exit code 4"),
            (asking, "not started", "asks for `disk`, and nobody can answer"),
        ] {
            let (outcome, engine, _dir) = play(program.clone(), playbook, nothing).await;
            assert_eq!(outcome.word(), word, "{outcome:?}");
            assert!(outcome.reason().is_some_and(|reason| reason.as_str().contains(words)), "{outcome:?}");
            engine.crash().await;
        }
    }
}

#[tokio::test]
async fn real_ansible_stops_and_leaves_nothing() {
    // An interrupt while a worker is being forked can get lost in Ansible, so this one waits for the module to run.
    let playbook = "- hosts: pve\n  gather_facts: false\n  tasks:\n  - name: sleep\n    \
                    ansible.builtin.shell: touch {{ playbook_dir }}/started; sleep 1000\n";
    for program in ansibles() {
        let stop = async |engine: &Engine| {
            engine.until_running().await;
            wait_until(|| engine.dir.join("started").exists()).await;
            engine.order(Order::Cancel).await;
        };
        let (outcome, engine, _dir) = play(program, playbook, stop).await;
        assert_eq!(outcome, RunOutcome::Cancelled);
        wait_until(|| engine.survivors() == 0).await;
        engine.crash().await;
    }
}
