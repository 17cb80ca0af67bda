"""Write container images without any container tool: an OCI image is a tar of JSON and one tar of files.

Given the same files it writes the same bytes (no times, no owners, sorted names), so an image's content names it.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class File:
    """A regular file of an image."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Link:
    """A symbolic link of an image."""

    target: str


@dataclass(frozen=True)
class Folder:
    """An empty folder of an image."""

    mode: int = 0o755


def architecture(machine: str | None = None) -> str:
    """This machine's architecture in the words of OCI."""
    name = (machine or platform.machine()).lower()
    return _ARCHITECTURES.get(name, name)


def layer(entries: Mapping[str, File | Link | Folder]) -> bytes:
    """A layer with these entries by path; folders on the way are made."""
    everything: dict[str, File | Link | Folder] = {}
    for path, entry in sorted(entries.items()):
        for parent in reversed([str(folder) for folder in Path(path).parents if str(folder) != "."]):
            everything.setdefault(parent, Folder())
        everything[path] = entry
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, entry in everything.items():
            member = tarfile.TarInfo(path)
            if isinstance(entry, File):
                member.size, member.mode = len(entry.content), entry.mode
                tar.addfile(member, io.BytesIO(entry.content))
            elif isinstance(entry, Link):
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.target, 0o777
                tar.addfile(member)
            else:
                member.type, member.mode = tarfile.DIRTYPE, entry.mode
                tar.addfile(member)
    return buffer.getvalue()


def image(reference: str, files: bytes, *, command: Sequence[str]) -> bytes:
    """An OCI archive of one layer, known as `reference` once imported. `command` runs when a Pod names none."""
    configuration = _json(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(files)]},
            "history": [{"created_by": "hack/cluster"}],  # builders count these against the layers
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", configuration),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", files)],
        }
    )
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    # containerd reads the first annotation, everybody else the second.
    entry["annotations"] = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    return layer(
        {
            "oci-layout": File(_json({"imageLayoutVersion": "1.0.0"})),
            "index.json": File(_json({"schemaVersion": 2, "manifests": [entry]})),
            **{f"blobs/sha256/{_hex(blob)}": File(blob) for blob in (configuration, manifest, files)},
        }
    )


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _hex(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _digest(blob: bytes) -> str:
    return f"sha256:{_hex(blob)}"


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}
