#!/usr/bin/env bash
# Runs the benchmark on the embedded broker and, where Java is there, on an
# Apache Kafka that is started for it and stopped after it. Arguments go to the
# benchmark: scripts/bench/run.sh --tasks 1000000
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$here/../.."

go run ./scripts/bench "$@"
if ! command -v java >/dev/null; then
  echo "no Java: not measured on Apache Kafka" >&2
  exit 0
fi
trap 'scripts/kafka/down.sh --wipe' EXIT
brokers="$(scripts/kafka/up.sh 1 | sed -n 's/^brokers=//p')"
[[ -n "$brokers" ]] || { echo "run.sh: up.sh named no brokers" >&2; exit 1; }
go run ./scripts/bench --brokers "$brokers" "$@"
