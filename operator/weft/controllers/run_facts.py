"""What a WorkflowRun's own words say of where it stands and where it belongs, whoever reads them."""

from __future__ import annotations

from weft.api.conditions import RunPhase
from weft.api.objects import Obj, key_of, owner_of, uid_of
from weft.kube.resources import WORKFLOW_RUNS
from weft.kube.store import RunKey


def finished(run: Obj) -> bool:
    """Whether the run has its terminal condition."""
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Finished" and c.get("status") == "True" for c in conditions)


def deleted(run: Obj) -> bool:
    """Say whether somebody has deleted it, though a finalizer holds it back: its own, or in the foreground its Jobs'.

    Nothing is done for it any more, as for one that is gone; what stands of it is let go, else it would stand for ever.
    """
    return bool(run["metadata"].get("deletionTimestamp"))


def is_active(run: Obj) -> bool:
    """Say whether the run has started and not ended, by its status."""
    status = run.get("status") or {}
    phase = RunPhase(status.get("phase") or RunPhase.Queued)
    # A rerun that is suspended while it waits in the queue is Suspended, and has the times of what ended before.
    began = bool(status.get("startTime")) and not status.get("completionTime")
    return began and phase is not RunPhase.Queued and not phase.ended


def is_over(run: Obj) -> bool:
    """Say whether the run has ended and no rerun was asked for since."""
    status = run.get("status") or {}
    return RunPhase(status.get("phase") or RunPhase.Queued).ended and not rerun_wanted(run)


def rerun_asked(run: Obj) -> int:
    """The generation of the rerun that the spec asks for; 0 when it asks for none."""
    return int((run["spec"].get("rerun") or {}).get("generation") or 0)


def rerun_known(run: Obj) -> int:
    """The generation of the rerun that the status knows of: the one carried out last or now; 0 before any."""
    return int((run.get("status") or {}).get("rerunGeneration") or 0)


def rerun_wanted(run: Obj) -> bool:
    """Whether the spec asks for a rerun that the status does not know of yet."""
    return rerun_asked(run) > rerun_known(run)


def at_rest(run: Obj) -> bool:
    """Whether the run has its terminal condition and asks for no rerun: no loop works on it."""
    return finished(run) and not rerun_wanted(run)


def workflow_of(run: Obj) -> str | None:
    """Give the name of the run's Workflow; None for an inline one."""
    name: str | None = (run["spec"].get("workflowRef") or {}).get("name")
    return name


def queue_of(run: Obj) -> str:
    """Give the name of the run's queue."""
    return str(run["spec"].get("queue") or "default")


def identity(run: Obj) -> RunKey:
    """Give the run's namespace and UID.

    Whoever refers to a run does so within his own namespace: a UID is no secret, and must not be enough.
    """
    return RunKey(key_of(run).namespace, uid_of(run))


def parent_uid(run: Obj) -> str | None:
    """Give the UID of the run that started this one; None for a run that somebody made."""
    owner = owner_of(run, WORKFLOW_RUNS.kind)
    return None if owner is None else str(owner["uid"])


def parent_of(run: Obj) -> RunKey | None:
    """Give the run of the same namespace that started this one; None for a run that somebody made."""
    uid = parent_uid(run)
    return None if uid is None else RunKey(key_of(run).namespace, uid)
