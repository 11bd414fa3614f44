#!/usr/bin/env bash
# Starts Apache Kafka without containers, for tests: one node, or three.
#
#   scripts/kafka/up.sh [1|3]
#
# Prints brokers=HOST:PORT[,...] on standard output when all nodes answer.
# Needs Java 17 and, the first time, Maven. Running it again when the cluster is
# up only prints the line; after a kill -9 it starts what is missing on the data
# that is there. Environment: TASKLANE_KAFKA_DIR (data, default .kafka),
# TASKLANE_KAFKA_PORT (default 19092), TASKLANE_CACHE (jars).
#
# With TASKLANE_KAFKA_SECURED=1 (one node) there are TLS, SASL and an authorizer
# as well, see secured.properties.in, and three more lines: secured=HOST:PORT for
# SASL with TLS, then for client certificates, then for SCRAM without TLS. The
# certificates are made with openssl, in certs/ of the data directory.
set -euo pipefail
# shellcheck source=scripts/kafka/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

nodes="${1:-1}"
[[ "$nodes" == 1 || "$nodes" == 3 ]] || fail "usage: up.sh [1|3]"

# download fetches the jars into a directory beside the final one and moves it
# there when complete, so that an interrupted download is not taken for a whole.
download() {
  [[ -d "$cache/libs" ]] && return
  command -v mvn >/dev/null || fail "Maven is needed to download Apache Kafka"
  say "downloading Apache Kafka $version to $cache"
  mkdir -p "$cache"
  local part
  part="$(mktemp -d "$cache/part.XXXXXX")"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -Dkafka.version="$version" \
    -Dstyle.color=never -DoutputDirectory="$part" >&2 || fail "download failed"
  mv -T "$part" "$cache/libs" 2>/dev/null || rm -rf "$part" # another process was first
}

java_kafka() {
  java -cp "$cache/libs/*" -Dlog4j2.configurationFile="$here/log4j2.properties" "$@"
}

# same_size refuses a data directory that was made for another number of nodes.
same_size() {
  local was
  mkdir -p "$run_dir"
  if [[ -f "$run_dir/nodes" ]]; then
    was="$(cat "$run_dir/nodes")"
    [[ "$was" == "$nodes" ]] || fail "$run_dir holds a cluster of $was; run down.sh --wipe first"
  fi
  echo "$nodes" >"$run_dir/nodes"
  [[ -s "$run_dir/cluster-id" ]] ||
    java_kafka kafka.tools.StorageTool random-uuid >"$run_dir/cluster-id"
}

# configure N: writes the configuration of node N and formats its data directory.
configure() {
  local node="$1" dir="$run_dir/node-$1" voters="" i port
  local controlled=false min_isr=1
  for ((i = 1; i <= nodes; i++)); do
    voters+="${voters:+,}$i@127.0.0.1:$(($(node_port "$i") + 1))"
  done
  if ((nodes == 3)); then controlled=true min_isr=2; fi
  port="$(node_port "$node")"
  mkdir -p "$dir"
  sed -e "s|@NODE@|$node|" -e "s|@VOTERS@|$voters|" -e "s|@PORT@|$port|g" \
    -e "s|@CONTROLLER_PORT@|$((port + 1))|" -e "s|@DATA@|$dir/data|" \
    -e "s|@COPIES@|$nodes|" -e "s|@MIN_ISR@|$min_isr|" \
    -e "s|@CONTROLLED_SHUTDOWN@|$controlled|" \
    "$here/server.properties.in" >"$dir/server.properties"
  if secured; then secure "$dir/server.properties" "$port"; fi
  [[ -f "$dir/data/meta.properties" ]] ||
    java_kafka kafka.tools.StorageTool format -t "$(cat "$run_dir/cluster-id")" \
      -c "$dir/server.properties" >>"$dir/server.log" 2>&1 ||
    fail "could not format $dir/data, see $dir/server.log"
}

# secured: whether TLS, SASL and ACLs are asked for.
secured() { [[ "${TASKLANE_KAFKA_SECURED:-}" == 1 ]]; }

# secured_port KIND: where the listener of that number serves.
secured_port() { echo $(($(node_port 1) + 1 + $1)); }

# secure FILE PORT: adds the listeners to a node's configuration.
secure() {
  local certs="$run_dir/certs"
  [[ -f "$certs/broker.pem" ]] || certificates "$certs"
  sed -e "s|@PORT@|$2|g" -e "s|@CONTROLLER_PORT@|$(($2 + 1))|g" -e "s|@SASL_PORT@|$(secured_port 1)|g" \
    -e "s|@SSL_PORT@|$(secured_port 2)|g" -e "s|@SCRAM_PORT@|$(secured_port 3)|g" -e "s|@CERTS@|$certs|g" \
    "$here/secured.properties.in" >>"$1"
}

# certificates DIR: an authority, and with it one certificate for the broker and
# one for the client called mtls.
certificates() {
  local name
  mkdir -p "$1"
  openssl req -x509 -newkey rsa:2048 -noenc -days 30 -subj "/CN=test authority" -keyout "$1/ca.key" -out "$1/ca.pem" 2>/dev/null ||
    fail "openssl could not make certificates"
  for name in broker mtls; do
    openssl req -newkey rsa:2048 -noenc -subj "/CN=$name" -keyout "$1/$name.key" -out "$1/$name.csr" 2>/dev/null
    openssl x509 -req -in "$1/$name.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 30 -out "$1/$name.crt" \
      -extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost") 2>/dev/null
  done
  cat "$1/broker.key" "$1/broker.crt" >"$1/broker.pem"
}

# start N: starts node N unless it runs.
start() {
  local dir="$run_dir/node-$1" port
  if [[ -f "$dir/pid" ]] && is_ours "$(cat "$dir/pid")"; then return; fi
  port="$(node_port "$1")"
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "port $port is taken; set TASKLANE_KAFKA_PORT"
  fi
  nohup java -Xms256m -Xmx768m -XX:+ExitOnOutOfMemoryError -cp "$cache/libs/*" \
    -Dlog4j2.configurationFile="$here/log4j2.properties" \
    kafka.Kafka "$dir/server.properties" >>"$dir/server.log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
}

# ask PORT BYTES: sends a request and prints the first 12 bytes of the answer in
# hex; fails if nobody listens.
ask() {
  {
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf '%b' "$2" >&3
    timeout 2 head -c 12 <&3 | od -An -tx1 | tr -d ' \n'
    exec 3>&-
  } 2>/dev/null
}

# brokers_known PORT: how many brokers the node there knows of. An open port is
# not enough: a node accepts connections before it has joined the others.
brokers_known() {
  local answer
  # A metadata request: size 14, api key 3, version 1, correlation id 7, no
  # client id, no topics. The answer: size, correlation id, number of brokers.
  answer="$(ask "$1" '\0\0\0\016\0\03\0\01\0\0\0\07\0377\0377\0\0\0\0')" || return 1
  [[ "${answer:8:8}" == 00000007 ]] && echo $((16#${answer:16:8}))
}

# wait_ready N: waits until node N answers and knows all nodes.
wait_ready() {
  local dir="$run_dir/node-$1" port deadline=$((SECONDS + 90))
  port="$(node_port "$1")"
  until [[ "$(brokers_known "$port")" == "$nodes" ]]; do
    is_ours "$(cat "$dir/pid")" || fail "node $1 ended, see $dir/server.log"
    ((SECONDS < deadline)) || fail "node $1 is not ready after 90 s, see $dir/server.log"
    sleep 0.1
  done
}

download
same_size
for ((n = 1; n <= nodes; n++)); do configure "$n"; done
for ((n = 1; n <= nodes; n++)); do start "$n"; done
brokers=""
for ((n = 1; n <= nodes; n++)); do
  wait_ready "$n"
  brokers+="${brokers:+,}127.0.0.1:$(node_port "$n")"
done
echo "brokers=$brokers"
if secured; then
  for n in 1 2 3; do echo "secured=127.0.0.1:$(secured_port "$n")"; done
fi
