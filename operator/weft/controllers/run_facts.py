"""What a WorkflowRun's own words say of where it stands, whoever reads them."""

from __future__ import annotations

from weft.kube.objects import Obj


def finished(run: Obj) -> bool:
    """Whether the run has its terminal condition."""
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Finished" and c.get("status") == "True" for c in conditions)


def rerun_asked(run: Obj) -> int:
    """The generation of the rerun that the spec asks for; 0 when it asks for none."""
    return int((run["spec"].get("rerun") or {}).get("generation") or 0)


def rerun_wanted(run: Obj) -> bool:
    """Whether the spec asks for a rerun that the status does not know of yet."""
    return rerun_asked(run) > ((run.get("status") or {}).get("rerunGeneration") or 0)
