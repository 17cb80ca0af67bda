"""An operator lives for months, and thousands of runs come and go: nothing of what has gone stays in its memory."""

import logging
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import yaml
from support.asked import RESOURCES, Asked
from support.contents import contents
from support.kubelet import Fate, Kubelet
from support.rig import NAMESPACE, Rig
from support.storage import Refusal
from support.transport import status
from weft.api.base import API_VERSION
from weft.api.objects import Obj, key_of
from weft.kube.resources import CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS, Resource
from weft.kube.transport import Dropped, NotSent, Response
from weft.notify.guarded_http import Response as Answer

BOUNDED = {
    "Cache._dead": "the UIDs of the dead of the last minutes",
    "Compiler._outcomes": "CAPACITY_BYTES",
    "Discovery._known": "one for each kind there is",
    "Outbox._gone": "one for each version of a channel whose receiver has said 410",
    "PodSecurity._known": "the namespaces of the last hour",
    "Recorder._series": "LONGEST_MEMORY",
    "Recorder._similar": "LONGEST_MEMORY",
    "Revisions._compiled": "CAPACITY, CAPACITY_BYTES",
    "Revisions._specs": "CAPACITY",
    "WorkQueue._heap": "SPARE_ENTRIES, and twice what is in _wakes",
    "_Series.regarding": "of the Recorder's",
}
"""What may grow, and what its bound is: it keeps the latest of something."""

JOB = "job: {image: i}"
WORKFLOWS = {
    "plain": f"{{nodes: [{{name: a, {JOB}}}, {{name: b, dependsOn: [a], {JOB}}}], ttlSecondsAfterFinished: 604800}}",
    "each": f"{{nodes: [{{name: a, forEach: {{range: 4, maxParallel: 2}}, {JOB}, compensate: {{{JOB}}}}},"
    f" {{name: bad, dependsOn: [a], {JOB}}}]}}",
    "child": "{nodes: [{name: c, workflow: {name: plain}}, {name: d, forEach: {range: 2}, workflow: {name: plain}}]}",
    "ask": f"{{nodes: [{{name: ok, approval: {{quorum: 1}}}}, {{name: z, dependsOn: [ok], {JOB}}}]}}",
    "bad": f"{{nodes: [{{name: bad, {JOB}, retry: {{limit: 1, backoff: {{initialSeconds: 1}}}}}}],"
    " notifications: [{channel: team}, {channel: gone}]}",
    "long": f"{{nodes: [{{name: long, {JOB}}}], notifications: [{{channel: team}}], ttlSecondsAfterFinished: 604800}}",
    "key": f"{{nodes: [{{name: own, {JOB}, concurrency: {{key: '${{{{ run.name }}}}'}}}},"
    f" {{name: shared, {JOB}, concurrency: {{key: k}}}}]}}",
    "http": "{nodes: [{name: h, http: {url: 'http://team.test/'}}]}",
    "resource": "{nodes: [{name: r, resource: {manifest: {apiVersion: v1, kind: ConfigMap, data: {a: b}}}}]}",
    "cached": f"{{nodes: [{{name: c, cache: {{key: run.name}}, {JOB}}}]}}",
    "loop": f"{{nodes: [{{name: l, while: {{condition: iteration < 2, maxIterations: 9}}, {JOB}}}],"
    " historyLimits: {succeeded: 1, failed: 1}}",
    "wait": "{nodes: [{name: w, wait: {seconds: 5000}}]}",
    "wrong": f"{{nodes: [{{name: a, dependsOn: [nope], {JOB}}}]}}",
    "service": f"{{nodes: [{{name: s, service: true, {JOB}}}, {{name: u, dependsOn: ['s:Ready'], {JOB}}}]}}",
}
RUNS: dict[str, Obj] = {
    **{name: {"workflowRef": {"name": name}} for name in WORKFLOWS},
    **{queue: {"workflowRef": {"name": "plain"}, "queue": queue} for queue in ("one", "paused", "absent")},
    "inline": {"workflow": {"nodes": [{"name": "a", "job": {"image": "i"}}], "ttlSecondsAfterFinished": 86_400}},
    "lost": {"workflowRef": {"name": "nowhere"}},
    "unfit": {"workflowRef": {"name": "plain"}, "parameters": {"x": 1}},
}
OTHERS: dict[str, tuple[str, Obj]] = {
    "team": ("NotificationChannel", {"type": "Webhook", "webhook": {"url": "http://team.test/"}}),
    "gone": ("NotificationChannel", {"type": "Webhook", "webhook": {"url": "http://gone.test/"}}),
    "one": ("WorkflowQueue", {"maxActiveRuns": 1}),
    "paused": ("WorkflowQueue", {"maxActiveRuns": 1, "paused": True}),
}
IN_THE_MIDDLE = ("long", "wait", "one", "paused", "key", "each", "child", "ask", "lost")
DISCOVERY = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}


class Town(Rig):
    """A cluster in which whole namespaces come and go."""

    def __init__(self) -> None:
        super().__init__(resource_impersonation=True)
        self.kubelet = Kubelet(self.api, self.clock, self._fate_of, collect=1.0)
        seconds = {"long": 3000.0, "own": 15.0, "shared": 15.0}
        self.behave = lambda node, attempt: Fate(code=node == "bad", seconds=seconds.get(node, 1.0))
        self.http.answers |= {"http://team.test/": Answer(204, {}, b""), "http://gone.test/": Answer(410, {}, b"")}
        self.api.documents["/api/v1"] = DISCOVERY
        self.rough = 0.0
        """How much of what is asked goes wrong."""
        self._dice = random.Random(1)
        self.api.before.append(self._refuse)
        self.api.after.append(self._cut)

    def _refuse(self, asked: Asked) -> Response | None:
        if asked.method == "WATCH" or self._dice.random() >= self.rough:
            return None
        match self._dice.randrange(4), asked.method:
            case 0, _:
                raise NotSent("no way through")
            case 1, "POST":
                return status(403, "Forbidden", "it is forbidden: exceeded quota: q")
            case 2, _:
                return status(429, "TooManyRequests", "slow down")
            case _:
                return status(500, "InternalError", "boom")

    def _cut(self, asked: Asked) -> None:
        if asked.method != "WATCH" and self._dice.random() < self.rough / 3:
            raise Dropped("cut")

    def put(self, namespace: str, kind: str, name: str, spec: Obj) -> None:
        metadata = {"name": name, "namespace": namespace}
        self.api.add({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})

    async def live_through(self, namespace: str, *, rough: float = 0.0, unheard: bool = False) -> None:
        """Let a namespace come, runs of all shapes in it, and go; `unheard`: no watch tells that it went."""
        for name, text in WORKFLOWS.items():
            self.put(namespace, "Workflow", name, yaml.safe_load(text))
        for name, (kind, spec) in OTHERS.items():
            self.put(namespace, kind, name, spec)
        await self.clock.advance(3)
        self.rough = rough
        for name, spec in RUNS.items():
            for number in range(2):
                self.put(namespace, "WorkflowRun", f"{name}-{number}", spec)
        await self.clock.advance(8)
        for number in range(2):
            self._decide(namespace, f"ask-{number}")
        for name in IN_THE_MIDDLE:
            self._remove(WORKFLOW_RUNS, namespace, f"{name}-0")
            self._edit(namespace, f"{name}-1", stop="Cancel")
        await self.clock.advance(120)
        for name in RUNS:
            self._edit(namespace, f"{name}-1", stop=None, rerun={"generation": 1, "from": "All"})
        await self.clock.advance(5)
        self.rough = 0.0
        await self.clock.advance(60)
        for _ in range(1 + unheard):
            if unheard:
                self.api.break_watches()
                self.api.expire()
            self.api.terminating.add(namespace)
            for resource in RESOURCES.values():
                for obj in self.api.all(resource, namespace):
                    self._remove(resource, namespace, key_of(obj).name)
        await self.clock.advance(60)

    def _decide(self, namespace: str, run: str) -> None:
        uid = (self.api.read(WORKFLOW_RUNS, namespace, run) or {"metadata": {"uid": "nobody's"}})["metadata"]["uid"]
        for by, named in (("ann", uid), ("bob", uid), ("eve", f"{run} of yesterday")):
            spec = {"run": {"name": run, "uid": named}, "node": "ok", "by": by, "decision": "Approve"}
            self.put(namespace, "Approval", f"{run}-{by}", spec)

    def _edit(self, namespace: str, name: str, **spec: Any) -> None:
        with suppress(Refusal, KeyError):  # it is not there, or not as it would have to be
            self.api.edit(WORKFLOW_RUNS, namespace, name, lambda run: run["spec"].update(spec))

    def _remove(self, resource: Resource, namespace: str, name: str) -> None:
        with suppress(Refusal):
            self.api.remove(resource, namespace, name)

    def phases(self) -> Counter[str]:
        found = (run.get("status") or {} for run in self.api.all(WORKFLOW_RUNS))
        return Counter(str(each.get("phase")) for each in found)

    def kept(self) -> Counter[str]:
        """What the operator has in mind."""
        assert self.replica is not None
        return contents(self.replica.operator)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    logging.disable(logging.CRITICAL)  # what goes wrong by the hundred is logged as it should be
    town = Town()
    await town.up()
    yield town
    await town.close()
    logging.disable(logging.NOTSET)


async def test_of_namespaces_that_came_and_went_nothing_is_kept(town: Town) -> None:
    await town.clock.advance(10)
    before = town.kept()
    await town.live_through("calm")
    await town.live_through("rough", rough=0.2, unheard=True)
    await town.clock.advance(1300)  # two resyncs, and what they sweep
    assert [len(town.api.all(kind)) for kind in (WORKFLOW_RUNS, JOBS, PODS, CONTROLLER_REVISIONS)] == [0, 0, 0, 0]
    grown = town.kept() - before
    assert {place: more for place, more in grown.items() if not place.endswith(tuple(BOUNDED))} == {}


URL = "http://team.test/"
CHANNEL = (
    "{apiVersion: weft.dev/v1alpha1, kind: NotificationChannel, metadata: {name: team}, "
    f"spec: {{type: Webhook, webhook: {{url: '{URL}'}}}}}}"
)


async def test_what_cannot_be_kept_of_a_delivery_is_not_tried_for_ever_once_its_run_is_gone(rig: Rig) -> None:
    rig.http.answers[URL] = Answer(204, {}, b"")
    rig.apply(CHANNEL)
    rig.workflow("w", "{notifications: [{channel: team, events: [Succeeded]}], nodes: [{name: a, wait: {seconds: 1}}]}")
    rig.api.fail(403, method="POST", plural="configmaps", times=1_000_000)  # a quota that is used up
    await rig.finish("w")
    assert rig.http.asked == [f"POST {URL}"]
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    await rig.clock.advance(120)
    tries = len(rig.api.asked("POST", "configmaps"))
    assert tries > 1
    await rig.clock.advance(600)
    assert len(rig.api.asked("POST", "configmaps")) == tries
    assert rig.replica is not None
    outbox = rig.replica.operator.outbox
    assert (outbox._open, outbox._queue._failures, outbox._queue._wakes) == ({}, {}, {})


async def test_of_a_run_that_is_deleted_while_its_refusal_is_written_nothing_is_kept(rig: Rig) -> None:
    async def delete(asked: Asked) -> None:
        if asked.subresource == "status" and asked.resource is WORKFLOW_RUNS and asked.name == "r":
            rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
            await rig.clock.sleep(1)  # its deletion is told before the answer comes

    rig.http.answers[URL] = Answer(204, {}, b"")
    rig.apply(CHANNEL)
    rig.workflow("w", "{notifications: [{channel: team}], nodes: [{name: a, wait: {seconds: 1}}]}")
    await rig.up()
    rig.api.after.append(delete)
    rig.start("w", parameters={"unknown": 1})
    await rig.clock.advance(60)
    assert rig.http.asked == [f"POST {URL}"], "people hear of it nevertheless"
    assert rig.replica is not None
    assert rig.replica.operator.outbox._runs == {}


async def test_a_run_that_is_deleted_while_a_new_leader_reads_whom_to_tell_is_not_told_of_again(rig: Rig) -> None:
    async def delete(asked: Asked) -> None:
        if asked.method == "GET" and asked.resource is CONTROLLER_REVISIONS and asked.name:
            rig.api.before.remove(delete)
            rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
            await rig.clock.sleep(1)

    rig.http.answers[URL] = Answer(204, {}, b"")
    rig.apply(CHANNEL)
    rig.workflow("w", "{notifications: [{channel: team, events: [Succeeded]}], nodes: [{name: a, wait: {seconds: 1}}]}")
    await rig.finish("w")
    await rig.down()
    rig.api.before.append(delete)
    await rig.up()
    await rig.clock.advance(60)
    assert rig.api.all(WORKFLOW_RUNS) == []
    assert rig.http.asked == [f"POST {URL}"]
    assert rig.replica is not None
    assert rig.replica.operator.outbox._runs == {}


async def test_of_a_child_run_that_is_deleted_before_it_begins_nothing_is_kept(rig: Rig) -> None:
    async def delete(asked: Asked) -> None:
        """Its revision is asked for twice, by its Workflow too; at the second time it has leave to begin."""
        if asked.method == "POST" and asked.resource is CONTROLLER_REVISIONS and len(asks) < 2:
            asks.append(asked.body["metadata"]["name"])
            if len(asks) == 2:
                (child,) = [run for run in rig.api.all(WORKFLOW_RUNS) if run["metadata"].get("ownerReferences")]
                rig.api.remove(WORKFLOW_RUNS, NAMESPACE, key_of(child).name)
                await rig.clock.sleep(1)

    asks: list[str] = []
    child = "{name: c, workflow: {name: child}, retry: {disruptions: 0}, allowFailure: true}"
    rig.workflow("w", f"nodes: [{child}, {{name: z, wait: {{seconds: 30}}}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(2)
    rig.api.before.append(delete)
    rig.workflow("child", "nodes: [{name: a, wait: {seconds: 1}}]")
    await rig.wait(rig.ended)
    assert len(asks) == 2
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    await rig.clock.advance(60)
    assert rig.replica is not None
    queues = rig.replica.operator.queues
    assert (queues._children, queues._queue_of_run, queues._queues) == (set(), {}, {})
