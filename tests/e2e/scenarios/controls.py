"""What people do to runs: suspend, resume, stop, rerun, queue."""

from __future__ import annotations

from e2e.harness.place import Place, no_attempt_twice, refused
from e2e.harness.stage import node, scenario, spec


@scenario(builtin=True)
def suspend_and_resume(place: Place) -> None:
    """Suspended, a run starts nothing new while its Pods go on; resumed, it goes on."""
    run = place.start("suspend", spec([node("first", "sleep 3"), node("second", after=["first"])]))
    run.running_pod("first")
    run.edit(suspend=True)
    run.reaches("first", "Succeeded")
    run.until(lambda run: run.phase == "Suspended", "it is not Suspended")
    assert run.condition("Reconciling")["status"] == "True"
    assert not run.pods("second")
    run.edit(suspend=False)
    run.finish()
    assert run.phases() == {"first": "Succeeded", "second": "Succeeded"}


@scenario(killed=False)
def suspended_from_the_start(place: Place) -> None:
    """A run that is created suspended waits for its release."""
    run = place.start("asleep", spec([node("a", expr={"x": "1"})]), suspend=True)
    run.until(lambda run: run.phase == "Suspended", "it is not Suspended")
    run.edit(suspend=False)
    run.finish()


_LAST = {"finally": [node("report", 'echo "outcome=$OUTCOME" > $WEFT_OUTPUTS', env={"OUTCOME": "${{ run.outcome }}"})]}
_UNDO = {"job": {"script": "true"}}


@scenario(builtin=True)
def stop_drain(place: Place) -> None:
    """Drain lets running Jobs end, starts nothing new, undoes, and runs finally."""
    nodes = [node("quick", compensate=_UNDO), node("slow", "sleep 5", after=["quick"]), node("next", after=["slow"])]
    run = place.start("stop-drain", spec(nodes, **_LAST))
    run.running_pod("slow")
    run.edit(stop="Drain")
    run.finish("Cancelled")
    assert run.phases() == {"quick": "Compensated", "slow": "Succeeded", "next": "Skipped", "report": "Succeeded"}
    assert run.node("report")["outputs"] == {"outcome": "Cancelled"}
    assert run.condition("Succeeded")["status"] == "False"
    assert run.condition("Succeeded")["reason"] == "Stopped"


@scenario(builtin=True)
def stop_cancel(place: Place) -> None:
    """Cancel stops running Jobs, undoes what succeeded, and runs finally."""
    nodes = [node("quick", compensate=_UNDO), node("slow", "sleep 60", after=["quick"]), node("next", after=["slow"])]
    run = place.start("stop-cancel", spec(nodes, **_LAST))
    run.running_pod("slow")
    run.edit(stop="Cancel")
    run.finish("Cancelled")
    assert run.phases() == {"quick": "Compensated", "slow": "Cancelled", "next": "Skipped", "report": "Succeeded"}


@scenario(builtin=True)
def stop_terminate(place: Place) -> None:
    """Terminate skips compensation and finally, even after a Drain that still goes on; stop only escalates."""
    nodes = [node("quick", compensate=_UNDO), node("slow", "sleep 60", after=["quick"])]
    run = place.start("stop-terminate", spec(nodes, **_LAST))
    run.running_pod("slow")
    run.edit(stop="Drain")
    run.until(lambda run: run.condition("Succeeded").get("reason") == "Stopping", "it does not say that it stops")
    assert "escalate" in refused(lambda: run.edit(stop=None))
    run.edit(stop="Terminate")
    run.finish("Cancelled")
    assert run.node("quick")["phase"] == "Succeeded"
    assert run.node("slow")["phase"] == "Cancelled"
    assert not run.pods("report")


@scenario()
def stop_beats_suspend(place: Place) -> None:
    """A suspended run can be stopped."""
    run = place.start("stop-suspended", spec([node("a", wait={"seconds": 600}), node("b", after=["a"])]))
    run.reaches("a", "Waiting")
    run.edit(suspend=True)
    run.until(lambda run: run.phase == "Suspended", "it is not Suspended")
    run.edit(stop="Cancel")
    run.finish("Cancelled")


# The first time round, and never again, `bad` fails: its attempt numbers go on in a rerun.
_ONCE_BAD = "[ $WEFT_ATTEMPT -ge 2 ]"


@scenario(builtin=True)
def rerun_failed(place: Place) -> None:
    """A rerun from Failed does again what is not Succeeded, and nothing else; attempt numbers go on."""
    nodes = [
        node("good", "echo n=1 > $WEFT_OUTPUTS"),
        node("bad", _ONCE_BAD, after=["good"]),
        node("next", 'echo "n=$N" > $WEFT_OUTPUTS', after=["bad"], env={"N": "${{ nodes.good.outputs.n }}"}),
    ]
    run = place.start("rerun-failed", spec(nodes, outputs=[{"name": "n", "value": "nodes.next.outputs.n"}]))
    run.finish("Failed")
    assert run.node("next")["phase"] == "Skipped"
    run.rerun()
    run.until(lambda run: run.phase == "Succeeded", "the rerun has not succeeded")
    assert len(run.jobs("good")) == 1
    assert [job["metadata"]["labels"]["weft.dev/attempt"] for job in run.jobs("bad")] == ["1", "2"]
    assert str(run.outputs["n"]) == "1"
    no_attempt_twice(run)


@scenario()
def rerun_items(place: Place) -> None:
    """Of a forEach only the failed items are done again."""
    script = 'echo "{\\"v\\": $WEFT_INDEX}" > $WEFT_OUTPUTS; [ $WEFT_INDEX != 2 ] || [ $WEFT_ATTEMPT -ge 2 ]'
    body = spec([node("each", script, forEach={"range": 3, "maxParallel": 1})],
                outputs=[{"name": "all", "value": "nodes.each.outputs.v"}])  # fmt: skip
    run = place.start("rerun-items", body).finish("Failed")
    assert run.node("each")["reason"] == "TooManyFailedItems"
    run.rerun()
    run.until(lambda run: run.phase == "Succeeded", "the rerun has not succeeded")
    assert run.outputs == {"all": [0, 1, 2]}
    assert len(run.jobs()) == 4
    no_attempt_twice(run)


@scenario()
def rerun_nodes(place: Place) -> None:
    """A rerun of Nodes does those and all their descendants again."""
    nodes = [node("a"), node("b", after=["a"]), node("c", after=["b"]), node("other", after=["a"])]
    run = place.start("rerun-nodes", spec(nodes)).finish()
    run.rerun(from_="Nodes", nodes=["b"])
    run.until(lambda run: len(run.jobs("c")) == 2 and run.phase == "Succeeded", "c has not run again")
    assert {name: len(run.jobs(name)) for name in ("a", "b", "c", "other")} == {"a": 1, "b": 2, "c": 2, "other": 1}


@scenario()
def rerun_all(place: Place) -> None:
    """A rerun of All does everything again; a stopped run is rerun by clearing stop in the same edit."""
    run = place.start("rerun-all", spec([node("a"), node("slow", "[ $WEFT_ATTEMPT -ge 2 ] || sleep 60", after=["a"])]))
    run.running_pod("slow")
    told = refused(lambda: run.edit(rerun={"generation": 1, "from": "All"}))
    assert "spec.rerun: Invalid value" in told
    assert "active" in told
    run.edit(stop="Cancel")
    run.finish("Cancelled")
    assert "stop" in refused(lambda: run.edit(rerun={"generation": 1, "from": "All"}))
    run.rerun(from_="All")
    run.until(lambda run: run.phase == "Succeeded", "the rerun has not succeeded")
    assert (len(run.jobs("a")), len(run.jobs("slow"))) == (2, 2)


@scenario()
def queue(place: Place) -> None:
    """A queue lets one run through at a time: the urgent one first, then by age."""
    place.create("WorkflowQueue", "narrow", {"maxActiveRuns": 1})
    first = place.start("queued", spec([node("a", wait={"seconds": 4})]), queue="narrow")
    first.until(lambda run: run.phase == "Running", "it does not run")
    second = place.start("queued", queue="narrow")
    second.until(lambda run: "narrow" in run.condition("Succeeded").get("message", ""), "it does not say why it waits")
    assert second.phase == "Queued"
    urgent = place.start("queued", queue="narrow", priority="High")
    runs = [first, second, urgent]
    for run in runs:
        run.finish()
    assert first.status["completionTime"] <= urgent.status["startTime"]
    assert urgent.status["completionTime"] <= second.status["startTime"]
