"""The node cache: found by its key, young enough, and gone in the end."""

from itertools import pairwise

import pytest
from support.asked import Asked
from support.fakeapi import FakeApi
from support.rig import Fate, Rig
from support.transport import status
from weft.api.node import CACHE_SECONDS
from weft.api.objects import Key
from weft.controllers.results import Results
from weft.kube.realm import Realm
from weft.kube.resources import CONFIG_MAPS, PODS
from weft.kube.transport import Dropped
from weft.render.names import NODE_LABEL

RUN = Key("ns", "run-1")


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def results(api: FakeApi) -> Results:
    return Results(api.client(), clock=api.clock, realm=Realm())


async def test_what_was_remembered_is_found(api: FakeApi, results: Results) -> None:
    assert await results.look_up(RUN, "w", "scrape", "2026", None) is None
    await results.remember(RUN, "w", "scrape", "2026", {"count": 3})
    assert await results.look_up(Key("ns", "run-2"), "w", "scrape", "2026", None) == {"count": 3}
    (stored,) = api.all(CONFIG_MAPS)
    assert (stored["metadata"]["labels"]["weft.dev/cache"], stored["data"]["key"]) == ("true", "2026")
    assert stored["data"]["run"] == "run-1"


@pytest.mark.parametrize(
    ("run", "workflow", "node", "key"),
    [
        (Key("other", "r"), "w", "scrape", "2026"),
        (RUN, "v", "scrape", "2026"),
        (RUN, "w", "price", "2026"),
        (RUN, "w", "scrape", "2027"),
    ],
)
async def test_anything_else_is_another_result(results: Results, run: Key, workflow: str, node: str, key: str) -> None:
    await results.remember(RUN, "w", "scrape", "2026", {})
    assert await results.look_up(run, workflow, node, key, None) is None


async def test_the_position_in_a_loop_makes_no_difference(results: Results) -> None:
    await results.remember(RUN, "w", "price[3]/load", "k", {"a": 1})
    assert await results.look_up(RUN, "w", "price[7]/load", "k", None) == {"a": 1}


async def test_a_later_success_replaces_an_earlier_one_and_is_young_again(api: FakeApi, results: Results) -> None:
    await results.remember(RUN, "w", "n", "k", {"a": 1, "b": 1})
    await api.clock.advance(100)
    assert await results.look_up(RUN, "w", "n", "k", 100) == {"a": 1, "b": 1}
    assert await results.look_up(RUN, "w", "n", "k", 99) is None
    await results.remember(RUN, "w", "n", "k", {"a": 2})
    assert await results.look_up(RUN, "w", "n", "k", 99) == {"a": 2}
    assert len(api.all(CONFIG_MAPS)) == 1


async def test_a_map_that_is_not_ours_or_was_edited_is_a_miss(api: FakeApi, results: Results) -> None:
    await results.remember(RUN, "w", "n", "k", {"a": 1})
    name = api.all(CONFIG_MAPS)[0]["metadata"]["name"]
    for edit in ({"outputs": "{"}, {"time": "yesterday"}):
        api.edit(CONFIG_MAPS, "ns", name, lambda obj, edit=edit: obj["data"].update(edit))
        assert await results.look_up(RUN, "w", "n", "k", None) is None
    await results.remember(RUN, "w", "n", "k", {"a": 1})
    api.edit(CONFIG_MAPS, "ns", name, lambda obj: obj["metadata"].pop("labels"))
    assert await results.look_up(RUN, "w", "n", "k", None) is None


async def test_a_lost_answer_is_made_good(api: FakeApi, results: Results) -> None:
    api.fail(Dropped("cut"), method="POST", after=True)
    await api.clock.run(results.remember(RUN, "w", "n", "k", {"a": 1}))
    assert await results.look_up(RUN, "w", "n", "k", None) == {"a": 1}


@pytest.mark.parametrize("code", [403, 413, 422])
async def test_a_result_that_is_refused_does_not_harm_the_run(
    api: FakeApi, results: Results, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    api.fail(code, method="POST")
    await results.remember(RUN, "w", "n", "k", {"a": 1})
    assert "n of run ns/run-1" in caplog.text
    assert api.all(CONFIG_MAPS) == []


async def test_what_nobody_renews_is_swept(api: FakeApi, results: Results) -> None:
    api.add({"kind": "ConfigMap", "metadata": {"namespace": "ns", "name": "mine"}})
    await results.remember(RUN, "w", "old", "k", {})
    await results.remember(RUN, "w", "renewed", "k", {"a": 1})
    await api.clock.advance(CACHE_SECONDS)
    await results.remember(RUN, "w", "renewed", "k", {"a": 2})
    await api.clock.advance(1)
    await results.sweep()
    assert api.read(CONFIG_MAPS, "ns", "mine") is not None
    assert len(api.all(CONFIG_MAPS)) == 2
    assert await results.look_up(RUN, "w", "renewed", "k", None) == {"a": 2}


async def test_one_that_is_renewed_during_the_sweep_stays(api: FakeApi, results: Results) -> None:
    await results.remember(RUN, "w", "n", "k", {"a": 1})
    await api.clock.advance(CACHE_SECONDS + 1)

    async def swept_by_another_and_renewed(asked: object) -> None:
        api.after.clear()
        api.remove(CONFIG_MAPS, "ns", api.all(CONFIG_MAPS)[0]["metadata"]["name"])
        await results.remember(RUN, "w", "n", "k", {"a": 2})

    api.after.append(swept_by_another_and_renewed)
    await results.sweep()
    assert await results.look_up(RUN, "w", "n", "k", None) == {"a": 2}


async def test_a_look_that_is_refused_finds_nothing(
    api: FakeApi, results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    await results.remember(RUN, "w", "n", "k", {"a": 1})
    api.fail(403, method="GET")
    assert await results.look_up(RUN, "w", "n", "k", None) is None
    assert "n of run ns/run-1" in caplog.text


async def test_a_success_without_outputs_is_one_too(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: a, cache: {key: \"'k'\"}, job: {image: i}}]")
    await rig.finish("w", "first")
    await rig.finish("w", "second")
    assert rig.nodes("second") == {"a": "Succeeded(Cached)"}


CACHED = "cache: {key: \"'k'\"}, job: {image: i}"
THREE = "forEach: {range: 3, maxParallel: 1}"


def keep_slowly(rig: Rig, told: list[str], *, seconds: float = 5) -> None:
    """A result is kept so long after that was asked for; `told` gets what happens meanwhile to other nodes' Pods."""

    async def look(asked: Asked) -> None:
        if (asked.method, asked.resource) == ("POST", CONFIG_MAPS):
            await rig.clock.sleep(seconds)
            told.append("kept")
        elif (asked.method, asked.resource) == ("POST", PODS):
            told.append(f"{asked.body['metadata']['labels'][NODE_LABEL]} starts")
        elif asked.method == "PATCH" and asked.resource is PODS and "spec" in asked.body:
            told.append("one is stopped")

    rig.api.before.append(look)


@pytest.mark.parametrize(
    "spec",
    [
        f"{{nodes: [{{name: a, {THREE}, {CACHED}}}]}}",
        f"{{nodes: [{{name: g, {THREE}, graph: {{name: x}}}}], graphs: [{{name: x, nodes: [{{name: a, {CACHED}}}]}}]}}",
    ],
    ids=["a node", "a node of a graph"],
)
async def test_an_item_of_a_loop_finds_what_the_one_before_it_has_left(rig: Rig, spec: str) -> None:
    keep_slowly(rig, [], seconds=0.2)
    rig.workflow("w", spec)
    await rig.finish("w")
    assert rig.phase() == "Succeeded"
    assert rig.jobs_made().total() == 1


async def test_only_who_looks_for_a_result_waits_until_one_is_kept(rig: Rig) -> None:
    """Not a node beside it that starts, nor one that is stopped."""
    told: list[str] = []
    keep_slowly(rig, told)
    rig.behave = lambda node, attempt: Fate(seconds=1000 if node == "s" else 1)
    rig.workflow(
        "w",
        f"nodes: [{{name: s, service: true, job: {{image: i}}}}, {{name: a, dependsOn: ['s:Ready'], {CACHED}}},"
        f" {{name: b, dependsOn: [a], job: {{image: i}}}}, {{name: c, dependsOn: [a], {CACHED}}}]",
    )
    await rig.finish("w")
    assert (told[:2], sorted(told[2:4])) == (["s starts", "a starts"], ["b starts", "one is stopped"])
    assert told[4:] == ["kept", "c starts", "kept"]


async def test_what_cannot_be_kept_at_once_keeps_nobody_from_going_on(rig: Rig) -> None:
    """It is kept later; until then everything is done anew."""
    broken = status(500, "InternalError", "failed calling webhook")
    rig.api.before.append(lambda asked: broken if (asked.method, asked.resource) == ("POST", CONFIG_MAPS) else None)
    rig.workflow("w", f"nodes: [{{name: a, {THREE}, {CACHED}}}, {{name: b, dependsOn: [a], job: {{image: i}}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.jobs_made().total() == 4, seconds=60)
    rig.api.before.pop()
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"a": "Succeeded", "b": "Succeeded"}
    assert len(rig.api.all(CONFIG_MAPS)) == 1


def refuse_to_keep(rig: Rig, code: int) -> list[float]:
    """No ConfigMap can be made from now on; gives the times at which one was asked for."""
    asked_at: list[float] = []
    broken = status(code, "InternalError" if code == 500 else "TooManyRequests", "not now")

    def refuse(asked: Asked) -> object:
        if (asked.method, asked.resource) != ("POST", CONFIG_MAPS):
            return None
        asked_at.append(rig.clock.now())
        return broken

    rig.api.before.append(refuse)
    return asked_at


@pytest.mark.parametrize("code", [500, 429])
async def test_the_end_of_a_run_waits_only_for_a_few_tries_to_keep_a_result(
    rig: Rig, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_to_keep(rig, code)
    rig.workflow("w", f"nodes: [{{name: a, {CACHED}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=30)
    assert rig.nodes() == {"a": "Succeeded"}
    assert "outputs of a of run n/r are not cached: " in caplog.text


async def test_while_a_run_goes_on_a_result_is_tried_again_ever_more_rarely(rig: Rig) -> None:
    """And at its end it is tried once more."""
    asked_at = refuse_to_keep(rig, 500)
    rig.workflow("w", f"nodes: [{{name: a, {CACHED}}}, {{name: b, dependsOn: [a], wait: {{seconds: 7200}}}}]")
    await rig.up()
    rig.start("w")
    began = rig.clock.now()
    await rig.wait(lambda: rig.clock.now() - began > 7190, seconds=7300, step=10)
    tries = sum(later - at > 10 for at, later in pairwise(asked_at))
    assert 20 < tries < 40
    before = len(asked_at)
    await rig.wait(rig.ended, seconds=40)
    assert len(asked_at) > before


async def test_a_result_is_kept_at_the_end_if_it_can_be(rig: Rig) -> None:
    """However rarely it was tried before."""
    refuse_to_keep(rig, 500)
    rig.workflow("w", f"nodes: [{{name: a, {CACHED}}}, {{name: b, dependsOn: [a], wait: {{seconds: 3000}}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("phase") == "Succeeded")
    await rig.clock.advance(2980)
    rig.api.before.pop()
    await rig.wait(rig.ended, seconds=60)
    assert len(rig.api.all(CONFIG_MAPS)) == 1
