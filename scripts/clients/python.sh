#!/usr/bin/env bash
# Tests the Python package: types, the grammar of the oldest Python that it is for, and its own tests.
# `setup.sh python` installs what it needs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python="${TASKLANE_CACHE:-$HOME/.cache/tasklane}/clients/venv/bin/python"
cd "$here/../../clients/python"

"$python" -m mypy --cache-dir "${TASKLANE_CACHE:-$HOME/.cache/tasklane}/clients/mypy"
"${python%/*}/vermin" --target=3.9- --violations --no-tips --eval-annotations --backport typing tasklane
PYTHONDONTWRITEBYTECODE=1 "$python" -m unittest "$@"
