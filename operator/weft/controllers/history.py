"""What is kept in memory of a run that is over: thousands of them stand in a cluster, for people to look at.

Of most of a run nobody here asks any more: its parameters, its steps, what a restart would go on from (but for a child
run's outputs, which its parent reads). Its nodes are asked for now and then, by a late decision, a Pod that is left
over or a notification, and are kept packed. Whoever asks for a rerun changes the run, and it is told anew, whole.
"""

from collections.abc import Mapping
from typing import Any

from weft.api.objects import Obj
from weft.controllers.run_facts import finished, is_over, parent_uid
from weft.kube.packed import Packed

_ASKED_OF_A_SPEC = frozenset({"notifications", "ttlSecondsAfterFinished", "historyLimits", "jobs"})
"""What of a Workflow is asked for after its run's end."""


def asked_afterwards(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Give what of a Workflow's spec is asked for once a run of it is over: little, where the nodes are many."""
    return {name: value for name, value in spec.items() if name in _ASKED_OF_A_SPEC}


def remembered(run: Obj) -> Obj:
    """Give the run as it is kept; the one that is given stays as it is."""
    if not (finished(run) and is_over(run)):
        return run
    spec = {name: value for name, value in run["spec"].items() if name != "parameters"}
    if spec.get("workflow"):
        spec["workflow"] = asked_afterwards(spec["workflow"])
    status = {name: value for name, value in run["status"].items() if name != "state"}
    memory = run["status"].get("state") or {}
    if "outputsText" in memory and parent_uid(run) is not None:  # its parent goes on with them, exactly as they were
        status["state"] = {"outputsText": memory["outputsText"]}
    if status.get("nodes"):
        status["nodes"] = Packed(status["nodes"])
    return run | {"spec": spec, "status": status}
