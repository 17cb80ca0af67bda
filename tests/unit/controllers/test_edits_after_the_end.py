"""Controls of a run that are changed when it has ended: its status speaks of the spec as it is then.

`kubectl wait --for=condition=...` passes over a status, and over a condition, of an older generation than the object's,
and kstatus (Flux, helm) calls such an object in progress.
"""

from typing import Any

import pytest
from support.rig import Rig
from weft.kube.resources import WORKFLOW_RUNS

WORKFLOW = "nodes: [{name: a, expr: {x: '1'}}]"
EDITS: list[dict[str, Any]] = [{"suspend": True}, {"priority": "High"}, {"stop": "Drain"}]


def generations(rig: Rig) -> tuple[int, set[int]]:
    """The run's own generation, and those that its status and its conditions speak of."""
    run = rig.run()
    told = {run["status"]["observedGeneration"], *(each["observedGeneration"] for each in run["status"]["conditions"])}
    return run["metadata"]["generation"], told


def told_otherwise(rig: Rig) -> dict[str, Any]:
    """All that the status says but for the generations."""
    status = dict(rig.run()["status"])
    del status["observedGeneration"]
    bare = [{key: value for key, value in each.items() if key != "observedGeneration"} for each in status["conditions"]]
    return status | {"conditions": bare}


@pytest.mark.parametrize("edit", EDITS, ids=str)
async def test_the_status_speaks_of_the_spec_as_it_is(rig: Rig, edit: dict[str, Any]) -> None:
    rig.workflow("w", WORKFLOW)
    await rig.finish("w")
    before = told_otherwise(rig)
    rig.edit(**edit)
    await rig.clock.advance(5)
    assert generations(rig) == (2, {2})
    assert told_otherwise(rig) == before


async def test_so_does_that_of_a_run_that_never_began(rig: Rig) -> None:
    rig.workflow("w", WORKFLOW)
    await rig.finish("w", stop="Cancel")
    rig.edit(priority="High")
    await rig.clock.advance(5)
    assert (rig.phase(), generations(rig)) == ("Cancelled", (2, {2}))


async def test_what_was_changed_while_no_operator_ran_is_caught_up_with_once(rig: Rig) -> None:
    rig.workflow("w", WORKFLOW)
    await rig.finish("w")
    await rig.down()
    rig.edit(priority="High")
    await rig.up()
    await rig.clock.advance(5)
    assert generations(rig) == (2, {2})
    version = rig.run()["metadata"]["resourceVersion"]
    rig.api.edit(WORKFLOW_RUNS, "n", "r", lambda run: run["metadata"].setdefault("labels", {}).update(a="b"))
    await rig.clock.advance(5)
    assert int(rig.run()["metadata"]["resourceVersion"]) == int(version) + 1, "a label is nothing to tell of"


async def test_a_rerun_asked_for_afterwards_is_carried_out(rig: Rig) -> None:
    rig.workflow("w", WORKFLOW)
    await rig.finish("w")
    rig.edit(suspend=True)
    await rig.clock.advance(5)
    rig.edit(suspend=False, rerun={"generation": 1, "from": "All"})
    await rig.clock.advance(5)
    assert rig.run()["status"]["rerunGeneration"] == 1
    assert (rig.phase(), generations(rig)) == ("Succeeded", (3, {3}))
