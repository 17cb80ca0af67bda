"""The status of a run, as it is written: phase, conditions, counts, progress, nodes (see `snapshot`), within a byte
budget (see `budget`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.api.conditions import Condition, Reason, RunPhase, message_for, run_conditions, shortened
from weft.api.times import milli_timestamp
from weft.engine import budget
from weft.engine.snapshot import entries, run_memory
from weft.engine.state import RunState
from weft.engine.summary import counts, explain, progress

MAX_REFUSAL = 500
"""Characters of the API server's words in a condition."""


@dataclass(slots=True)
class Written:
    """A status to write. `chunks` have to be stored before it, by name suffix. Not `whole`: it restores no run."""

    status: dict[str, Any]
    chunks: budget.Chunks = field(default_factory=dict)
    whole: bool = True


def phase_of(state: RunState) -> RunPhase:
    """The run's phase."""
    if state.finished:
        return RunPhase(state.outcome or "Failed")
    return RunPhase.Suspended if state.suspended and state.stop is None else RunPhase.Running


def duration_text(seconds: float) -> str:
    """A duration as kubectl writes it: 42s, 4m10s, 3h5m, 2d4h."""
    whole = int(seconds)
    for unit, size, minor, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}{rest}{minor}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def make(
    state: RunState, *, previous: Mapping[str, Any], generation: int, now: float, refusal: str | None = None
) -> Written:
    """The whole status of a run.

    Takes the status written before (for transition times), the generation of the spec that was
    taken into account, and the time. `refusal` says why nothing can be stored besides the status, if so.
    The caller adds what the engine does not know (revision, queue time).
    """
    found = counts(state)
    done, total = progress(found)
    phase = phase_of(state)
    if state.finished:
        reason = str(state.reason or Reason.NodeFailed)
        message = state.message or message_for(Reason.Running, done=done, total=total)
    else:
        reason, message = explain(state, done=done, total=total)

    def conditions(text: str) -> list[Condition]:
        return run_conditions(
            phase=phase, reason=str(reason), message=text, previous=previous.get("conditions") or (), now=now,
            generation=generation,
        )  # fmt: skip

    nodes = list(entries(state))
    chunks = budget.move_outputs(state) if refusal is None else {}
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "phase": str(phase),
        "conditions": conditions(message),
        "startTime": milli_timestamp(state.start),
        "completionTime": milli_timestamp(state.ended_at) if state.ended_at is not None else None,
        "duration": duration_text((state.ended_at if state.ended_at is not None else now) - state.start),
        "progress": f"{done}/{total}",
        "counts": found,
        "outputs": state.outputs,
        "state": run_memory(state),
        "rerunGeneration": state.generation or None,
    }
    if refusal is None:
        chunks |= budget.fit(status, nodes, previous=previous)
        return Written(status, chunks)
    lost = budget.fit_alone(status, nodes)
    if lost != 0:
        what = "what most nodes came to is" if lost is None else f"the outputs of {lost} nodes or items are"
        status["conditions"] = conditions(
            f"{message}; {what} not kept, since no ConfigMap could be made: {shortened(refusal, MAX_REFUSAL)}"
        )
    return Written(status, whole=lost is not None)
