"""The news reaches who works on its shard, and nobody else; who comes later lists everything once more."""

import asyncio
import random
from typing import Any

import pytest
from support.asked import Asked
from support.clock import VirtualClock, settle
from support.fakeapi import FakeApi
from support.manifests import run, workflow
from support.transport import status
from weft.api.objects import Obj, key_of
from weft.controllers.catalog import Catalog
from weft.controllers.feed import SELECTOR, Feed
from weft.kube.clock import spawn
from weft.kube.errors import ApiError, NotFound
from weft.kube.missing import KindMissing
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS, WORKFLOWS, Resource
from weft.kube.store import ChildStore
from weft.metrics import Metrics

SHARDS = 4
OURS, THEIRS = "n", "o"  # of shards 1 and 3


class Shard:
    """A reader that notes what it hears."""

    def __init__(self, clock: VirtualClock) -> None:
        self.catalog = Catalog(monotonic=clock.monotonic)
        self.store = ChildStore(monotonic=clock.monotonic)
        self.heard: list[str] = []

    def on_job(self, event_type: str, job: Obj, old: Obj | None) -> None:
        self.heard.append(f"{event_type} Job {'/'.join(key_of(job))}")

    def on_pod(self, event_type: str, pod: Obj, old: Obj | None) -> None:
        self.heard.append(f"{event_type} Pod {'/'.join(key_of(pod))}")


class World:
    def __init__(self, shards: int = SHARDS) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(clock=self.clock)
        self.parsed: list[str] = []
        self.feed = Feed(
            self.api.client(), namespaces=(), shards=shards, clock=self.clock, rng=random.Random(1), spawn=spawn,
            metrics=Metrics(),
        )  # fmt: skip

    def shard(self, number: int) -> Shard:
        made = Shard(self.clock)
        self.feed.attach(made, number)
        return made

    def pod(self, namespace: str, name: str) -> None:
        name_, value = SELECTOR.split("=")
        metadata = {"namespace": namespace, "name": name, "labels": {name_: value}}
        self.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}})

    async def follow(self) -> None:
        self.feed.follow()
        self.feed.begin()
        await self.clock.advance(0.1)
        assert self.feed.synced

    def lists(self, kind: Resource = WORKFLOWS) -> int:
        return sum(asked.method == "GET" and asked.resource == kind for asked in self.api.requests)


def in_ours(obj: Obj) -> Obj:
    obj["metadata"]["namespace"] = OURS
    return obj


@pytest.fixture
async def world() -> Any:
    made = World()
    yield made
    await made.feed.stop()


async def test_each_reader_hears_of_its_shard(world: World) -> None:
    ours, theirs = world.shard(1), world.shard(3)
    world.pod(OURS, "before")
    await world.follow()
    world.pod(OURS, "a")
    world.pod(THEIRS, "b")
    await settle()
    assert ours.heard == [f"ADDED Pod {OURS}/before", f"ADDED Pod {OURS}/a"]
    assert theirs.heard == [f"ADDED Pod {THEIRS}/b"]


async def test_what_belongs_to_nobody_here_is_not_even_parsed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.kube import sender

    ours, parse = world.shard(1), sender.parsed
    monkeypatch.setattr(sender, "parsed", lambda body: world.parsed.append(str(body)) or parse(body))
    await world.follow()
    world.parsed.clear()
    world.pod(THEIRS, "b")
    world.pod(OURS, "a")
    await settle()
    assert ours.heard == [f"ADDED Pod {OURS}/a"]
    assert len(world.parsed) == 1


async def test_what_kopf_tells_reaches_the_catalog_of_its_shard(world: World) -> None:
    ours, theirs = world.shard(1), world.shard(3)
    obj = in_ours(run("r"))
    world.feed.apply(WORKFLOW_RUNS, "ADDED", obj)
    assert len(list(ours.catalog.runs)) == 1
    assert list(theirs.catalog.runs) == []
    world.feed.detach(1)
    world.feed.apply(WORKFLOW_RUNS, "ADDED", obj | {"metadata": obj["metadata"] | {"name": "late"}})
    assert len(list(ours.catalog.runs)) == 1


async def test_who_comes_later_lists_what_was_missed(world: World) -> None:
    await world.follow()
    world.pod(OURS, "a")
    world.api.add(in_ours(workflow("w")))
    await settle()
    ours = world.shard(1)
    assert world.feed.find_workflow(OURS, "w") is None
    await world.clock.run(world.feed.refresh())
    assert ours.heard == [f"ADDED Pod {OURS}/a"]
    assert world.feed.find_workflow(OURS, "w") is not None
    assert world.feed.find_workflow(THEIRS, "w") is None
    assert world.feed.find_node_types(THEIRS, ["t"]) == world.feed.find_node_types(OURS, ["t"]) == {}


@pytest.mark.parametrize(("warm", "lists"), [(False, 1), (True, 2)])
async def test_who_asks_before_anything_was_listed_gets_the_first_list(world: World, warm: bool, lists: int) -> None:
    """Ten thousand Jobs are not listed twice by an operator that starts alone."""
    ours = world.shard(1)
    world.feed.follow()
    if warm:
        world.feed.begin()
    await world.clock.advance(5)
    assert world.feed.synced == warm
    world.pod(OURS, "a")
    await world.clock.run(world.feed.refresh())
    assert world.lists(JOBS) == world.lists(PODS) == lists
    assert ours.heard == [f"ADDED Pod {OURS}/a"]


async def test_a_reader_that_has_been_away_hears_of_what_vanished(world: World) -> None:
    ours = world.shard(1)
    await world.follow()
    world.pod(OURS, "a")
    await settle()
    world.feed.detach(1)
    world.api.remove(PODS, OURS, "a")
    await settle()
    world.feed.attach(ours, 1)
    await world.clock.run(world.feed.refresh())
    assert ours.heard == [f"ADDED Pod {OURS}/a", f"DELETED Pod {OURS}/a"]


async def test_a_watch_that_a_bug_ends_is_told_once_and_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours, told = world.shard(1), []
    world.feed.follow(on_broken=lambda: told.append("broken"))
    world.feed.begin()
    await world.clock.advance(0.1)

    def apply(event_type: str, obj: Obj) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(ours.store.pods, "apply", apply)
    assert told == []
    world.pod(OURS, "a")
    await settle()
    assert told == ["broken"]
    assert "a watch has ended, which nothing but a bug can do" in caplog.text
    assert "RuntimeError: a bug" in caplog.text
    await world.feed.stop()
    assert told == ["broken"]


async def test_those_who_ask_at_the_same_time_share_a_list_that_began_after_they_asked(world: World) -> None:
    await world.follow()
    gate = asyncio.Event()

    async def slow(asked: Asked) -> None:
        if asked.resource is WORKFLOWS:
            await gate.wait()

    world.api.before.append(slow)
    first = spawn(world.feed.refresh(), name="first")
    await settle()
    late = [spawn(world.feed.refresh(), name="late") for _ in range(5)]
    await settle()
    gate.set()
    await asyncio.gather(first, *late)
    assert world.lists() == 2


async def test_a_run_is_never_listed_with_its_workflow_as_it_was_before(world: World) -> None:
    """A Workflow is edited and a run of it made, while everything is being listed, just before runs are."""
    shard = world.shard(1)
    world.api.add(in_ours(workflow("w", description="before")))
    await world.follow()

    async def edit(asked: Asked) -> None:
        if asked.resource is WORKFLOW_RUNS:
            world.api.before.remove(edit)
            world.api.edit(WORKFLOWS, OURS, "w", lambda found: found["spec"].update(description="after"))
            world.api.add(in_ours(run("r")))

    world.api.before.append(edit)
    await world.clock.run(world.feed.refresh())
    assert shard.catalog.runs.get(OURS, "r") is not None
    found = shard.catalog.workflows.get(OURS, "w")
    assert found is not None
    assert found["spec"]["description"] == "after"


async def test_a_list_that_fails_or_is_given_up_serves_nobody(world: World) -> None:
    await world.follow()
    world.api.fail(403, plural="workflows")
    first, late = spawn(world.feed.refresh(), name="first"), spawn(world.feed.refresh(), name="late")
    await asyncio.gather(first, late, return_exceptions=True)
    assert isinstance(first.exception(), ApiError)
    assert late.exception() is None
    assert world.lists() == 2


async def test_a_resync_is_done_once_for_all_shards(world: World) -> None:
    await world.follow()
    for _ in range(3):
        await world.feed.resync(300)
        await world.clock.advance(10)
    assert world.lists() == 1
    await world.clock.advance(300)
    await world.feed.resync(300)
    assert world.lists() == 2


GONE = "the server could not find the requested resource"


@pytest.mark.parametrize("words", [GONE, "404 page not found"])
async def test_a_cluster_that_lacks_a_kind_is_told_which_and_how_it_comes(world: World, words: str) -> None:
    world.api.fail(status(404, reason="NotFound", message=words), method="GET", plural="workflows")
    with pytest.raises(KindMissing) as missing:
        await world.feed.refresh()
    assert missing.value.message == (
        "this cluster has no workflows.weft.dev: install the chart, or its kinds alone"
        " (weft crds | kubectl apply --server-side --force-conflicts -f -)"
    )


async def test_another_404_is_passed_on_as_it_is(world: World) -> None:
    world.api.fail(status(404, reason="NotFound", message="no such tenant"), method="GET", plural="workflows")
    with pytest.raises(NotFound, match="no such tenant") as other:
        await world.feed.refresh()
    assert not isinstance(other.value, KindMissing)
