#!/usr/bin/env bash
# Runs go test on an Apache Kafka that is started for it and stopped after it.
#
#   scripts/kafka/test.sh PACKAGE...
#
# Extra arguments for go test come from TASKLANE_TEST_FLAGS.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

trap '"$here/down.sh" --wipe' EXIT
brokers="$("$here/up.sh" 1 | sed -n 's/^brokers=//p')"
[[ -n "$brokers" ]] || { echo "test.sh: up.sh named no brokers" >&2; exit 1; }

# Tests of several packages share the one broker: two at a time are enough.
# shellcheck disable=SC2086 # the flags are words
TASKLANE_TEST_BROKERS="$brokers" go test -count=1 -timeout 20m -p 2 ${TASKLANE_TEST_FLAGS:-} "$@"
