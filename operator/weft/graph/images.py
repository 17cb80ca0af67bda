"""Jobs to which nobody gives an image. It may come from a webhook of the cluster, so that this is no error."""

from __future__ import annotations

from collections.abc import Mapping

from weft.api.bodies import OneBody
from weft.api.job import JobSettings
from weft.api.nodetype import NodeTypeSpec
from weft.api.problems import Problem
from weft.api.workflow import Defaults, WorkflowSpec
from weft.expr.template import is_templated
from weft.graph.placed import placed
from weft.render.template import main_of

SHOWN = 5
"""Of a manifest's jobs without an image; one mend helps them all."""


def without_image(spec: WorkflowSpec, at: str, types: Mapping[str, NodeTypeSpec]) -> list[Problem]:
    """Give a note for each such job (of very many, the first) of the spec that stands at the path `at`."""
    bare = [
        (f"{one.at}.{one.owner.body_kind}", one.node)
        for one in placed(spec, at)
        if not _has_image(one.owner, spec.defaults, types)
    ]
    mend = f"no Pod starts without; give it one, or all nodes one in {at}.defaults.image"
    notes = [Problem(path, f"node {node} has no image, and {mend}") for path, node in bare[:SHOWN]]
    if len(bare) > SHOWN:
        notes.append(Problem("", f"and {len(bare) - SHOWN} nodes more have no image"))
    return notes


def _has_image(owner: OneBody, defaults: Defaults, types: Mapping[str, NodeTypeSpec]) -> bool:
    """Whether it makes no Pod, or one with an image. A NodeType inherits none that is templated."""
    use = getattr(owner, "use", None)
    if use is None:
        return owner.job is None or _names_image(owner.job) or _names_image(defaults)
    job = types[use.name].job if use.name in types else None
    inherited = defaults.model_copy(update={"image": None}) if is_templated(defaults.image) else defaults
    return job is None or _names_image(job) or _names_image(inherited)


def _names_image(settings: JobSettings) -> bool:
    containers = (settings.pod_template or {}).get("spec", {}).get("containers", [])
    return bool(settings.image or main_of(containers).get("image"))
