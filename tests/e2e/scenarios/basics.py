"""One node after another: order, outputs, retries, limits, and what can go wrong with a Pod."""

from __future__ import annotations

import itertools
from datetime import datetime

from e2e.harness.api import Obj
from e2e.harness.place import Place, no_attempt_twice
from e2e.harness.stage import node, scenario, spec
from weft.api.quantity import parse_quantity


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _main(pod: Obj) -> Obj:
    state: Obj = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return state


@scenario(builtin=True)
def diamond(place: Place) -> None:
    """Four nodes run in order, hand on what they wrote, and the run puts out what the last one found."""
    a = {"N": "${{ nodes.a.outputs.n }}"}
    run = place.start(
        "diamond",
        spec(
            [
                node("a", 'echo "n=3" > $WEFT_OUTPUTS'),
                node("b", 'echo "{\\"n\\": $((N * 2))}" > $WEFT_OUTPUTS', after="a", env=a),
                node("c", 'echo "{\\"n\\": $((N + 1))}" > $WEFT_OUTPUTS', after="a", env=a),
                node("d", 'echo "{\\"n\\": $((B + C))}" > $WEFT_OUTPUTS; echo "it is $((B + C))"', after="bc",
                     env={"B": "${{ nodes.b.outputs.n }}", "C": "${{ nodes.c.outputs.n }}"}),
            ],
            outputs=[{"name": "sum", "value": "nodes.d.outputs.n"}],
            jobs={"keep": "All"},
        ),
    ).finish()  # fmt: skip
    assert run.outputs == {"sum": 10}
    assert run.phases() == dict.fromkeys("abcd", "Succeeded")
    assert run.status["progress"] == "4/4"
    assert run.condition("Succeeded")["status"] == "True"
    assert run.condition("Reconciling")["status"] == "False"
    assert run.condition("Stalled")["status"] == "False"
    assert run.log("d") == "it is 10\n"
    ended = {name: _moment(_main(run.pods(name)[0])["finishedAt"]) for name in "abc"}
    started = {name: _moment(_main(run.pods(name)[0])["startedAt"]) for name in "bcd"}
    assert ended["a"] <= min(started["b"], started["c"])
    assert max(ended["b"], ended["c"]) <= started["d"]
    assert len(run.jobs()) == 4
    no_attempt_twice(run)
    for job in run.jobs():
        run.until(lambda run: all(_job_ended(j, "Complete") for j in run.jobs()), f"{job['metadata']['name']} goes on")


def _job_ended(job: Obj, kind: str) -> bool:
    found = job.get("status", {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in found)


@scenario(builtin=True)
def retry_until_it_succeeds(place: Place) -> None:
    """Two failures, each followed by its back-off, then success: three Jobs, one node."""
    backoff = {"initialSeconds": 2, "factor": 2, "maxSeconds": 60, "jitter": 0}
    script = 'echo "{\\"attempt\\": $WEFT_ATTEMPT}" > $WEFT_OUTPUTS; [ $WEFT_ATTEMPT -ge 3 ]'
    run = place.start("retry", spec([node("flaky", script, retry={"limit": 3, "backoff": backoff})])).finish()
    assert run.node("flaky")["attempts"] == 3
    assert run.node("flaky")["outputs"] == {"attempt": 3}
    pods = run.pods("flaky")
    assert [_main(pod)["exitCode"] for pod in pods] == [1, 1, 0]
    assert [pod["metadata"]["labels"]["weft.dev/attempt"] for pod in pods] == ["1", "2", "3"]
    waits = [
        _moment(b["metadata"]["creationTimestamp"]) - _moment(_main(a)["finishedAt"])
        for a, b in itertools.pairwise(pods)
    ]
    # The API's times are whole seconds, cut off: a wait of 2 s between an end and the next Pod may show as 1.
    assert waits[0] >= 1, waits
    assert waits[1] >= 3, waits
    no_attempt_twice(run)


@scenario(builtin=True)
def retry_gives_up(place: Place) -> None:
    """Past its limit a failure stands: the run fails with the node, its exit code and how often it was tried."""
    retry = {"limit": 1, "backoff": {"initialSeconds": 0}}
    run = place.start("gives-up", spec([node("bad", "exit 7", retry=retry)])).finish("Failed")
    bad = run.node("bad")
    assert (bad["phase"], bad["reason"], bad["exitCode"], bad["attempts"]) == ("Failed", "Error", 7, 2)
    assert run.condition("Succeeded")["reason"] == "NodeFailed"
    assert "bad failed (Error: main exited with code 7)" in run.condition("Succeeded")["message"]
    assert run.condition("Stalled")["status"] == "True"


@scenario()
def retry_when(place: Place) -> None:
    """retry.when says which failures are worth another attempt."""
    retry = {"limit": 5, "when": "exitCode != 2", "backoff": {"initialSeconds": 0}}
    run = place.start("retry-when", spec([node("bad", "exit $((WEFT_ATTEMPT))", retry=retry)])).finish("Failed")
    assert run.node("bad")["attempts"] == 2
    assert run.node("bad")["exitCode"] == 2


@scenario()
def out_of_memory(place: Place) -> None:
    """An attempt that was killed for lack of memory is followed by one that has more.

    Now and then containerd misses that the kernel has killed a process that had just begun: that one Failed (137).
    """
    body = {
        "script": "exec dd if=/dev/zero of=/dev/null bs=80M count=1",
        "resources": {"requests": {"memory": "16Mi"}, "limits": {"memory": "48Mi"}},
    }
    retry = {"limit": 3, "onOutOfMemory": {"factor": 3, "max": "256Mi"}, "backoff": {"initialSeconds": 0}}
    run = place.start("hungry", spec([{"name": "hungry", "job": body, "retry": retry}])).finish()
    pods = run.pods("hungry")
    resources = [pod["spec"]["containers"][0]["resources"] for pod in pods]
    asked = [(parse_quantity(one["requests"]["memory"]), parse_quantity(one["limits"]["memory"])) for one in resources]
    less, more = (16 * 2**20, 48 * 2**20), (48 * 2**20, 144 * 2**20)
    *unnoticed, killed, _last = (_main(pod)["reason"] for pod in pods)
    assert (killed, set(unnoticed) <= {"Error"}) == ("OOMKilled", True), run.describe()
    assert asked == [less] * (len(pods) - 1) + [more], run.describe()


@scenario(builtin=True)
def outputs_too_large(place: Place) -> None:
    """More than a termination message holds fails the node, with the size and the limit."""
    script = "i=0; while [ $i -lt 600 ]; do echo key$i=0123456789; i=$((i + 1)); done > $WEFT_OUTPUTS"
    run = place.start("too-large", spec([node("big", script)])).finish("Failed")
    assert run.node("big")["reason"] == "OutputsTooLarge", run.describe()
    assert "4096" in run.node("big")["message"]


@scenario()
def outputs_invalid(place: Place) -> None:
    """Outputs that are neither JSON nor key=value lines fail the node, and say so."""
    run = place.start("invalid", spec([node("odd", "echo '{\"a\": ' > $WEFT_OUTPUTS")])).finish("Failed")
    assert run.node("odd")["reason"] == "InvalidOutputs", run.describe()


@scenario()
def image_that_does_not_exist(place: Place) -> None:
    """A missing image is told while the run waits for it, and ends the node when pendingTimeoutSeconds have passed."""
    one = node("lost", pendingTimeoutSeconds=20)
    one["job"]["image"] = "weft.local/there-is-none:1"
    run = place.start("no-image", spec([one]))
    run.until(lambda run: run.node("lost").get("reason") == "ImagePullFailed", "nobody says that the image is missing")
    assert "weft.local/there-is-none:1" in run.node("lost")["message"]
    run.finish("Failed")
    assert run.node("lost")["reason"] == "ImagePullFailed"
    assert "pendingTimeoutSeconds (20 s)" in run.node("lost")["message"]
    assert "weft.local/there-is-none:1" in run.node("lost")["message"]


@scenario()
def parallelism(place: Place) -> None:
    """Never more Pods than spec.parallelism, each item counted; nodes start in written order."""
    nodes = [node(f"n{index}", "sleep 1") for index in range(4)]
    nodes.append(node("items", "sleep 1", forEach={"range": 3}))
    run = place.start("parallelism", spec(nodes, parallelism=2)).finish()
    assert run.most_pods_at_once() == 2
    order = [job["metadata"]["labels"]["weft.dev/node"] for job in run.jobs()]
    # Two start in the same instant, and either may be made first.
    assert (sorted(order[:2]), sorted(order[2:4])) == (["n0", "n1"], ["n2", "n3"])


@scenario(builtin=True)
def pod_deleted_by_hand(place: Place) -> None:
    """A Pod that somebody deletes is a disruption: another attempt, no failure, no back-off."""
    run = place.start("pod-deleted", spec([node("work", "[ $WEFT_ATTEMPT -ge 2 ] || sleep 60")]))
    name = run.running_pod("work")["metadata"]["name"]
    place.kubectl("delete", "pod", name, "--grace-period=0", "--wait=false")
    run.finish()
    assert run.node("work")["attempts"] == 2
    no_attempt_twice(run)


@scenario(builtin=True)
def job_deleted_by_hand(place: Place) -> None:
    """A Job that somebody deletes is a disruption, too, and never two Pods of the node run at once."""
    run = place.start("job-deleted", spec([node("work", "[ $WEFT_ATTEMPT -ge 2 ] || sleep 60")]))
    run.running_pod("work")
    place.kubectl("delete", "job", run.jobs("work")[0]["metadata"]["name"], "--wait=false")
    run.finish()
    assert run.node("work")["attempts"] == 2
    assert run.most_pods_at_once() == 1
    no_attempt_twice(run)


@scenario()
def disruptions_run_out(place: Place) -> None:
    """Past retry.disruptions the node fails, with what disrupted it."""
    run = place.start("disrupted", spec([node("work", "sleep 60", retry={"limit": 0, "disruptions": 1})]))
    first = run.running_pod("work")["metadata"]["name"]
    place.kubectl("delete", "pod", first, "--grace-period=0", "--wait=false")
    second = run.until(
        lambda run: next((p for p in run.pods("work") if p["metadata"]["name"] != first and _runs(p)), None),
        "no second Pod",
    )
    place.kubectl("delete", "pod", second["metadata"]["name"], "--grace-period=0", "--wait=false")
    run.finish("Failed")
    assert run.node("work")["reason"] == "PodDeleted"


def _runs(pod: Obj) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running")


@scenario()
def edited_while_active(place: Place) -> None:
    """Editing or deleting the Workflow changes nothing of a run that has started."""
    before = spec([node("first", "sleep 4"), node("second", "echo v=old > $WEFT_OUTPUTS", after=["first"])],
                  outputs=[{"name": "v", "value": "nodes.second.outputs.v"}])  # fmt: skip
    run = place.start("edited", before)
    run.running_pod("first")
    after = spec([node("first"), node("other", "echo v=new > $WEFT_OUTPUTS", after=["first"])],
                 outputs=[{"name": "v", "value": "nodes.other.outputs.v"}])  # fmt: skip
    place.apply({"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow",
                 "metadata": {"name": "edited", "namespace": place.name}, "spec": after})  # fmt: skip
    newer = place.start("edited").finish()
    place.kubectl("delete", "workflow", "edited")
    run.finish()
    assert (run.outputs, newer.outputs) == ({"v": "old"}, {"v": "new"})
    assert run.phases() == {"first": "Succeeded", "second": "Succeeded"}
    assert run.status["workflowRevision"] != newer.status["workflowRevision"]


@scenario(killed=False)
def parameters(place: Place) -> None:
    """Parameters are checked when a run starts: types, limits, and names."""
    declared = [{"name": "limit", "type": "integer", "default": 5, "minimum": 1, "maximum": 10}]
    body = spec([node("a", expr={"twice": "params.limit * 2"})], parameters=declared,
                outputs=[{"name": "twice", "value": "nodes.a.outputs.twice"}])  # fmt: skip
    assert place.start("parameters", body).finish().outputs == {"twice": 10}
    assert place.start("parameters", parameters={"limit": 10}).finish().outputs == {"twice": 20}
    for wrong, told in (({"limit": 11}, "10"), ({"limit": "many"}, "integer"), ({"limits": 1}, "limits")):
        run = place.start("parameters", parameters=wrong).finish("Failed")
        assert run.condition("Succeeded")["reason"] == "InvalidParameters"
        assert told in run.condition("Succeeded")["message"]


@scenario()
def inline_workflow(place: Place) -> None:
    """A run may bring its own Workflow."""
    body = spec([node("a", expr={"x": "1 + 1"})], outputs=[{"name": "x", "value": "nodes.a.outputs.x"}])
    assert place.create_run({"workflow": body}).finish().outputs == {"x": 2}


@scenario(killed=False)
def run_before_its_workflow(place: Place) -> None:
    """A run and its Workflow may be applied in any order."""
    run = place.create_run({"workflowRef": {"name": "late"}})
    run.until(
        lambda run: run.condition("Succeeded").get("reason") == "WorkflowNotFound", "it does not say what it lacks"
    )
    place.create("Workflow", "late", spec([node("a", expr={"x": "1"})]))
    run.finish()


@scenario(builtin=True)
def container_beside_main(place: Place) -> None:
    """A container that never ends, and does not hear SIGTERM, is stopped when main has ended; main gives the result."""
    one = node("work", 'sleep 2; echo "rows=7" > $WEFT_OUTPUTS', retry={"limit": 0}, timeoutSeconds=60)
    two = node("wrong", "sleep 2; exit 3", retry={"limit": 0}, timeoutSeconds=60, allowFailure=True)
    for each in (one, two):
        beside = {
            "name": "proxy",
            "image": "busybox:1",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "3600"],
        }
        each["job"]["podTemplate"] = {"spec": {"terminationGracePeriodSeconds": 4, "containers": [beside]}}
    last = node("next", after=["work"], env={"ROWS": "${{ nodes.work.outputs.rows }}"}, script="[ $ROWS = 7 ]")
    run = place.start("beside-main", spec([one, two, last], jobs={"keep": "All"})).finish()
    assert run.phases() == {"work": "Succeeded", "wrong": "Failed", "next": "Succeeded"}
    assert (run.node("wrong")["reason"], run.node("wrong")["exitCode"]) == ("Error", 3)
    assert [run.node(name)["attempts"] for name in ("work", "wrong")] == [1, 1]
    for name in ("work", "wrong"):
        (pod,) = run.pods(name)
        assert pod["metadata"]["annotations"]["weft.dev/main-ended"] == "true"
    assert _moment(run.pods("next")[0]["metadata"]["creationTimestamp"]) >= max(
        _moment(each["state"]["terminated"]["finishedAt"])
        for each in run.pods("work")[0]["status"]["containerStatuses"]
    )


@scenario(builtin=True)
def sidecar_of_the_kubelet(place: Place) -> None:
    """A sidecar in initContainers is stopped by the kubelet: node and Job have both succeeded."""
    one = node("work", 'sleep 2; echo "rows=7" > $WEFT_OUTPUTS')
    beside = {
        "name": "proxy",
        "image": "busybox:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "3600"],
        "restartPolicy": "Always",
    }
    one["job"]["podTemplate"] = {"spec": {"terminationGracePeriodSeconds": 4, "initContainers": [beside]}}
    run = place.start("sidecar", spec([one], jobs={"keep": "All"})).finish()
    assert run.node("work")["outputs"] == {"rows": "7"}
    assert run.pods("work")[0]["status"]["phase"] == "Succeeded"
    run.until(lambda run: all(_job_ended(job, "Complete") for job in run.jobs()), "the Job does not complete")
