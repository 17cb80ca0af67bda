"""Whole operators side by side on one API server: each works on its shards; nothing is done twice when they move."""

import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.clock import VirtualClock
from support.fakeapi import FakeApi
from support.kubelet import Fate, Kubelet
from support.replica import Replica
from support.rig import Http
from weft.api.objects import Obj, annotation, key_of
from weft.kube.resources import CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS, WORKFLOWS, Resource
from weft.kube.shards import shard_of
from weft.metrics import Metrics
from weft.process import _settle_memory
from weft.render.names import IDENTITY_ANNOTATION
from weft.settings import Settings
from weft.sharded import Sharded

SHARDS = 4
NAMESPACES = ("a", "l", "n", "o", "d", "h")
STEP = 0.5
JOB = {"job": {"image": "i"}}
CHAIN = {"nodes": [{"name": "one", **JOB}, {"name": "two", "dependsOn": ["one"], **JOB}]}
LONGER = {"nodes": [*CHAIN["nodes"], {"name": "three", "dependsOn": ["two"], **JOB}]}


class Cluster:
    """Some replicas, one kubelet, and runs in several namespaces."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(clock=self.clock)
        self.replicas: list[Replica] = []
        self.fate = Fate(seconds=3)
        self.kubelet = Kubelet(self.api, self.clock, lambda pod: self.fate)

    def replica(self, name: str, **settings: Any) -> Replica:
        given = Settings(shards=SHARDS, **settings)
        made = Replica(
            self.api, self.clock, name=name, settings=given, http=Http(), seed=len(self.replicas), metrics=Metrics()
        )
        self.replicas.append(made)
        made.start()
        return made

    async def until(self, look: Any, *, seconds: float = 120) -> float:
        waited = 0.0
        while not look():
            assert waited < seconds, {each.name: each.shards for each in self.replicas}
            await self.clock.advance(STEP)
            waited += STEP
        return waited

    async def shared(self, *replicas: Replica) -> float:
        return await self.until(lambda: sorted(s for each in replicas for s in each.shards) == list(range(SHARDS)))

    def start_runs(self, spec: Obj = CHAIN) -> None:
        for namespace in NAMESPACES:
            self.add("Workflow", namespace, "w", spec)
            self.add("WorkflowRun", namespace, "r", {"workflowRef": {"name": "w"}})

    def add(self, kind: str, namespace: str, name: str, spec: Obj) -> None:
        metadata = {"name": name, "namespace": namespace}
        self.api.add({"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})

    def phases(self) -> set[str]:
        return {(run.get("status") or {}).get("phase", "") for run in self.api.all(WORKFLOW_RUNS)}

    def makers(self, resource: Resource = JOBS, type_: str = "ADDED") -> dict[str, set[str]]:
        """Who did it, by namespace."""
        found: dict[str, set[str]] = {}
        for event in self.api.history:
            if event.resource is resource and event.type == type_:
                found.setdefault(key_of(event.obj).namespace, set()).add(event.actor)
        return found

    def jobs_twice(self) -> list[str]:
        made = Counter(
            annotation(event.obj, IDENTITY_ANNOTATION) or ""
            for event in self.api.history
            if event.resource is JOBS and event.type == "ADDED"
        )
        return [identity for identity, count in made.items() if count > 1]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    yield made
    for replica in made.replicas:
        await replica.bury()
    await made.kubelet.close()


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


async def test_each_works_on_the_namespaces_of_its_shards_and_on_no_other(cluster: Cluster) -> None:
    one, two = cluster.replica("one"), cluster.replica("two")
    await cluster.shared(one, two)
    await cluster.until(lambda: len(one.shards) == len(two.shards) == 2)
    cluster.start_runs()
    await cluster.until(lambda: cluster.phases() == {"Succeeded"})
    wanted = {namespace: {"one" if shard_of(namespace, SHARDS) in one.shards else "two"} for namespace in NAMESPACES}
    assert set(map(str, wanted.values())) == {"{'one'}", "{'two'}"}
    for resource in (JOBS, PODS, CONTROLLER_REVISIONS):
        assert cluster.makers(resource) == wanted
    assert {at: who - {"somebody", "kubelet"} for at, who in cluster.makers(WORKFLOWS, "MODIFIED").items()} == wanted


async def test_a_dead_ones_runs_go_on_within_twenty_seconds_and_nothing_is_done_twice(cluster: Cluster) -> None:
    one, two = cluster.replica("one"), cluster.replica("two")
    await cluster.until(lambda: len(one.shards) == len(two.shards) == 2)
    cluster.start_runs()
    await cluster.clock.advance(1.5)
    one.crash()
    assert await cluster.shared(two) < 20
    await cluster.until(lambda: cluster.phases() == {"Succeeded"})
    assert cluster.jobs_twice() == []
    assert any(makers == {"one", "two"} for makers in cluster.makers().values())


async def test_a_run_goes_on_when_its_shard_is_handed_over_and_the_cluster_hardly_notices(cluster: Cluster) -> None:
    one = cluster.replica("one")
    await cluster.shared(one)
    cluster.start_runs(LONGER)
    await cluster.clock.advance(1.5)
    two = cluster.replica("two")
    await cluster.until(lambda: len(two.shards) == 2, seconds=10)
    assert await cluster.until(lambda: cluster.phases() == {"Succeeded"}) < 15
    assert cluster.jobs_twice() == []
    assert any(makers == {"one", "two"} for makers in cluster.makers().values())


async def test_one_that_is_told_to_leave_hands_over_and_gives_its_leases_back(cluster: Cluster) -> None:
    one, two = cluster.replica("one"), cluster.replica("two")
    await cluster.until(lambda: len(one.shards) == len(two.shards) == 2)
    cluster.start_runs()
    await cluster.clock.advance(1.5)
    one.leave()
    assert await cluster.shared(two) < 5
    assert one.ended
    await cluster.until(lambda: cluster.phases() == {"Succeeded"})
    assert cluster.jobs_twice() == []


async def test_a_frozen_one_that_wakes_up_writes_nothing_where_another_works_by_now(cluster: Cluster) -> None:
    one, two = cluster.replica("one"), cluster.replica("two")
    await cluster.until(lambda: len(one.shards) == len(two.shards) == 2)
    cluster.start_runs()
    await cluster.clock.advance(1.5)
    was = {namespace for namespace in NAMESPACES if shard_of(namespace, SHARDS) in one.shards}
    one.freeze()
    await cluster.shared(two)
    before = len(cluster.api.history)
    one.thaw()
    await cluster.clock.advance(1.0)
    late = [event for event in cluster.api.history[before:] if event.actor == "one" and event.resource is not None]
    assert [event for event in late if key_of(event.obj).namespace in was] == []
    await cluster.until(lambda: cluster.phases() == {"Succeeded"})
    await cluster.until(lambda: len(one.shards) == len(two.shards) == 2)
    assert cluster.jobs_twice() == []


async def test_sweeps_are_bound_to_the_shard(cluster: Cluster) -> None:
    one, two = cluster.replica("one", resync_seconds=10), cluster.replica("two", resync_seconds=10)
    await cluster.until(lambda: len(one.shards) == len(two.shards) == 2)
    cluster.start_runs()
    await cluster.until(lambda: cluster.phases() == {"Succeeded"})
    makers = cluster.makers(CONTROLLER_REVISIONS)
    for namespace in NAMESPACES:
        cluster.api.remove(WORKFLOW_RUNS, namespace, "r")
        cluster.api.remove(WORKFLOWS, namespace, "w")
    await cluster.until(lambda: not cluster.api.all(CONTROLLER_REVISIONS))
    assert cluster.makers(CONTROLLER_REVISIONS, "DELETED") == makers


async def test_numbers_of_several_shards_add_up(cluster: Cluster) -> None:
    one = cluster.replica("one")
    await cluster.shared(one)
    cluster.fate = Fate(seconds=30)
    cluster.start_runs()
    await cluster.clock.advance(5)
    sample = one._metrics.registry.get_sample_value
    assert sample("weft_active_runs") == len(NAMESPACES)
    assert sample("weft_active_nodes") == len(NAMESPACES)
    two = cluster.replica("two")
    await cluster.until(lambda: len(two.shards) == 2)
    ours = sum(shard_of(namespace, SHARDS) in one.shards for namespace in NAMESPACES)
    assert 0 < ours < len(NAMESPACES)
    assert sample("weft_active_runs") == ours
    await cluster.until(lambda: cluster.phases() == {"Succeeded"})
    assert sample("weft_active_runs") == sample("weft_active_nodes") == 0
    for queue in ("runs", "orphans", "cleanup", "workflows"):
        assert sample("weft_queue_depth", {"queue": queue}) == 0


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("how", ["handed over", "lost"])
async def test_of_a_shard_that_has_gone_nothing_stays_in_memory(how: str, cluster: Cluster) -> None:
    one = cluster.replica("one")
    one.settle = _settle_memory
    await cluster.shared(one)
    cluster.start_runs()
    await cluster.clock.advance(1.5)
    assert isinstance(one._part, Sharded)
    held = {shard: weakref.ref(crew.operator) for shard, crew in one._part._crews.items()}
    if how == "lost":
        one.freeze()
    two = cluster.replica("two")
    await cluster.until(lambda: len(two.shards) == (4 if how == "lost" else 2))
    gone = {shard for shard in held if shard in two.shards}
    one.thaw()
    await cluster.clock.advance(2.0)
    assert {shard for shard, operator in held.items() if operator() is None} == gone
