"""`weft crds`: what has to be applied before the first Workflow, and before each upgrade."""

import click

from weft.api import crd


@click.command()
def crds() -> None:
    """Print the CustomResourceDefinitions, to be applied before helm upgrade, which leaves them as they are.

    weft crds | kubectl apply --server-side --force-conflicts -f -
    """
    click.echo("---\n".join(crd.to_yaml(definition) for definition in crd.crds()), nl=False)
