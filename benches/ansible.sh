#!/usr/bin/env bash
# What watching a run costs, on this host: `benches/ansible.sh overhead|memory`.
#
# overhead: ansible-playbook with 200 local hosts and 20 debug tasks, with and without the callback plugin, in turn
#           (ANSIBLE names the program, ROUNDS how often; default 3).
# memory:   an engine follows a run that prints a million lines; what it has resident then (PROX names the program, default:
#           the release build; LINES_OF_OUTPUT the number).
# How long an event takes to its place in the grid: `cargo test --lib ansible::measure -- --ignored --nocapture`.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
engine= rack=
trap 'for pid in $rack $engine; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT

overhead() {
  local ansible=${ANSIBLE:-$(command -v ansible-playbook)} round with spent TIMEFORMAT='%R s, %U s + %S s of CPU'
  cd "$dir"
  for host in $(seq 200); do echo "h$host ansible_connection=local"; done >hosts
  { printf -- '- hosts: all\n  gather_facts: false\n  tasks:\n'
    for task in $(seq 20); do printf '  - name: Task %s\n    debug: {msg: x}\n' "$task"; done; } >site.yml
  "$ansible" --version | sed -n 1p
  export LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1 ANSIBLE_FORKS=5
  for round in $(seq "${ROUNDS:-3}"); do
    for with in without with; do
      rm -f events
      unset PROX_EVENTS
      [ "$with" = without ] || export PROX_EVENTS=$dir/events
      spent=$({ time ANSIBLE_CALLBACK_PLUGINS=$here/assets/ansible "$ansible" -i hosts site.yml >out 2>err; } 2>&1)
      echo "round $round, $with the plugin: $spent, $(cat events 2>/dev/null | wc -l) events"
    done
  done
}

memory() {
  local prox lines=${LINES_OF_OUTPUT:-1000000}
  prox=$(realpath "${PROX:-$here/target/release/prox-orchestrator}")
  cat >"$dir/ansible-playbook" <<SH
#!/bin/sh
[ "\$1" != --version ] || { echo 'ansible-playbook [core 2.19.0]'; exit; }
case "\$*" in *--syntax-check*|*--list-tasks*) exit ;; esac
awk 'BEGIN { for (n = 1; n <= $lines; n++) printf "ok: [node.lab.example] => line %d of a run that has much to tell, as Ansible prints it\n", n }'
SH
  chmod +x "$dir/ansible-playbook"
  cat >"$dir/config.toml" <<TOML
machine_net_mask = "8"
machine_net_dns = "192.0.2.53"
machine_net_gateway = "127.0.0.1"
[server]
listen = "127.0.0.1:18444"
[approval]
undo_window = "0s"
[ansible]
start = "by-hand"
command = "$dir/ansible-playbook"
ssh_port = 18445
TOML
  sed -n '/^\[global\]/,/^TOML/p' "$here/benches/load.sh" | grep -v TOML >"$dir/default.toml"
  "$prox" -C "$dir" serve >"$dir/out" 2>"$dir/err" &
  engine=$!
  until grep -q '^serving' "$dir/out"; do sleep 0.1; kill -0 "$engine"; done
  "$prox" simulate --url https://127.0.0.1:18444/answer --fingerprint "$(sed -n 's/^certificate fingerprint //p' "$dir/out")" \
    --count 1 --ssh-port 18445 --install-time 1s --reboot-time 1s --quiet >"$dir/figures" 2>&1 &
  rack=$!
  until "$prox" -C "$dir" nodes --json | grep -q '"phase": "ready"'; do "$prox" -C "$dir" approve --all >/dev/null; sleep 0.5; done
  resident() { awk '/^VmRSS/ { r = $2 } /^VmHWM/ { h = $2 } END { printf "%d MiB resident, %d MiB at most", r / 1024, h / 1024 }' "/proc/$engine/status"; }
  echo "before the run:          $(resident)"
  "$prox" -C "$dir" run >/dev/null
  until grep -q '^.*run r1 [a-z ]*\(succeeded\|failed\|not started\)' "$dir/out"; do sleep 0.2; done
  echo "after $(wc -l <"$dir/nodes/runs/r1/output.log") lines, $(stat -c %s "$dir/nodes/runs/r1/output.log") bytes: $(resident)"
}

case ${1:-} in
  overhead) overhead ;;
  memory) memory ;;
  *) sed -n '2,9p' "$0"; exit 2 ;;
esac
