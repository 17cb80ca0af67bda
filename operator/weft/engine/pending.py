"""Why an attempt that was asked for does not run yet: since when, and what its node tells of it.

A Pod is always pending for a moment, and a kubelet says the same of it every few seconds in other numbers: neither is
news. What is shown changes when there is something new to say, or when a mere start takes long (the timer `slow`).
That one, and that it is over, is told when a status comes anyway, or soon: on a full cluster all Pods take long.
"""

from __future__ import annotations

import re

from weft.api.conditions import Reason
from weft.engine.deadlines import SLOW_SECONDS
from weft.engine.observation import AttemptPending
from weft.engine.state import ACTIVE, MAIN, MAX_MESSAGE, PENDING, RUNNING, NodeState, Unit
from weft.engine.step import Step
from weft.engine.units import PODLESS, let_another_speak, pending_reason


def changed(step: Step, unit: Unit, seen: AttemptPending) -> None:
    """Take up why the attempt does not run yet, or that it runs now."""
    if unit.stage != ACTIVE:
        return
    told = f"{PODLESS}{seen.reason}" if seen.podless else seen.reason
    if seen.reason is None:
        unit.pending = unit.pending_since = None
    elif unit.pending != told:
        if unit.pending_since is None:
            unit.pending_since = seen.at
        unit.pending = told
        step.arm("pending", unit)
        step.arm("slow", unit)
    text = seen.message[:MAX_MESSAGE]
    starting = seen.reason in _STARTING
    unit.pending_text = text if starting else ""
    slow = unit.pending_since is not None and step.now >= unit.pending_since + SLOW_SECONDS
    show(step, unit, *((None, "") if starting and not slow else (seen.reason, text)))


def show(step: Step, unit: Unit, shown: str | None, message: str) -> None:
    """Let the unit and its node say why the attempt does not run yet, where that is news; None: it runs."""
    if shown == unit.reason and (message == unit.message or _BACK_OFF in message):
        return
    if shown != unit.reason or _wording(message) != _wording(unit.message):
        if {shown, unit.reason} <= _STARTING:
            step.stale = True
        else:
            step.state.dirty = True
    unit.reason, unit.message = shown, message
    if unit.role == MAIN:
        if shown is not None or unit.owner.node.for_each is None:
            unit.owner.reason, unit.owner.message = shown, message
        else:
            let_another_speak(unit)


def phase_told(unit: Unit) -> str:
    """Give the phase that a status tells of a unit: one whose Job or Pod a quota refuses is Pending.

    To the engine it is under way: its attempt has its number, and its clocks run.
    """
    refused = unit.phase == RUNNING and pending_reason(unit) == Reason.QuotaExceeded
    return PENDING if refused else unit.phase


def node_phase_told(node: NodeState) -> str:
    """Give the same of a node; of a forEach other items may run, so only its items say it."""
    unit = node.units.get(0) if node.phase == RUNNING and node.node.for_each is None else None
    return node.phase if unit is None else phase_told(unit)


_STARTING = frozenset({None, Reason.WaitingForPod})
"""Of a Pod that runs or is merely starting, which is no news, for a while."""
_BACK_OFF = "BackOff: "
"""In what the kubelet tells between two tries; what was wrong it has told before."""


def _wording(message: str) -> str:
    """A message without its numbers: new ones alone, which may come every second, are no cause to write a status."""
    return re.sub(r"[0-9]+", "", message)
