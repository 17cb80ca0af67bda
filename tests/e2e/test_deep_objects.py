"""Objects that are nested deeper than any parser reads: the API server stores them, and they harm nobody else."""

from __future__ import annotations

import json

from e2e.harness.operator import Operator
from e2e.harness.place import WEFT, Place
from e2e.harness.stage import node, spec

LEVELS = 9_000
"""The API server stores 10,000; more than about 1,000 stopped the operator."""


def test_a_run_nested_without_end_is_refused_and_harms_nobody(operator: Operator, place: Place) -> None:
    place.define("w", spec([node("a", expr={"x": "1"})], parameters=[{"name": "p", "type": "array", "default": []}]))
    _create(place, "WorkflowRun", "heard", {"workflowRef": {"name": "w"}, "parameters": {"p": "(deep)"}})
    _create(place, "Workflow", "deep", spec([node("a", job={"podTemplate": {"spec": {"affinity": "(deep)"}}})]))
    run = place.find_run("heard").finish("Failed")
    assert "parameter 'p' holds a value that is nested too deeply" in run.condition("Succeeded")["message"]
    assert "nested too deeply" in place.ready("deep")["message"]
    place.start("w").finish()
    operator.kill()  # whoever begins lists it
    operator.wait_ready()
    place.start("w").finish()


def _create(place: Place, kind: str, name: str, body: object) -> None:
    """Create an object whose text `(deep)` is so many lists within each other: json would not write it."""
    whole = {"apiVersion": WEFT, "kind": kind, "metadata": {"name": name}, "spec": body}
    document = json.dumps(whole).replace('"(deep)"', "[" * LEVELS + "]" * LEVELS)
    path = f"/apis/{WEFT}/namespaces/{place.name}/{kind.lower()}s"
    place.kubectl("create", "--raw", path, "-f", "-", document=document)
