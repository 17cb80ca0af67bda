"""Control groups: which hierarchies a machine has, old and new, and where our processes are looked for."""

import os
from pathlib import Path

import pytest

from hack.cluster.cgroups import Cgroups, hierarchies
from hack.cluster.settings import ClusterError

OLD = """\
25 20 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/pids rw,relatime shared:9 master:2 - cgroup cgroup rw,pids
28 25 0:25 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
29 25 0:24 /docker/abc /some/bind/mount rw,relatime - cgroup cgroup rw,pids
"""
NEW = """\
24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
25 20 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
"""


@pytest.mark.parametrize(
    ("mountinfo", "found"),
    [
        (
            OLD,
            [
                (Path("/sys/fs/cgroup/cpu,cpuacct"), "cpu,cpuacct"),
                (Path("/sys/fs/cgroup/pids"), "pids"),
                (Path("/sys/fs/cgroup/unified"), ""),
            ],
        ),
        (NEW, [(Path("/sys/fs/cgroup"), "")]),
        ("", []),
    ],
)
def test_hierarchies_are_read_from_the_mount_table(mountinfo: str, found: list[tuple[Path, str]]) -> None:
    assert hierarchies(mountinfo) == found


@pytest.mark.parametrize(
    ("mountinfo", "unified", "node"),
    [(OLD, False, "/sys/fs/cgroup/pids/weft/node"), (NEW, True, "/sys/fs/cgroup/weft/node")],
)
def test_components_join_one_group_on_old_and_new_machines(mountinfo: str, unified: bool, node: str) -> None:
    cgroups = Cgroups("weft", hierarchies(mountinfo))
    assert cgroups.unified is unified
    assert cgroups.node == Path(node)


def test_a_machine_without_control_groups_is_told_so() -> None:
    with pytest.raises(ClusterError, match="no control groups"):
        _ = Cgroups("weft", []).node


def test_a_machine_without_control_groups_has_no_processes_of_ours() -> None:
    assert Cgroups("weft", []).pids() == []


def test_processes_of_the_whole_tree_are_found(tmp_path: Path) -> None:
    for folder, pids in (("weft/node", "11\n12\n"), ("weft/kubepods/pod1/c1", "13\n"), ("other", "14\n")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cgroup.procs").write_text(pids)
    assert sorted(Cgroups("weft", [(tmp_path, "pids")]).pids()) == [11, 12, 13]


def test_created_groups_can_hold_processes_and_are_removed_again(tmp_path: Path) -> None:
    pids, cpuset = tmp_path / "pids", tmp_path / "cpuset"
    for folder in (pids, cpuset):
        folder.mkdir()
    (cpuset / "cpuset.cpus").write_text("0-1\n")
    (cpuset / "cpuset.mems").write_text("0\n")
    cgroups = Cgroups("weft", [(cpuset, "cpuset"), (pids, "pids")])
    cgroups.create()
    assert cgroups.node.is_dir()
    assert (cpuset / "weft" / "cpuset.cpus").read_text() == "0-1\n"
    assert (cpuset / "weft" / "cpuset.mems").read_text() == "0\n"
    for file in ("cpuset.cpus", "cpuset.mems"):  # real groups hold no files that keep them from being removed
        os.unlink(cpuset / "weft" / file)
    cgroups.remove()
    assert cgroups.left() == []
