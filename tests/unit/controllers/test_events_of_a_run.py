"""What `kubectl describe` shows of a run whose loop has much to tell."""

from support.rig import Fate, Rig
from weft.api.objects import Obj
from weft.kube.resources import EVENTS


def events(rig: Rig, reason: str) -> list[Obj]:
    return [event for event in rig.api.all(EVENTS) if event["reason"] == reason]


async def test_a_loop_that_fails_everywhere_can_be_read_and_its_end_is_there_at_once(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(code=1)
    rig.workflow(
        "w",
        "nodes: [{name: price, job: {image: i}, forEach: {range: 40, maxFailed: 39}, "
        "retry: {limit: 1, backoff: {initialSeconds: 2}}}]",
    )
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended)
    await rig.clock.advance(1)

    assert len(events(rig, "RunFailed")) == len(events(rig, "NodeFailed")) == 1
    await rig.clock.advance(10)
    back_offs = events(rig, "BackOff")
    assert len(back_offs) == 10
    assert sum(event["count"] for event in back_offs) == 40
    assert [event["message"][:33] for event in back_offs if event["count"] > 1] == ["(combined from similar events): p"]
