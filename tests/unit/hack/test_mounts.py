"""Unmounting touches what is below the cluster's folders, and nothing else."""

from pathlib import Path

import pytest

from hack.cluster.mounts import under

MOUNTINFO = """\
24 1 254:0 / / rw - ext4 /dev/vda rw
30 24 254:0 /x /var/lib/weft-cluster/kubelet rw - ext4 /dev/vda rw
31 30 0:40 / /var/lib/weft-cluster/kubelet/pods/a/volumes/token rw - tmpfs tmpfs rw
32 24 0:41 / /var/lib/weft-cluster-of-somebody rw - tmpfs tmpfs rw
33 24 0:42 / /run/weft-cluster/with\\040space rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "points"),
    [
        (
            "/var/lib/weft-cluster",
            ["/var/lib/weft-cluster/kubelet/pods/a/volumes/token", "/var/lib/weft-cluster/kubelet"],
        ),
        ("/run/weft-cluster", ["/run/weft-cluster/with space"]),
        ("/var/lib/other", []),
    ],
)
def test_mounts_below_a_folder_come_innermost_first(folder: str, points: list[str]) -> None:
    assert under([Path(folder)], MOUNTINFO) == [Path(point) for point in points]
