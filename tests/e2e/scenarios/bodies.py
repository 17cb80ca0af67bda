"""Every body and modifier of a node, seen from outside."""

from __future__ import annotations

import itertools

from e2e.harness.api import Obj
from e2e.harness.place import Place, no_attempt_twice, refused
from e2e.harness.stage import node, scenario, spec


@scenario(builtin=True)
def graph(place: Place) -> None:
    """A named graph runs in place, with parameters and outputs of its own, two levels deep."""
    inner = {
        "name": "double", "parameters": [{"name": "n", "type": "integer"}],
        "nodes": [node("work", 'echo "{\\"n\\": $((N * 2))}" > $WEFT_OUTPUTS', env={"N": "${{ params.n }}"})],
        "outputs": [{"name": "n", "value": "nodes.work.outputs.n"}],
    }  # fmt: skip
    outer = {
        "name": "quadruple", "parameters": [{"name": "n", "type": "integer"}],
        "nodes": [
            node("one", graph={"name": "double", "parameters": {"n": "${{ params.n }}"}}),
            node("two", after=["one"], graph={"name": "double", "parameters": {"n": "${{ nodes.one.outputs.n }}"}}),
        ],
        "outputs": [{"name": "n", "value": "nodes.two.outputs.n"}],
    }  # fmt: skip
    nodes = [node("call", graph={"name": "quadruple", "parameters": {"n": 5}})]
    run = place.start(
        "graph", spec(nodes, graphs=[inner, outer], outputs=[{"name": "n", "value": "nodes.call.outputs.n"}])
    )
    run.finish()
    assert run.outputs == {"n": 20}
    assert set(run.phases()) >= {"call", "call/one", "call/one/work", "call/two/work"}


@scenario(builtin=True)
def for_each(place: Place) -> None:
    """Items of a list, a few at a time; outputs are lists in item order, null for one that failed."""
    nodes = [
        node("make", 'echo \'{"words": ["a", "b", "c", "d", "e"]}\' > $WEFT_OUTPUTS'),
        node("each", 'echo "word=$WORD-$WEFT_INDEX" > $WEFT_OUTPUTS; sleep 1; [ $WORD != c ]', after=["make"],
             env={"WORD": "${{ word }}"},
             forEach={"items": "nodes.make.outputs.words", "as": "word", "maxParallel": 2, "maxFailed": 1}),
        node("count", after=["each"], expr={"good": "size(nodes.each.outputs.word.filter(w, w != null))"}),
    ]  # fmt: skip
    run = place.start("for-each", spec(nodes, outputs=[{"name": "words", "value": "nodes.each.outputs.word"}])).finish()
    assert run.outputs == {"words": ["a-0", "b-1", None, "d-3", "e-4"]}
    assert [item["phase"] for item in run.node("each")["items"]] == ["Succeeded"] * 2 + ["Failed"] + ["Succeeded"] * 2
    assert run.node("count")["outputs"] == {"good": 4}
    assert run.most_pods_at_once() <= 2
    no_attempt_twice(run)


@scenario()
def for_each_fails(place: Place) -> None:
    """One failed item too many cancels the rest and fails the node."""
    script = "[ $WEFT_INDEX = 0 ] && exit 1; sleep 60"
    run = place.start("for-each-fails", spec([node("each", script, forEach={"range": 3})])).finish("Failed")
    assert run.node("each")["reason"] == "TooManyFailedItems"


@scenario(builtin=True)
def while_loop(place: Place) -> None:
    """The body runs, then the condition is asked with its outputs as previous."""
    one = node("halve", 'echo "{\\"v\\": $((V / 2))}" > $WEFT_OUTPUTS', env={"V": "${{ previous.?v.orValue(20) }}"})
    one["while"] = {"condition": "previous.v > 2", "maxIterations": 10}
    run = place.start("while", spec([one])).finish()
    assert run.node("halve")["outputs"] == {"v": 2}
    assert len(run.jobs()) == 3
    no_attempt_twice(run)


@scenario()
def while_too_long(place: Place) -> None:
    """Passing maxIterations fails the node."""
    one = node("loop", expr={"v": "iteration"})
    one["while"] = {"condition": "true", "maxIterations": 3}
    run = place.start("while-too-long", spec([one])).finish("Failed")
    assert run.node("loop")["reason"] == "MaxIterationsExceeded"


@scenario()
def switch(place: Place) -> None:
    """The first true case is taken, the others' followers are skipped, a join of both goes on."""
    cases = [{"name": "big", "when": "params.n > 5"}, {"name": "huge", "when": "params.n > 50"}]
    nodes = [
        node("route", switch={"cases": cases, "default": "small"}),
        node("on-big", "true", after=["route:big"]),
        node("on-small", "true", after=["route:small"]),
        node("both", "true", after=["on-big", "on-small"]),
    ]  # fmt: skip
    body = spec(nodes, parameters=[{"name": "n", "type": "integer", "default": 60}])
    run = place.start("switch", body).finish()
    assert run.node("route")["outputs"] == {"case": "big"}
    assert run.phases() == {"route": "Succeeded", "on-big": "Succeeded", "on-small": "Skipped", "both": "Succeeded"}
    run = place.start("switch", parameters={"n": 1}).finish()
    assert run.phases() == {"route": "Succeeded", "on-big": "Skipped", "on-small": "Succeeded", "both": "Succeeded"}


@scenario()
def when_is_false(place: Place) -> None:
    """`when` skips a node and what needs it; an expression that fails, fails its node only."""
    nodes = [
        node("a", expr={"n": "1"}),
        node("skipped", after=["a"], when="nodes.a.outputs.n > 1"),
        node("next", after=["skipped"]),
        node("broken", after=["a"], when="nodes.a.outputs.missing > 1", allowFailure=True),
    ]
    run = place.start("when", spec(nodes)).finish()
    assert run.node("skipped")["reason"] == "ConditionFalse"
    assert run.node("next")["reason"] == "UpstreamSkipped"
    assert (run.node("broken")["phase"], run.node("broken")["reason"]) == ("Failed", "ExpressionError")
    assert "missing" in run.node("broken")["message"]


_ASK = {"quorum": 2, "from": {"groups": ["merchants"]}, "message": "Publish ${{ nodes.count.outputs.n }} items?"}


@scenario()
def approval(place: Place) -> None:
    """Two members of the group approve; one person counts once, a stranger not at all, a forged name is refused."""
    nodes = [node("count", expr={"n": "12"}), node("review", after=["count"], approval=_ASK),
             node("publish", after=["review"])]  # fmt: skip
    place.kubectl("create", "rolebinding", "merchants", "--clusterrole=edit", "--group=merchants")
    run = place.start("approval", spec(nodes))
    run.reaches("review", "Waiting")
    assert "Publish 12 items?" in run.node("review")["message"], run.node("review")
    assert "2" in run.condition("Succeeded")["message"]
    told = refused(lambda: run.decide("review", "Approve", by="ann", user="mallory", groups=("merchants",)))
    assert "must be the user who creates" in told
    run.decide("review", "Approve", by="ann", groups=("merchants",))
    run.decide("review", "Approve", by="ann", groups=("merchants",))
    run.until(lambda run: "1 of 2" in run.node("review")["message"], "one approval is not counted")
    run.decide("review", "Approve", by="bob", groups=("merchants",))
    run.finish()
    assert run.node("review")["outputs"]["decision"] == "Approve"
    assert sorted(run.node("review")["outputs"]["by"]) == ["ann", "bob"]


@scenario()
def approval_rejected(place: Place) -> None:
    """One rejection fails the node, with the name of who rejected. The decision goes with its run."""
    nodes = [node("review", approval={}), node("no", after=["review:Failed"])]
    run = place.start("rejected", spec(nodes))
    run.reaches("review", "Waiting")
    made = run.decide("review", "Reject", by="kubernetes-admin", groups=("system:masters",))["metadata"]["name"]
    run.finish()
    assert (run.node("review")["phase"], run.node("review")["reason"]) == ("Failed", "Rejected")
    assert "kubernetes-admin" in run.node("review")["message"]
    assert run.node("no")["phase"] == "Succeeded"
    owner = "-o=jsonpath={.metadata.ownerReferences[0].name}"
    place.wait_for(lambda: place.kubectl("get", "approval", made, owner) == run.name, "the run does not own it")
    run.delete()
    place.wait_for(lambda: not place.kubectl("get", "approval", made, "--ignore-not-found"), "it stays")


@scenario()
def approval_timeouts(place: Place) -> None:
    """What the end of the time means: Approve, Reject, or somebody else is asked."""
    late = {"timeoutSeconds": 2}
    others = [{"from": {"users": ["boss"]}, "timeoutSeconds": 2}]
    nodes = [
        node("yes", approval={**late, "onTimeout": "Approve"}),
        node("no", approval={**late, "onTimeout": "Reject"}, allowFailure=True),
        node("others", approval={**late, "onTimeout": "Escalate", "escalation": others}, allowFailure=True),
    ]
    run = place.start("approval-timeouts", spec(nodes)).finish()
    assert run.node("yes")["phase"] == "Succeeded"
    for name in ("no", "others"):
        assert (run.node(name)["phase"], run.node(name)["reason"]) == ("Failed", "ApprovalTimeout"), run.describe()


@scenario()
def wait(place: Place) -> None:
    """Time passes without a Pod, by seconds or until a moment."""
    nodes = [
        node("seconds", wait={"seconds": "${{ params.n }}"}),
        node("past", after=["seconds"], wait={"until": "2020-01-01T00:00:00Z"}),
    ]
    run = place.start("wait", spec(nodes, parameters=[{"name": "n", "type": "integer", "default": 2}])).finish()
    assert set(run.phases().values()) == {"Succeeded"}
    assert not run.jobs()


@scenario()
def http(place: Place) -> None:
    """Requests to a real server: outputs, a failure that is tried again, and a condition of one's own."""
    url = place.cluster.receiver.url
    nodes = [
        node("get", http={"url": url("/json?n=7")}),
        node("post", after=["get"], retry={"limit": 4, "backoff": {"initialSeconds": 0}},
             http={"url": url("/twice-503"), "method": "POST",
                   "headers": [{"name": "Idempotency-Key", "value": "${{ run.uid }}"}],
                   "body": {"n": "${{ nodes.get.outputs.body.n }}"}, "successWhen": "status == 201"}),
        node("bad", http={"url": url("/status/404")}, allowFailure=True),
        node("forbidden", http={"url": "http://169.254.169.254/latest"}, allowFailure=True),
    ]  # fmt: skip
    run = place.start("http", spec(nodes, outputs=[{"name": "echo", "value": "nodes.post.outputs.body"}])).finish()
    assert run.node("get")["outputs"]["status"] == 200
    assert run.outputs == {"echo": {"n": 7}}
    posts = place.cluster.receiver.received("/twice-503")
    told = [each["status"] for each in posts if each["headers"]["idempotency-key"] == run.uid]
    assert told[:3] == [503, 503, 200]
    # Whoever is killed before an answer is on record asks again, in the same attempt and with the same key.
    assert 1 <= run.node("post")["attempts"] <= len(told)
    assert "-calm-" not in place.name or run.node("post")["attempts"] == len(told) == 3
    assert (run.node("bad")["phase"], run.node("bad")["reason"]) == ("Failed", "RequestFailed")
    assert (run.node("forbidden")["phase"], run.node("forbidden")["reason"]) == ("Failed", "AddressRefused")


@scenario()
def resource(place: Place) -> None:
    """An object is created as the run's service account, and watched until it is as it should be."""
    place.kubectl("create", "serviceaccount", "maker")
    place.kubectl("create", "role", "maker", "--verb=*", "--resource=configmaps,jobs.batch")
    place.kubectl("create", "rolebinding", "maker", "--role=maker", f"--serviceaccount={place.name}:maker")

    def made(name: str, **rest: object) -> dict[str, object]:
        pod = {"containers": [{"name": "main", "image": "busybox:1", "command": ["true"]}], "restartPolicy": "Never"}
        manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
                    "spec": {"template": {"spec": pod}}}  # fmt: skip
        return {"manifest": manifest, **rest}

    nodes = [
        node("make", resource=made("made-by-a-run", successWhen="object.status.?succeeded.orValue(0) == 1")),
        node("after", after=["make"]),
        node("not-allowed", allowFailure=True, resource={
            "manifest": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "no"}}}),
    ]  # fmt: skip
    run = place.start("resource", spec(nodes, defaults={"serviceAccountName": "maker"})).finish()
    assert (run.node("make")["phase"], run.node("after")["phase"]) == ("Succeeded", "Succeeded")
    assert (run.node("not-allowed")["phase"], run.node("not-allowed")["reason"]) == ("Failed", "Forbidden")


@scenario(builtin=True)
def child_workflow(place: Place) -> None:
    """A node starts another Workflow as a run of its own; its outputs are the node's, its failure too."""
    child = spec([node("work", 'echo "v=$V" > $WEFT_OUTPUTS; [ $V != bad ]', env={"V": "${{ params.v }}"})],
                 parameters=[{"name": "v", "type": "string"}],
                 outputs=[{"name": "v", "value": "nodes.work.outputs.v"}])  # fmt: skip
    place.create("Workflow", "child", child)
    nodes = [
        node("good", workflow={"name": "child", "parameters": {"v": "good"}}),
        node("bad", workflow={"name": "child", "parameters": {"v": "bad"}}, allowFailure=True),
    ]
    run = place.start("parent", spec(nodes)).finish()
    assert run.node("good")["outputs"] == {"v": "good"}
    assert (run.node("bad")["phase"], run.node("bad")["reason"]) == ("Failed", "ChildFailed")
    children = place.child_runs(run)
    assert sorted(child.phase for child in children) == ["Failed", "Succeeded"]


@scenario()
def child_is_stopped_with_its_parent(place: Place) -> None:
    """Stop and suspend are passed on to child runs."""
    place.create("Workflow", "sleeper", spec([node("work", "sleep 60")]))
    run = place.start("stopping-parent", spec([node("call", workflow={"name": "sleeper"})]))
    child = run.until(lambda run: next(iter(place.child_runs(run)), None), "there is no child run")
    child.running_pod("work")
    run.edit(stop="Cancel")
    run.finish("Cancelled")
    child.finish("Cancelled")


@scenario()
def use(place: Place) -> None:
    """A NodeType is a body with parameters; what a run has started with does not change with it."""
    body = {
        "parameters": [{"name": "text", "type": "string"}, {"name": "times", "type": "integer", "default": 2}],
        "job": {"image": "busybox:1", "env": [{"name": "TEXT", "value": "${{ params.text }}"}],
                "script": 'echo "text=$TEXT" > $WEFT_OUTPUTS'},
        "outputs": [{"name": "text"}, {"name": "long", "value": "size(outputs.text) * params.times"}],
    }  # fmt: skip
    place.create("NodeType", "echo", body)
    nodes = [
        node("one", use={"name": "echo", "with": {"text": "${{ params.text }}"}}),
        node("many", forEach={"items": ["x", "yy"], "as": "t"}, use={"name": "echo", "with": {"text": "${{ t }}"}}),
    ]
    run = place.start("use", spec(nodes, parameters=[{"name": "text", "type": "string", "default": "weft"}],
                                  outputs=[{"name": "many", "value": "nodes.many.outputs"}])).finish()  # fmt: skip
    assert run.node("one")["outputs"] == {"text": "weft", "long": 8}
    assert run.outputs == {"many": {"text": ["x", "yy"], "long": [2, 4]}}


@scenario(builtin=True)
def service(place: Place) -> None:
    """A service runs beside its dependents, which wait until it is ready, and is stopped when they have ended."""
    server = node("server", "touch /tmp/ready; sleep 600", service=True)
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
    server["job"]["podTemplate"] = {"spec": {"containers": [{"name": "main", "readinessProbe": probe}]}}
    run = place.start("service", spec([server, node("client", "sleep 2", after=["server:Ready"])])).finish()
    assert run.phases() == {"server": "Succeeded", "client": "Succeeded"}
    assert len(run.jobs("server")) == 1


@scenario()
def service_that_ends(place: Place) -> None:
    """A service that ends while it is needed fails."""
    nodes = [node("server", "sleep 3; exit 1", service=True), node("client", "sleep 60", after=["server:Ready"])]
    run = place.start("service-ends", spec(nodes, failurePolicy="Cancel")).finish("Failed")
    assert run.node("server")["phase"] == "Failed"


@scenario()
def concurrency(place: Place) -> None:
    """Runs that share a key take turns."""
    body = spec([node("deploy", "sleep 2", concurrency={"key": "deploy-${{ params.region }}"})],
                parameters=[{"name": "region", "type": "string", "default": "north"}])  # fmt: skip
    runs = [place.start("concurrency", body)] + [place.start("concurrency") for _ in range(2)]
    elsewhere = place.start("concurrency", parameters={"region": "south"})
    for run in [*runs, elsewhere]:
        run.finish()
    spans = sorted((run.pods()[0]["metadata"]["creationTimestamp"], _ended(run.pods()[0])) for run in runs)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans


def _ended(pod: Obj) -> str:
    return str(pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"])


@scenario()
def concurrency_skip(place: Place) -> None:
    """With the policy Skip, a node whose key is held is skipped."""
    shared = {"key": "skip-key", "policy": "Skip"}
    holder = place.start("holder", spec([node("work", "sleep 8", concurrency=shared)]))
    holder.running_pod("work")
    other = place.start("skipper", spec([node("work", concurrency=shared), node("next", after=["work"])])).finish()
    assert other.node("work")["reason"] == "ConcurrencySkipped"
    holder.finish()


@scenario()
def cache(place: Place) -> None:
    """A success with the same key is used again: no Pod, the same outputs."""
    script = 'echo "at=$(cat /proc/sys/kernel/random/uuid)" > $WEFT_OUTPUTS'
    body = spec([node("work", script, cache={"key": "params.day"})],
                parameters=[{"name": "day", "type": "string", "default": "monday"}])  # fmt: skip
    first = place.start("cache", body).finish()
    again = place.start("cache").finish()
    other = place.start("cache", parameters={"day": "tuesday"}).finish()
    assert again.node("work")["reason"] == "Cached"
    assert again.node("work")["outputs"] == first.node("work")["outputs"]
    assert not again.jobs()
    assert other.node("work")["outputs"] != first.node("work")["outputs"]


@scenario()
def expressions(place: Place) -> None:
    """Values keep their types on the way through templates and outputs; $$ is a literal."""
    nodes = [
        node("make", expr={"n": "1 + 1", "list": "[1, 2].map(x, x * 10)", "text": "'a' + string(2)"}),
        node("show", 'printf "%s|%s|%s" "$LIST" "$TEXT" "$RAW"', after=["make"],
             env={"LIST": "${{ nodes.make.outputs.list }}", "TEXT": "<${{ nodes.make.outputs.text }}>",
                  "RAW": "$${{ x }} $(HOME)"}),
    ]  # fmt: skip
    outputs = [{"name": "all", "value": "nodes.make.outputs"}]
    run = place.start("expressions", spec(nodes, outputs=outputs, jobs={"keep": "All"})).finish()
    assert run.outputs == {"all": {"n": 2, "list": [10, 20], "text": "a2"}}
    assert run.log("show") == "[10,20]|<a2>|${{ x }} $(HOME)"


@scenario(killed=False)
def injection(place: Place) -> None:
    """A hostile parameter stays data, whatever it looks like."""
    hostile = '$(WEFT_RUN) `id` \'; exit 1; " ${{ params.x }} $((1+1))\n{"a": 1}'
    body = spec([node("show", 'printf %s "$X"', env={"X": "${{ params.x }}"})], jobs={"keep": "All"},
                parameters=[{"name": "x", "type": "string"}])  # fmt: skip
    run = place.start("injection", body, parameters={"x": hostile}).finish()
    assert run.log("show") == hostile
