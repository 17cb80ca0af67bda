"""The image writer: what it writes is a valid OCI image, and the same files give the same bytes."""

import hashlib
import io
import json
import tarfile

import pytest

from hack.cluster import oci

FILES = {
    "bin/tool": oci.File(b"#!", 0o755),
    "bin/alias": oci.Link("tool"),
    "tmp": oci.Folder(0o1777),
    "etc/deep/er/conf": oci.File(b"x"),
}


def opened(archive: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(archive))


def read(archive: bytes, path: str) -> bytes:
    member = opened(archive).extractfile(path)
    assert member is not None
    return member.read()


def blob(archive: bytes, descriptor: dict[str, object]) -> bytes:
    """The blob a descriptor names, checked against its digest and its size."""
    digest = str(descriptor["digest"])
    content = read(archive, "blobs/" + digest.replace(":", "/"))
    assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert descriptor["size"] == len(content)
    return content


def test_a_layer_keeps_kinds_modes_and_contents() -> None:
    members = {member.name: member for member in opened(oci.layer(FILES)).getmembers()}
    assert members["bin/tool"].isreg()
    assert members["bin/tool"].mode == 0o755
    assert members["bin/alias"].issym()
    assert members["bin/alias"].linkname == "tool"
    assert members["tmp"].isdir()
    assert members["tmp"].mode == 0o1777
    assert read(oci.layer(FILES), "etc/deep/er/conf") == b"x"


def test_every_folder_comes_before_what_is_in_it() -> None:
    names = opened(oci.layer(FILES)).getnames()
    assert names.index("etc") < names.index("etc/deep") < names.index("etc/deep/er") < names.index("etc/deep/er/conf")
    assert len(names) == len(set(names))


def test_the_order_in_which_files_are_given_does_not_matter() -> None:
    assert oci.layer(FILES) == oci.layer(dict(reversed(FILES.items())))


def test_an_image_leads_from_its_index_to_its_files() -> None:
    files = oci.layer(FILES)
    archive = oci.image("weft.local/tool:1", files, command=["tool"])
    assert json.loads(read(archive, "oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(read(archive, "index.json"))["manifests"]
    assert set(entry["annotations"].values()) == {"weft.local/tool:1"}
    manifest = json.loads(blob(archive, entry))
    configuration = json.loads(blob(archive, manifest["config"]))
    (layer,) = manifest["layers"]
    assert blob(archive, layer) == files
    assert configuration["rootfs"]["diff_ids"] == [layer["digest"]]
    assert configuration["config"]["Cmd"] == ["tool"]
    assert configuration["config"]["Env"] == ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    assert len(configuration["history"]) == 1


@pytest.mark.parametrize(
    ("machine", "word"), [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")]
)
def test_architectures_are_named_as_oci_names_them(machine: str, word: str) -> None:
    assert oci.architecture(machine) == word
