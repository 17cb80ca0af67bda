"""What a WorkflowRun's own words say of where it stands, whoever reads them."""

from __future__ import annotations

from weft.kube.objects import Obj


def finished(run: Obj) -> bool:
    """Whether the run has its terminal condition."""
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Finished" and c.get("status") == "True" for c in conditions)


def rerun_wanted(run: Obj) -> bool:
    """Whether the spec asks for a rerun that the status does not know of yet."""
    wanted = (run["spec"].get("rerun") or {}).get("generation") or 0
    return wanted > ((run.get("status") or {}).get("rerunGeneration") or 0)
