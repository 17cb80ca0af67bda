"""Fifty runs under way, and something dies: nothing is lost, nothing is done twice, and the time it took is told.

The times are printed (`measured`), to be looked at: docs/reliability.md shows them. Only one is a promise: a standby
leads within 20 seconds of its leader's death.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.harness.api import Obj
from e2e.harness.crowd import Crowd
from e2e.harness.machine import Machine, writes
from e2e.harness.operator import Operator, Reaper
from e2e.harness.place import Cluster, Place
from e2e.harness.stage import node, spec

KUBELET_AWAY_SECONDS = 5.0
"""Long enough that Pods end while nobody looks."""
TAKEOVER_SECONDS = 20.0

Report = Callable[..., None]


@pytest.fixture
def report(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Report:
    """Takes down what was measured."""

    def take(**figures: Any) -> None:
        record_property("measured", {"kill": request.node.name.removeprefix("test_"), **figures})

    return take


@pytest.fixture
def reaper(cluster: Cluster, operator: Operator) -> Reaper:
    """There before it is needed, and operators that the kubelet would start again at once."""
    reaper = Reaper(cluster)
    reaper.ensure()
    operator.renew_pods()
    return reaper


@pytest.fixture
def standby(operator: Operator, reaper: Reaper) -> Iterator[None]:
    """Two replicas."""
    operator.install(replicas=2)
    yield
    operator.install()


@pytest.fixture
def audit_log(machine: Machine, standby: None, operator: Operator) -> Iterator[Path]:
    """An API server that writes down who writes; restarting it must not have cost an operator its freshness."""
    with machine.audited() as log:
        operator.renew_pods()
        yield log


@pytest.fixture
def crowd(place: Place, reaper: Reaper) -> Crowd:
    """The runs, under way."""
    crowd = Crowd(place)
    crowd.get_under_way()
    return crowd


def test_operator(crowd: Crowd, operator: Operator, reaper: Reaper, report: Report) -> None:
    """The only replica; the kubelet starts it again."""
    pod = operator.pod(operator.wait_ready())
    reaper.signal(pod["metadata"]["uid"], "KILL")
    at = time.time()
    _wait_restarted(operator, pod)
    operator.wait_ready()
    back = time.time() - at
    crowd.finish()
    report(back_seconds=round(back, 1), **crowd.recovery(at))


@pytest.mark.parametrize("component", ["apiserver", "etcd"])
def test_component(component: str, machine: Machine, crowd: Crowd, operator: Operator, report: Report) -> None:
    """Started again at once, as a supervisor does."""
    at = machine.kill(component)
    machine.start(component)
    back = time.time() - at
    crowd.finish()
    report(back_seconds=round(back, 1), operator_restarts=operator.restarts(), **crowd.recovery(at))


def test_kubelet(machine: Machine, crowd: Crowd, report: Report) -> None:
    """Pods end while there is no kubelet to see it."""
    at = machine.kill("kubelet")
    time.sleep(KUBELET_AWAY_SECONDS)
    machine.start("kubelet")
    back = time.time() - at
    crowd.finish()
    report(back_seconds=round(back, 1), **crowd.recovery(at))


def test_watch_cache_expiry(machine: Machine, crowd: Crowd, place: Place, operator: Operator, report: Report) -> None:
    """No watch can be continued, and what was deleted and made meanwhile was told to nobody."""
    victim = place.start("victim", spec([node("work", "[ $WEFT_ATTEMPT -ge 2 ] || sleep 600")]))
    pod = victim.running_pod("work")
    at = machine.kill("apiserver")
    machine.forget_history()
    machine.start("apiserver")
    back = time.time() - at
    place.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--wait=false")
    late = place.start("crowd", parameters={"n": 1})
    for run in (victim, late):
        run.finish()
    crowd.finish()
    assert victim.node("work")["attempts"] == 2
    restarts = operator.restarts()
    listed = _listed_anew(operator.metrics())
    # Who has been away too long to renew its lease begins anew, which is the other way to miss nothing.
    assert restarts or listed >= {"jobs", "pods"}, listed
    report(back_seconds=round(back, 1), operator_restarts=restarts, listed_anew=sorted(listed), **crowd.recovery(at))


def test_leader(standby: None, crowd: Crowd, operator: Operator, reaper: Reaper, report: Report) -> None:
    """The leader dies with its Pod; the standby leads within 20 s, counted by the Lease."""
    leader, before = operator.wait_ready(), operator.lease()
    at = time.time()  # before, so that the promise is not made easier by the time that killing takes
    operator.kill(leader)
    dead = time.time()
    takeover = _moment(_taken_over(operator, before)["acquireTime"]) - at
    operator.wait_ready()
    back = time.time() - at
    crowd.finish()
    report(takeover_seconds=round(takeover, 1), back_seconds=round(back, 1), **crowd.recovery(dead))
    assert takeover < TAKEOVER_SECONDS


def test_frozen_leader(audit_log: Path, crowd: Crowd, operator: Operator, reaper: Reaper, report: Report) -> None:
    """A leader that slept past its lease wakes up with the world changed, writes nothing, and ends."""
    frozen, before = operator.pod(operator.wait_ready()), operator.lease()
    at = time.time()
    reaper.signal(frozen["metadata"]["uid"], "STOP")
    asleep = time.time()
    takeover = _moment(_taken_over(operator, before)["acquireTime"]) - at
    heir = operator.pod(operator.wait_ready())
    woken = time.time()
    reaper.signal(frozen["metadata"]["uid"], "CONT")
    ended = _wait_restarted(operator, frozen)
    dead = _moment(ended["finishedAt"]) + 1  # the kubelet tells whole seconds
    crowd.finish()
    found = writes(audit_log)
    report(takeover_seconds=round(takeover, 1), ended_after_seconds=round(_moment(ended["finishedAt"]) - woken, 1),
           writes=len(found), **crowd.recovery(asleep))  # fmt: skip
    assert ended["exitCode"] == 1, ended
    by_frozen = [write for write in found if write.source == frozen["status"]["podIP"]]
    by_heir = [write for write in found if write.source == heir["status"]["podIP"]]
    assert any(write.at < at for write in by_frozen), "the audit log does not tell of the leader's writes"
    assert any(at < write.at < woken for write in by_heir), "the heir had done nothing before the frozen one woke up"
    # Its Pod begins anew as a standby, which may lead again later: what counts is the process that woke up.
    assert not (late := [write for write in by_frozen if woken <= write.at <= dead]), late
    assert takeover < TAKEOVER_SECONDS


def _wait_restarted(operator: Operator, pod: Obj) -> Obj:
    """Wait until the container of an operator's Pod, as it was then, has ended and begun anew; gives how it ended."""
    before = pod["status"]["containerStatuses"][0]["restartCount"]

    def look() -> Obj | None:
        status = operator.pod(pod["metadata"]["name"])["status"]["containerStatuses"][0]
        ended: Obj = status["lastState"].get("terminated") or {}
        return ended if status["restartCount"] > before and "running" in status["state"] else None

    return operator.wait_for(look, "the operator's container was not started again")


def _taken_over(operator: Operator, before: Obj) -> Obj:
    """Wait until somebody else holds the Lease; gives its spec."""

    def look() -> Obj | None:
        now = operator.lease()
        return now if now["holderIdentity"] not in ("", before["holderIdentity"]) else None

    return operator.wait_for(look, "nobody takes the lease over")


def _listed_anew(metrics: str) -> set[str]:
    """The resources whose watch was refused, by 410 or for another reason: they are listed again."""
    refused = r'^weft_watch_restarts_total\{reason="(?:expired|error)",resource="(\w+)"\} [1-9]'
    return set(re.findall(refused, metrics, re.MULTILINE))


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
