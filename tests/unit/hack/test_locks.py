"""The lock files are complete: no installation may ask an index what is newest today."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("file", ["hack/venv.sh", "Dockerfile", "hack/cluster/examples.Dockerfile"])
def test_nothing_is_resolved_when_a_lock_is_installed(file: str) -> None:
    installs = [line for line in (REPOSITORY / file).read_text().splitlines() if "--require-hashes" in line]
    assert installs
    assert [line for line in installs if "--no-deps" not in line] == []
