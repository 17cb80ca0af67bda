"""Why a simulated run stands still for ever: nothing is due, and nothing that the scenario says will happen helps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from weft.engine.state import ACTIVE, GATED, QUEUED, Unit
from weft.simulate.history import Run
from weft.simulate.place import place_of

MAX_SHOWN = 5


def why_stuck(root: Run, runs: Iterable[Run]) -> str:
    """Say what waits for what; `runs` are the run and its child runs."""
    held = root.state.suspended and root.state.stop is None
    found = ["the run is suspended and no action resumes it"] if held else []
    found += [line for run in runs if not run.state.finished for line in _waiting(run)]
    shown = found[:MAX_SHOWN] or ["nothing is in flight and no clock runs"]
    more = len(found) - len(shown)
    return "nothing more can happen: " + "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _waiting(run: Run) -> Iterator[str]:
    state = run.state
    for unit in state.active.values():
        if unit.stage == GATED and unit.lock is not None:
            yield f"{_name(run, unit)} waits for the concurrency key {unit.lock!r}"
        elif unit.stage == ACTIVE and unit.node.body.approval is not None:
            yield _approval(run, unit)
        elif unit.stage == ACTIVE and unit.pending is not None:
            yield f"the Pod of {_name(run, unit)} stays pending ({unit.pending}) and has no pendingTimeoutSeconds"
    limit = state.workflow.parallelism
    queued = [unit for *_, unit in state.queue if unit.stage == QUEUED]
    if queued and limit is not None and state.pods >= limit:
        services = ", ".join(_name(run, unit) for unit in state.active.values() if unit.node.service)
        yield f"{_name(run, queued[0])} waits for one of the {limit} places of parallelism ({services or 'others'})"


def _approval(run: Run, unit: Unit) -> str:
    approval = unit.node.body.approval
    assert approval is not None
    given = sum(1 for _, word, _ in unit.decisions if word == "Approve")
    return f"{_name(run, unit)} waits for approval ({given} of {approval.quorum}); add it to the scenario's approvals"


def _name(run: Run, unit: Unit) -> str:
    place = place_of(unit, run.place)
    return place.node if place.index is None else f"{place.node}[{place.index}]"
