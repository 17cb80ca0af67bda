"""Outputs move to ConfigMaps, and these cannot be made: the run ends all the same, and says what is gone."""

import random
from typing import Any

import orjson
import pytest
from support.asked import Asked
from support.kubelet import Fate
from support.rig import NAMESPACE, Rig
from support.transport import over_quota, status
from weft.api.conditions import ConditionType
from weft.engine import budget
from weft.kube.resources import CONFIG_MAPS, WORKFLOW_RUNS
from weft.kube.transport import Dropped, Response

DENIED = status(403, "Forbidden", 'admission webhook "policy" denied the request: no team label')
SICK = status(500, "InternalError", "failed calling webhook")
WIDE = "nodes: [{{name: a, forEach: {{range: {count}}}, job: {{image: i}}}}]"
CHANCE = random.Random(1)


def refuse(rig: Rig, answer: Response) -> list[bool]:
    """Answer so to whoever makes a ConfigMap; clear the list to let them be made."""
    standing = [True]
    rig.api.before.append(lambda asked: answer if standing and _makes_a_map(asked) else None)
    return standing


def _makes_a_map(asked: Asked) -> bool:
    return asked.method == "POST" and asked.resource is CONFIG_MAPS


def say_much(rig: Rig) -> None:
    """Every Pod writes as much as it may, of what does not compress well."""
    text = orjson.dumps({"x": "y" * 4000}).decode()
    rig.behave = lambda node, attempt: Fate(text=text)


def items(rig: Rig) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = budget.read_nodes(rig.run()["status"], {})[0]["items"]
    return found


def message(rig: Rig) -> str:
    conditions = rig.run()["status"]["conditions"]
    return str(next(each["message"] for each in conditions if each["type"] == ConditionType.Succeeded))


def maps(rig: Rig) -> list[str]:
    return [each["metadata"]["name"] for each in rig.api.all(CONFIG_MAPS) if "-outputs-" in each["metadata"]["name"]]


@pytest.mark.parametrize(
    "answer", [over_quota(), DENIED, status(413), status(422)], ids=["quota", "policy", "too large", "invalid"]
)
async def test_outputs_that_no_config_map_may_hold_stay_in_the_status(rig: Rig, answer: Response) -> None:
    say_much(rig)
    refuse(rig, answer)
    rig.workflow("w", WIDE.format(count=60))
    await rig.finish("w")
    assert rig.phase() == "Succeeded"
    assert [len(item["outputs"]["x"]) for item in items(rig)] == [4000] * 60
    assert message(rig) == "1 of 1 nodes done"


async def test_what_the_status_has_no_room_for_goes_and_the_run_says_why(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(text=orjson.dumps({"x": CHANCE.randbytes(1990).hex()}).decode())
    refuse(rig, DENIED)
    rig.workflow("w", WIDE.format(count=400))
    await rig.finish("w")
    found = rig.run()["status"]
    assert rig.phase() == "Succeeded"
    assert len(orjson.dumps(found)) <= budget.MAX_STATUS
    without = [item for item in items(rig) if "outputs" not in item]
    assert 0 < len(without) < 400, "what there is room for is kept"
    assert {item["message"] for item in without} == {budget.NOT_KEPT}
    assert f"the outputs of {len(without)} " in message(rig)
    assert "no team label" in message(rig)


async def test_they_move_to_config_maps_once_these_can_be_made(rig: Rig) -> None:
    say_much(rig)
    standing = refuse(rig, over_quota())
    spec = WIDE.format(count=60).removesuffix("]")
    rig.workflow("w", f"{spec}, {{name: b, dependsOn: [a], wait: {{seconds: 3600}}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("phase") == "Succeeded")
    assert (len(maps(rig)), "outputs" in items(rig)[0]) == (0, True)
    standing.clear()
    await rig.wait(lambda: len(maps(rig)) > 0, seconds=3600, step=5)
    await rig.wait(lambda: "outputsIn" in items(rig)[0])
    assert "outputs" not in rig.first_node()["items"][0]


async def test_a_run_whose_config_maps_are_refused_can_be_stopped(rig: Rig) -> None:
    text = orjson.dumps({"x": "y" * 4000}).decode()
    rig.behave = lambda node, attempt: Fate(text=text, seconds=1 if node == "a" else 3000)
    refuse(rig, DENIED)
    spec = WIDE.format(count=60).removesuffix("]")
    rig.workflow("w", f"{spec}, {{name: b, job: {{image: i}}}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(60)
    rig.edit(stop="Terminate")
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"a": "Succeeded", "b": "Cancelled(Stopped)"}


async def test_an_api_server_in_trouble_over_config_maps_does_not_hold_up_the_end_for_ever(rig: Rig) -> None:
    say_much(rig)
    refuse(rig, SICK)
    rig.workflow("w", WIDE.format(count=60))
    await rig.finish("w")
    assert rig.phase() == "Succeeded"
    assert len(items(rig)[59]["outputs"]["x"]) == 4000


async def test_an_api_server_in_passing_trouble_is_waited_for(rig: Rig) -> None:
    say_much(rig)
    rig.api.fail(SICK, method="POST", plural="configmaps", times=2)
    rig.workflow("w", WIDE.format(count=60))
    await rig.finish("w")
    assert rig.phase() == "Succeeded"
    assert len(maps(rig)) == 1


async def test_entries_that_nothing_can_hold_do_not_hold_up_the_end_but_a_rerun_is_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.engine.budget.MAX_STATUS", 5000)
    refuse(rig, DENIED)
    rig.behave = lambda node, attempt: Fate(seconds=CHANCE.uniform(1, 20), code=CHANCE.randrange(1, 250))
    rig.workflow("w", WIDE.format(count=400).replace("range: 400", "range: 400, maxFailed: 399"))
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=1000)
    assert rig.phase() == "Failed"
    assert "no team label" in message(rig)
    assert len(orjson.dumps(rig.run()["status"])) <= 5000
    rig.edit(rerun={"generation": 1, "from": "Failed"})
    await rig.wait(lambda: "start it anew" in message(rig), seconds=120)
    assert set(rig.jobs_made().values()) == {1}, "nothing was run again"


async def test_what_the_stored_status_names_is_not_touched_when_no_write_was_answered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.engine.budget.MAX_STATUS", 4000)
    touched: list[str] = []

    def watch(asked: Asked) -> None:
        if asked.method == "DELETE" and asked.resource is CONFIG_MAPS:
            named = rig.run()["status"].get("compressedNodesIn") or ()
            touched.extend(name for name in named if asked.name.endswith(f"-{name}"))

    rig.api.before.append(watch)
    rig.behave = lambda node, attempt: Fate(seconds=CHANCE.uniform(1, 20), code=1)
    rig.workflow("w", WIDE.format(count=400).replace("range: 400", "range: 400, maxFailed: 400"))
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: bool(rig.run().get("status", {}).get("compressedNodesIn")))
    rig.api.fail(Dropped("cut"), method="PATCH", plural=WORKFLOW_RUNS.plural, name="r", times=30, after=True)
    await rig.wait(rig.ended)
    assert touched == []
    await rig.clock.advance(5)
    stored = {each["metadata"]["name"] for each in rig.api.all(CONFIG_MAPS, NAMESPACE)}
    uid = rig.run()["metadata"]["uid"]
    assert {f"weft-{uid}-{name}" for name in rig.run()["status"]["compressedNodesIn"]} <= stored
