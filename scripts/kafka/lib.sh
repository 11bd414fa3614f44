# Shared by up.sh and down.sh; not to be run by itself.
# shellcheck shell=bash

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repo="$(cd "$here/../.." && pwd)"

# shellcheck disable=SC2034 # used by the scripts that source this
version=4.4.0
cache="${TASKLANE_CACHE:-$HOME/.cache/tasklane}/kafka-$version"
run_dir="$(realpath -m "${TASKLANE_KAFKA_DIR:-$repo/.kafka}")"
base_port="${TASKLANE_KAFKA_PORT:-19092}"

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$(basename "$0"): $*"
  exit 1
}

# node_port N: where node N serves clients. Its controller is one port higher.
node_port() { echo $((base_port + ($1 - 1) * 10)); }

# is_ours PID: whether the process is a Kafka of this directory. The number in a
# file may by now belong to something else.
is_ours() {
  [[ -n "$1" ]] && kill -0 "$1" 2>/dev/null &&
    tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -- "$run_dir/"
}

# recorded_pids: the processes that up.sh has started and that still run.
recorded_pids() {
  local file pid
  for file in "$run_dir"/node-*/pid; do
    [[ -f "$file" ]] || continue
    pid="$(cat "$file")"
    if is_ours "$pid"; then echo "$pid"; fi
  done
}

# stop_pids PID...: SIGTERM, and SIGKILL to those that are still there 20 s later.
stop_pids() {
  local pid deadline=$((SECONDS + 20))
  for pid in "$@"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "$@"; do
    while kill -0 "$pid" 2>/dev/null; do
      if ((SECONDS >= deadline)); then
        say "process $pid did not stop; killing it"
        kill -KILL "$pid" 2>/dev/null || true
      fi
      sleep 0.1
    done
  done
}
