"""What every command that talks to a cluster shares: -n, --context, --kubeconfig, and errors of one line.

    @click.command()
    @click.argument("run")
    @in_cluster
    def status(session: Session, run: str) -> None: ...

A `Session` knows the cluster and how the program was called, so that what it advises can be pasted into the shell.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from typing import Any, Concatenate, ParamSpec

import click

from weft.api.objects import Obj, Objects
from weft.api.problems import Problem
from weft.cli.cluster import Cluster, connect
from weft.cli.refusals import closest, explain
from weft.kube.errors import ApiError, NotFound
from weft.kube.missing import is_missing_kind
from weft.kube.resources import WORKFLOW_RUNS, Resource

P = ParamSpec("P")


@dataclass(frozen=True)
class Session:
    """One call of the program: how it reaches its cluster, its name, and the flags that say where."""

    connect: Callable[[], Cluster]
    program: str = "weft"
    flags: tuple[str, ...] = ()

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster it works on, looked for when it is first needed: a wrong command line is told before."""
        return self.connect()

    def command(self, *words: str) -> str:
        """Spell a command as it can be pasted: kubectl weft stop listing-x7k2p -n shop."""
        return f"{self.program} {shlex.join((*words, *self.flags))}"

    def find(self, resource: Resource, name: str) -> Obj:
        """Give an object; if there is none, raise an error that names those that are alike."""
        try:
            return self.cluster.get(resource, name)
        except NotFound as error:
            if is_missing_kind(error):
                raise
            names = [one["metadata"]["name"] for one in self._others(resource)]
            place = f"no {resource.kind} {name!r} in namespace {self.cluster.namespace}"
            raise click.ClickException(f"{place}{closest(name, names)}") from None

    def find_run(self, name: str) -> Obj:
        """Give a run; if there is none, raise an error that names those that are alike."""
        return self.find(WORKFLOW_RUNS, name)

    def _others(self, resource: Resource) -> Objects:
        """The objects there are, as far as the user may list them; names alone are asked for."""
        try:
            return [row["object"] for row in self.cluster.table(resource)["rows"]]
        except ApiError:
            return []


def in_cluster(function: Callable[Concatenate[Session, P], None]) -> Callable[P, None]:
    """Give a command its options for where the cluster is, and a Session as its first argument."""

    @click.option("-n", "--namespace", metavar="NAME", help="Namespace; that of the context by default.")
    @click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
    @click.option("--kubeconfig", metavar="FILE", help="The kubeconfig; $KUBECONFIG or ~/.kube/config by default.")
    @wraps(function)
    def command(namespace: str | None, context: str | None, kubeconfig: str | None, **options: Any) -> None:
        where = {"--kubeconfig": kubeconfig, "--context": context, "-n": namespace}
        flags = tuple(word for flag, value in where.items() if value for word in (flag, value))
        program = click.get_current_context().find_root().info_name or "weft"
        there = partial(connect, kubeconfig=kubeconfig, context=context, namespace=namespace)
        try:
            function(Session(there, program, flags), **options)  # type: ignore[call-arg]
        except ApiError as error:
            raise click.ClickException(explain(error)) from None

    return command  # type: ignore[return-value]


def refuse(file: str, problems: list[Problem]) -> click.ClickException:
    """Give the error that lists what is wrong with a file."""
    return click.ClickException("\n".join(f"{file}: {problem}" for problem in problems))
