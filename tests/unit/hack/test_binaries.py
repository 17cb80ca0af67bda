"""Which program is the right one: versions are read from go.mod and from what programs say."""

import stat
from pathlib import Path

import pytest

from hack.cluster import binaries
from hack.cluster.settings import ClusterError

GO_MOD = """\
module weft.dev/cluster/kubernetes

require k8s.io/kubernetes v1.35.4

require (
\tgo.etcd.io/etcd/server/v3 v3.6.5 // indirect
\tk8s.io/api v0.35.4 // indirect
)
"""


@pytest.mark.parametrize(
    ("module", "version"), [("k8s.io/kubernetes", "1.35.4"), ("go.etcd.io/etcd/server/v3", "3.6.5")]
)
def test_versions_are_read_from_go_mod(module: str, version: str) -> None:
    assert binaries.required_version(GO_MOD, module) == version


def test_a_module_that_is_not_required_is_named() -> None:
    with pytest.raises(ClusterError, match=r"sigs\.k8s\.io/kwok"):
        binaries.required_version(GO_MOD, "sigs.k8s.io/kwok")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Kubernetes v1.35.4", True),
        ("Client Version: v1.35.4\nKustomize Version: v5.7.1", True),
        ("etcd Version: 1.35.4\nGit SHA: x", True),
        ("Kubernetes v1.35.40", False),
        ("Kubernetes v1.35.4-dirty", False),
        ("Kubernetes v1.35.4.1", False),
        ("Kubernetes v11.35.4", False),
        ("Client Version: v1.32.9-dispatcher", False),
        ("", False),
    ],
)
def test_only_the_very_version_counts(text: str, same: bool) -> None:
    assert binaries.mentions_version(text, "1.35.4") is same


@pytest.mark.parametrize("group", binaries.SETS, ids=lambda group: group.name)
def test_every_set_is_pinned(group: binaries.Set) -> None:
    assert group.version[0].isdigit()
    assert (group.folder / "go.sum").stat().st_size > 0


def test_a_program_in_the_cache_is_linked_where_people_look(tmp_path: Path) -> None:
    group = next(group for group in binaries.SETS if group.name == "kwok")
    program = group.cache(tmp_path) / "kwok"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    assert binaries.locate(tmp_path, ["kwok"]) == {"kwok": program}
    assert (tmp_path / "bin" / "kwok").resolve() == program


@pytest.mark.parametrize(("said", "taken"), [("v{version}", True), ("v0.0.1", False)])
def test_path_is_asked_first_but_must_have_the_right_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, taken: bool
) -> None:
    group = next(group for group in binaries.SETS if group.name == "helm")
    on_path = tmp_path / "path" / "helm"
    cached = group.cache(tmp_path) / "helm"
    for file in (on_path, cached):
        file.parent.mkdir(parents=True)
        file.write_text(f"#!/bin/sh\necho {said.format(version=group.version)}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(on_path.parent), prepend=":")
    assert binaries.locate(tmp_path, ["helm"])["helm"] == (on_path if taken else cached)


def test_without_go_the_person_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="install Go"):
        binaries.locate(tmp_path, ["kwok"])
