"""The programs of the cluster: from PATH when they are of the very version we pin, else from the cache, else built.

Every set of programs is pinned by the go.mod and go.sum of a folder under go/; those two files and the flags below
name the cache folder, so that a changed pin is a new build and an unchanged one never is; CACHE/bin links to them.
The first build of Kubernetes takes minutes: progress is shown, and the compiler's output is kept beside the programs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.console import Ticker, say, step
from hack.cluster.settings import ClusterError
from hack.cluster.shell import run

_GO = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Program:
    """One program of a set: its Go package, and how it is asked for its version."""

    package: str
    ask: tuple[str, ...] = ("--version",)


@dataclass(frozen=True)
class Set:
    """Programs of one version. `main` is the module whose version is theirs; `stamp` writes it into them."""

    name: str
    main: str
    programs: dict[str, Program]
    stamp: tuple[str, ...] = ()
    pinned_by: str = ""  # the set whose go.mod pins this one, too
    data: tuple[str, ...] = ()  # files of the main module that the programs need, kept beside them

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return _GO / (self.pinned_by or self.name)

    @property
    def version(self) -> str:
        """The pinned version of the main module, without the v."""
        return required_version((self.folder / "go.mod").read_text(), self.main)

    @property
    def ldflags(self) -> str:
        """Flags for the linker: no debug symbols, and the version where the program would not know it."""
        major, minor, *_ = self.version.split(".")
        words = [word.format(version=self.version, major=major, minor=minor) for word in self.stamp]
        return " ".join(["-s", "-w", *(f"-X {word}" for word in words)])

    def cache(self, root: Path) -> Path:
        """The folder its programs are kept in."""
        content = b"".join((self.folder / file).read_bytes() for file in ("go.mod", "go.sum"))
        content += repr((self.ldflags, self.data)).encode()
        return root / "programs" / f"{self.name}-{self.version}-{hashlib.sha256(content).hexdigest()[:12]}"


_COMPONENT = "k8s.io/component-base/version"
_KUBERNETES = "k8s.io/kubernetes/cmd"
_ARGO = "github.com/argoproj/argo-workflows/v4"

SETS = (
    Set(
        "kubernetes",
        "k8s.io/kubernetes",
        {
            **{
                name: Program(f"{_KUBERNETES}/{name}")
                for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
            },
            "kubectl": Program(f"{_KUBERNETES}/kubectl", ("version", "--client")),
        },
        # Without these the server calls itself v0.0.0, and clients that look at its version misbehave.
        (
            _COMPONENT + ".gitVersion=v{version}",
            _COMPONENT + ".gitMajor={major}",
            _COMPONENT + ".gitMinor={minor}",
            _COMPONENT + ".gitTreeState=clean",
        ),
    ),
    Set("etcd", "go.etcd.io/etcd/server/v3", {"etcd": Program("go.etcd.io/etcd/server/v3")}, pinned_by="kubernetes"),
    Set(
        "kwok",
        "sigs.k8s.io/kwok",
        {"kwok": Program("sigs.k8s.io/kwok/cmd/kwok")},
        # What fake nodes and Pods do: without these kwok does nothing at all.
        data=tuple(
            f"kustomize/stage/{stage}.yaml"
            for stage in (
                "node/fast/node-initialize",
                "node/heartbeat-with-lease/node-heartbeat-with-lease",
                "pod/fast/pod-ready",
                "pod/fast/pod-complete",
                "pod/fast/pod-delete",
            )
        ),
    ),
    Set(
        "helm",
        "helm.sh/helm/v4",
        {"helm": Program("helm.sh/helm/v4/cmd/helm", ("version", "--short"))},
        ("helm.sh/helm/v4/internal/version.version=v{version}",),
    ),
    # What the benchmarks compare Weft with; the cluster itself never needs it.
    Set(
        "argo",
        _ARGO,
        {"workflow-controller": Program(f"{_ARGO}/cmd/workflow-controller", ("version",))},
        (_ARGO + ".version=v{version}", _ARGO + ".gitTreeState=clean"),
        data=tuple(
            f"manifests/base/crds/full/argoproj.io_{kind}.yaml"
            for kind in (
                "clusterworkflowtemplates",
                "cronworkflows",
                "workflowartifactgctasks",
                "workfloweventbindings",
                "workflows",
                "workflowtaskresults",
                "workflowtasksets",
                "workflowtemplates",
            )
        ),
    ),
)


def files_of(cache: Path, name: str) -> list[Path]:
    """Where the files of a set's main module are that are kept beside its programs; these have been built."""
    group = next(group for group in SETS if group.name == name)
    return [group.cache(cache) / Path(file).name for file in group.data]


def required_version(go_mod: str, module: str) -> str:
    """The version of `module` that a go.mod's text requires, without the v; raises ClusterError when it does not."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} v(\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"go.mod does not require {module}")
    return found[1]


def mentions_version(text: str, version: str) -> bool:
    """Whether what a program says of itself names exactly this version.

    >>> mentions_version("Kubernetes v1.35.4", "1.35.4"), mentions_version("v1.35.40", "1.35.4")
    (True, False)
    """
    return re.search(rf"(?<![\w.])v?{re.escape(version)}(?![\w.-])", text) is not None


def locate(cache: Path, names: Iterable[str]) -> dict[str, Path]:
    """Where each named program is, building what is missing; raises ClusterError when it cannot be built here."""
    found = {}
    for name in names:
        group = next(group for group in SETS if name in group.programs)
        found[name] = _on_path(group, name) or _cached(group, cache, name)
    return found


def build(cache: Path, sets: Iterable[str]) -> None:
    """Build whole sets ahead of time; those in the cache already are left alone."""
    for name in sets:
        group = next(group for group in SETS if group.name == name)
        for program in group.programs:
            _cached(group, cache, program)


def _on_path(group: Set, name: str) -> Path | None:
    path = shutil.which(name)
    if path is None or group.data:  # a program that needs files of its module is used with exactly those
        return None
    try:
        ask = [path, *group.programs[name].ask]
        said = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(path) if mentions_version(said.stdout + said.stderr, group.version) else None


def _cached(group: Set, cache: Path, name: str) -> Path:
    folder = group.cache(cache)
    if not (folder / name).exists():
        # kubectl alone is all that a kind cluster needs; any other program of a set means the whole set.
        missing = [name] if name == "kubectl" else [each for each in group.programs if not (folder / each).exists()]
        with step(f"building {', '.join(missing)} {group.version} from Go modules into {folder}"):
            _compile(group, folder, missing)
    link = cache / "bin" / name  # one place to call them from, whatever is pinned
    if not link.is_symlink() or link.readlink() != folder / name:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder / name)
    return folder / name


def _compile(group: Set, folder: Path, names: list[str]) -> None:
    if shutil.which("go") is None:
        raise ClusterError(
            f"{', '.join(names)} {group.version}: not on PATH, not in the cache, and there is no Go to build with: "
            "install Go 1.26 or later"
        )
    staging = folder.with_name(folder.name + ".building")
    staging.mkdir(parents=True, exist_ok=True)
    log = staging / "build.log"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath -mod=readonly"}
    environment |= {"GOWORK": "off"}
    packages = [group.programs[name].package for name in names]
    # A package's last element names its program, except for modules that end in /v3.
    output = str(staging / names[0]) if len(names) == 1 else f"{staging}/"
    command = ["go", "build", "-v", "-ldflags", group.ldflags, "-o", output, *packages]
    ticker, lines = Ticker(), 0
    with (
        log.open("a") as kept,
        subprocess.Popen(
            command,
            cwd=group.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            kept.write(line)
            lines += 1
            ticker.update(f"{lines} packages, now {line.strip()}")
    ticker.clear()
    if process.returncode != 0:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise ClusterError(f"go build failed, see {log}:\n{tail}")
    folder.mkdir(parents=True, exist_ok=True)
    if group.data:
        module = Path(run(["go", "list", "-m", "-f", "{{.Dir}}", group.main], cwd=group.folder).strip())
        for file in group.data:
            (folder / Path(file).name).write_bytes((module / file).read_bytes())
    for name in names:
        (staging / name).replace(folder / name)  # complete or absent, whatever interrupts us
    log.replace(folder / "build.log")
    staging.rmdir()
    say(f"    {len(names)} programs, {lines} packages compiled; log: {folder / 'build.log'}")
