#!/usr/bin/env bash
# Stops what up.sh has started, and nothing else.
#
#   scripts/kafka/down.sh [--wipe]
#
# --wipe also removes the data, but not the downloaded jars.
set -euo pipefail
# shellcheck source=scripts/kafka/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -eq 0 || ($# -eq 1 && "$1" == --wipe) ]] || fail "usage: down.sh [--wipe]"

mapfile -t pids < <(recorded_pids)
stop_pids "${pids[@]}"
rm -f "$run_dir"/node-*/pid
if [[ "${1:-}" == --wipe && -f "$run_dir/nodes" ]]; then # only a directory of ours
  rm -rf "$run_dir"/node-* "$run_dir/certs" "$run_dir/nodes" "$run_dir/cluster-id"
  rmdir "$run_dir" 2>/dev/null || true
fi
say "stopped ${#pids[@]} node(s)"
