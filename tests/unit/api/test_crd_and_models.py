"""What the API server refuses by a CRD, `weft validate` refuses before; and the models take what just fits."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from support.schemas import At, Schema, anything, broken_rules, on_the_edge, outside, places, smallest
from weft.api.crd import KINDS, Kind, crd
from weft.api.problems import parse

EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def schema_of(kind: Kind) -> Schema:
    schema: Schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def places_of(kind: Kind) -> Iterator[At]:
    """Every place of a spec; a run's inline workflow, the same again, left out."""
    return (place for place in places(schema_of(kind)) if not place.path.startswith("spec.workflow."))


def problems(kind: Kind, spec: Any) -> list[str]:
    return [problem.path for problem in parse(kind.model, {"metadata": {"name": "a"}, "spec": spec})[1]]


@EVERY_KIND
def test_what_the_shape_refuses_the_model_refuses(kind: Kind) -> None:
    assert problems(kind, smallest(schema_of(kind))) == []
    for place in places_of(kind):
        for value in outside(place.schema):
            assert problems(kind, place.whole(value)), f"{place.path}: {str(value)[:80]}"


@EVERY_KIND
def test_what_just_fits_is_taken_where_it_stands(kind: Kind) -> None:
    for place in places_of(kind):
        for value in on_the_edge(place.schema):
            found = [path for path in problems(kind, place.whole(value)) if path.startswith(place.path)]
            assert not found, f"{found}: {str(value)[:80]}"


@EVERY_KIND
def test_a_null_is_absent_as_the_api_server_drops_it(kind: Kind) -> None:
    for place in places_of(kind):
        least, required = smallest(place.schema), place.schema.get("required", ())
        for name in place.schema.get("properties", ()):
            if name in required or name not in least:
                refused = problems(kind, place.whole(least | {name: None})) != []
                assert refused is (name in required), f"{place.path}.{name}"


@EVERY_KIND
def test_what_a_rule_refuses_the_model_refuses(kind: Kind) -> None:
    rng, schema, refused = random.Random(kind.name), schema_of(kind), 0
    nodes = schema["properties"].get("nodes")
    for _ in range(400):
        spec = anything(schema, rng) if nodes is None else {"nodes": [anything(nodes["items"], rng)]}
        if broken := list(broken_rules(schema, spec)):
            refused += 1
            assert problems(kind, spec), f"{broken}: {spec}"
    assert refused or kind.name in ("Approval", "WorkflowQueue"), "they have no rules"
