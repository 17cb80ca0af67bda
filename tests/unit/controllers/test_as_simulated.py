"""Of the same workflow in the same world, the operator and `weft simulate` say the same."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from support.rig import Fate, Rig
from support.simulation import simulate
from weft.simulate.scenario import Events, parse_scenario

SECONDS = 20
"""How long everything takes: far longer than what the operator and the cluster take themselves."""

UNDONE = """
    nodes:
    - {name: a, job: {image: i}, compensate: {job: {image: i}}}
    - {name: b, dependsOn: [a], job: {image: i}}
    finally: [{name: f, job: {image: i}}]
    """
CASES = {
    "cached without outputs, and done again": (
        "nodes: [{name: a, cache: {key: \"'k'\"}, job: {image: i}}, {name: b, dependsOn: [a], job: {image: i}}]",
        "{events: [{node: b, attempt: 1, exitCode: 1}], actions: [{at: 100, rerun: All}]}",
    ),
    "terminated": (UNDONE, "actions: [{at: 30, stop: Terminate}]"),
    "terminated while it is undone": (UNDONE, "actions: [{at: 30, stop: Cancel}, {at: 40, stop: Terminate}]"),
    "drained while it is suspended": (UNDONE, "actions: [{at: 10, suspend: true}, {at: 50, stop: Drain}]"),
    "undone and done again": (
        UNDONE,
        "{events: [{node: b, attempt: 1, exitCode: 1}], actions: [{at: 200, rerun: Failed}]}",
    ),
    "a loop that is done again": (
        "nodes: [{name: w, while: {condition: 'iteration < 2'}, job: {image: i}}]",
        "{events: [{node: w, iteration: 1, attempt: 1, exitCode: 1}], actions: [{at: 100, rerun: Failed}]}",
    ),
    "cleaned up with a service": (
        """
        failurePolicy: Cancel
        nodes:
        - {name: s, service: true, job: {image: i}}
        - {name: bad, job: {image: i}}
        - {name: clean, dependsOn: ["bad:Failed", "s:Ready"], job: {image: i}}
        - {name: tell, dependsOn: [clean, "s:Ready"], job: {image: i}}
        """,
        "events: [{node: bad, exitCode: 1}, {node: clean, exitCode: 1}]",
    ),
    "nobody answers": (
        """
        nodes:
        - {name: ask, approval: {timeoutSeconds: 50, onTimeout: Reject}}
        - {name: no-one, dependsOn: ["ask:Failed"], job: {image: i}}
        - {name: slow, retry: {limit: 1, backoff: {initialSeconds: 15, jitter: 0}}, job: {image: i}}
        - {name: held, dependsOn: [slow], job: {image: i}}
        finally: [{name: f, job: {image: i}}]
        """,
        "events: [{node: slow, attempt: 1, exitCode: 1}, {node: no-one, exitCode: 1}]",
    ),
}


def told(nodes: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What both tell of each node."""
    return {name: (node["phase"], node.get("reason"), node.get("attempts") or 0) for name, node in nodes.items()}


@pytest.mark.parametrize(("workflow", "world"), CASES.values(), ids=CASES)
async def test_the_operator_does_what_the_simulation_says(rig: Rig, workflow: str, world: str) -> None:
    document = {"default": {"durationSeconds": SECONDS}, **yaml.safe_load(world)}
    scenario, _ = parse_scenario(document)
    assert scenario is not None
    events = Events(scenario.events)

    def behave(node: str, attempt: int) -> Fate:
        round_ = 1 if node == "w" and len(rig.jobs_made()) == 2 else None  # a Pod does not tell its round
        event = events.first(node=node, role="main", index=None, iteration=round_, attempt=attempt)
        code = 0 if event is None else event.exit_code or 0
        return Fate(seconds=10_000 if node == "s" else SECONDS, code=code)

    rig.behave = behave
    rig.workflow("w", workflow)
    await rig.up()
    rig.start("w")
    begun = rig.clock.now()
    for action in scenario.actions:
        await rig.clock.advance(begun + action.at - rig.clock.now())
        if action.rerun is not None:
            assert rig.ended()
            rig.edit(rerun={"generation": 1, "from": action.rerun.from_}, stop=None)
            await rig.clock.advance(1)
        else:
            rig.edit(**action.model_dump(include={"suspend", "stop"}, exclude_none=True))
    await rig.wait(rig.ended)
    said = simulate(workflow, document).report
    assert rig.phase() == said["outcome"]
    assert told({node["name"]: node for node in rig.run()["status"]["nodes"]}) == told(said["nodes"])
