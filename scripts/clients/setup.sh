#!/usr/bin/env bash
# Prepares the clients of other languages: a Python environment with
# confluent-kafka, python-socketio, httpx-sse, openai, mcp and Celery, kcat, the Java
# program, a Node directory with socket.io-client, EventSource clients, openai, ai,
# MCP's SDKs and TypeScript, Chromium, proxies and Redis. Can be run again at any time; what is
# there already is kept.
#
#   setup.sh [python] [kcat] [java] [node] [proxies] [redis] [chromium]     (all if none is named)
#
# Everything goes to ${TASKLANE_CACHE:-$HOME/.cache/tasklane}/clients, except
# kcat, Chromium, nginx, HAProxy and Redis, which are the system's own packages.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${TASKLANE_CACHE:-$HOME/.cache/tasklane}/clients"
mkdir -p "$cache"

# One set-up at a time: two would build into each other's directories.
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock 9
fi

need() {
  command -v "$1" >/dev/null || { echo "setup: $1 is missing: install $2 and run this again" >&2; exit 1; }
}

setup_python() {
  need python3 "Python 3.10 or newer"
  local venv="$cache/venv"
  if "$venv/bin/python" -c 'import confluent_kafka, socketio, websocket, requests, httpx_sse, openai, mcp.client.client, moto.server, celery, redis, py3langid, mypy, vermin' 2>/dev/null; then return; fi
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'confluent-kafka>=2.6,<3' 'python-socketio[client]>=5.11,<6' \
    'httpx>=0.27,<1' 'httpx-sse>=0.4,<1' 'openai>=3.57,<4' 'mcp>=2.3,<3' 'moto[server,s3]>=5.1,<6' \
    'celery[redis]>=5.7,<6' 'py3langid>=0.4,<0.5' 'mypy>=2.4,<3' 'vermin>=1.6,<2'
}

setup_node() {
  need node "Node 18 or newer"
  need npm "npm"
  local dir="$cache/node"
  if (cd "$dir" 2>/dev/null && node -e '["socket.io-client", "socket.io-client-2", "eventsource", "event-source-polyfill", "typescript", "openai", "ai", "@modelcontextprotocol/sdk/client/index.js", "@modelcontextprotocol/client"].forEach(require)' 2>/dev/null); then return; fi
  rm -rf "$dir"
  mkdir -p "$dir"
  npm install --silent --no-audit --no-fund --prefix "$dir" 'socket.io-client@^4.7' 'socket.io-client-2@npm:socket.io-client@^2.5' \
    'eventsource@^4' 'event-source-polyfill@^1.0.31' 'typescript@~5.9.3' 'openai@^7.59' 'ai@^7.0' \
    '@modelcontextprotocol/sdk@^1.32' '@modelcontextprotocol/client@^2.4'
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else need sudo sudo; sudo "$@"; fi
}

setup_kcat() {
  if command -v kcat >/dev/null; then return; fi
  if ! command -v apt-get >/dev/null; then
    echo "setup: kcat is missing and there is no apt-get: install kcat with your system's packages" >&2
    exit 1
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends kcat >/dev/null
}

# nginx and HAProxy, which the recipes of docs/NOTIFIER.md are tested with. They are not
# started as services.
setup_proxies() {
  if command -v nginx >/dev/null && command -v haproxy >/dev/null; then return; fi
  if ! command -v apt-get >/dev/null; then
    echo "setup: nginx or haproxy is missing and there is no apt-get: install both with your system's packages" >&2
    exit 1
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends nginx-light haproxy >/dev/null
}

# Redis, which Celery's own worker needs, beside which its results are compared.
setup_redis() {
  if command -v redis-server >/dev/null; then return; fi
  if ! command -v apt-get >/dev/null; then
    echo "setup: redis-server is missing and there is no apt-get: install it with your system's packages" >&2
    exit 1
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends redis-server >/dev/null
}

# Chromium, which the browser's client is tested in.
setup_chromium() {
  if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then return; fi
  if ! command -v apt-get >/dev/null; then
    echo "setup: chromium is missing and there is no apt-get: install it with your system's packages" >&2
    exit 1
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
}

setup_java() {
  need java "a JDK, 17 or newer"
  need mvn "Maven"
  local out="$cache/java" source stamp
  source=$(cat "$here/java/pom.xml" "$here"/java/src/main/java/tasklane/*.java | cksum)
  stamp="$out/built-from"
  if [ -f "$out/submit.jar" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$source" ]; then return; fi
  rm -rf "$out"
  mvn -q -B -f "$here/java/pom.xml" -Doutput.directory="$out" package
  echo "$source" >"$stamp"
}

[ $# -gt 0 ] || set -- python kcat java node proxies redis chromium
for client in "$@"; do
  case $client in
    python | kcat | java | node | proxies | redis | chromium) "setup_$client" ;;
    *) echo "setup: no client $client; there are python, kcat, java, node, proxies, redis and chromium" >&2; exit 2 ;;
  esac
done

echo "python: $cache/venv/bin/python $here/submit.py BROKERS TOPIC COUNT USER_PREFIX"
echo "kcat:   $here/kcat.sh BROKERS TOPIC COUNT USER_PREFIX"
echo "watch:  $cache/venv/bin/python $here/watch.py ADDRESS USER TRANSPORTS COUNT"
echo "        NODE_PATH=$cache/node/node_modules node $here/watch.cjs ADDRESS USER TRANSPORTS COUNT"
echo "java:   java -cp '$cache/java/submit.jar:$cache/java/libs/*' tasklane.Submit BROKERS TOPIC COUNT USER_PREFIX"
