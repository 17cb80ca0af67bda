"""A run that was under way and is refused: its nodes have ended, too."""

import pytest
from support.kubelet import Fate
from support.rig import NAMESPACE, Rig
from weft.engine.budget import read_nodes
from weft.kube.resources import CONTROLLER_REVISIONS, PODS, WORKFLOWS

NODES = """
nodes:
- {name: a, job: {image: i}}
- {name: b, dependsOn: [a], forEach: {range: 3}, job: {image: i}}
- {name: c, dependsOn: [b], job: {image: i}}
"""


async def lose_the_revision(rig: Rig) -> None:
    """The run loses what it was started with while no operator is there, and ends."""
    await rig.down()
    for revision in rig.api.all(CONTROLLER_REVISIONS):
        rig.api.remove(CONTROLLER_REVISIONS, NAMESPACE, revision["metadata"]["name"])
    rig.api.edit(WORKFLOWS, NAMESPACE, "w", lambda workflow: workflow["spec"].update(description="another one"))
    await rig.up()
    await rig.wait(rig.ended, seconds=120)


async def test_nothing_of_a_run_that_was_refused_seems_to_run(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=3000 if node == "b" else 1)
    rig.workflow("w", NODES)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) >= 3)
    await rig.clock.advance(5)
    await lose_the_revision(rig)
    found = rig.run()["status"]
    assert rig.nodes() == {"a": "Succeeded", "b": "Cancelled(Error)", "c": "Cancelled(Error)"}
    assert {item["phase"] for item in found["nodes"][1]["items"]} == {"Cancelled"}
    assert found["nodes"][1]["completionTime"]
    assert found["progress"] == "3/3"
    assert found["counts"] == {"pending": 0, "running": 0, "succeeded": 1, "failed": 0, "skipped": 0, "cancelled": 2}


async def test_the_packed_entries_of_a_large_one_say_so_too(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=3000)
    nodes = [{"name": f"n{number}", "job": {"image": "i"}, "dependsOn": ["first"]} for number in range(400)]
    first = {"name": "first", "wait": {"seconds": 9000}}
    rig.workflow("w", {"nodes": [first, *nodes]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weft.engine.budget.MAX_ENTRIES", 4000)
        await rig.up()
        rig.start("w")
        await rig.wait(lambda: "compressedNodes" in (rig.run().get("status") or {}))
        await lose_the_revision(rig)
    found = rig.run()["status"]
    entries = read_nodes(found, {})
    assert (len(entries), {entry["phase"] for entry in entries}) == (401, {"Cancelled"})
    assert {entry["phase"] for entry in found["nodes"]} == {"Cancelled"}
    assert found["progress"] == "401/401"


async def test_a_refused_run_that_never_began_has_no_nodes(rig: Rig) -> None:
    await rig.up()
    rig.start("none")
    await rig.wait(rig.ended, seconds=120)
    assert "nodes" not in rig.run()["status"]
