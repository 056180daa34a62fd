#!/usr/bin/env bash
# Runs every test of the project, and brings what they need: `./test.sh [FILTER…]` (docs/testing.md).
#
# Debian packages are installed only where this user is root or sudo asks no password (PROX_APT=no: never); everything
# else stays inside the checkout. What cannot be had is named, and its tests skipped; with CI=true it is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

is_ci() { [ "${CI:-}" = true ]; }
say() { printf '\n== %s\n' "$*"; }
die() { printf '\nerror: %s\n' "$*" >&2; exit 2; }

skipped=()
# lack WHAT: notes that tests of WHAT are skipped, or ends a run that may skip nothing.
lack() {
  if is_ci; then die "$1; with CI=true nothing may be skipped"; fi
  skipped+=("$1")
}

# Prints the prefix that makes a command run as root; fails where there is none.
root_prefix() {
  if [ "$(id -u)" = 0 ]; then echo env; elif sudo -n true 2>/dev/null; then echo 'sudo -n'; else return 1; fi
}

debian_packages() {
  local wanted=() root
  [ -x /usr/bin/ansible-playbook ] || wanted+=(ansible-core)
  [ -x /usr/sbin/sshd ] || wanted+=(openssh-server)
  command -v tmux >/dev/null || wanted+=(tmux)
  python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)
  [ ${#wanted[@]} -gt 0 ] || return 0

  local install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${wanted[@]}")
  if [ "${PROX_APT:-}" = no ] || ! command -v apt-get >/dev/null || ! root=$(root_prefix); then
    say "missing: ${wanted[*]}; for the tests that need them: sudo ${install[*]}"
    return 0
  fi
  say "installing Debian packages: ${wanted[*]}"
  if [[ " ${wanted[*]} " == *' openssh-server '* ]] && [ -d /run/systemd/system ]; then
    # The tests start an sshd of their own on loopback; this machine shall not begin to listen on port 22.
    $root systemctl mask ssh.service ssh.socket
    say "masked ssh.service, so that no SSH server starts; to have one: sudo systemctl unmask ssh.service ssh.socket"
  fi
  $root apt-get update -q -o DPkg::Lock::Timeout=300 || true
  $root env DEBIAN_FRONTEND=noninteractive "${install[@]}" || say "apt-get failed; going on with what is there"
}

# Makes `.tools/ansible`, unless it was made from the same requirements by the same Python for the same folder.
new_ansible() {
  local venv=.tools/ansible requirements=tests/requirements-ansible.txt made_from
  made_from=$(python3 --version; pwd; cat "$requirements")
  mkdir -p .tools
  exec 9>.tools/lock
  flock 9
  if [ "$(cat "$venv/made-from" 2>/dev/null)" != "$made_from" ]; then
    say "installing ansible-core and ansible-lint from PyPI into $venv"
    # A pip error must not stop the other tests; the missing program is noticed below.
    if python3 -m venv --clear "$venv" \
      && "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input --only-binary=:all: -r "$requirements"; then
      echo "$made_from" >"$venv/made-from"
    else
      rm -rf "$venv"
    fi
  fi
  exec 9>&-
}

# Tells the tests where things are (docs/testing.md); what is absent stays unset, and they skip.
environment() {
  PROX_CONFORMANCE=$(realpath -m "${PROX_CONFORMANCE:-../shared/conformance}")
  export PROX_CONFORMANCE
  [ -d "$PROX_CONFORMANCE" ] || lack "no conformance data in $PROX_CONFORMANCE (PROX_CONFORMANCE names the folder)"

  if [ -z "${PROX_ANSIBLE:-}" ]; then
    local found=() candidate
    for candidate in /usr/bin/ansible-playbook "$PWD/.tools/ansible/bin/ansible-playbook"; do
      if [ -x "$candidate" ]; then found+=("$candidate"); else lack "no Ansible at $candidate"; fi
    done
    PROX_ANSIBLE=$(IFS=:; echo "${found[*]}")
  fi
  if [ -n "$PROX_ANSIBLE" ]; then export PROX_ANSIBLE; else unset PROX_ANSIBLE; fi

  PROX_ANSIBLE_LINT=${PROX_ANSIBLE_LINT:-$PWD/.tools/ansible/bin/ansible-lint}
  if [ -x "$PROX_ANSIBLE_LINT" ]; then
    export PROX_ANSIBLE_LINT
  else
    lack "no ansible-lint at $PROX_ANSIBLE_LINT (it takes Python 3.11 or newer)"
    unset PROX_ANSIBLE_LINT
  fi

  PROX_SSHD=${PROX_SSHD:-/usr/sbin/sshd}
  if [ -x "$PROX_SSHD" ]; then
    export PROX_SSHD
    # An sshd started by root refuses to work without its empty folder, which only Debian's service makes.
    [ "$(id -u)" != 0 ] || mkdir -p -m 0755 /run/sshd
  else
    lack "no OpenSSH server at $PROX_SSHD"
    unset PROX_SSHD
  fi
  command -v tmux >/dev/null || lack "no tmux"

  # The tests decide what the programs under test see, not this shell.
  local name
  for name in $(compgen -e); do
    case $name in ANSIBLE_* | PROX_ORCHESTRATOR_* | SSH_AUTH_SOCK | NO_COLOR) unset "$name" ;; esac
  done
  export LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1
  if is_ci; then export INSTA_UPDATE=no; fi
}

# Adds up the summaries of nextest and of cargo test in the file $1: `N passed, N failed, N skipped`.
summary() {
  sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
    function count(word,   at) {
      return match($0, "[0-9]+ " word) ? substr($0, RSTART, RLENGTH) + 0 : 0
    }
    /^test result:|^ *Summary .*tests? run:/ {
      passed += count("passed"); failed += count("failed") + count("timed out"); skipped += count("(ignored|skipped)")
    }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }'
}

run_tests() {
  local output status=0
  output=$(mktemp)
  # shellcheck disable=SC2064 # the name is known now
  trap "rm -f '$output'" EXIT
  if cargo nextest --version >/dev/null 2>&1; then
    local profile=default
    if is_ci; then profile=ci; fi
    if [ $# = 0 ]; then
      say "examples in the documentation"
      cargo test --locked --doc 2>&1 | tee -a "$output" || status=$?
    fi
    say "cargo nextest"
    cargo nextest run --locked --no-tests pass --profile "$profile" "$@" 2>&1 | tee -a "$output" || status=$?
  else
    say "cargo test (cargo-nextest is not installed)"
    cargo test --locked --no-fail-fast "$@" 2>&1 | tee -a "$output" || status=$?
  fi
  echo
  [ ${#skipped[@]} = 0 ] || printf 'SKIPPED tests that need it: %s\n' "${skipped[@]}"
  [ $status = 0 ] || echo "FAILED: see above"
  summary "$output"
  return $status
}

command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs)"
command -v cc >/dev/null || die "a C compiler is missing: sudo apt-get install gcc libc6-dev"
command -v python3 >/dev/null || die "python3 is missing: sudo apt-get install python3"
debian_packages
new_ansible
environment
[ ${#skipped[@]} = 0 ] || { say "tests of these are SKIPPED:"; printf '  - %s\n' "${skipped[@]}"; }
run_tests "$@"
