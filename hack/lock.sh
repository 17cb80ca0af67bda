#!/usr/bin/env bash
# Pins every dependency with its hashes: pyproject.toml and hack/requirements/*.in -> requirements*.txt.
# Works for every Python from 3.11 on. The tool is installed in a folder of its own and thrown away.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check uv

pin() { # SOURCE TARGET [OPTION...]
    "$tools/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url "${@:3}" "$1" --output-file "$2"
    # Packages only: where they come from is the reader's own setting.
    sed -i '/^--/d' "$2"
    sed -i "1i # Made by \`make lock\` from $1." "$2"
    echo "$2: $(grep -c == "$2") packages"
}

pin pyproject.toml requirements.txt "$@"
pin hack/requirements/dev.in requirements-dev.txt --constraint requirements.txt "$@"
pin hack/requirements/build.in requirements-build.txt --constraint requirements-dev.txt "$@"
pin hack/requirements/examples.in hack/requirements/examples.txt --no-deps "$@"
