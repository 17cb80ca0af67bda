"""That the operator has seen the spec of a run that has ended, whose controls somebody has changed since.

Nothing is done about them before a rerun. But whoever waits takes no word of a status that speaks of an older
generation: `kubectl wait --for=condition=Finished` would hang, and kstatus (Flux, helm) would call the run in progress
for ever.
"""

from __future__ import annotations

from typing import Any

from weft.api.objects import Obj


def catching_up(run: Obj) -> dict[str, Any] | None:
    """Give what has to change of a finished run's status so that it speaks of the spec as it is; None: nothing."""
    status, generation = run["status"], run["metadata"].get("generation", 1)
    if status.get("observedGeneration", generation) >= generation:
        return None
    conditions = [{**condition, "observedGeneration": generation} for condition in status["conditions"]]
    return {"observedGeneration": generation, "conditions": conditions}
