"""Weft's own images: built when what goes into them changed, loaded when the cluster has another.

An image's key is a hash of all that goes in; its archive in the cache bears the key in its name, and the cluster's
state says which key it holds of each image. So a second `make images` does nothing. With Docker the Dockerfiles are
built as they are; without, by buildah on the base of pythonbase.py, from wheels fetched here for the Python in there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hack.cluster import debian, mounts, pythonbase
from hack.cluster.cluster import Cluster, locked
from hack.cluster.console import say, step
from hack.cluster.kind import KindCluster
from hack.cluster.settings import REPOSITORY, ClusterError
from hack.cluster.shell import Words, run

OPERATOR = "weft.local/operator:dev"
EXAMPLES = "weft.local/examples:dev"
_DOCKER_BASE = "python:3.13-slim"


@dataclass(frozen=True)
class Image:
    """One image: its Dockerfile, what is copied into its build, and the requirements whose wheels it needs."""

    reference: str
    dockerfile: Path
    content: tuple[Path, ...]
    requirements: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The word between the registry and the tag."""
        return self.reference.rpartition("/")[2].partition(":")[0]


IMAGES = (
    Image(
        OPERATOR,
        REPOSITORY / "Dockerfile",
        tuple(REPOSITORY / name for name in ("operator", "pyproject.toml", "README.md")),
        (REPOSITORY / "requirements.txt", REPOSITORY / "requirements-build.txt"),
    ),
    Image(
        EXAMPLES,
        Path(__file__).parent / "examples.Dockerfile",
        (),
        (REPOSITORY / "hack" / "requirements" / "examples.txt",),
    ),
)


def ensure(cluster: Cluster) -> None:
    """Have the cluster hold the base and every image above, as the files are now."""
    cache = cluster.settings.cache
    builder = _Docker() if isinstance(cluster, KindCluster) else _Buildah(cache)
    record = cluster.settings.state / "images.json"
    with locked(cache / "images.lock"):
        archives = {pythonbase.REFERENCE: builder.base(cache)}
        for image in IMAGES:
            archives[image.reference] = _archive(image, builder, cache)
        held = json.loads(record.read_text()) if record.exists() else {}
        for reference, archive in archives.items():
            if held.get(reference) != archive.name:
                with step(f"loading {reference}"):
                    cluster.load(archive)
                held[reference] = archive.name
                record.write_text(json.dumps(held, indent=1))
    say(f"The cluster has {', '.join(archives)}")


def key(base: str, files: Iterable[Path]) -> str:
    """A short hash of the base's name and of all that `files` (folders: everything in them) say."""
    total = hashlib.sha256(base.encode())
    for file in files:
        for path in sorted(_files(file)):
            total.update(f"\0{path.relative_to(file.parent)}\0".encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [
        each
        for each in path.rglob("*")
        if each.is_file() and not any(part == "__pycache__" or part.endswith(".egg-info") for part in each.parts)
    ]


def _archive(image: Image, builder: _Docker | _Buildah, cache: Path) -> Path:
    """The image as an archive in the cache, built when it is not there; archives of older content are dropped."""
    everything = (image.dockerfile, *image.content, *image.requirements)
    identity = f"{builder.identity}-{builder.base(cache).name}"
    file = cache / "images" / f"{image.name}-{key(identity, everything)}.tar"
    if not file.exists():
        with (
            step(f"building {image.reference}"),
            tempfile.TemporaryDirectory(prefix="weft-image-", dir=file.parent) as folder,
        ):
            context = Path(folder)
            shutil.copy(image.dockerfile, context / "Dockerfile")
            for path in (*image.content, *image.requirements):
                for each in _files(path):
                    target = context / each.relative_to(path.parent)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(each, target)
            builder.build(image, context, context / "image.tar")
            for older in file.parent.glob(f"{image.name}-*.tar"):
                older.unlink()
            (context / "image.tar").replace(file)
    return file


class _Docker:
    """Builds as any user would, on the base the Dockerfile names."""

    identity = "docker"

    def base(self, cache: Path) -> Path:
        """The base, under the name that examples use."""
        file = cache / "images" / f"python-{_DOCKER_BASE.replace(':', '-')}.tar"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with step(f"pulling {_DOCKER_BASE}"):
                run(["docker", "pull", "--quiet", _DOCKER_BASE])
                run(["docker", "tag", _DOCKER_BASE, pythonbase.REFERENCE])
                run(["docker", "save", pythonbase.REFERENCE, "--output", file])
        return file

    def build(self, image: Image, context: Path, archive: Path) -> None:
        """Build and save."""
        run(["docker", "build", "--quiet", "--tag", image.reference, "--build-arg", f"BASE={_DOCKER_BASE}", context])
        run(["docker", "save", image.reference, "--output", archive])


class _Buildah:
    """Builds without Docker, registry or daemon."""

    identity = "buildah"

    def __init__(self, cache: Path) -> None:

        self._cache = cache

    def base(self, cache: Path) -> Path:
        """The base made from Debian packages."""
        return pythonbase.archive(cache)

    def build(self, image: Image, context: Path, archive: Path) -> None:
        """Fetch the wheels, build, and write the archive."""
        debian.require(debian.IMAGES)
        # Same files with the same times let buildah reuse the layer in which they were installed.
        shutil.copytree(_wheels(image, self._cache), context / "wheels", copy_function=shutil.copy2)
        base = f"oci-archive:{self.base(self._cache)}"
        reference = f"localhost/weft-{image.name}"
        options = ["--isolation=chroot", "--format=oci", "--layers", "--build-arg", f"BASE={base}"]
        store = self._cache / "buildah"
        with tempfile.TemporaryDirectory(prefix="weft-buildah-", dir="/run") as live:
            buildah: Words = ["buildah", "--root", store, "--runroot", live]
            try:
                run([*buildah, "rm", "--all"])  # containers of a build that was killed hold images that shall go
                # Under a tag of its own, the stage that rarely changes outlives the pruning.
                if " AS dependencies" in image.dockerfile.read_text():
                    dependencies = ["--target", "dependencies", "--tag", f"{reference}-dependencies"]
                    run([*buildah, "build", *options, *dependencies, context])
                run([*buildah, "build", *options, "--tag", reference, context])
                run([*buildah, "push", "--quiet", reference, f"oci-archive:{archive}:{image.reference}"])
                run([*buildah, "rmi", "--prune"])  # images that newer ones have replaced
            finally:
                run([*buildah, "rm", "--all"])  # containers of builds that failed
                mounts.unmount([store])


def _wheels(image: Image, cache: Path) -> Path:
    """A folder with the wheels that `image` needs for the base's Python, fetched when its requirements are new."""
    folder = cache / "wheels" / f"{image.name}-{key(pythonbase.SUITE, image.requirements)}"
    if not folder.exists():
        staging = folder.with_name(folder.name + ".new")
        _download(image, staging)
        for older in folder.parent.glob(f"{image.name}-*[!w]"):
            shutil.rmtree(older)
        staging.replace(folder)
    return folder


def _download(image: Image, folder: Path) -> None:
    # A virtual environment's pip is preferred: plain Debian's Python has none.
    venv = REPOSITORY / ".venv" / "bin" / "python"
    python = venv if venv.exists() else Path(sys.executable)
    for requirements in image.requirements:
        command: Words = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        try:
            run([*command, "--dest", folder, *pythonbase.pip_target(), "--require-hashes", "-r", requirements])
        except ClusterError as error:
            raise ClusterError(f"the wheels of {image.reference} are missing (make venv first?): {error}") from error
