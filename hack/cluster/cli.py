"""The command line: `python3 hack/cluster COMMAND`. Each command is a line or two over the other files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.cluster import binaries, images, kwok
from hack.cluster.cluster import Cluster, choose, locked
from hack.cluster.console import say
from hack.cluster.settings import ClusterError, Settings


def main(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Settings], int] = options.run
    try:
        return command(options, Settings.from_environment())
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/cluster", description="Weft's test cluster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace, Settings], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    up = command("up", _up, "start the cluster, or do nothing when it runs; print its KUBECONFIG")
    up.add_argument("--kwok", type=int, default=0, metavar="N", help="with N fake nodes")
    command("down", _down, "remove the cluster and everything of it")
    command("status", _status, "say what runs; exit 1 unless all of it does")
    command("kubeconfig", _kubeconfig, "print the path of the kubeconfig")
    command("env", _env, "print the variables that the tests read, as shell exports")
    build = command("build", _build, "build the programs ahead of time")
    build.add_argument("sets", nargs="*", help=f"of {', '.join(group.name for group in binaries.SETS)}; default all")
    command("images", _images, "build Weft's own images where their content changed, and load them")
    load = command("load-image", _load, "load image archives (docker or OCI)")
    load.add_argument("archives", nargs="+", type=Path, metavar="TAR")
    for name, run, text in (
        ("restart", _restart, "restart one component, as it was started"),
        ("kill", _kill, "end one component as a crash would"),
    ):
        command(name, run, text).add_argument("component")
    return parser


def _up(options: argparse.Namespace, settings: Settings) -> int:
    with locked(settings.lock):
        cluster = choose(settings)
        if not cluster.healthy():
            cluster.up()
        cluster.adjust()
        if options.kwok:
            kwok.ensure(cluster, options.kwok)
    say(f"The cluster is up. export KUBECONFIG={settings.kubeconfig}")
    print(settings.kubeconfig)
    return 0


def _down(_: argparse.Namespace, settings: Settings) -> int:
    with locked(settings.lock):
        choose(settings).down()
    return 0


def _status(_: argparse.Namespace, settings: Settings) -> int:
    cluster = choose(settings)
    for name in cluster.processes.names():
        pid = cluster.processes.pid(name)
        print(f"{name:20} {f'process {pid}' if pid else 'ended'}")
    healthy = cluster.healthy()
    print(f"{'cluster':20} {f'up, KUBECONFIG={settings.kubeconfig}' if healthy else 'down or broken: make cluster'}")
    return 0 if healthy else 1


def _kubeconfig(_: argparse.Namespace, settings: Settings) -> int:
    print(settings.kubeconfig)
    return 0


def _env(_: argparse.Namespace, settings: Settings) -> int:
    values = {
        "KUBECONFIG": settings.kubeconfig,
        "WEFT_KUBECTL": choose(settings).kubectl,
        "WEFT_HELM": binaries.locate(settings.cache, ["helm"])["helm"],
        "WEFT_IMAGE": images.OPERATOR,
        "WEFT_EXAMPLES_IMAGE": images.EXAMPLES,
    }
    for name, value in values.items():
        print(f"export {name}={value}")
    return 0


def _build(options: argparse.Namespace, settings: Settings) -> int:
    binaries.build(settings.cache, options.sets or [group.name for group in binaries.SETS])
    return 0


def _running(settings: Settings) -> Cluster:
    cluster = choose(settings)
    if not cluster.healthy():
        raise ClusterError("the cluster does not run: make cluster")
    return cluster


def _images(_: argparse.Namespace, settings: Settings) -> int:
    with locked(settings.lock):
        images.ensure(_running(settings))
    return 0


def _load(options: argparse.Namespace, settings: Settings) -> int:
    cluster = _running(settings)
    for archive in options.archives:
        cluster.load(archive)
    return 0


def _restart(options: argparse.Namespace, settings: Settings) -> int:
    processes = choose(settings).processes
    processes.stop(options.component)
    processes.start_again(options.component)
    return 0


def _kill(options: argparse.Namespace, settings: Settings) -> int:
    choose(settings).processes.kill(options.component)
    return 0
