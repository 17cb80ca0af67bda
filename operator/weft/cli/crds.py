"""`weft crds`: what has to be applied before the first Workflow."""

import click

from weft.api import crd


@click.command()
def crds() -> None:
    """Print the CustomResourceDefinitions, for kubectl apply --server-side -f -."""
    click.echo("---\n".join(crd.to_yaml(definition) for definition in crd.crds()), nl=False)
