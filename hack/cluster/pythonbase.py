"""The Python image that needs no registry: a small Debian with Python, made from Debian packages and kept in the cache.

It stands in for `python:3.13-slim` under a name of its own, so that nobody takes one for the other.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from hack.cluster import debian, oci
from hack.cluster.console import step
from hack.cluster.shell import run

REFERENCE = "weft.local/python:3"
SUITE = "bookworm"
PYTHON_VERSION = "3.11"  # the suite's
_GLIBC_MINOR = 36  # the suite's glibc is 2.36: wheels built for it or an older one work
_PACKAGES = ("python3", "python3-venv", "python-is-python3", "ca-certificates")
_NOT_UNPACKED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def archive(cache: Path) -> Path:
    """The image as an OCI archive, made when it is not in the cache."""
    words = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _NOT_UNPACKED),
        '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*',
        SUITE,
    ]
    recipe = hashlib.sha256(repr(words).encode() + Path(oci.__file__).read_bytes())
    file = cache / "images" / f"python-{recipe.hexdigest()[:12]}.tar"
    if file.exists():
        return file
    debian.require(debian.IMAGES)
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"making {REFERENCE} from Debian packages"),
        tempfile.TemporaryDirectory(prefix="weft-base-", dir=file.parent) as folder,
    ):
        root, staged = Path(folder) / "root.tar", Path(folder) / "image.tar"
        run([*words, root])
        staged.write_bytes(oci.image(REFERENCE, root.read_bytes(), command=["python3"]))
        for older in file.parent.glob("python-*.tar"):
            older.unlink()
        staged.replace(file)
    return file


def pip_target() -> list[str]:
    """Options that make any pip choose wheels for this image's Python rather than its own."""
    machine = os.uname().machine
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC_MINOR, 4, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}", "any"]
    options = [f"--python-version={PYTHON_VERSION}", "--implementation=cp", "--only-binary=:all:"]
    return options + [f"--platform={platform}" for platform in platforms]
