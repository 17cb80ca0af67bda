"""Outputs reach who reads them as they were, whatever the API server makes of nulls and of numbers on the way."""

import pytest
from support.rig import Rig
from support.simulation import simulate
from weft.api.objects import Obj
from weft.kube.resources import WORKFLOW_RUNS


def outputs(run: Obj) -> str:
    """What a run gives, told so that 5 and 5.0 are not the same."""
    return repr(sorted(run["status"]["outputs"].items()))


@pytest.mark.parametrize("seconds", [2, 30], ids=["restarted", "restarted once they were told"])
async def test_a_restart_makes_no_integer_of_a_double(rig: Rig, seconds: float) -> None:
    rig.workflow(
        "w",
        """
        nodes:
        - {name: a, expr: {x: "2.5 * 2.0"}}
        - {name: l, forEach: {range: 2}, expr: {x: "double(index)"}}
        - {name: p, dependsOn: [a, l], wait: {seconds: 60}}
        - {name: b, dependsOn: [p], expr: {x: nodes.a.outputs.x / 2, y: "nodes.l.outputs.x[1] / 2"}}
        outputs: [{name: x, value: nodes.b.outputs.x}, {name: y, value: nodes.b.outputs.y}]
        """,
    )
    await rig.up()
    rig.start("w")
    await rig.clock.advance(seconds)
    await rig.down()
    await rig.up()
    await rig.wait(rig.ended)
    assert (rig.phase(), rig.run()["status"]["outputs"]) == ("Succeeded", {"x": 2.5, "y": 0.5})


CHILD = """
parameters: [{{name: n, type: number, default: 1}}, {{name: deep, type: object, default: {{}}}}]
nodes: [{{name: x, job: {{image: i}}}}]
outputs: [{{name: it, value: "{value}"}}]
"""
PARENT = """
nodes:
- {{name: c, workflow: {{name: child, parameters: {{{parameters}}}}}}}
- {{name: d, dependsOn: [c], expr: {{found: "{reader}"}}}}
outputs: [{{name: found, value: "nodes.d.outputs.found"}}]
"""
CASES = {
    "a null": ("null", "", "nodes.c.outputs.it == null", True),
    "a null within": ("{'a': {'b': null}}", "", "nodes.c.outputs.it.a.b == null", True),
    "a whole double": ("2.5 * 2.0", "", "nodes.c.outputs.it / 2", 2.5),
    "a double within": ("[{'a': 1e16}]", "", "nodes.c.outputs.it[0].a / 3", 1e16 / 3),
    "a parameter": ("params.n / 2", "n: '${{ 2.5 * 2.0 }}'", "nodes.c.outputs.it", 2),
    "a parameter within": ("params.deep.a[0] / 2", "deep: {a: ['${{ 2.5 * 2.0 }}']}", "nodes.c.outputs.it", 2),
}
"""What the child gives, what it is given, what its parent makes of what it gives, and what comes of it."""


@pytest.mark.parametrize("restart", [False, True], ids=["calm", "restarted"])
@pytest.mark.parametrize(("value", "parameters", "reader", "expected"), CASES.values(), ids=CASES)
async def test_a_child_runs_outputs_are_what_the_simulation_says(
    rig: Rig, value: str, parameters: str, reader: str, expected: object, restart: bool
) -> None:
    child, parent = CHILD.format(value=value), PARENT.format(parameters=parameters, reader=reader)
    rig.workflow("child", child)
    rig.workflow("w", parent)
    await rig.up()
    rig.start("w")
    if restart:
        await rig.wait(lambda: len(rig.api.all(WORKFLOW_RUNS)) == 2)
        await rig.clock.advance(0.5)
        await rig.down()
        await rig.clock.advance(5)
        await rig.up()
    await rig.wait(rig.ended, seconds=60)
    assert (rig.phase(), rig.run()["status"].get("outputs")) == ("Succeeded", {"found": expected})
    head = "apiVersion: weft.dev/v1alpha1\nkind: Workflow\nmetadata: {name: child}\nspec:\n"
    said = simulate(parent, others=head + "".join(f"  {line}\n" for line in child.splitlines())).report
    assert said["outputs"] == {"found": expected}
