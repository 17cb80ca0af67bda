"""Bodies inside bodies: loops over graphs, children of children, and what is passed down to them or taken away."""

from __future__ import annotations

from e2e.harness.place import Place, no_attempt_twice
from e2e.harness.stage import node, scenario, spec


@scenario(builtin=True)
def for_each_in_batches_through_graphs(place: Place) -> None:
    """Batches of a list, each through a graph that loops over its batch; the outputs are lists of lists."""
    inner = {
        "name": "batch", "parameters": [{"name": "words", "type": "array"}],
        "nodes": [node("word", 'echo "long=$WORD$WORD" > $WEFT_OUTPUTS', env={"WORD": "${{ w }}"},
                       forEach={"items": "params.words", "as": "w"})],
        "outputs": [{"name": "long", "value": "nodes.word.outputs.long"}],
    }  # fmt: skip
    each = {"items": ["a", "b", "c"], "batchSize": 2, "as": "words", "maxParallel": 1}
    nodes = [node("all", forEach=each, graph={"name": "batch", "parameters": {"words": "${{ words }}"}})]
    outputs = [{"name": "long", "value": "nodes.all.outputs.long"}]
    run = place.start("batches", spec(nodes, graphs=[inner], outputs=outputs)).finish()
    assert run.outputs == {"long": [["aa", "bb"], ["cc"]]}
    no_attempt_twice(run)


@scenario()
def while_over_a_graph(place: Place) -> None:
    """A graph is run again as a whole as long as the condition holds of its outputs."""
    look = {
        "name": "look", "parameters": [{"name": "n", "type": "integer"}],
        "nodes": [node("pause", wait={"seconds": 1}),
                  node("ask", 'echo "{\\"n\\": $((N + 1))}" > $WEFT_OUTPUTS', after=["pause"],
                       env={"N": "${{ params.n }}"})],
        "outputs": [{"name": "n", "value": "nodes.ask.outputs.n"}],
    }  # fmt: skip
    one = node("poll", graph={"name": "look", "parameters": {"n": "${{ previous.?n.orValue(0) }}"}})
    one["while"] = {"condition": "previous.n < 3", "maxIterations": 9}
    run = place.start("poll", spec([one], graphs=[look])).finish()
    assert run.node("poll")["outputs"] == {"n": 3}
    assert len(run.jobs()) == 3
    no_attempt_twice(run)


@scenario()
def graph_compensated(place: Place) -> None:
    """What succeeded inside a graph is undone when the run fails outside of it, each item for itself."""
    undo = {"job": {"script": "echo undoing $WEFT_INDEX"}}
    inner = {"name": "shop", "nodes": [node("order", forEach={"range": 2}, compensate=undo)]}
    nodes = [node("buy", graph={"name": "shop"}), node("pay", "exit 1", after=["buy"])]
    run = place.start("undone", spec(nodes, graphs=[inner])).finish("Failed")
    assert run.node("buy/order")["phase"] == "Compensated", run.describe()
    assert len(run.jobs("buy/order")) == 4
    no_attempt_twice(run)


@scenario()
def child_runs_of_a_loop(place: Place) -> None:
    """A child run per item; each has a child of its own, and their outputs come all the way up."""
    leaf = spec([node("work", 'echo "v=$V" > $WEFT_OUTPUTS', env={"V": "${{ params.v }}"})],
                parameters=[{"name": "v", "type": "string"}],
                outputs=[{"name": "v", "value": "nodes.work.outputs.v"}])  # fmt: skip
    middle = spec([node("call", workflow={"name": "leaf", "parameters": {"v": "${{ params.v }}"}})],
                  parameters=[{"name": "v", "type": "string"}],
                  outputs=[{"name": "v", "value": "nodes.call.outputs.v"}])  # fmt: skip
    place.create("Workflow", "leaf", leaf)
    place.create("Workflow", "middle", middle)
    nodes = [
        node("each", forEach={"items": ["x", "y"]}, workflow={"name": "middle", "parameters": {"v": "${{ item }}"}})
    ]
    run = place.start("family", spec(nodes), priority="High").finish()
    assert [item["outputs"] for item in run.node("each")["items"]] == [{"v": "x"}, {"v": "y"}]
    children = place.child_runs(run)
    assert len(children) == 2
    assert {child.obj["spec"].get("priority") for child in children} == {"High"}


@scenario()
def child_is_suspended_with_its_parent(place: Place) -> None:
    """Suspend and resume are passed on to child runs, and Drain lets a child's Jobs end."""
    nodes = [node("first", "sleep 3"), node("second", after=["first"])]
    place.create("Workflow", "steps", spec(nodes))
    run = place.start("sleepy-parent", spec([node("call", workflow={"name": "steps"})]))
    child = run.until(lambda run: next(iter(place.child_runs(run)), None), "there is no child run")
    child.running_pod("first")
    run.edit(suspend=True)
    child.reaches("first", "Succeeded")
    child.until(lambda child: child.phase == "Suspended", "the child is not Suspended")
    assert not child.jobs("second")
    run.edit(suspend=False)
    run.finish()
    assert child.phases() == {"first": "Succeeded", "second": "Succeeded"}


@scenario()
def resource_fails_and_is_deleted_on_stop(place: Place) -> None:
    """failWhen fails the node; an object of a node that is stopped goes, and one of a node that succeeded stays."""
    place.kubectl("create", "serviceaccount", "keeper")
    place.kubectl("create", "role", "keeper", "--verb=*", "--resource=configmaps")
    place.kubectl("create", "rolebinding", "keeper", "--role=keeper", f"--serviceaccount={place.name}:keeper")

    def made(name: str, **rest: object) -> dict[str, object]:
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"state": "bad"}}
        return {"manifest": manifest, **rest}

    nodes = [
        node("fails", allowFailure=True, resource=made("fails", failWhen="object.data.state == 'bad'",
                                                       successWhen="object.data.state == 'good'")),
        node("stays", resource=made("stays")),
        node("open", after=["fails:Done", "stays"], resource=made("open", successWhen="object.data.state == 'good'")),
    ]  # fmt: skip
    run = place.start("keeper", spec(nodes, defaults={"serviceAccountName": "keeper"}))
    place.wait_for(lambda: "open" in _config_maps(place), "the object of `open` is not there")
    run.reaches("fails", "Failed", "ResourceFailed")
    run.edit(stop="Cancel")
    run.finish("Cancelled")
    place.wait_for(lambda: "open" not in _config_maps(place), "the object of the stopped node stays")
    assert "stays" in _config_maps(place)


def _config_maps(place: Place) -> list[str]:
    return place.kubectl("get", "configmaps", "-o", "jsonpath={.items[*].metadata.name}").split()
