"""`weft`: the table of commands. A command's module is imported when it is called, so that each starts fast.

A new command is a click command in a file of this folder, named like the command, and a line in `COMMANDS`.
"""

import gc
import io
import os
import sys
from importlib import import_module
from pathlib import PurePath
from typing import Any

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "validate": ("validate", "Check manifests, offline, as the cluster would."),
    "graph": ("graph", "Draw a workflow."),
    "simulate": ("simulate", "Run a workflow on a virtual clock, without a cluster."),
    "run": ("run", "Start a run of a workflow."),
    "status": ("status", "Show where a run stands."),
    "logs": ("logs", "Show the logs of a run's nodes."),
    "stop": ("control", "End a run early."),
    "suspend": ("control", "Let a run start nothing new."),
    "resume": ("control", "Let a suspended run go on."),
    "rerun": ("control", "Do a finished run's nodes again."),
    "approve": ("approve", "Approve what a run asks."),
    "reject": ("approve", "Reject what a run asks."),
    "crds": ("crds", "Print the CustomResourceDefinitions."),
    "operator": ("operator", "Be the operator."),
}
"""Commands by name: the module of this package they are in, and what they do in one line."""


class Commands(click.Group):
    """The commands of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and give a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"weft.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out the command. What its error quotes, from files and from the cluster, is made safe to look at."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            from weft.cli.visible import visible  # only here: nothing is imported before a command is called

            error.message = visible(error.message)  # type: ignore[misc]  # click says it is final
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="weft", prog_name="weft")
def weft() -> None:
    """Weft runs graphs of work on Kubernetes."""


def _open_streams() -> None:
    """Read and write UTF-8 wherever we are, as kubectl does; a stream that the shell has closed (2>&-) is empty."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def main() -> None:
    """Be the program `weft`, or the kubectl plugin of that name."""
    _open_streams()
    gc.set_threshold(50_000, 20, 50)  # a large workflow is large, not garbage: looking for some took half of the time
    try:
        try:
            weft(prog_name="kubectl weft" if PurePath(sys.argv[0]).name.startswith("kubectl-weft") else "weft")
        finally:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest would be tried once more at the end
        if not isinstance(error, BrokenPipeError):
            click.echo(f"Error: {error.strerror or error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
