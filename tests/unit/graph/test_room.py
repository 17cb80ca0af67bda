"""Services keep their places as long as they are needed: what needs more of them than `parallelism` allows is noted."""

from typing import Any

import pytest
from support.specs import node
from weft.graph.notes import notes_on


def noted(*nodes: dict[str, Any], **spec: Any) -> list[str]:
    manifest = {"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}}
    body = {"nodes": list(nodes), **{key.rstrip("_"): value for key, value in spec.items()}}
    return [str(note) for note in notes_on({**manifest, "spec": body}, {})]


DB, CACHE = node("db", service=True), node("cache", "db:Ready", service=True)


@pytest.mark.parametrize(
    ("nodes", "parallelism", "told"),
    [
        pytest.param(
            [DB, node("use", "db:Ready")], 1,
            "spec.nodes[1].dependsOn: can never start: it needs db beside it, and parallelism 1 leaves it no room",
            id="one service",
        ),
        pytest.param(
            [DB, CACHE, node("use", "cache:Ready")], 2,
            "spec.nodes[2].dependsOn: can never start: it needs cache, db beside it, and parallelism 2 leaves it no"
            " room",
            id="a service that itself needs one",
        ),
        pytest.param(
            [*(node(f"s{i}", service=True) for i in range(4)), node("use", *(f"s{i}:Ready" for i in range(4)))], 4,
            "spec.nodes[4].dependsOn: can never start: it needs s3, s2, s1, ... beside it, and parallelism 4 leaves it"
            " no room",
            id="many",
        ),
    ],
)  # fmt: skip
def test_a_node_that_can_never_have_a_place_is_noted(nodes: list[dict[str, Any]], parallelism: int, told: str) -> None:
    assert noted(*nodes, parallelism=parallelism) == [told]


@pytest.mark.parametrize(
    ("nodes", "parallelism"),
    [
        pytest.param([DB, node("use", "db:Ready")], 2, id="room for both"),
        pytest.param([DB, node("use", "db:Ready")], None, id="no limit"),
        pytest.param([DB, node("after", "db")], 1, id="after the service"),
        pytest.param([DB, node("use", "db:Ready", expr={"x": "1"})], 1, id="no Pod of its own"),
        pytest.param([DB, node("a"), node("use", "a", "db:Ready", join="Any")], 1, id="may start without it"),
    ],
)
def test_nothing_is_noted_where_there_is_room(nodes: list[dict[str, Any]], parallelism: int | None) -> None:
    assert noted(*nodes, **({} if parallelism is None else {"parallelism": parallelism})) == []


def test_subgraphs_and_finally_share_the_places() -> None:
    graphs = [{"name": "g", "nodes": [DB, node("use", "db:Ready")]}]
    notes = noted(node("a", graph={"name": "g"}), graphs=graphs, finally_=[DB, node("end", "db:Ready")], parallelism=1)
    assert [note.split(": ")[0] for note in notes] == ["spec.finally[1].dependsOn", "spec.graphs[0].nodes[1].dependsOn"]
