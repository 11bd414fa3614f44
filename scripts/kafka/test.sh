#!/usr/bin/env bash
# Runs go test on an Apache Kafka that is started for it and stopped after it.
#
#   scripts/kafka/test.sh PACKAGE...
#
# Extra arguments for go test come from TASKLANE_TEST_FLAGS. With
# TASKLANE_KAFKA_SECURED=1 the Kafka has TLS, SASL and an authorizer, and the tests
# are told its other ports and its certificates.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

trap '"$here/down.sh" --wipe' EXIT
said="$("$here/up.sh" 1)"
brokers="$(sed -n 's/^brokers=//p' <<<"$said")"
if [[ "${TASKLANE_KAFKA_SECURED:-}" == 1 ]]; then
  # shellcheck source=scripts/kafka/lib.sh
  source "$here/lib.sh"
  # shellcheck disable=SC2154 # of lib.sh
  export TASKLANE_TEST_CERTS="$run_dir/certs"
  TASKLANE_TEST_SECURED="$(sed -n 's/^secured=//p' <<<"$said" | paste -sd, -)"
  export TASKLANE_TEST_SECURED
fi
[[ -n "$brokers" ]] || { echo "test.sh: up.sh named no brokers" >&2; exit 1; }

# Tests of several packages share the one broker: two at a time are enough.
# shellcheck disable=SC2086 # the flags are words
TASKLANE_TEST_BROKERS="$brokers" go test -count=1 -timeout 20m -p 2 ${TASKLANE_TEST_FLAGS:-} "$@"
