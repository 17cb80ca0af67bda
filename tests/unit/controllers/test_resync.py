"""What kopf does not tell is found by listing anew now and then, whatever else goes wrong."""

from collections.abc import AsyncIterator

import pytest
from support.replica import Replica
from support.rig import Rig
from weft.api.objects import Obj
from weft.kube.resources import (
    JOBS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    WORKFLOW_RUNS,
    Resource,
)
from weft.settings import Settings


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(resync_seconds=30)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    yield rig
    await rig.close()


def lose_a_run(rig: Rig) -> None:
    """Kopf does not tell of the next run."""
    assert rig.replica is not None
    catalog = rig.replica.operator.catalog
    told, lost = catalog.apply, []

    def apply(kind: Resource, event_type: str | None, obj: Obj) -> None:
        if kind is WORKFLOW_RUNS and not lost:
            lost.append(obj)
        else:
            told(kind, event_type, obj)

    catalog.apply = apply  # type: ignore[method-assign]


async def test_a_run_that_was_missed_is_started_at_the_next_resync(rig: Rig) -> None:
    await rig.up()
    lose_a_run(rig)
    rig.start("w")
    await rig.clock.advance(20)
    assert rig.phase() == "None"
    await rig.clock.advance(40)
    assert rig.phase() == "Succeeded"


async def test_also_when_the_policies_are_like_nothing_that_was_foreseen(rig: Rig) -> None:
    for kind in (VALIDATING_ADMISSION_POLICIES, VALIDATING_ADMISSION_POLICY_BINDINGS):
        odd = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "weft-approval-author"}}
        rig.api.add(odd)
    await rig.up()
    await rig.clock.advance(100)
    lose_a_run(rig)
    rig.start("w")
    await rig.clock.advance(60)
    assert rig.phase() == "Succeeded"


async def test_who_starts_alone_lists_every_job_once_and_who_takes_over_once_more(rig: Rig) -> None:
    """Who stands by has listed them to be ready; what the other did until its end has to be known as well."""

    def lists(actor: str) -> int:
        return sum(
            asked.method == "GET" and asked.resource == JOBS and asked.actor == actor for asked in rig.api.requests
        )

    rig.settings = Settings()
    await rig.up()
    first = rig.replica
    assert first is not None
    assert lists("op-0") == 1
    second = Replica(
        rig.api, rig.clock, name="op-next", settings=rig.settings, http=rig.http, seed=1, metrics=rig.metrics
    )
    second.start()
    await rig.clock.advance(5)
    assert lists("op-next") == 1
    assert not second.leading
    first.crash()
    await rig.clock.advance(20)
    assert second.leading
    assert lists("op-next") == 2
    await second.bury()
