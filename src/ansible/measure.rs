//! How long an event of a real Ansible takes to its place in the grid:
//! `PROX_ANSIBLE=… cargo test --lib ansible::measure -- --ignored --nocapture` prints the figures of docs/performance.md. Not run
//! with the tests: it measures, and judges nothing.

use std::fs;
use std::process::Stdio;
use std::time::SystemTime;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::output::Feed;
use super::run_dir::RunDir;
use crate::domain::RunId;

const HOSTS: usize = 50;
const TASKS: usize = 20;
const RUN: RunId = RunId(1);

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn from_an_event_to_its_place_in_the_grid() {
    for program in crate::outside::ansibles() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunDir::new(dir.path(), RUN);
        fs::create_dir_all(folder.path()).unwrap();
        let hosts: Vec<_> = (0..HOSTS).map(|n| format!("h{n} ansible_connection=local\n")).collect();
        fs::write(dir.path().join("hosts"), hosts.concat()).unwrap();
        let tasks: Vec<_> = (0..TASKS).map(|n| format!("  - name: Task {n}\n    debug: {{msg: x}}\n")).collect();
        let tasks = tasks.concat();
        fs::write(dir.path().join("site.yml"), format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}"))
            .unwrap();
        let (feed, task) = Feed::new(dir.path().to_owned());
        let stop = CancellationToken::new();
        let filler = tokio::spawn(task.run(stop.clone()));
        feed.follow(RUN).await;
        let output = folder.open_output().unwrap();
        let mut command = tokio::process::Command::new(&program);
        command.args(["-i", "hosts", "site.yml"]).current_dir(dir.path()).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        command.env("PROX_EVENTS", folder.events()).env("LC_ALL", "C.UTF-8").env("PYTHONUNBUFFERED", "1");
        command.env("ANSIBLE_CALLBACK_PLUGINS", concat!(env!("CARGO_MANIFEST_DIR"), "/assets/ansible"));
        let mut child = command.spawn().unwrap();
        let (mut seen, mut generation) = (Vec::new(), feed.generation());
        loop {
            tokio::select! {
                _ = generation.changed() => {
                    let grid = feed.progress(RUN).map(|progress| std::sync::Arc::clone(&progress.grid));
                    let latest = grid.and_then(|grid| Some((now(), grid.span?.1, grid.is_complete)));
                    seen.extend(latest);
                    if latest.is_some_and(|(_, _, is_complete)| is_complete) {
                        break;
                    }
                }
                status = child.wait() => {
                    assert!(status.unwrap().success());
                    feed.finish(RUN).await;
                }
            }
        }
        let events = fs::read_to_string(folder.events()).unwrap();
        let times = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["ts"].as_f64().unwrap());
        let mut waited: Vec<f64> = times
            .filter_map(|ts| seen.iter().find(|(_, latest, _)| *latest >= ts).map(|(at, ..)| (at - ts) * 1_000.0))
            .collect();
        waited.sort_by(f64::total_cmp);
        let at = |part: usize| waited[(waited.len() - 1) * part / 100];
        println!(
            "{}: {} events: p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
            program.display(),
            waited.len(),
            at(50),
            at(99),
            at(100)
        );
        stop.cancel();
        filler.await.unwrap();
    }
}
