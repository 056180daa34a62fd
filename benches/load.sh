#!/usr/bin/env bash
# A rack of N machines against an engine, over TLS, on this host: `benches/load.sh N [held]`.
#
# Without `held`, whoever waits is approved all the time, as a ticket for all would do. With it, all N are held first,
# then approved by one order. Prints what docs/performance.md holds: answers a second, latencies, memory, the time of a
# start and what the engine costs when nothing happens. PROX names the program (default: the release build).
set -euo pipefail
count=${1:?usage: benches/load.sh N [held]}
mode=${2:-}
prox=$(realpath "${PROX:-$(dirname "$0")/../target/release/prox-orchestrator}")
dir=$(mktemp -d)
engine=
trap '[ -z "$engine" ] || kill "$engine" 2>/dev/null || true; rm -rf "$dir"' EXIT
ulimit -Sn "$(ulimit -Hn)"

cat >"$dir/config.toml" <<'TOML'
machine_net_mask = "8"
machine_net_dns = "192.0.2.53"
machine_net_gateway = "127.0.0.1"
[server]
listen = "127.0.0.1:18443"
max_held = 20000
hold = "50s"
[approval]
undo_window = "0s"
TOML
cp "$(dirname "$0")/../src/runtime/demo/default.toml" "$dir/default.toml"

now() { date +%s%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f s", (b - a) / 1e9 }'; }
memory() { awk '/^VmRSS/ { printf "%d MiB", $2 / 1024 }' "/proc/$engine/status"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$engine/stat"; }
cpu() { awk -v a="$1" -v b="$(ticks)" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f s of CPU", (b - a) / hz }'; }
# Not `nodes`: what it asks for holds all of them, and would count.
waiting() { local n; n=$("$prox" -C "$dir" status --json | sed -n "s/.*\"waiting\": \([0-9]*\).*/\1/p"); echo "${n:-0}"; }

start() {
  local begun
  begun=$(now)
  : >"$dir/out"
  "$prox" -C "$dir" serve >"$dir/out" 2>"$dir/err" &
  engine=$!
  until grep -q '^serving' "$dir/out"; do sleep 0.01; kill -0 "$engine"; done
  echo "start:                  $(since "$begun"), $(sed -n 's/ nodes known.*/ nodes/p' "$dir/out")"
}

start
fingerprint=$(sed -n 's/^certificate fingerprint //p' "$dir/out")
spent=$(ticks)
begun=$(now)
"$prox" simulate --url https://127.0.0.1:18443/answer --fingerprint "$fingerprint" \
  --count "$count" --answers-only --quiet >"$dir/figures" &
rack=$!
if [ "$mode" = held ]; then
  until [ "$(waiting)" -ge "$count" ]; do sleep 0.2; done
  echo "all held after:         $(since "$begun"), $(memory) resident, $(cpu "$spent")"
  spent=$(ticks)
  begun=$(now)
  "$prox" -C "$dir" approve --all >"$dir/approved"
  echo "approve --all returned: $(since "$begun")"
else
  while kill -0 "$rack" 2>/dev/null; do "$prox" -C "$dir" approve --all >>"$dir/approved"; sleep 0.1; done
fi
wait "$rack" || echo "the rack was not served: exit code $?"
echo "all answered after:     $(since "$begun"), $(memory) resident, $(cpu "$spent")"
cat "$dir/figures"

# The files under nodes/ come later, on purpose.
until "$prox" -C "$dir" nodes >/dev/null && [ "$(find "$dir/nodes" -name answer.toml | wc -l)" -ge "$count" ]; do sleep 0.5; done
echo "all files after:        $(since "$begun"), $(memory) resident, $(cpu "$spent")"
sleep 5
spent=$(ticks)
sleep 20
echo "idle for 20 s:          $(cpu "$spent"), $(memory) resident"
kill -KILL "$engine"
wait "$engine" 2>/dev/null || true
echo "after kill -9"
start
sleep 20
kill "$engine"
wait "$engine" || true
echo "after an orderly end"
start
sleep 20
spent=$(ticks)
sleep 20
echo "idle for 20 s:          $(cpu "$spent"), $(memory) resident"
