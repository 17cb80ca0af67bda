"""Why there are no logs: nothing has run yet, nothing ever will, or its Pods are gone, and how to keep them."""

from weft.api.conditions import NodePhase, Reason
from weft.api.objects import Obj
from weft.cli import runs
from weft.cli.nodes import Entry
from weft.render.names import NODE_LABEL, RUN_LABEL, label_value


def no_logs_of_run(run: Obj, *, keep: str) -> str:
    """Say why a run as a whole has no logs."""
    name = run["metadata"]["name"]
    if runs.has_ended(run):
        return f"no Pod of run {name} is left: {_cleaned(keep)}"
    reason, message = runs.why(run)
    return f"no Pod of run {name} has started yet ({': '.join(filter(None, (reason, message))) or runs.phase_of(run)})"


def no_logs(run: Obj, entry: Entry, *, kind: str, keep: str, attempt: int | None) -> str:
    """Say why a node has no logs. `kind` is its body ("" when not known), `keep` the Workflow's jobs.keep."""
    name, path = run["metadata"]["name"], entry["name"]
    phase, reason, attempts = entry.get("phase"), entry.get("reason") or "", entry.get("attempts") or 0
    if kind == "workflow":
        labels = f"{RUN_LABEL}={label_value(name)},{NODE_LABEL}={label_value(path)}"
        return f"node {path} is carried out by a run of its own; find its name with: kubectl get wfr -l {labels}"
    if kind not in ("", "job", "graph", "use"):
        return f"node {path} has no Pod, hence no logs: its body is {kind}"
    if phase == NodePhase.Skipped:
        return f"node {path} was skipped ({reason}), hence no logs"
    if reason == Reason.Cached:
        return f"node {path} took its outputs from the cache, hence no logs of this run"
    if attempts == 0:
        told = ": ".join(filter(None, (reason, entry.get("message")))) or phase
        return f"node {path} has not started yet ({told})"
    if attempt is not None and "itemCount" not in entry and attempt > attempts:
        return f"node {path} has made {attempts} attempts so far; there is no attempt {attempt}"
    if runs.has_ended(run):
        return f"the Pods of node {path} are gone: {_cleaned(keep)}"
    return f"node {path} has no Pod at the moment ({': '.join(filter(None, (str(phase), reason)))})"


def _cleaned(keep: str) -> str:
    return (
        f"Jobs are deleted when a run ends (jobs.keep is {keep}); to keep all of them, set spec.jobs.keep: All in the"
        " Workflow"
    )
