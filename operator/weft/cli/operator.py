"""`weft operator`: be the operator. What the image runs; settings come from WEFT_* variables."""

from __future__ import annotations

import sys

import click

from weft.settings import SettingsError


@click.command()
@click.option("--strip-finalizers", is_flag=True, help="Let go of all Pods and end: what uninstalling does last.")
def operator(strip_finalizers: bool) -> None:
    """Watch Workflows and carry out their runs, until told to stop.

    Settings are read from the environment (WEFT_*, see docs/reference/settings.md); the API server is found
    as in every Pod, or by KUBECONFIG.
    """
    from weft import process, stripping  # the whole operator: not wanted by the other commands

    try:
        sys.exit(stripping.strip() if strip_finalizers else process.from_environment())
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
