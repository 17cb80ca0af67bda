"""A cluster that lacks kinds of Weft's: how its answer is told from that of a missing object, and what to do."""

from weft.kube.errors import NotFound
from weft.kube.resources import Resource

_APPLY = "weft crds | kubectl apply --server-side --force-conflicts -f -"


class KindMissing(NotFound):
    """The API server does not know one of our kinds. The message names it, and the mend."""

    def __init__(self, kind: Resource):
        super().__init__(without(f"{kind.plural}.{kind.group}"), code=404, reason="NotFound")


def is_missing_kind(error: NotFound) -> bool:
    """Whether it is the kind that the API server does not know, and not one object."""
    return "could not find the requested resource" in error.message or "page not found" in error.message


def without(what: str) -> str:
    """Say that the cluster has none of it, and how it comes there."""
    return f"this cluster has no {what}: install the chart, or its kinds alone ({_APPLY})"
