#!/usr/bin/env bash
# Makes .venv from the pinned requirements, with Weft itself installed for editing. Usage: hack/venv.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $python is $("$python" -V 2>&1): Weft needs Python 3.11 or later (make PYTHON=python3.13 ...)" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' 2> /dev/null; then # Debian keeps it in a package of its own
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update -q > /dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-venv > /dev/null
    else
        echo "error: $python has no ensurepip: install python3-venv" >&2
        exit 1
    fi
fi

echo "==> installing the Python environment into .venv"
[ -x .venv/bin/python ] || "$python" -m venv .venv
# Not compiled ahead: half of the time goes into modules that nobody here imports.
pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile)
# The lists are complete: nothing is left to resolve, and no release of today can get in the way.
"${pip[@]}" --no-deps --require-hashes -r requirements.txt -r requirements-dev.txt
"${pip[@]}" --no-deps --no-build-isolation --editable .
.venv/bin/python -m pip check
touch .venv/.installed
